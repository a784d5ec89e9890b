"""Register allocation, against a checker that knows nothing of live ranges."""

from __future__ import annotations

from collections.abc import Iterator

from graph_strategies import Drawn, graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequester.compiler.ir.graph import Block, Config, Graph, Input, Loc, Output
from sequester.compiler.ir.types import arith
from sequester.compiler.lang.builder import Builder
from sequester.compiler.passes import coalesce, codegen, regalloc, schedule
from sequester.compiler.passes.lir import Code, Op, Reg

_SETTINGS = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def trace(block: list[Op]) -> Iterator[Op]:
    """Ops as they run: loops twice, both branches of an if one after the other."""
    for op in block:
        yield op
        for _ in range(2 if op.name == "loop" else 1):
            if op.name == "loop":
                yield op
            for inner in op.blocks:
                yield from trace(inner)


def check(code: Code, allocation: regalloc.Allocation) -> None:
    """Run the ops on registers that only remember who wrote each element.

    Whatever an op reads must still belong to the register it means; what a machine reads or writes
    must do so until its join.
    """
    owner: dict[tuple[str, int], Reg] = {}
    for reg in code.vars.values():
        for i in range(reg.size):
            place = (reg.file, allocation.address[reg] + i)
            assert place not in owner, "variables overlap"
            owner[place] = reg
    for op in trace(code.body):
        for a in (op.waits or op).accesses():
            base = allocation.address[a.reg]
            for i in range(a.low, a.high):
                assert 0 <= base + i < allocation.size[a.reg.file]
                place = (a.reg.file, base + i)
                if a.reads or op.waits is not None:
                    assert owner.get(place) is a.reg, f"{op}: {a.reg} at {place} was overwritten"
        for a in [] if op.waits else op.accesses():
            if a.writes:
                for i in range(a.low, a.high):
                    owner[a.reg.file, allocation.address[a.reg] + i] = a.reg
                    assert a.reg.var or not _in_variable(code, allocation, a.reg, i)


def _in_variable(code: Code, allocation: regalloc.Allocation, reg: Reg, i: int) -> bool:
    at = allocation.address[reg] + i
    return any(
        v.file == reg.file and allocation.address[v] <= at < allocation.address[v] + v.size
        for v in code.vars.values()
    )


@given(drawn=graphs(), merge=st.booleans(), copies=st.booleans())
@_SETTINGS
def test_nothing_alive_is_overwritten(drawn: Drawn, merge: bool, copies: bool) -> None:
    code = codegen.run(drawn[0])
    code = code if copies else coalesce.run(code)
    code = schedule.run(code, merge_rounds=merge)
    allocation = regalloc.run(code)
    check(code, allocation)
    for reg, at in allocation.address.items():
        assert at % regalloc.ALIGN == 0, reg


def loop_graph() -> Graph:
    """A value from outside is read early in a loop whose later temporaries would fit its place."""
    graph = Graph(Config(rounding="nearest"))
    b = Builder(graph, loc=Loc("a.py", 1))
    t = arith(True, (64,), 16)
    item = Input(0, "x", t)
    out = Output("y", None, t)
    graph.inputs, graph.outputs = [item], [out]
    x = b.emit("input", input=item)
    outside = b.emit("scale", (x,), imm=3, f=0)
    body = Block()
    b.emit("loop", (), (body,), trips=3)
    b.blocks.append(body)
    value = b.emit("mul", (outside, outside), m=16, mode=1)
    for i in range(4):
        value = b.emit("mul", (value, value), m=16, mode=1)
        value = b.emit("offset", (value,), imm=i)
    b.blocks.pop()
    b.emit("output", (x,), output=out)
    return graph


def test_values_from_outside_live_to_the_end_of_a_loop() -> None:
    graph = loop_graph()
    code = schedule.run(codegen.run(graph))
    check(code, regalloc.run(code))


def test_elementwise_chains_work_in_place() -> None:
    graph = Graph(Config())
    b = Builder(graph, loc=Loc("a.py", 1))
    t = arith(True, (1000,), 16)
    item, out = Input(0, "x", t), Output("y", None, t)
    graph.inputs, graph.outputs = [item], [out]
    x = b.emit("input", input=item)
    for i in range(20):
        x = b.emit("offset", (b.emit("scale", (x,), imm=i + 2, f=0),), imm=i + 1)
    b.emit("output", (x,), output=out)
    code = schedule.run(codegen.run(graph))
    allocation = regalloc.run(code)
    check(code, allocation)
    assert allocation.size["s"] == 1000


def test_a_store_back_needs_no_copy() -> None:
    graph = Graph(Config())
    b = Builder(graph, loc=Loc("a.py", 1))
    from sequester.compiler.ir.graph import Var

    var = Var("w", arith(True, (100,), 16), Loc("a.py", 1))
    graph.vars = [var]
    out = Output("w", None, var.type)
    graph.outputs = [out]
    body = Block()
    b.emit("loop", (), (body,), trips=3)
    b.blocks.append(body)
    w = b.emit("load", var=var)
    b.emit("store", (b.emit("offset", (w,), imm=5),), var=var)
    b.blocks.pop()
    b.emit("output", (b.emit("load", var=var),), output=out)
    code = schedule.run(coalesce.run(codegen.run(graph)))
    allocation = regalloc.run(code)
    check(code, allocation)
    assert allocation.size["s"] == 104  # the variable alone, padded to 64 bytes
    assert [op.name for op in code.body[0].blocks[0]] == ["saddi"]
