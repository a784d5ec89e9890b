"""Tables that the commands print."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from sequester.compiler.compile import Compiled
from sequester.compiler.cost.report import (
    Entry,
    by_instruction,
    by_line,
    by_scope,
    grouped,
)
from sequester.compiler.ir.printer import show as graph_text
from sequester.compiler.isa.asm import disassemble
from sequester.vm import report as reports
from sequester.vm.native import Protocol


def console_for(stream: TextIO) -> Console:
    """As wide as the terminal, or wide enough for every table."""
    return Console(file=stream, width=None if stream.isatty() else 140, highlight=False)


def _table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left")
    return table


def protocols(rows: Sequence[Protocol]) -> None:
    table = _table(
        "protocol", "what it is", "parties", "may be corrupt", "secure against", "works in"
    )
    for p in rows:
        span = str(p.parties_min)
        if p.parties_max != p.parties_min:
            span += f"-{p.parties_max}"
        rings = ", ".join([f"2^{bits}" for bits in p.rings] + ["2^127 - 1"] * p.field)
        table.add_row(p.name, p.title, span, p.corrupt, p.adversary, rings)
    console_for(sys.stdout).print(table)


def compiled(result: Compiled, what: str, console: Console) -> None:
    """What was made, and what it will cost."""
    peak = ", ".join(f"{n:,} {x}" for x, n in result.registers.items())
    console.print(f"{what}: {len(result.program.code):,} instructions, registers {peak}")
    if result.costs is not None:
        costs = result.costs
        most = "" if costs.exact else "at most "
        sent = reports.mb(costs.busiest)
        console.print(
            f"{costs.protocol}: {most}{costs.rounds:,} rounds, {most}{sent} MB sent by the busiest "
            "party"
        )


def passes(result: Compiled, console: Console) -> None:
    """What each pass did."""
    right = ("ms", "nodes", "instructions", "rounds", "s", "b", "c")
    table = _table("pass", *right, right=right)
    for row in result.passes:
        sizes = row.registers or {}
        figures = [row.nodes, row.instructions, row.rounds, *(sizes.get(x) for x in "sbc")]
        shown = ["" if n is None else f"{n:,}" for n in figures]
        table.add_row(row.name, f"{row.seconds * 1e3:,.1f}", *shown)
    console.print(table)
    console.print("s, b, c: elements, words, elements of the register files")


def debug(result: Compiled, level: int) -> None:
    """The ladder of docs/debugging.md, on standard error."""
    console = console_for(sys.stderr)
    if level >= 1:
        compiled(result, result.graph.name, console)
    if level >= 2 and result.costs is not None:
        for title, key in (("layer", by_scope), ("line", by_line), ("instruction", by_instruction)):
            _predicted(title, grouped(result.program, result.costs, key), console)
    if level >= 3:
        passes(result, console)
        console.print(graph_text(result.graph), markup=False, soft_wrap=True)
    if level >= 4:
        console.print(disassemble(result.program), markup=False, soft_wrap=True)


def _predicted(title: str, groups: Mapping[Any, Entry], console: Console) -> None:
    right = ("executed", "rounds", "MB sent")
    table = _table(title, *right, right=right)
    for key, entry in groups.items():
        name = ":".join(map(str, key)) if isinstance(key, tuple) else key
        sent = max(map(sum, entry.sent), default=0)
        if entry.rounds or sent:
            table.add_row(name, f"{entry.executed:,}", f"{entry.rounds:,}", reports.mb(sent))
    console.print(table)


def inspected(table: dict[str, Any]) -> None:
    """The hash, the inputs, every opening, and the predicted costs of a program."""
    console = console_for(sys.stdout)
    console.print(f"hash {table['hash']}")
    ring = "field 2^127 - 1" if table["ring"] == "field" else f"ring 2^{table['ring']}"
    console.print(
        f"{ring}, k = {table['k']}, f = {table['f']}, {table['rounding']} "
        f"rounding; {table['instructions']:,} instructions"
    )
    hidden = reports.masks(table)
    if hidden:
        console.print(hidden)
    inputs = _table("input", "party", "shape", title="Reads")
    for row in table["inputs"]:
        inputs.add_row(row["name"], str(row["party"]), "x".join(map(str, row["shape"])) or "one")
    console.print(inputs)
    right = ("values", "times")
    opened = _table("line", "what", *right, "to", right=right, title="Opens, and nothing else")
    for row in table["openings"]:
        times = f"{'at most ' if row['at_most'] else ''}{row['times']:,}"
        opened.add_row(row["line"], row["what"], f"{row['elements']:,}", times, row["to"])
    console.print(opened)
    if "costs" in table:
        costs = table["costs"]
        most = "" if costs["exact"] else "at most "
        sent = " / ".join(reports.mb(b) for b in costs["sent_bytes"])
        console.print(
            f"{costs['protocol']}: {most}{costs['rounds']:,} rounds, {most}{sent} MB sent"
        )
        for phase, figures in table["phases"].items():
            sent = " / ".join(reports.mb(b) for b in figures["sent_bytes"])
            console.print(f"  {phase}: {most}{figures['rounds']:,} rounds, {most}{sent} MB")


def report(table: dict[str, Any], limit: int) -> None:
    reports.render(table, console_for(sys.stdout), limit)


def finished(table: dict[str, Any], folder: Path) -> None:
    """The last line of a run."""
    measured = table["measured"]
    print(
        f"{measured['seconds']:.2f} s, {measured['rounds']:,} rounds, "
        f"{reports.mb(max(measured['sent_bytes']))} MB sent by the busiest party; "
        f"results and report: {folder}",
        file=sys.stderr,
    )
