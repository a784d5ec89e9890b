"""Single instructions of rep3: bytes and rounds by the counters of a real run between processes,
local work by the lockstep engine of the tests; and the latency of a round."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode
from sequester.compiler.isa.table import plane_words
from sequester.vm import report, runs

from .build import HERE, KERNELS, RUNTIME, executable
from .relay import Relay

PLANES = 32  # of `and`: an element is a bit of one of them
# name: (instruction, its operands after the handle, SIZE of local.c)
OPS = {
    "comparison": ("ltz", "d=b0 a=s0 n={n} bits={difference}", "{difference}"),
    "truncation": ("trunc", "d=s{top} a=s0 n={n} m=16 mode=0", "16"),
    "product": ("mul", "d=s{top} a=s0 b=s0 n={n} m=16 mode=0", "16"),
    "and": ("and", "d=b{b} a=b0 b=b0 p={planes} n={n}", "{planes}"),
    "select": ("select", "d=s{top} b=b0 a=s0 n={n}", "0"),
}


def measure(name: str, n: int, k: int, repetitions: int, threads: int = 1) -> dict[str, Any]:
    """Costs of one of OPS on n elements (for `and`: n bits), per element and busiest party. A
    comparison is one of two numbers of k bits: the sign of their difference, which has k + 1.

    `local_million_per_second`: elements a party and core, median of `repetitions`, no network.
    `run_million_per_second`: elements a second of a run of all parties here over TLS.
    """
    elements = n
    n = -(-n // PLANES) if name == "and" else n
    instruction, operands, size = OPS[name]
    names = {"n": n, "difference": k + 1, "top": _aligned(n), "planes": PLANES}
    names["b"] = PLANES * plane_words(n)
    code = f"{instruction} h=0 {operands.format(**names)}"
    run = _run(_program(code, n, repetitions), threads)
    figures = _figures(run, instruction)
    local = statistics.median(cpu for cpu, _ in _local(name, n, size.format(**names), repetitions))
    return {
        "instruction": code,
        "elements": elements,
        "bytes_per_element": round(figures["bytes"] / elements, 3),
        "rounds": figures["rounds"],
        "local_million_per_second": round(elements / (local / 3) / 1e6, 1),
        "run_million_per_second": round(elements / figures["seconds"] / 1e6, 1),
    }


def latency(
    repetitions: int, rounds: int, *, plain: bool = False, rtt: float = 0.0, mbit: float = 0.0
) -> dict[str, Any]:
    """Microseconds of one round: one element multiplied again and again; median of the runs."""
    seconds = []
    code = "mul h=0 d=s8 a=s0 b=s0 n=1 m=0 mode=0"
    for _ in range(repetitions):
        with contextlib.ExitStack() as stack:
            route = None
            if rtt or mbit:
                route = stack.enter_context(Relay(rtt, mbit)).route
            run = _run(_program(code, 1, rounds), 1, tls=not plain, route=route)
        figures = _figures(run, "mul")
        seconds.append(figures["seconds"] / figures["rounds"])
    return {
        "rounds": rounds,
        "channel": run.info["channel"],
        "rtt_ms": rtt,
        "mbit": mbit,
        "microseconds_per_round": round(statistics.median(seconds) * 1e6, 1),
    }


def _program(code: str, n: int, trips: int) -> bytes:
    """Bytecode that runs one interactive instruction `trips` times on n elements of noise."""
    top = _aligned(n)
    text = f"""
.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=0 s_size={2 * top + 16} \
b_size={2 * PLANES * plane_words(n)} c_size={top + 16} handles=1 checked=0
.string "x"
.line "x":1
cuniform d=c0 lo=-1073741824 hi=1073741824 stream=0 n={n}
sset d=s0 a=c0 n={n}
bset d=b0 a=c0 p={PLANES} n={n}
loop c=c{top + 8} trips={trips}
{code}
join h=0
endloop
end
"""
    return encode(assemble(text))


def _aligned(n: int) -> int:
    """Where a second register of n elements begins."""
    return -(-n // 8) * 8


def _run(bytecode: bytes, threads: int, *, tls: bool = True, route: Any = None) -> report.RunFolder:
    with tempfile.TemporaryDirectory(prefix="sequester-") as folder:
        settings = runs.Settings("rep3", threads=threads, tls=tls, seed=0, route=route)
        runs.run("bench", bytecode, Path(folder) / "run", settings, lambda party, event: None)
        return report.load(Path(folder) / "run")


def _figures(run: report.RunFolder, name: str) -> dict[str, Any]:
    """Bytes, rounds and seconds of one execution of the instruction, at the busiest party."""
    at = next(i for i, insn in enumerate(run.program.code) if insn.instr.name == name)
    parties, times = run.parties.values(), run.parties[0]["executed"][at]
    return {
        "bytes": max(sum(p["sent"][at]) for p in parties) / times,
        "rounds": max(p["rounds"][at] for p in parties) // times,
        "seconds": max(p["compute_ns"][at] + p["wait_ns"][at] for p in parties) / times / 1e9,
    }


def passed(name: str, n: int, k: int, repetitions: int, threads: int) -> float:
    """Seconds that pass while one thread after the other plays a party, each with so many threads
    for its loops: the least of `repetitions`."""
    n = -(-n // PLANES) if name == "and" else n
    size = OPS[name][2].format(difference=k + 1, planes=PLANES)
    return min(wall for _, wall in _local(name, n, size, repetitions, threads))


def _local(
    name: str, n: int, size: str, repetitions: int, threads: int = 1
) -> list[tuple[float, float]]:
    """Seconds of all three parties, each time: of the first thread's processor time, and passed."""
    sources = [HERE / "local.c", RUNTIME / "tests" / "engine.c"]
    program = executable("local", sources, (*KERNELS, "protocols/rep3*.c", "protocols/bilinear.c"))
    words = [str(program), name, str(n), size, str(repetitions), str(threads)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    return [(int(cpu) / 1e9, int(wall) / 1e9) for cpu, wall in lines]
