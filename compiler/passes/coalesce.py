"""Remove copies: values live in their variable's memory where nothing can tell the difference.

Requires: code from codegen.py, not yet scheduled.
Ensures: the same meaning. A whole copy `x <- r` disappears if r is not written while x is in use; a
whole copy `r <- x` disappears, and x is computed in r at once, if r is not accessed meanwhile. Ops
whose results nobody reads disappear too, except openings and effects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from .lir import Access, Code, Op, Ref, Reg, all_accesses, blocks, breaks, is_elementwise, walk


def run(code: Code) -> Code:
    """Transform the code in place and return it."""
    users = _users(code)
    for block in blocks(code.body):
        _Block(block, users).forward(_load)
    for block in blocks(code.body):
        _Block(block, users).forward(_store)
    _remove_dead(code)
    return code


Users = dict[Reg, list[Op]]


def _users(code: Code) -> Users:
    users: Users = defaultdict(list)
    for op in walk(code.body):
        for reg in {a.reg for a in op.accesses()}:
            users[reg].append(op)
    return users


class _Block:
    """One block with an index: which items touch a register, and how."""

    def __init__(self, block: list[Op], users: Users):
        self.block = block
        self.users = users
        self.touching: dict[Reg, dict[int, list[Access]]] = defaultdict(dict)
        for i, op in enumerate(block):
            for a in all_accesses(op):
                self.touching[a.reg].setdefault(i, []).append(a)
        self.barriers = [i for i, op in enumerate(block) if breaks(op)]

    def forward(self, rule: Callable[[_Block, int, Ref, Ref], tuple[Reg, Ref] | None]) -> None:
        """Try a rule on every whole copy; it gives what to replace by what."""
        gone = set()
        for i, op in enumerate(self.block):
            ends = _copy_ends(op)
            found = rule(self, i, *ends) if ends else None
            if found:
                gone.add(i)
                for reg in {op.args[0].reg, op.args[1].reg}:
                    del self.touching[reg][i]
                    self.users[reg].remove(op)
                self._replace(*found)
        self.block[:] = [op for i, op in enumerate(self.block) if i not in gone]

    def _replace(self, old: Reg, new: Ref) -> None:
        for op in self.users[old]:
            op.args = [
                Ref(new.reg, new.offset + a.offset) if isinstance(a, Ref) and a.reg is old else a
                for a in op.args
            ]
            if op not in self.users[new.reg]:
                self.users[new.reg].append(op)
        del self.users[old]
        for i in self.touching.pop(old, {}):
            accesses = [a for a in all_accesses(self.block[i]) if a.reg is new.reg]
            self.touching[new.reg][i] = accesses

    def owns(self, reg: Reg) -> bool:
        """Every access of the register is in this block or nested in it."""
        inside = sum(1 for i in self.touching[reg] for op in walk([self.block[i]])
                     if any(a.reg is reg for a in op.accesses()))  # fmt: skip
        return inside == len(self.users[reg])

    def in_place(self, i: int, x: Ref, r: Ref) -> bool:
        """Item i stays right if the ranges at x and at r become the same."""
        op = self.block[i]
        return is_elementwise(op) and all(
            a in (x, r) for a in op.args if isinstance(a, Ref) and a.reg in (x.reg, r.reg)
        )


def _copy_ends(op: Op) -> tuple[Ref, Ref] | None:
    """(destination, source) of a copy of one contiguous range."""
    if op.name == "bmove":
        return op.args[0], op.args[1]
    if op.name in ("scopy", "ccopy"):
        shape, dstr, sstr = op.args[2:]
        if shape == () or (len(shape) == 1 and dstr == sstr == (1,)):
            return op.args[0], op.args[1]
    return None


def _region(b: _Block, i: int, ref: Ref) -> Access:
    """The range of a register that copy i touches at one end."""
    return next(a for a in b.touching[ref.reg][i] if a.low == ref.offset and ref.reg is a.reg)


def _whole(reg: Reg, region: Access) -> bool:
    return reg.var is None and region.low == 0 and region.high == reg.size


def _load(b: _Block, i: int, d: Ref, s: Ref) -> tuple[Reg, Ref] | None:
    """x <- r: use r for x if r keeps its value as long as x is used."""
    if d.reg is s.reg or not _whole(d.reg, _region(b, i, d)) or not b.owns(d.reg):
        return None
    items = b.touching[d.reg]
    if any(a.writes for j, accesses in items.items() for a in accesses if j != i):
        return None
    last, source = max(items), _region(b, i, s)
    for j, accesses in b.touching[s.reg].items():
        for a in accesses:
            if i < j <= last and a.writes and a.meets(source):
                if j == last and b.in_place(j, d, s):
                    continue
                return None
    return d.reg, s


def _store(b: _Block, i: int, d: Ref, s: Ref) -> tuple[Reg, Ref] | None:
    """r <- x: compute x in r from the start if nobody looks at r meanwhile."""
    if d.reg is s.reg or not _whole(s.reg, _region(b, i, s)) or not b.owns(s.reg):
        return None
    first, last = min(b.touching[s.reg]), max(b.touching[s.reg])
    if b.block[first].blocks or any(first < k < i for k in b.barriers):
        return None
    target = _region(b, i, d)
    for j, accesses in b.touching[d.reg].items():
        for a in accesses:
            if not a.meets(target) or j == i:
                continue
            if j == first and b.in_place(j, s, d):
                continue
            if first <= j < i or (i < j <= last and a.writes):
                return None
    return s.reg, d


def _remove_dead(code: Code) -> None:
    """Drop ops that write only registers nobody reads."""
    writers: dict[Reg, list[Op]] = defaultdict(list)
    todo: list[Op] = []
    for op in walk(code.body):
        for a in op.accesses():
            if a.writes:
                writers[a.reg].append(op)
        opens = op.name in ("open", "openb")
        if op.instr.effect or opens or any(a.writes and a.reg.var for a in op.accesses()):
            todo.append(op)
    live, seen = set(todo), set[Reg]()
    while todo:
        for a in todo.pop().accesses():
            if a.reads and a.reg not in seen:
                seen.add(a.reg)
                fresh = [w for w in writers[a.reg] if w not in live]
                live.update(fresh)
                todo += fresh
    for block in blocks(code.body):
        block[:] = [op for op in block if op in live]
