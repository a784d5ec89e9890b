"""Whether what a program makes a dealer deal is known before the program runs.

A dealer who deals before a run follows the program without any opened value. It can, unless one
decides which instructions run, which rows are taken, in which order rows are shuffled, or what
shares are multiplied by. Opened values may be added to shares, computed with, printed and output.
"""

from __future__ import annotations

from collections.abc import Iterator

from .program import Insn, Program
from .table import Operand, Strided

_ADDED = frozenset({"saddc", "sset", "bset", "coutput", "pval"})  # what shares are masked by stays
_FAULTS = {"cdiv": "b", "cmod": "b", "cgather": "idx"}  # an unknown one may be no possible one
Range = tuple[int, int]


def needs_opened(program: Program) -> int | None:
    """The first instruction whose dealing depends on an opened value, or None."""
    walk = _Walk(program.code)
    walk.block(0, _Known())
    return min(walk.found, default=None)


class _Known:
    """The addresses of clear registers that hold what depends on opened values."""

    def __init__(self, ranges: frozenset[Range] = frozenset()):
        self.ranges = ranges

    def hits(self, at: Range) -> bool:
        return any(lo < at[1] and at[0] < hi for lo, hi in self.ranges)

    def write(self, at: Range, opened: bool) -> None:
        """The registers `at` are overwritten, all of them."""
        kept = set()
        for lo, hi in self.ranges:
            kept |= {(lo, min(hi, at[0])), (max(lo, at[1]), hi)}
        kept = {(lo, hi) for lo, hi in kept if lo < hi}
        self.ranges = frozenset(kept | ({at} if opened and at[0] < at[1] else set()))

    def join(self, other: _Known) -> bool:
        """Take in what another way led to; whether that was new."""
        new = {
            r for r in other.ranges if not any(lo <= r[0] and r[1] <= hi for lo, hi in self.ranges)
        }
        self.ranges |= new
        return bool(new)

    def copy(self) -> _Known:
        return _Known(self.ranges)


def _clear(insn: Insn) -> Iterator[tuple[Operand, Range, bool]]:
    """Clear operands with the addresses they cover, and whether they cover all of these."""
    args = insn.named()
    for operand in insn.instr.operands:
        if operand.file != "c":
            continue
        base = args[operand.name]
        if isinstance(operand.extent, Strided):
            steps = list(zip(args[operand.extent.shape], args[operand.extent.strides], strict=True))
            ends = [(n - 1) * step for n, step in steps if n]
            lo, hi = sum(min(e, 0) for e in ends), sum(max(e, 0) for e in ends)
            yield operand, (base + lo, base + hi + 1), _dense(steps)
        else:
            yield operand, (base, base + operand.elements(args)), True


def _dense(steps: list[tuple[int, int]]) -> bool:
    """Whether (size, stride) of dimensions cover all addresses between the first and the last."""
    covered = 1
    for step, n in sorted((abs(step), n) for n, step in steps if n != 1):
        if step != covered or n == 0:
            return False
        covered *= n
    return True


class _Walk:
    """Follows the program along all ways that it can take."""

    def __init__(self, code: tuple[Insn, ...] | list[Insn]):
        self.code = code
        self.found: set[int] = set()

    def block(self, i: int, known: _Known) -> int:
        """From instruction i to the end of its block, or an else; the index of that."""
        while (name := self.code[i].instr.name) not in ("end", "endloop", "else", "endif"):
            self._check(i, known)
            if name == "loop":
                i = self._loop(i, known)
            elif name == "if":
                i = self._branch(i, known)
            else:
                self._step(i, known)
            i += 1
        return i

    def _loop(self, i: int, known: _Known) -> int:
        while True:
            after = known.copy()
            end = self.block(i + 1, after)
            if not known.join(after):
                return end

    def _branch(self, i: int, known: _Known) -> int:
        other = known.copy()
        end = self.block(i + 1, known)
        if self.code[end].instr.name == "else":
            end = self.block(end + 1, other)
        known.join(other)
        return end

    def _check(self, i: int, known: _Known) -> None:
        instr = self.code[i].instr
        if instr.group == "clear" and instr.name not in _FAULTS:
            return
        for operand, at, _ in _clear(self.code[i]):
            matters = _FAULTS.get(instr.name, operand.name) == operand.name
            if operand.reads and matters and instr.name not in _ADDED and known.hits(at):
                self.found.add(i)

    def _step(self, i: int, known: _Known) -> None:
        instr, operands = self.code[i].instr, list(_clear(self.code[i]))
        opened = instr.name in ("open", "openb")
        opened |= any(operand.reads and known.hits(at) for operand, at, _ in operands)
        for operand, at, whole in operands:
            if operand.writes and (whole and not operand.reads or opened):
                known.write(at, opened)
