"""Emission: scheduled code with addresses becomes a `Program` of the instruction set.

Requires: scheduled code and an allocation. Ensures: a program that `isa.validate.check` accepts.
"""

from __future__ import annotations

from typing import Any

from ..ir.graph import Loc, Output
from ..isa.program import (
    ALL,
    FIELD,
    FILES,
    RING,
    WIDE,
    InputRow,
    Insn,
    Line,
    MemoryRow,
    Meta,
    OutputRow,
    Program,
)
from ..isa.table import BY_NAME, Instr
from .lir import Code, Op, Ref
from .regalloc import Allocation


def run(code: Code, allocation: Allocation, *, checked: bool = False) -> Program:
    """The program; its strings, pool, inputs and outputs are those of the code."""
    return _Emitter(code, allocation).program(checked)


class _Emitter:
    def __init__(self, code: Code, allocation: Allocation):
        self.code = code
        self.allocation = allocation
        self.insns: list[Insn] = []
        self.lines: list[Line] = []
        self.handle: dict[Op, int] = {}
        self.free: list[int] = []
        self.handles = 0

    def program(self, checked: bool) -> Program:
        self._block(self.code.body)
        self._append(BY_NAME["end"], (), Loc("", 0))
        config, size = self.code.config, self.allocation.size
        domain = FIELD if config.field else WIDE if config.wide else RING
        meta = Meta(
            domain, config.ring_bits, config.k, config.f, config.stat, config.mode,
            size["s"], size["b"], size["c"], self.handles, int(checked),
        )  # fmt: skip
        intern = self.code.intern
        memory = tuple(
            MemoryRow(
                intern(var.name), FILES.index(reg.file), self.allocation.address[reg],
                var.type.size, var.type.planes, var.type.f, intern(var.loc.file), var.loc.line,
            )
            for var, reg in self.code.vars.items()
        )  # fmt: skip
        inputs = tuple(
            InputRow(i.party, intern(i.name), i.type.f, i.type.shape) for i in self.code.inputs
        )
        outputs = tuple(self._output(o) for o in self.code.outputs)
        return Program(
            meta, tuple(self.code.pool), tuple(self.code.strings), memory, inputs, outputs,
            tuple(self.insns), tuple(self.lines),
        )  # fmt: skip

    def _output(self, o: Output) -> OutputRow:
        party = ALL if o.party is None else o.party
        planes = o.type.planes if o.type.bit else 0
        return OutputRow(self.code.intern(o.name), party, o.type.f, planes, o.type.shape)

    def _block(self, block: list[Op]) -> None:
        for op in block:
            if op.waits is not None:
                handle = self.handle.pop(op.waits)
                self._append(op.instr, (handle,), op.loc)
                self.free.append(handle)
                continue
            if op.instr.interactive:
                self.handle[op] = self._take_handle()
                self._append(op.instr, self._args(op), op.loc)
                continue
            self._append(op.instr, self._args(op), op.loc)
            if op.name == "loop":
                self._block(op.blocks[0])
                self._append(BY_NAME["endloop"], (), op.loc)
            elif op.name == "if":
                self._block(op.blocks[0])
                if len(op.blocks) > 1 and op.blocks[1]:
                    self._append(BY_NAME["else"], (), op.loc)
                    self._block(op.blocks[1])
                self._append(BY_NAME["endif"], (), op.loc)

    def _take_handle(self) -> int:
        if self.free:
            self.free.sort(reverse=True)
            return self.free.pop()
        self.handles += 1
        return self.handles - 1

    def _args(self, op: Op) -> tuple[Any, ...]:
        return tuple(
            self.allocation.address[a.reg] + a.offset
            if isinstance(a, Ref)
            else self.handle[op]
            if o.kind == "h"
            else a
            for o, a in zip(op.instr.operands, op.args, strict=True)
        )

    def _append(self, row: Instr, args: tuple[Any, ...], loc: Loc) -> None:
        intern = self.code.intern
        self.insns.append(Insn(row, args))
        self.lines.append(Line(intern(loc.file), loc.line, intern(loc.scope)))
