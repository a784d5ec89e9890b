"""Scheduling: split interactive ops into start and join, and put independent ones together.

Requires: code from codegen.py (joins absent).
Ensures: the same meaning; every interactive op has one join in its own block; operands stay
untouched in between; no start is pending at a `breakz` or `checkpoint`.

Two things are gained, each of which can be switched off to see what it is worth:

* `merge_rounds`: every ready start is issued before a machine is joined, the one that finishes
  first. As any number of machines share their exchanges, the rounds of a block are those of its
  longest chain. Without it one machine runs at a time.
* `overlap`: local work that is ready runs before a join, in the wait. Without it local work that a
  start needs comes before the starts, and all other after the joins; rounds stay the same.

The lengths of machines are not known here (they are the protocol's), so `ROUNDS` estimates them:
they only order the joins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heappop, heappush

from .lir import Access, Code, Op, Reg, all_accesses, blocks, breaks, join_of, saves, walk

ROUNDS = {"ltz": 5, "eqz": 5, "a2b": 6, "b2a": 2, "select": 2, "select_keep": 2, "select_kept": 2}


def rounds_estimate(op: Op) -> int:
    """Rounds an interactive op is expected to take."""
    rounding = "m" in [o.name for o in op.instr.operands] and op.named()["m"] > 0
    return ROUNDS.get(op.name, 2 if rounding else 1)


def run(code: Code, *, merge_rounds: bool = True, overlap: bool = True) -> Code:
    """Schedule every block in place; with neither, each machine is joined right after its start."""
    for block in blocks(code.body):
        block[:] = _schedule(block, merge_rounds, overlap)
    return code


@dataclass(eq=False)
class _Item:
    """A local op, a start or a join, with the items that wait for it."""

    op: Op
    position: int
    kind: str  # "start", "join", "local"
    after: list[_Item] = field(default_factory=list)
    missing: int = 0
    height: int = 0  # rounds on the longest chain from here to the end of the block

    def then(self, other: _Item) -> None:
        self.after.append(other)
        other.missing += 1


class _Ready:
    """The items that nothing holds back, by kind, and what may come next."""

    def __init__(self, merge_rounds: bool, overlap: bool) -> None:
        self.merge_rounds, self.overlap = merge_rounds, overlap
        # "needed": local work that a start waits for, where it is kept apart from other local work
        self.queues: dict[str, list[tuple[int, int, _Item]]] = {
            kind: [] for kind in ("start", "needed", "local", "join")
        }
        self.finish: dict[Op, int] = {}  # of machines that were started
        self.clock = 0

    def push(self, item: _Item) -> None:
        kind = item.kind
        if kind == "local" and item.height and not self.overlap:
            kind = "needed"
        key = self.finish[item.op] if kind == "join" else -item.height
        heappush(self.queues[kind], (key, item.position, item))

    def _order(self) -> tuple[str, ...]:
        waiting = bool(self.queues["join"])
        if not self.overlap:
            if waiting and not self.merge_rounds:
                return ("join",)
            return ("needed", "start", "join") if waiting else ("needed", "start", "local")
        if waiting and not self.merge_rounds:
            return ("local", "join")
        return ("start", "local", "join")

    def pop(self) -> _Item | None:
        kind = next((k for k in self._order() if self.queues[k]), None)
        if kind is None:
            return None
        item = heappop(self.queues[kind])[2]
        if kind == "join":
            self.clock = max(self.clock, self.finish[item.op])
        elif kind == "start":
            self.finish[item.op] = self.clock + rounds_estimate(item.op)
        return item


def _schedule(block: list[Op], merge_rounds: bool, overlap: bool) -> list[Op]:
    items = dependences(block)
    for item in reversed(items):
        length = rounds_estimate(item.op) if item.kind == "start" else 0
        item.height = length + max((o.height for o in item.after), default=0)
    ready = _Ready(merge_rounds, overlap)
    for item in items:
        if item.missing == 0:
            ready.push(item)
    out: list[_Item] = []
    while (first := ready.pop()) is not None:
        out.append(first)
        for other in first.after:
            other.missing -= 1
            if other.missing == 0:
                ready.push(other)
    assert len(out) == len(items)
    if overlap:
        out = _sunk(out)
    return [join_of(i.op) if i.kind == "join" else i.op for i in out]


def _sunk(order: list[_Item]) -> list[_Item]:
    """The order with growing local work (fills, copies) run just before the wait ahead of its use.

    There it still overlaps with an exchange, but its result takes no memory before.
    """
    users: dict[Reg, set[_Item]] = defaultdict(set)
    for item in order:
        for a in all_accesses(item.op):
            users[a.reg].add(item)
    slots: list[int] = []  # positions behind which there may be a wait
    key: dict[_Item, float] = {}
    for i, item in enumerate(order):
        key[item] = i
        if item.kind == "start" or item.op.blocks:
            slots.append(i)
    for item in reversed(order):
        if item.kind == "local" and item.after and _grows(item.op, users):
            first_use = min(key[other] for other in item.after)
            slot = bisect_left(slots, first_use) - 1
            if slot >= 0:
                key[item] = max(key[item], slots[slot] + 0.5)
    place = {item: i for i, item in enumerate(order)}
    return sorted(order, key=lambda item: (key[item], place[item]))


def _grows(op: Op, users: dict[Reg, set[_Item]]) -> bool:
    """A local op that writes more than what it alone reads."""
    if op.blocks or op.instr.effect:
        return False
    balance = 0
    for a in op.accesses():
        if a.writes and not a.reads:
            balance += a.reg.size
        elif not a.writes and not a.reg.var and len(users[a.reg]) <= 2:  # its maker and this op
            balance -= a.reg.size
    return balance > 0


def dependences(block: list[Op]) -> list[_Item]:
    """The items of a block in program order, with an edge for every order that must be kept."""
    items: list[_Item] = []
    graph = _Edges()
    for op in block:
        if op.instr.interactive:
            begin, end = _Item(op, len(items), "start"), _Item(op, len(items) + 1, "join")
            items += [begin, end]
            begin.then(end)
        else:
            begin = end = _Item(op, len(items), "local")
            items.append(begin)
        graph.add(op, begin, end)
    return items


class _Edges:
    """What later items of a block must wait for."""

    def __init__(self) -> None:
        self.accesses: dict[Reg, list[tuple[Access, _Item]]] = defaultdict(list)
        self.effect: _Item | None = None  # the last effect
        self.random: _Item | None = None  # the last draw from public randomness
        self.barrier: _Item | None = None  # the last op that may leave the loop, or checkpoint
        self.ends: list[_Item] = []  # ends of all items since the barrier

    def add(self, op: Op, begin: _Item, end: _Item) -> None:
        """Order an item after everything it may not overtake."""
        before: set[_Item] = set()
        for a in all_accesses(op):
            for other, item in self.accesses[a.reg]:
                if (a.writes or other.writes) and a.meets(other):
                    before.add(item)
        inner = list(walk([op]))
        if any(o.instr.effect for o in inner):
            before |= {self.effect} if self.effect else set()
            self.effect = begin
        if any(o.name in ("cperm", "cuniform") for o in inner):
            before |= {self.random} if self.random else set()
            self.random = end
        before |= {self.barrier} if self.barrier else set()
        if breaks(op) or saves(op):
            before |= set(self.ends)
            self.barrier, self.ends = end, []
        before -= {begin, end}
        for item in sorted(before, key=lambda i: i.position):
            item.then(begin)
        for a in all_accesses(op):
            self.accesses[a.reg].append((a, end))
        self.ends.append(end)
