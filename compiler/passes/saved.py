"""Checkpoints: which registers a run must keep to go on from there.

Requires: scheduled code, live ranges and addresses (regalloc.py calls this). Ensures: the operands
of every `checkpoint` are the ranges of the registers that may be read after it: those that the
outermost loop around it writes, and those that stay as they were when that loop began.

The second part is the same at every execution, so it is saved once; data sets are in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .lir import Code, Op, Reg, walk

FILES = "sbc"
Range = tuple[int, int, int]  # register file, first, past the last


def run(
    code: Code,
    spans: Mapping[Reg, tuple[int, int]],
    place: Mapping[Op, tuple[int, int]],
    address: Mapping[Reg, int],
) -> None:
    """Fill in the operands of all checkpoints.

    Args:
        spans: first and last position at which each register holds a value.
        place: first and last position of each op.
    """
    for op in code.body:
        points = [inner for inner in walk([op]) if inner.name == "checkpoint"]
        if not points:
            continue
        touched = [a for inner in walk([op]) for a in inner.accesses()]
        written = {a.reg for a in touched if a.writes}
        always = {a.reg for a in touched if a.reg.var}
        for point in points:
            at = place[point][0]
            live = always | {r for r, (first, last) in spans.items() if first < at < last}
            moving = _merged((r, address[r]) for r in live & written)
            still = _without(_merged((r, address[r]) for r in live - written), moving)
            point.args = [_words(moving), _words(still)]


def _merged(registers: Iterable[tuple[Reg, int]]) -> list[Range]:
    """Ranges in ascending order, those that touch made one."""
    out: list[Range] = []
    for file, low, high in sorted((FILES.index(r.file), at, at + r.size) for r, at in registers):
        if low == high:
            continue
        if out and out[-1][0] == file and low <= out[-1][2]:
            out[-1] = (file, out[-1][1], max(high, out[-1][2]))
        else:
            out.append((file, low, high))
    return out


def _without(ranges: list[Range], taken: list[Range]) -> list[Range]:
    """The ranges less what others cover."""
    out: list[Range] = []
    for file, low, high in ranges:
        for other, begin, end in taken:
            if other == file and begin < high and low < end:
                if low < begin:
                    out.append((file, low, begin))
                low = max(low, end)
        if low < high:
            out.append((file, low, high))
    return out


def _words(ranges: list[Range]) -> tuple[int, ...]:
    return tuple(word for file, low, high in ranges for word in (file, low, high - low))
