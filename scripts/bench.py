#!/usr/bin/env python3
"""Time training steps: `python scripts/bench.py train --net C --protocol rep3 --batches 5 --json`.

Compiles the program of `programs/` in a process of its own, runs it with everything on (all
parties here, TLS, all masks made within the time) over real MNIST pictures, and prints what a batch
costs: seconds as (end of batch N - end of batch 1) / (N - 1) on party 0's clock, bytes and rounds
from the counters of the instructions of the training loop, MB = 10^6. Goes on in .venv by itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

try:
    import click
    import numpy as np

    from sequester.compiler.isa.program import Program
    from sequester.vm import data, report, runs
except ImportError:
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == ROOT / ".venv":
        sys.exit("bench: run scripts/setup.sh first")
    os.execv(python, [str(python), *sys.argv])

NETS = {"A": "mnist_dense.py", "C": "mnist_lenet.py"}
TEST_SAMPLES = 16

_COMPILE = """
import sys
from sequester.cli import main
from sequester.vm.party import peak_rss
main(sys.argv[1:], standalone_mode=False)
print(peak_rss())
"""


@click.group()
def main() -> None:
    """Benchmarks."""


@main.command()
@click.option("--net", type=click.Choice(sorted(NETS)), default="C", show_default=True)
@click.option("--protocol", default="rep3", show_default=True)
@click.option("--parties", type=int, default=0, help="0: the protocol's least.")
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
@click.option("--batches", type=click.IntRange(2), default=5, show_default=True)
@click.option("--threads", type=click.IntRange(0), default=0, help="0: a fair part of the CPUs.")
@click.option("--plain", is_flag=True, help="No TLS.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def train(
    net: str,
    protocol: str,
    parties: int,
    batch: int,
    batches: int,
    threads: int,
    plain: bool,
    as_json: bool,
) -> None:
    """Time the training of a network on `batches` batches."""
    with tempfile.TemporaryDirectory(prefix="sequester-") as scratch:
        folder = Path(scratch)
        inputs = _inputs(folder, batch * batches)
        bytecode, compile_seconds, compile_peak = _compile(net, batch, inputs, folder)
        clock = _Clock(batches)
        settings = runs.Settings(
            protocol=protocol,
            inputs=inputs,
            parties=parties,
            threads=threads,
            tls=not plain,
            seed=0,
            interval=0.002,
        )
        runs.run(net, bytecode, folder / "run", settings, clock.on_event)
        result = {
            "net": net,
            **_per_batch(report.load(folder / "run"), batches),
            "batch": batch,
            "seconds_per_batch": round(clock.seconds_per_batch(), 4),
            "compile_seconds": round(compile_seconds, 2),
            "compile_peak_mb": round(compile_peak, 1),
            "machine": runs.machine(),
        }
    if as_json:
        click.echo(json.dumps(result))
    else:
        for name, value in result.items():
            click.echo(f"{name:20} {value}")


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


def _inputs(folder: Path, samples: int) -> tuple[str, ...]:
    """Training and test inputs of just the wanted size, cut from the sample that ships."""
    specs = []
    for name, count in (("train", samples), ("test", TEST_SAMPLES)):
        x, y = data.sources(name, ROOT / "programs" / "data")
        if count > x.shape[0]:
            raise click.UsageError(f"{count} samples asked for, the data has {x.shape[0]}")
        np.savez(folder / f"{name}.npz", x=x.read()[:count], y=y.read()[:count])
        specs.append(f"0:{name}={folder / name}.npz")
    return tuple(specs)


def _compile(
    net: str, batch: int, inputs: tuple[str, ...], folder: Path
) -> tuple[bytes, float, float]:
    """(bytecode, seconds, peak MB) of `sequester compile`, a process of its own."""
    out = folder / "program.sqb"
    options = [word for spec in inputs for word in ("--input", spec)]
    words = ["compile", str(ROOT / "programs" / NETS[net]), *options, "--batch", str(batch)]
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
    """Bytes and rounds of one trip of the training loop, and the largest party's memory."""
    inside = _loop_body(run.program, batches)
    sent = [sum(sum(p["sent"][i]) for i in inside) for _, p in sorted(run.parties.items())]
    rounds = max(sum(p["rounds"][i] for i in inside) for p in run.parties.values())
    return {
        "protocol": run.info["protocol"],
        "parties": run.info["parties"],
        "mb_sent_per_party": [round(b / batches / 1e6, 3) for b in sent],
        "rounds_per_batch": round(rounds / batches, 2),
        "peak_memory_mb": round(max(p["peak_rss"] for p in run.parties.values()) / 1e6, 1),
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


if __name__ == "__main__":
    main()
