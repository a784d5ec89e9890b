"""Instructions on virtual registers: what code generation makes and the back-end passes transform.

A `Reg` is a virtual register: a contiguous range of one register file, placed by regalloc.py. An
`Op` is an instruction whose register operands are `Ref`s; control flow owns its blocks as a tree
and is flattened by emit.py. Before scheduling an interactive op stands for start and join together;
schedule.py splits it: a `join` op then names the op it waits for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..ir.graph import Config, Input, Loc, Output, Var
from ..isa.program import span
from ..isa.table import BY_NAME, Instr, Product

_ids = itertools.count()


@dataclass(eq=False)
class Reg:
    """A virtual register: `size` elements (words in file b); `var`: the variable it belongs to."""

    file: str
    size: int
    var: Var | None = None
    id: int = field(default_factory=lambda: next(_ids))

    def __repr__(self) -> str:
        return f"%{self.file}{self.id}" + (f"({self.var.name})" if self.var else "")


@dataclass(frozen=True)
class Ref:
    """An operand: a position inside a register."""

    reg: Reg
    offset: int = 0

    def __repr__(self) -> str:
        return repr(self.reg) + (f"+{self.offset}" if self.offset else "")


@dataclass(frozen=True)
class Access:
    """A half-open range of a register that an op reads or writes."""

    reg: Reg
    low: int
    high: int
    reads: bool
    writes: bool

    def meets(self, other: Access) -> bool:
        """Both touch a common element."""
        return self.reg is other.reg and self.low < other.high and other.low < self.high


@dataclass(eq=False)
class Op:
    """An instruction. `args` follow the row's operands; the handle of an interactive op is None.

    A `join` has the op it waits for as `waits`. `loop` has one block, `if` two (then, else).
    """

    instr: Instr
    args: list[Any]
    loc: Loc
    blocks: tuple[list[Op], ...] = ()
    waits: Op | None = None

    @property
    def name(self) -> str:
        return self.instr.name

    def named(self) -> dict[str, Any]:
        """Operand values by name."""
        return {o.name: a for o, a in zip(self.instr.operands, self.args, strict=True)}

    def accesses(self) -> list[Access]:
        """Registers touched by this op itself, not by its blocks; a join touches nothing."""
        args, out = None, []
        for k, o in enumerate(self.instr.operands):
            if o.file is not None:
                args = args or self.named()
                ref: Ref = self.args[k]
                low, high = span(self.instr, k, args)
                out.append(Access(ref.reg, low + ref.offset, high + ref.offset, o.reads, o.writes))
        return out

    def __repr__(self) -> str:
        fields = [f"{o.name}={a}" for o, a in zip(self.instr.operands, self.args, strict=True)]
        return " ".join([self.name, *fields])


@dataclass(eq=False)
class Code:
    """A program between code generation and encoding."""

    config: Config
    body: list[Op] = field(default_factory=list)
    vars: dict[Var, Reg] = field(default_factory=dict)
    pool: list[int] = field(default_factory=list)
    strings: dict[str, int] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    def intern(self, s: str) -> int:
        """Index of a string."""
        return self.strings.setdefault(s, len(self.strings))


def walk(block: list[Op]) -> Iterator[Op]:
    """Every op, those of blocks after their owner."""
    for op in block:
        yield op
        for inner in op.blocks:
            yield from walk(inner)


def blocks(block: list[Op]) -> Iterator[list[Op]]:
    """The block and every one nested in it, inner ones first."""
    for op in block:
        for inner in op.blocks:
            yield from blocks(inner)
    yield block


def all_accesses(op: Op) -> list[Access]:
    """Registers touched by an op and everything in its blocks."""
    return [a for inner in walk([op]) for a in inner.accesses()]


def join_of(op: Op) -> Op:
    """The join of an interactive op."""
    return Op(BY_NAME["join"], [None], op.loc, waits=op)


def is_elementwise(op: Op) -> bool:
    """A local op that works element by element: its destination may be one of its sources."""
    operands = [o for o in op.instr.operands if o.file]
    same = len({(str(o.extent), o.planes) for o in operands if o.file == operands[0].file}) == 1
    local = not op.instr.interactive and not op.instr.effect
    return (
        local
        and same
        and all(isinstance(o.extent, Product) for o in operands)
        and (operands[0].extent == Product(("n",)))
    )


def breaks(op: Op) -> bool:
    """The op may leave a loop that it does not contain."""
    return op.name == "breakz" or (op.name == "if" and any(breaks(i) for b in op.blocks for i in b))


def saves(op: Op) -> bool:
    """The op is a checkpoint, or one is in its blocks: no machine may be in flight there."""
    return any(inner.name == "checkpoint" for inner in walk([op]))


def count(code: Code) -> int:
    """Number of ops."""
    return sum(1 for _ in walk(code.body))
