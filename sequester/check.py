"""The command `sequester check`: options, tables, and the exit code."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import AUTHOR, OPEN, source_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from sequester.compiler.ir.observe import Fault, Overflow

    from .checking import Findings, Row
    from .source import Flags


@click.command(context_settings=OPEN, add_help_option=False)
@source_options
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Rows of each input that are used, at most.",
)
@click.option(
    "--range",
    "span",
    type=(float, float),
    default=(0.0, 1.0),
    metavar="LOW HIGH",
    help="Of numbers made up for inputs that are not given; default 0 1.",
)
@click.option(
    "--labels",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Integers made up are below this.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all coins.")
@click.option("--limit", type=click.IntRange(1), default=12, show_default=True, help="Rows shown.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def check(
    program: Path,
    flags: Flags,
    rows: int,
    span: tuple[float, float],
    labels: int,
    seed: int,
    limit: int,
    as_json: bool,
) -> None:
    """Find numeric trouble: run a program on sample data, in fixed point and in float at once.

    Nothing is shared and no party runs; the numbers are those that every protocol computes. Give
    inputs as for `run` (their first --rows rows are taken), or only their shapes (--shape), and
    numbers are made up. The program's own options follow it, such as --epochs 1 --batch 32.

    \b
      sequester check programs/mnist_lenet.py --batch 32 \\
          --input 0:train=programs/data --input 0:test=programs/data
      sequester check PROGRAM.py --shape 0:x=100,3 --range -1 1 -f 12

    \b
    What the columns say, for each layer and the lines that need most:
      largest   the largest number on the way, in float
      bits      what it takes of the k - 1 bits of a number; headroom is what is left
      error     the mean difference to float, in units of 2^-f, and the worst one
      lost      how much of an operation's magnitude rounding made 0; of a gradient: not learnt
    A comparison that falls out otherwise near a tie (a ReLU at 0) makes a large worst error that
    means nothing; what the program gives out shows what errors amount to.
    An overflow is a number that does not fit: what follows from it is noise. The first one listed
    is the cause, others may only follow from it. Overflows, and a float run that has no finite
    result itself, end with exit code 3.

    The proposal is the least f and k that leave a bit of headroom and put at most 1 % of every
    gradient's magnitude below half a unit (10 % with probabilistic rounding, which is right on
    average), but no less than what is given and what the ring has by itself. It is tried on the
    same samples. More rows and more epochs find larger numbers and smaller gradients: leave
    headroom for them.
    """
    from . import checking

    if not span[0] < span[1]:
        raise click.UsageError(f"--range {span[0]:g} {span[1]:g}: is empty")
    if program.suffix != ".py":
        raise click.UsageError(f"{program}: the program's source is wanted, a .py file")
    samples = checking.Samples(rows, *span, labels, seed)
    better = None
    with _Progress() as progress:
        found = checking.check(program, flags, samples, progress.start)
        if found.wanted is not None and found.wanted != found.config and found.finite:
            better = checking.proposed(program, flags, samples, found.wanted, progress.start)
    bad = bool(found.overflows or found.faults) or not found.finite
    if as_json:
        click.echo(json.dumps(_table(found) | {"ok": not bad, "tried": better and _table(better)}))
    else:
        _show(found, better, limit)
    if bad:
        sys.exit(AUTHOR)


class _Progress:
    """How far a check is, on standard error: live on a terminal, a line every 10 s elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=True, highlight=False)
        self.live = Live(console=self.console, refresh_per_second=8, transient=True)
        self.shown_at = time.monotonic()

    def __enter__(self) -> _Progress:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def start(self, what: str, total: int) -> Callable[[], None]:
        """A function that says "one step more of `total`" of this piece of work."""
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            text = f"{what}: {done / total:.0%}"
            if self.live.is_started:
                self.live.update(text)
            elif time.monotonic() > self.shown_at + 10:
                self.shown_at = time.monotonic()
                self.console.print(text)

        return tick


def _table(found: Findings) -> dict[str, Any]:
    """Findings as JSON values."""
    table = dataclasses.asdict(found)
    places: list[Overflow | Fault] = [*found.overflows, *found.faults]
    for row, place in zip(table["overflows"] + table["faults"], places, strict=True):
        row["line"], row["layer"] = str(place.loc), place.loc.scope
        del row["loc"]
    for name in ("config", "wanted"):
        if table[name] is not None:
            table[name] = {key: table[name][key] for key in ("ring_bits", "k", "f", "rounding")}
    return table | {"relative_error": found.relative}


def _show(found: Findings, better: Findings | None, limit: int) -> None:
    from .show import console_for

    console = console_for(sys.stdout)
    c = found.config
    console.print(f"ring 2^{c.ring_bits}, k = {c.k}, f = {c.f}, {c.rounding} rounding")
    console.print(_rows("By layer", found.layers, len(found.layers)))
    lines = sorted(found.lines, key=lambda r: (r.headroom, -r.lost))
    console.print(_rows("By source line, the least headroom first", lines, limit))
    _results(found, console, limit)
    for fault in found.faults[:limit]:
        console.print(f"not defined: {fault}", markup=False)
    if not found.finite:
        console.print("In float, too, numbers are not finite: this is no matter of precision.")
    for overflow in found.overflows[:limit]:
        console.print(f"overflow: {overflow}", markup=False)
    if len(found.overflows) > limit:
        console.print(f"… and {len(found.overflows) - limit} more")
    _proposal(found, better, console)


def _rows(title: str, rows: list[Row], limit: int) -> Table:
    from rich.table import Table

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    made.add_column("")
    for name in ("largest", "bits", "headroom", "error", "worst", "lost"):
        made.add_column(name, justify="right")
    for row in rows[:limit]:
        made.add_row(
            row.name + (", gradients" if row.gradient else ""),
            f"{row.largest:.4g}",
            str(row.bits),
            str(row.headroom),
            _units(row.error),
            _units(row.worst),
            f"{row.lost:.2%}" if row.lost else "",
        )
    return made


def _units(error: float) -> str:
    return f"{error:,.1f}" if error < 1e6 else f"{error:.1e}"


def _results(found: Findings, console: Console, limit: int) -> None:
    for d in found.differences[-limit:]:
        if d.name == "printed":
            console.print(f"printed {d.exact!r}; in float {d.real!r}", markup=False)
        else:
            console.print(
                f"output {d.name}: off by at most {d.error:.3g}, {d.relative:.2%} of its largest"
            )


def _proposal(found: Findings, better: Findings | None, console: Console) -> None:
    w = found.wanted
    if w is None:
        console.print(
            "no precision holds these numbers: scale the data, or lower the learning rate"
            if found.overflows
            else "nothing overflows, but no precision keeps the smallest gradients (see lost): "
            "scale the data or the loss"
        )
        return
    if better is None:
        if found.finite and not found.overflows and not found.faults:
            console.print(f"f = {w.f} and k = {w.k} are enough for these samples")
        return
    ring = " --ring 128" if w.ring_bits == 128 else ""
    console.print(
        f"proposed:{ring} -f {w.f} -k {w.k}; tried: {len(better.overflows)} overflows, results off "
        f"by {better.relative:.2%} (now {found.relative:.2%})"
    )
