"""A program of the virtual machine as Python data: what codec, assembler and compiler share.

Strings are indices into `Program.strings`, so that every valid file has exactly one such value
and both the binary and the text form round-trip exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .table import Instr, Strided, plane_words

VERSION = 1
MAX_SIZE = 1 << 40  # elements of a register file, and the bound of `n` operands
MAX_HANDLES = 65536
MAX_DEPTH = 64  # of nested loops and ifs
MAX_RANK = 6
MAX_FILE = 1 << 30  # bytes
ALL = (1 << 64) - 1  # receiver "everybody" of an output
FILES = "sbc"

Arg = int | tuple[int, ...]


class BytecodeError(ValueError):
    """Bytecode, binary or text, that breaks the rules of docs/bytecode.md.

    `where` says at which place (`offset 0x40`, `line 12`), `reason` why.
    """

    def __init__(self, where: str, reason: str):
        super().__init__(f"bytecode refused at {where}: {reason}")
        self.where = where
        self.reason = reason


# Domains: integers mod 2^ring_bits; the field of p = 2^127 - 1 elements; integers mod 2^64 of which
# shares have 128 bits, so that all words have.
RING, FIELD, WIDE = 0, 1, 2
FIELD_BITS = 124  # the most that ring_bits says in the field


@dataclass(frozen=True)
class Meta:
    """Section META, field by field, in the order of the file. In the field, `ring_bits` is not the
    size of words but stands for |z| < 2^(ring_bits - 2), which values hold before rounding."""

    domain: int
    ring_bits: int
    k: int
    f: int
    stat: int
    rounding: int
    s_size: int
    b_size: int
    c_size: int
    handles: int
    checked: int

    @property
    def word_bits(self) -> int:
        """Bits of a word of files s and c."""
        return self.ring_bits if self.domain == RING else 128

    def file_size(self, file: str) -> int:
        """Elements (words for file b) of a register file."""
        return {"s": self.s_size, "b": self.b_size, "c": self.c_size}[file]


@dataclass(frozen=True)
class MemoryRow:
    """A named range of a register file: `elements` x `planes` at `address`."""

    name: int
    file: int
    address: int
    elements: int
    planes: int
    f: int
    source: int
    line: int


@dataclass(frozen=True)
class InputRow:
    """A named array of one party."""

    party: int
    name: int
    f: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OutputRow:
    """A named result; party ALL: to everybody; planes 0: arithmetic."""

    name: int
    party: int
    f: int
    planes: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Insn:
    """One instruction: its row and the values of its operands, `dims` as tuples."""

    instr: Instr
    args: tuple[Arg, ...]

    def named(self) -> dict[str, Any]:
        """Operand values by name."""
        return {o.name: a for o, a in zip(self.instr.operands, self.args, strict=True)}


@dataclass(frozen=True)
class Line:
    """Where an instruction comes from: file and scope are strings' indices."""

    file: int
    line: int
    scope: int


@dataclass(frozen=True)
class Program:
    """Everything in a bytecode file."""

    meta: Meta
    pool: tuple[int, ...] = ()  # signed ring words
    strings: tuple[str, ...] = ()
    memory: tuple[MemoryRow, ...] = ()
    inputs: tuple[InputRow, ...] = ()
    outputs: tuple[OutputRow, ...] = ()
    code: tuple[Insn, ...] = ()
    lines: tuple[Line, ...] = field(default=())


def span(instr: Instr, k: int, args: Mapping[str, Any]) -> tuple[int, int]:
    """The half-open range of register operand k, relative to its address, as (low, high).

    In elements for the files s and c, in words for b. Empty index spaces give (0, 0). `args` maps
    operand names to values; addresses are not looked at.
    """
    operand = instr.operands[k]
    if isinstance(operand.extent, Strided):
        return _walk(args[operand.extent.shape], args[operand.extent.strides])
    n = operand.elements(args)
    if operand.planes is None:
        return 0, n
    planes = 1 if operand.planes == "1" else args[operand.planes]
    return 0, planes * plane_words(n)


def _walk(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    low, high = 0, 0
    for extent, stride in zip(shape, strides, strict=True):
        if extent == 0:
            return 0, 0
        reach = (extent - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return low, high + 1


def bcopy_reach(args: Mapping[str, Any], shape: str, strides: str, offset: str) -> tuple[int, int]:
    """The half-open range of bits of one plane that `bcopy` touches on one side."""
    low, high = _walk(args[shape], args[strides])
    return low + args[offset], high + args[offset]
