#!/usr/bin/env python3
"""Benchmarks: `python scripts/bench.py train --net C --protocol rep3 --batches 5 --json`.

`train` and `infer` compile a program of `programs/` in a process of its own, run it with everything
on (all parties here, TLS, all masks made within the time) over real MNIST pictures, and print what
a batch costs: seconds as (end of batch N - end of batch 1) / (N - 1) on party 0's clock, bytes and
rounds from the counters of the instructions of the loop, MB = 10^6. `micro` times single parts,
`all` makes every table of docs/performance.md. Goes on in .venv by itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))

try:
    import click
    from benchmarks import channel, kernels, protocol, tables, threads, training, transfers

    from sequester.vm import native, runs
except ImportError:
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == ROOT / ".venv":
        sys.exit("bench: run scripts/setup.sh first")
    os.execv(python, [str(python), *sys.argv])

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_RTT = click.option("--rtt", type=click.FloatRange(0), default=0.0, help="Milliseconds; by relay.")
_MBIT = click.option(
    "--mbit", type=click.FloatRange(0), default=0.0, help="Of each party's uplink; by relay."
)
_THREADS = click.option(
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Of each party."
)
_PLAIN = click.option("--plain", is_flag=True, help="No TLS.")


def _runs(default: int) -> Callable[[Any], Any]:
    return click.option(
        "--runs",
        "repetitions",
        type=click.IntRange(1),
        default=default,
        show_default=True,
        help="The median counts.",
    )


def _show(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result))
        return
    for name, value in result.items():
        if isinstance(value, dict):
            click.echo(name)
            for inner, figure in value.items():
                click.echo(f"  {inner:24} {figure}")
        else:
            click.echo(f"{name:26} {value}")


@click.group()
def main() -> None:
    """Benchmarks."""


def _network(batches: int) -> Callable[[Any], Any]:
    """The options that `train` and `infer` share."""
    options = [
        click.option(
            "--net", type=click.Choice(list(training.NETS)), default="C", show_default=True
        ),
        click.option("--protocol", default="rep3", show_default=True),
        click.option("--parties", type=int, default=0, help="0: the protocol's least."),
        click.option(
            "--batches", type=click.IntRange(2), default=batches, show_default=True
        ),
        click.option(
            "--threads", type=click.IntRange(0), default=0, help="0: a fair part of the CPUs."
        ),
        _PLAIN,
        click.option(
            "--without",
            multiple=True,
            metavar="PASS",
            help="Compile without a pass, `merge_rounds` or `overlap` say.",
        ),
        _RTT,
        _MBIT,
        _runs(5),
        _JSON,
    ]  # fmt: skip

    def wrapper(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return wrapper


@main.command()
@_network(5)
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with all of MNIST: load all of it, time an epoch (C: four minutes a run).",
)
def train(repetitions: int, as_json: bool, **given: Any) -> None:
    """Time the training of a network on `batches` batches, or on an epoch of `--data`."""
    _show(training.measure(training.Case(**given), repetitions).result, as_json)


@main.command()
@_network(5)
def infer(repetitions: int, as_json: bool, **given: Any) -> None:
    """Time `batches` batches of 100 pictures through a network, their labels compared."""
    _show(training.measure(training.Case(infer=True, **given), repetitions).result, as_json)


@main.group()
def micro() -> None:
    """Time single kernels, instructions, channels and rounds."""


def _products(kind: str) -> None:
    @micro.command(kind)
    @click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
    @click.option("--ring", type=click.Choice(["64", "128"]), default="64", show_default=True)
    @_THREADS
    @_runs(5)
    @_JSON
    def command(batch: int, ring: str, threads: int, repetitions: int, as_json: bool) -> None:
        found = kernels.products(kind, repetitions, batch=batch, threads=threads, ring=int(ring))
        _show(found | {"machine": runs.machine()}, as_json)

    command.help = f"LeNet's {'matrix products' if kind == 'gemm' else 'convolutions'}."


def _instruction(name: str) -> None:
    @micro.command(name)
    @click.option(
        "--elements",
        type=click.IntRange(1),
        default=1 << 20,
        show_default=True,
        help="Of the vector.",
    )
    @click.option(
        "-k",
        type=click.IntRange(1, 64),
        default=31,
        show_default=True,
        help="Bits of a number; a difference has one more.",
    )
    @_THREADS
    @_runs(5)
    @_JSON
    def command(elements: int, k: int, threads: int, repetitions: int, as_json: bool) -> None:
        found = protocol.measure(name, elements, k, repetitions, threads)
        _show(found | {"machine": runs.machine()}, as_json)

    command.help = f"{name} under rep3: bytes and rounds of an element, local work, a real run."


for _kind in ("gemm", "conv"):
    _products(_kind)
for _name in protocol.OPS:
    _instruction(_name)


@micro.command()
@_runs(5)
@_JSON
def aes(repetitions: int, as_json: bool) -> None:
    """GB/s of pseudo-random words, on one core."""
    _show(kernels.aes(repetitions) | {"machine": runs.machine()}, as_json)


@micro.command()
@click.option("--millions", type=click.IntRange(1), default=16, show_default=True)
@_runs(5)
@_JSON
def ot(millions: int, repetitions: int, as_json: bool) -> None:
    """Oblivious transfers a second over loopback: a sender on one core, a receiver on another."""
    _show(transfers.measure(repetitions, millions) | {"machine": runs.machine()}, as_json)


@micro.command()
@_runs(5)
@_JSON
def elements(repetitions: int, as_json: bool) -> None:
    """Nanoseconds an element of the loops that are not products."""
    _show(kernels.elements(repetitions) | {"machine": runs.machine()}, as_json)


@micro.command("threads")
@click.option("--threads", "count", type=click.IntRange(0), default=0, help="0: one a CPU.")
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
@click.option("--elements", "n", type=click.IntRange(1), default=1 << 20, show_default=True)
@_runs(5)
@_JSON
def threads_(count: int, batch: int, n: int, repetitions: int, as_json: bool) -> None:
    """What more threads gain one party: products, and local work of instructions."""
    found = threads.measure(repetitions, count or native.cpus(), batch=batch, n=n)
    _show(found | {"machine": runs.machine()}, as_json)


@micro.command("channel")
@click.option("--megabytes", type=click.IntRange(1), default=100, show_default=True)
@_runs(5)
@_JSON
def channel_(megabytes: int, repetitions: int, as_json: bool) -> None:
    """Throughput and processor time of TCP and TLS, all parties sending to all."""
    _show(channel.measure(repetitions, megabytes) | {"machine": runs.machine()}, as_json)


@micro.command("round")
@click.option("--rounds", type=click.IntRange(1), default=1000, show_default=True)
@_PLAIN
@_RTT
@_MBIT
@_runs(5)
@_JSON
def round_(
    rounds: int, plain: bool, rtt: float, mbit: float, repetitions: int, as_json: bool
) -> None:
    """Latency of a round."""
    found = protocol.latency(repetitions, rounds, plain=plain, rtt=rtt, mbit=mbit)
    _show(found | {"machine": runs.machine()}, as_json)


@main.command("all")
@click.option("--nets", default=",".join(tables.Sizes.nets), show_default=True)
@click.option(
    "--wan",
    default=",".join(tables.Sizes.wan),
    show_default=True,
    help="Networks for the table of links.",
)
@click.option("--batch", type=click.IntRange(1), default=128, show_default=True)
@click.option("--batches", type=click.IntRange(2), default=5, show_default=True)
@click.option("--elements", "count", type=click.IntRange(1), default=1 << 20, show_default=True)
@click.option("--megabytes", type=click.IntRange(1), default=100, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=2000, show_default=True)
@click.option("--rtt", type=click.FloatRange(0), default=40.0, show_default=True)
@click.option("--mbit", type=click.FloatRange(0), default=100.0, show_default=True)
@click.option("--write", is_flag=True, help="Put the tables into docs/performance.md.")
@_runs(5)
@_JSON
def all_(nets: str, wan: str, count: int, write: bool, as_json: bool, **sizes: Any) -> None:
    """Every table of docs/performance.md, in a few minutes."""
    names = [tuple(name for name in text.split(",") if name) for text in (nets, wan)]
    wanted = tables.Sizes(nets=names[0], wan=names[1], elements=count, **sizes)
    found = tables.collect(wanted, lambda text: click.echo(text, err=True))
    if write:
        tables.write(found)
    click.echo(json.dumps(found) if as_json else tables.markdown(found))


if __name__ == "__main__":
    main()
