"""The static report of costs, against a walk through the unrolled program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_strategies import Drawn, graphs
from hypothesis import HealthCheck, assume, given, settings
from interpreter import Machine

from sequester import source
from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.cost import Setting, cost_module, masking
from sequester.compiler.cost.report import (
    by_instruction,
    by_line,
    by_scope,
    grouped,
    report,
)
from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Graph
from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.ledger import executions, openings
from sequester.compiler.isa.program import Program

_SETTINGS = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def compiled(graph: Graph) -> Program:
    return compile_graph(graph, Options(protocol=None)).program


def straight(program: Program) -> bool:
    return not any(i.instr.name in ("if", "breakz") for i in program.code)


class Unrolled:
    """Runs the clock through every trip of every loop."""

    def __init__(self, program: Program, protocol: str):
        self.program = program
        self.module = cost_module(protocol)
        m = program.meta
        self.setting = Setting(self.module.PARTIES, m.ring_bits, m.k, m.f, m.stat)
        self.clock = self.bytes = 0
        self.finish: dict[int, int] = {}
        self.growth = [0] * len(program.code)
        self.starter: dict[int, int] = {}

    def run(self, i: int = 0) -> int:
        code = self.program.code
        while code[i].instr.name not in ("end", "endloop"):
            args = code[i].named()
            if code[i].instr.name == "loop":
                end = i
                for _ in range(args["trips"]):
                    end = self.run(i + 1)
                i = end if args["trips"] else self._skip(i)
            elif code[i].instr.name == "join":
                later = max(self.clock, self.finish[args["h"]])
                self.growth[self.starter[args["h"]]] += later - self.clock
                self.clock = later
            elif code[i].instr.interactive:
                if "in" in args:
                    args["party"] = self.program.inputs[args["in"]].party
                if "out" in args:
                    party = self.program.outputs[args["out"]].party
                    args["party"] = party if party < 10 else None
                cost = self.module.cost(code[i].instr.name, args, self.setting)
                self.finish[args["h"]] = self.clock + cost.rounds
                self.starter[args["h"]] = i
                self.bytes += sum(map(sum, cost.sent))
            i += 1
        return i

    def _skip(self, i: int) -> int:
        depth = 0
        while True:
            i += 1
            name = self.program.code[i].instr.name
            if name == "endloop" and depth == 0:
                return i
            depth += (name == "loop") - (name == "endloop")


@given(drawn=graphs())
@_SETTINGS
def test_report_equals_the_unrolled_run(drawn: Drawn) -> None:
    program = compiled(drawn[0])
    assume(straight(program))
    walk = Unrolled(program, "rep3")
    walk.run()
    found = report(program, "rep3")
    assert found.exact
    assert found.rounds == walk.clock == sum(e.rounds for e in found.entries)
    assert [e.rounds for e in found.entries] == walk.growth
    assert sum(map(sum, found.sent)) == walk.bytes
    for key in (by_line, by_scope, by_instruction):
        groups = grouped(program, found, key)
        assert sum(e.rounds for e in groups.values()) == found.rounds
        assert sum(sum(map(sum, e.sent)) for e in groups.values()) == walk.bytes


@given(drawn=graphs())
@_SETTINGS
def test_executions_bound_a_run(drawn: Drawn) -> None:
    graph, arrays = drawn
    program = compiled(graph)
    machine = Machine(program, arrays).run()
    ends = ("endloop", "endif", "else", "end")
    rows = zip(program.code, machine.executed, executions(program), strict=True)
    for insn, count, (bound, at_most) in rows:
        if insn.instr.name not in ends:
            assert count <= bound if at_most else count == bound


@given(drawn=graphs())
@_SETTINGS
def test_ledger_lists_every_opening(drawn: Drawn) -> None:
    graph, arrays = drawn
    program = compiled(graph)
    assume(straight(program))
    happened = reference.run(graph, arrays, rng=np.random.default_rng(1)).openings
    clear = {f"output {o.name}" for o in graph.outputs if not o.type.secret}
    listed = [o for o in openings(program) if o.what not in clear and o.times]
    assert sum(o.times for o in listed) == len(happened)
    receivers = {"all" if o.party is None else f"party {o.party}" for o in happened}
    assert {o.to for o in listed} == receivers
    assert {o.line for o in listed} <= {f"{o.file}:{o.line}" for o in happened}


META = """
.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=0 s_size=640 b_size=64 c_size=64 \
handles=2 checked=0
.string ""
.line "":1
"""


def rounds(code: str) -> int:
    return report(assemble(META + code + "\nend\n"), "rep3").rounds


MUL = "mul h=0 d=s0 a=s64 b=s128 n=8 m=16 mode=0\n"
MUL1 = "mul h=1 d=s192 a=s64 b=s128 n=8 m=16 mode=0\n"


def test_the_clock_counts_the_longest_chain() -> None:
    one = rounds(MUL + "join h=0")
    assert one == 2
    assert rounds(MUL + MUL1 + "join h=0\njoin h=1") == one
    assert rounds(MUL + "join h=0\n" + MUL1 + "join h=1") == 2 * one
    assert rounds("loop c=c0 trips=7\n" + MUL + "join h=0\nendloop") == 7 * one


def test_a_machine_runs_on_during_a_loop() -> None:
    loop = "loop c=c0 trips=7\n" + MUL1 + "join h=1\nendloop\n"
    assert rounds(MUL + loop + "join h=0") == rounds(loop)


def test_branches_count_the_dearer_side() -> None:
    two = MUL + "join h=0\n" + MUL + "join h=0\n"
    one = MUL + "join h=0\n"
    for then, other in ((one, two), (two, one)):
        code = assemble(META + f"if c=c0\n{then}else\n{other}endif\nend\n")
        found = report(code, "rep3")
        assert not found.exact
        assert found.rounds == rounds(two) == sum(e.rounds for e in found.entries)


def test_emulation_is_free_and_unknown_protocols_are_named() -> None:
    program = assemble(META + MUL + "join h=0\nend\n")
    assert report(program, "emulate").rounds == report(program, "emulate").busiest == 0
    with pytest.raises(ValueError, match="known are emulate, rep3"):
        report(program, "nonsense")


def test_numbers_in_the_field_have_room_for_the_masks_that_they_need() -> None:
    """With a smaller "ring" a step of this program opens 57 values rather than 54: at the first one
    that the count allows it is beyond 2^27."""
    path = Path(__file__).parents[2] / "programs" / "linear_regression.py"
    shapes = ("0:x=50,3", "1:y=50")
    flags = source.Flags(("--steps", "2400000"), (), shapes=shapes, ring="field")
    program = source.compile_file(path, flags, "shamir").program
    assert masking.masked_openings(program) > 1 << 27
    assert program.meta.stat == 40 + 28 and program.meta.ring_bits == masking.widest(program) == 57
