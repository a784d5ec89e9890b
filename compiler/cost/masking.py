"""The statistical security of protocols in the field: openings of values hidden by random masks.

There a value z is rounded, compared or taken apart by opening z + r to a party, where r is uniform
in a range 2^s times larger than that of z: a distance of 2^-s from a distribution that tells
nothing [CatrinaSaxena2010]. Distances add up over all openings of a run, so that s has to be the
logarithm of their number above what the run as a whole is to have. Bytecode states s as its
statistical parameter.
"""

from __future__ import annotations

from dataclasses import replace

from ..isa.ledger import executions
from ..isa.program import FIELD, Insn, Program
from . import cost_module, result_size

MASK_BITS = 124  # of masks in the field of 2^127 - 1 elements: up to four of them are added


def hides(protocol: str) -> bool:
    """Whether a protocol opens values under such masks; ValueError if there is none so called."""
    return getattr(cost_module(protocol), "MASKED", False)


def masked_openings(program: Program) -> int:
    """How many values a run opens under masks, at most, if the protocol hides them so."""
    return sum(
        times * _elements(insn)
        for insn, (times, _) in zip(program.code, executions(program), strict=True)
    )


def _elements(insn: Insn) -> int:
    a = insn.named()
    if insn.instr.name in ("ltz", "eqz", "a2b"):
        return int(a["n"])
    if not a.get("m") or not insn.instr.interactive:
        return 0
    return result_size(insn.instr.name, a)


def with_parameter(program: Program, stat: int) -> Program:
    """The program; in the field, with what each opening needs for `stat` bits in the whole run."""
    if program.meta.domain != FIELD:
        return program
    each = stat + max(masked_openings(program) - 1, 0).bit_length()
    return replace(program, meta=replace(program.meta, stat=min(each, 128)))


def widest(program: Program) -> int:
    """The most "ring bits" for which masks hide values as the program states."""
    return MASK_BITS + 1 - program.meta.stat
