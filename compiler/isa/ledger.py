"""The ledger of openings: everything a program lets anybody see, known before the run.

`openings` reads it from the bytecode; after a run the same rows carry how often each happened.
`executions` counts how often each instruction runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .program import ALL, Insn, Program


@dataclass(frozen=True)
class Opening:
    """One instruction that opens `elements` values to `to` ("all" or "party I"), `times` times.

    `what` is "reveal" or "output NAME". With `at_most`, a condition or an early end of a loop may
    make it fewer. `instruction` is its index in the code.
    """

    instruction: int
    line: str
    scope: str
    what: str
    elements: int
    to: str
    times: int
    at_most: bool


def openings(program: Program) -> list[Opening]:
    """All openings of a program in the order of its code."""
    found = []
    for index, (times, at_most) in enumerate(executions(program)):
        insn = program.code[index]
        named = insn.named()
        if insn.instr.name in ("open", "openb"):
            what, to = "reveal", "all"
        elif insn.instr.name in ("output", "outputb", "coutput"):
            row = program.outputs[named["out"]]
            what = f"output {program.strings[row.name]}"
            to = "all" if row.party == ALL else f"party {row.party}"
        else:
            continue
        where = program.lines[index]
        line = f"{program.strings[where.file]}:{where.line}"
        scope = program.strings[where.scope]
        found.append(Opening(index, line, scope, what, named["n"], to, times, at_most))
    return found


def recorded(program: Program, executed: Sequence[int]) -> list[Opening]:
    """The openings that happened, given how often each instruction was executed."""
    rows = openings(program)
    return [
        replace(row, times=executed[row.instruction], at_most=False)
        for row in rows
        if executed[row.instruction]
    ]


def executions(program: Program) -> Iterator[tuple[int, bool]]:
    """How often each instruction runs, in the order of the code; whether that is at most."""
    breaks = set(_loops_left_early(program.code))
    stack: list[tuple[int, bool]] = [(1, False)]
    for index, insn in enumerate(program.code):
        times, at_most = stack[-1]
        yield times, at_most
        if insn.instr.name == "loop":
            trips = insn.named()["trips"]
            stack.append((times * trips, at_most or index in breaks))
        elif insn.instr.name == "if":
            stack.append((times, True))
        elif insn.instr.name in ("endloop", "endif"):
            stack.pop()


def _loops_left_early(code: Sequence[Insn]) -> Iterator[int]:
    open_loops: list[int] = []
    for index, insn in enumerate(code):
        if insn.instr.name == "loop":
            open_loops.append(index)
        elif insn.instr.name == "endloop":
            open_loops.pop()
        elif insn.instr.name == "breakz":
            yield open_loops[-1]
