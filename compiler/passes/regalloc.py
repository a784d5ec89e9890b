"""Register allocation: every virtual register gets an address in its file.

Requires: scheduled code. Ensures: registers that live at the same time do not overlap; addresses
are multiples of 64 bytes; variables come first, at addresses of their own.

Live ranges are intervals of positions in the flattened program: from the first access to the last,
where a machine holds its operands from start to join and a register from outside a loop lives to
the loop's end; a data set of which only rows are read lives throughout. The intervals are coloured
greedily, largest first at the lowest free address. A local elementwise op may write where its dying
operand lies: both then share one interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import saved
from .lir import Access, Code, Op, Reg, is_elementwise

ALIGN = 8  # elements: 64 bytes of 64-bit words


@dataclass(eq=False)
class Interval:
    """A register's live range [first, last] and, within one common loop, what extends it."""

    reg: Reg
    path: tuple[Op, ...]  # the loops that contain all accesses
    marks: list[tuple[int, tuple[Op, ...]]] = field(default_factory=list)
    first: int = 0
    last: int = 0


@dataclass
class Allocation:
    """The result: addresses and file sizes."""

    address: dict[Reg, int]
    size: dict[str, int]


def run(code: Code, *, reuse: bool = True) -> Allocation:
    """Place every register; reuse=False gives each of them a place of its own."""
    live, place = liveness(code)
    spans = {reg: (v.first, v.last) for reg, v in live.items()}
    tables, end = _tables(code), max((v.last for v in live.values()), default=0)
    shared = _share(code, live) if reuse else {}
    address: dict[Reg, int] = {}
    size: dict[str, int] = {}
    for file in "sbc":
        base = 0
        for reg in code.vars.values():
            if reg.file == file:
                address[reg] = base
                base += _padded(reg.size)
        intervals = [v for r, v in live.items() if r.file == file and r not in shared and not r.var]
        for v in intervals:
            if v.reg in tables:
                v.first, v.last = 0, end
        if not reuse:
            for v in intervals:
                v.first, v.last = 0, len(live)
        size[file] = _colour(intervals, base, address)
    for reg, owner in shared.items():
        while owner in shared:
            owner = shared[owner]
        address[reg] = address[owner]
    saved.run(code, spans, place, address)
    return Allocation(address, size)


def _padded(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


def liveness(code: Code) -> tuple[dict[Reg, Interval], dict[Op, tuple[int, int]]]:
    """Live range of every register accessed, variables included; positions of every op."""
    live: dict[Reg, Interval] = {}
    extent: dict[Op, tuple[int, int]] = {}
    position = 0

    def mark(a: Access, at: int, path: tuple[Op, ...]) -> None:
        v = live.setdefault(a.reg, Interval(a.reg, path))
        same = zip(v.path, path, strict=False)
        common = next((i for i, (p, q) in enumerate(same) if p is not q), None)
        v.path = v.path[: min(len(v.path), len(path)) if common is None else common]
        v.marks.append((at, path))

    def visit(block: list[Op], path: tuple[Op, ...]) -> None:
        nonlocal position
        for op in block:
            at = position
            position += 1
            for a in (op.waits or op).accesses():
                mark(a, at, path)
            inner = (*path, op) if op.name == "loop" else path
            if op.name == "loop":  # its counter lives as long as the loop
                for a in op.accesses():
                    mark(a, at, inner)
            for nested in op.blocks:
                visit(nested, inner)
                position += 1
            extent[op] = (at, position - 1 if op.blocks else at)

    visit(code.body, ())
    for v in live.values():
        spans = [
            extent[path[len(v.path)]] if len(path) > len(v.path) else (at, at)
            for at, path in v.marks
        ]
        v.first = min(s[0] for s in spans)
        v.last = max(s[1] for s in spans)
    return live, extent


def _tables(code: Code) -> set[Reg]:
    """Registers that an input fills and of which only rows are gathered: data sets. The runtime
    keeps a seed in place of half their shares, if nothing else ever lies where they do."""
    filled: set[Reg] = set()
    otherwise: set[Reg] = set()

    def visit(block: list[Op]) -> None:
        for op in block:
            for a in op.accesses():
                if op.name == "input":
                    filled.add(a.reg)
                elif op.name != "sgather" or a.writes:
                    otherwise.add(a.reg)
            for nested in op.blocks:
                visit(nested)

    visit(code.body)
    return filled - otherwise


def _share(code: Code, live: dict[Reg, Interval]) -> dict[Reg, Reg]:
    """Destination -> source of elementwise ops that may work in place; intervals are merged."""
    shared: dict[Reg, Reg] = {}
    position = 0

    def visit(block: list[Op]) -> None:
        nonlocal position
        for op in block:
            at = position
            position += 1
            if is_elementwise(op):
                found = _dying_source(op, at, live, shared)
                if found is not None:
                    destination = op.args[0].reg
                    shared[destination] = found
                    live[found].last = live[destination].last
            for nested in op.blocks:
                visit(nested)
                position += 1

    visit(code.body)
    return shared


def _dying_source(op: Op, at: int, live: dict[Reg, Interval], shared: dict[Reg, Reg]) -> Reg | None:
    """The register whose place the destination of an elementwise op may take."""
    d, *sources = op.accesses()
    if d.reg.var or live[d.reg].first != at or (d.low, d.high) != (0, d.reg.size):
        return None
    for a in sources:
        source = a.reg
        while source in shared:
            source = shared[source]
        fits = source.file == d.reg.file and source.size == d.reg.size and not source.var
        dies = live[source].last == at and live[source].path == live[d.reg].path
        if fits and dies and (a.low, a.high) == (0, a.reg.size):
            return source
    return None


def _colour(intervals: list[Interval], base: int, address: dict[Reg, int]) -> int:
    """Place intervals from `base` on; the end of the file."""
    order = sorted(intervals, key=lambda v: (-v.reg.size, v.first, v.reg.id))
    count = len(order)
    first, last = np.zeros(count, np.int64), np.zeros(count, np.int64)
    low, high = np.zeros(count, np.int64), np.zeros(count, np.int64)
    top = base
    for i, v in enumerate(order):
        near = np.flatnonzero((first[:i] <= v.last) & (last[:i] >= v.first))
        near = near[np.argsort(low[near], kind="stable")]
        size, at = _padded(v.reg.size), base
        for begin, end in zip(low[near].tolist(), high[near].tolist(), strict=True):
            if begin - at >= size:
                break
            at = max(at, end)
        first[i], last[i], low[i], high[i] = v.first, v.last, at, at + size
        address[v.reg] = at
        top = max(top, at + size)
    return top
