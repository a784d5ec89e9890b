#!/usr/bin/env python3
"""The whole road once: compile a LeNet, train it between three processes, compare, report.

Run by demo.sh. The training in the clear is the same program in the IR's NumPy executor on real
numbers, with the same public seed: the same initial weights and the same batches.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from sequester import source
from sequester.compiler.ir import reference
from sequester.compiler.passes import autodiff
from sequester.vm import data, report, runs
from sequester.vm.display import Display

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "programs" / "mnist_lenet.py"


@click.command()
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Public coins.")
@click.option("--json", "as_json", is_flag=True, help="Last line: one JSON object.")
def main(seed: int, as_json: bool) -> None:
    """Train a LeNet on 10,000 real digits between three parties over mutual TLS."""
    stream = sys.stderr if as_json else sys.stdout
    console = Console(file=stream, width=None if stream.isatty() else 120, highlight=False)
    folder = ROOT / "programs" / "data"
    inputs = tuple(f"0:{name}={folder}" for name in ("train", "test"))
    begin = time.monotonic()
    flags = source.Flags(words=("--watch",), inputs=inputs)
    compiled = source.compile_file(PROGRAM, flags, "rep3")
    console.print(
        f"compiled {PROGRAM.name}: {len(compiled.program.code)} instructions, "
        f"{time.monotonic() - begin:.1f} s"
    )
    console.print("training between three parties, rep3 over TLS 1.3; one epoch of 10,000 digits")
    with tempfile.TemporaryDirectory(prefix="sequester-") as scratch:
        out = Path(scratch) / "run"
        with Display(console, compiled.program, PROGRAM.parent, quiet=True) as display:
            settings = runs.Settings(protocol="rep3", inputs=inputs, seed=seed)
            runs.run(PROGRAM.stem, compiled.data, out, settings, display.on_event)
        table = source.summary(out)
    console.print("training in the clear: same initial weights, same batches")
    clear = _clear(inputs, seed)
    secret = _accuracy(display.lines)
    report.render(table, console, limit=12)
    console.print(f"\ntest accuracy, trained on shares:    {secret:.2f} %")
    console.print(f"test accuracy, trained in the clear: {clear:.2f} %")
    if as_json:
        measured = table["measured"]
        result = {
            "test_accuracy": secret,
            "clear_accuracy": clear,
            "seconds": round(measured["seconds"], 2),
            "rounds": measured["rounds"],
            "mb_sent_per_party": [round(b / 1e6, 3) for b in measured["sent_bytes"]],
        }
        print(json.dumps(result))


def _clear(inputs: tuple[str, ...], seed: int) -> float:
    """Test accuracy, in percent, of the program on real numbers."""
    sources = data.parse_inputs(inputs)
    shapes = {key: found.shape for key, found in sources.items()}
    graph = autodiff.run(source.load(PROGRAM).trace(shapes=shapes))
    arrays = {key: found.read() for key, found in sources.items()}
    coins = runs.public_seed(seed)
    return _accuracy(reference.run(graph, arrays, mode="float", public_seed=coins).lines)


def _accuracy(lines: list[str]) -> float:
    found = [m for m in (re.search(r"test accuracy ([\d.]+) %", line) for line in lines) if m]
    if not found:
        sys.exit("demo: the program printed no test accuracy")
    return float(found[-1][1])


if __name__ == "__main__":
    main()
