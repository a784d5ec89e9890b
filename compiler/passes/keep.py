"""Selections by one bit: what the protocol makes of the bit is kept for the later ones.

Requires: code from codegen.py (registers are written once, by an op or the copies into them), not
yet scheduled. Ensures: the same meaning; nothing is kept across a checkpoint, which saves sharings
only. Of the selections by the same bits in a block the first becomes `select_keep`, and those that
anyway wait for it, as they need its result, `select_kept`: no selection waits longer than before.
So the backward pass of a ReLU or of a pool uses the forward pass's bits again.
"""

from __future__ import annotations

from ..isa.table import BY_NAME
from .lir import Code, Op, Ref, Reg, all_accesses, blocks, walk


def run(code: Code) -> Code:
    """Transform the code in place and return it."""
    for block in blocks(code.body):
        _run_block(block)
    return code


def _run_block(block: list[Op]) -> None:
    first: dict[Ref, int] = {}  # bits -> position of the first selection by them
    after: dict[Reg, int] = {}  # register -> set of first selections (a bit each) it depends on
    followers: dict[int, list[int]] = {}
    for i, op in enumerate(block):
        accesses = all_accesses(op)
        if any(inner.name == "checkpoint" for inner in walk([op])):
            first.clear()
        known = 0
        for a in accesses:
            if a.reads:
                known |= after.get(a.reg, 0)
        if op.name == "select":
            leader = first.setdefault(op.named()["b"], i)
            if leader == i:
                known |= 1 << i
            elif known >> leader & 1:
                followers.setdefault(leader, []).append(i)
        for a in accesses:
            if a.writes:
                after[a.reg] = known | (after.get(a.reg, 0) if not op.instr.interactive else 0)
                for bits in [b for b in first if b.reg is a.reg]:
                    del first[bits]
    for leader, others in followers.items():
        args = block[leader].named()
        kept = Ref(Reg("s", args["n"]))
        for name, positions in (("select_keep", [leader]), ("select_kept", others)):
            for i in positions:
                named = {**block[i].named(), "k": kept}
                row = BY_NAME[name]
                block[i] = Op(row, [named[o.name] for o in row.operands], block[i].loc)
