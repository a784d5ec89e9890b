"""Training and inference of whole networks, on this machine or over the relay's network."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from sequester.compiler.isa.program import Program
from sequester.vm import data, report, runs

from .build import ROOT
from .relay import Relay

NETS = {
    "A": "mnist_dense.py",
    "B": "mnist_two_conv.py",
    "C": "mnist_lenet.py",
    "D": "mnist_strided.py",
    "alexnet": "cifar_alexnet.py",
}
TEST_SAMPLES = 16
EVALUATED = 100  # pictures in a batch of nn.evaluate, as the programs call it

_COMPILE = """
import sys
from sequester.cli import main
from sequester.vm.party import peak_rss
main(sys.argv[1:], standalone_mode=False)
print(peak_rss())
"""


@dataclass(frozen=True)
class Case:
    """What to time: `batches` training steps, or passes over 100 pictures if `infer`. `rtt` in
    milliseconds and `mbit` (0: unlimited) call for the relay; `without`: passes left out; `data`: a
    folder with all of MNIST to load, and an epoch of it to time."""

    net: str
    protocol: str = "rep3"
    parties: int = 0
    batch: int = 128
    batches: int = 5
    threads: int = 0
    plain: bool = False
    without: tuple[str, ...] = ()
    rtt: float = 0.0
    mbit: float = 0.0
    infer: bool = False
    data: Path | None = None

    def shown(self) -> dict[str, Any]:
        """What of it is not as always."""
        found: dict[str, Any] = {"without": list(self.without)} if self.without else {}
        if self.rtt or self.mbit:
            found |= {"rtt_ms": self.rtt, "mbit": self.mbit}
        return found


@dataclass(frozen=True)
class Measured:
    """`result` is what is printed; `work` counts the work of a step for the roofline, `local` has
    the seconds of all parties in instructions without messages; `overlap` has the report's seconds
    and its hidden share, of the whole run."""

    result: dict[str, Any]
    work: dict[str, float]
    local: float
    overlap: dict[str, float]


def measure(case: Case, repetitions: int = 1) -> Measured:
    """Compile once, run `repetitions` times: seconds are the median, the rest is the same in all.

    Raises click.UsageError for more samples than there are, and whatever a run raises.
    """
    return measure_by_turns([case], repetitions)[0]


def measure_by_turns(cases: Sequence[Case], repetitions: int) -> list[Measured]:
    """The same for several cases whose runs take turns, so that a machine whose speed changes is as
    fast for one as for the other."""
    with tempfile.TemporaryDirectory(prefix="sequester-") as scratch:
        ready = [_Ready(case, Path(scratch) / str(i)) for i, case in enumerate(cases)]
        for i in range(repetitions):
            for one in ready:
                one.run(i)
        return [one.measured() for one in ready]


class _Ready:
    """A case compiled, and its runs."""

    def __init__(self, case: Case, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.inputs, batches = _inputs(case, folder)
        self.case = replace(case, batches=batches)
        self.bytecode, self.compile_seconds, self.compile_peak = _compile(case, self.inputs, folder)
        self.seconds: list[float] = []

    def run(self, number: int) -> None:
        """Run once, into the folder `run<number>`."""
        case, clock = self.case, _Clock(self.case.batches)
        with contextlib.ExitStack() as stack:
            relay = None
            if case.rtt or case.mbit:
                relay = stack.enter_context(Relay(case.rtt, case.mbit))
            settings = runs.Settings(
                protocol=case.protocol,
                inputs=self.inputs,
                parties=case.parties,
                threads=case.threads,
                tls=not case.plain,
                seed=0,
                interval=0.002,
                route=relay.route if relay else None,
            )
            folder = self.folder / f"run{number}"
            runs.run(case.net, self.bytecode, folder, settings, clock.on_event)
        self.seconds.append(clock.seconds_per_batch())

    def measured(self) -> Measured:
        case, run = self.case, report.load(self.folder / "run0")
        result = {
            "net": case.net,
            **_per_batch(run, case.batches),
            "batch": EVALUATED if case.infer else case.batch,
            "seconds_per_batch": round(statistics.median(self.seconds), 4),
            "least_and_most": [round(min(self.seconds), 4), round(max(self.seconds), 4)],
            "compile_seconds": round(self.compile_seconds, 2),
            "compile_peak_mb": round(self.compile_peak, 1),
            "machine": runs.machine(),
            **case.shown(),
        }
        table = report.summary(run, None)["measured"]
        names = ("seconds", "compute_seconds", "wait_seconds", "awaited_seconds", "hidden_share")
        overlap = {name: table[name] for name in names}
        return Measured(result, _work(run, case.batches), _local(run, case.batches), overlap)


class _Clock:
    """When the ends of the batches were seen: the loop that makes `batches` trips."""

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self.ends: dict[int, float] = {}

    def on_event(self, party: int, event: dict[str, Any]) -> None:
        if party != 0 or event["event"] != "progress":
            return
        inside = [i for i, trips, _ in event["loops"] if trips == self.batches]
        if inside:
            for done in range(1, inside[-1] + 1):
                self.ends.setdefault(done, event["seconds"])
        elif 1 in self.ends:
            self.ends.setdefault(self.batches, event["seconds"])

    def seconds_per_batch(self) -> float:
        return (self.ends[self.batches] - self.ends[1]) / (self.batches - 1)


def _inputs(case: Case, folder: Path) -> tuple[tuple[str, ...], int]:
    """Training and test inputs, and how many batches they make: of just the wanted size, cut from
    the sample of MNIST that ships, or noise in the shape of CIFAR-10, which costs the same as
    pictures do; or all that `data` holds."""
    if case.data is not None:
        rows = data.sources("train", case.data)[0].shape[0]
        return tuple(f"0:{name}={case.data}" for name in ("train", "test")), rows // case.batch
    sizes = (2, EVALUATED * case.batches) if case.infer else (None, TEST_SAMPLES)
    specs = []
    for name, count in zip(("train", "test"), sizes, strict=True):
        count = case.batch * case.batches if count is None else count
        if case.net == "alexnet":
            rng = np.random.default_rng(0)
            x, y = rng.uniform(0, 1, (count, 3, 32, 32)), rng.integers(0, 10, count)
        else:
            pictures, labels = data.sources(name, ROOT / "programs" / "data")
            if count > pictures.shape[0]:
                there = pictures.shape[0]
                raise click.UsageError(f"{count} samples asked for, the data has {there}")
            x, y = pictures.read()[:count], labels.read()[:count]
        np.savez(folder / f"{name}.npz", x=x, y=y)
        specs.append(f"0:{name}={folder / name}.npz")
    return tuple(specs), case.batches


def _compile(case: Case, inputs: tuple[str, ...], folder: Path) -> tuple[bytes, float, float]:
    """(bytecode, seconds, peak MB) of `sequester compile`, a process of its own."""
    out = folder / "program.sqb"
    words = ["compile", "--protocol", case.protocol, str(ROOT / "programs" / NETS[case.net])]
    words += [word for spec in inputs for word in ("--input", spec)]
    words += [word for name in case.without for word in ("--without", name)]
    words += ["--batch", "2", "--epochs", "1"] if case.infer else ["--batch", str(case.batch)]
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE, *words, "-o", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.monotonic() - begin
    if done.returncode:
        sys.exit(done.returncode)
    return out.read_bytes(), seconds, int(done.stdout.split()[-1]) / 1e6


def _per_batch(run: report.RunFolder, batches: int) -> dict[str, Any]:
    """Bytes and rounds of one trip of the loop over batches, and memory, by party."""
    inside = _loop_body(run.program, batches)
    sent = [sum(sum(p["sent"][i]) for i in inside) for _, p in sorted(run.parties.items())]
    rounds = max(sum(p["rounds"][i] for i in inside) for p in run.parties.values())
    return {
        "protocol": run.info["protocol"],
        "parties": run.info["parties"],
        "mb_sent_per_party": [round(b / batches / 1e6, 3) for b in sent],
        "rounds_per_batch": round(rounds / batches, 2),
        "peak_memory_mb": [round(p["peak_rss"] / 1e6, 1) for _, p in sorted(run.parties.items())],
    }


def _loop_body(program: Program, trips: int) -> list[int]:
    """Instructions of the innermost loop that makes `trips` trips, inner loops included."""
    stack: list[tuple[int, int]] = []
    found: list[int] = []
    for index, insn in enumerate(program.code):
        if insn.instr.name == "loop":
            stack.append((index, insn.named()["trips"]))
        elif insn.instr.name == "endloop":
            begin, count = stack.pop()
            if count == trips and not found:
                found = list(range(begin, index + 1))
    if not found:
        sys.exit(f"bench: the program has no loop of {trips} trips")
    return found


def _local(run: report.RunFolder, batches: int) -> float:
    """Seconds a step that all parties spend in instructions that exchange nothing."""
    inside = [
        i for i in _loop_body(run.program, batches) if not run.program.code[i].instr.interactive
    ]
    return sum(p["compute_ns"][i] for p in run.parties.values() for i in inside) / batches / 1e9


def _work(run: report.RunFolder, batches: int) -> dict[str, float]:
    """A step's work by kind: multiply-adds of secret values in the clear (`macs`), elements rounded
    after a product, truncated, compared, selected, and ANDs of bits."""
    work = dict.fromkeys(("macs", "product", "truncation", "comparison", "select", "and"), 0.0)
    for i in _loop_body(run.program, batches):
        insn, times = run.program.code[i], run.parties[0]["executed"][i] / batches
        name, a = insn.instr.name.removesuffix("_add"), insn.named()
        if name == "matmul":
            macs, outputs = a["M"] * a["K"] * a["N"], a["M"] * a["N"]
        elif name.startswith("conv2d"):
            macs = a["B"] * a["O"] * a["OH"] * a["OW"] * a["C"] * a["KH"] * a["KW"]
            outputs = a["B"] * a["C"] * a["H"] * a["W"] if name == "conv2d_dx" else 0
            outputs = a["O"] * a["C"] * a["KH"] * a["KW"] if name == "conv2d_dw" else outputs
            outputs = a["B"] * a["O"] * a["OH"] * a["OW"] if name == "conv2d" else outputs
        elif name == "mul":
            macs = outputs = a["n"]
        else:
            macs = outputs = 0
        work["macs"] += times * macs
        work["product"] += times * outputs
        work["truncation"] += times * (a["n"] if name == "trunc" else 0)
        work["comparison"] += times * (a["n"] if name in ("ltz", "eqz") else 0)
        work["select"] += times * (a["n"] if name.startswith("select") else 0)
        work["and"] += times * (a["n"] * a["p"] if name == "and" else 0)
    return work
