"""Passes keep the meaning: the reference executor and an interpreter of bytecode agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_strategies import Drawn, graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interpreter import Machine

from sequester.compiler.compile import OPTIONAL, Options, compile_graph
from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Block, Config, Graph, Input, Loc, Node, Output, Var
from sequester.compiler.ir.types import arith
from sequester.compiler.ir.verifier import verify
from sequester.compiler.isa.codec import decode
from sequester.compiler.lang.builder import Builder
from sequester.compiler.passes import algebra, cse, dce, fold, fuse, rewrite

GRAPH_PASSES = {"fold": fold, "cse": cse, "dce": dce, "algebra": algebra, "fuse": fuse}
_SETTINGS = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def executed(graph: Graph, arrays: Any) -> reference.Result:
    return reference.run(graph, arrays, rng=np.random.default_rng(1))


def same(a: reference.Result, b: reference.Result) -> None:
    assert a.lines == b.lines
    assert a.outputs.keys() == b.outputs.keys()
    for name, value in a.outputs.items():
        np.testing.assert_array_equal(value, b.outputs[name], err_msg=name)


@pytest.mark.parametrize("name", list(GRAPH_PASSES))
@given(drawn=graphs())
@_SETTINGS
def test_graph_pass_keeps_the_meaning(name: str, drawn: Drawn) -> None:
    graph, arrays = drawn
    before = executed(verify(graph), arrays)
    after = verify(GRAPH_PASSES[name].run(graph))
    same(before, executed(after, arrays))
    same(before, executed(verify(graph), arrays))  # and it leaves its argument alone


@given(drawn=graphs(), off=st.sets(st.sampled_from(OPTIONAL), max_size=3))
@_SETTINGS
def test_bytecode_computes_what_the_graph_means(drawn: Drawn, off: set[str]) -> None:
    graph, arrays = drawn
    wanted = executed(graph, arrays)
    compiled = compile_graph(graph, Options(off=frozenset(off), protocol=None))
    assert decode(compiled.data) == compiled.program
    machine = Machine(compiled.program, arrays).run()
    assert machine.lines[: len(wanted.lines)] == wanted.lines
    assert machine.outputs.keys() == wanted.outputs.keys()
    for name, value in wanted.outputs.items():
        f = next(o.type.f for o in graph.outputs if o.name == name)
        got = np.ldexp(np.asarray(machine.outputs[name], dtype=np.float64), -f)
        np.testing.assert_array_equal(got, np.asarray(value, np.float64), err_msg=name)


@given(drawn=graphs())
@_SETTINGS
def test_copy_is_the_same_graph_of_new_nodes(drawn: Drawn) -> None:
    graph, arrays = drawn
    twin = rewrite.copy(graph)
    assert not set(twin.walk()) & set(graph.walk())
    same(executed(graph, arrays), executed(verify(twin), arrays))


# ---- what single passes do ----


class Small:
    """A graph of one input and one output, built by hand."""

    def __init__(self, shape: tuple[int, ...]):
        self.graph = Graph(Config(rounding="nearest"))
        self.b = Builder(self.graph, loc=Loc("a.py", 1))
        item = Input(0, "x", arith(True, shape, 16))
        self.graph.inputs.append(item)
        self.x = self.b.emit("input", input=item)

    def finish(self, value: Node) -> Graph:
        out = Output("y", None, value.t)
        self.graph.outputs.append(out)
        self.b.emit("output", (value,), output=out)
        return verify(self.graph)


def ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.walk()]


def test_pooling_moves_before_relu() -> None:
    s = Small((1, 2, 4, 4))
    relu = s.b.emit("relu", (s.x,))
    pool = s.b.emit("max_pool2d", (relu,), kernel=(2, 2), stride=(2, 2))
    graph = s.finish(pool)
    after = verify(dce.run(algebra.run(graph)))
    assert ops(after) == ["input", "max_pool2d", "relu", "output"]
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 4))
    wanted = compile_graph(graph, Options(protocol="rep3", off=frozenset({"algebra"})))
    got = compile_graph(graph, Options(protocol="rep3"))
    results = [Machine(c.program, {(0, "x"): x}).run().outputs["y"] for c in (wanted, got)]
    np.testing.assert_array_equal(*results)
    assert got.costs is not None and wanted.costs is not None
    assert got.costs.busiest < wanted.costs.busiest


def test_pooling_stays_if_relu_is_used_elsewhere() -> None:
    s = Small((1, 2, 4, 4))
    relu = s.b.emit("relu", (s.x,))
    pool = s.b.emit("max_pool2d", (relu,), kernel=(4, 4), stride=(4, 4))
    total = s.b.emit("sum", (relu,), axes=(2, 3))
    graph = s.finish(s.b.emit("add", (s.b.emit("reshape", (pool,), shape=(1, 2)), total)))
    assert ops(algebra.run(graph)) == ops(graph)


def test_transposes_become_flags() -> None:
    s = Small((3, 4))
    turned = s.b.emit("permute", (s.x,), axes=(1, 0))
    product = s.b.emit("matmul", (turned, turned), ta=True, tb=False, m=16, mode=1)
    after = dce.run(algebra.run(s.finish(product)))
    assert ops(after) == ["input", "matmul", "output"]
    node = after.body.nodes[1]
    assert (node.attrs["ta"], node.attrs["tb"]) == (False, True)


def test_constant_factors_become_immediates() -> None:
    s = Small((3, 4))
    c = s.b.emit("const", value=np.array(5), type=arith(False, ()))
    wide = s.b.emit("expand", (c,), shape=(3, 4))
    value = s.b.emit("mul", (s.b.emit("mul", (s.x, wide), m=0, mode=1), wide), m=0, mode=1)
    after = dce.run(algebra.run(s.finish(value)))
    assert ops(after) == ["input", "scale", "output"]
    assert after.body.nodes[1].attrs["imm"] == 25


def test_truncation_joins_its_product() -> None:
    s = Small((3, 4))
    square = s.b.emit("mul", (s.x, s.x), m=0, mode=1)
    after = dce.run(fuse.run(s.finish(s.b.emit("trunc", (square,), m=16, mode=1))))
    assert ops(after) == ["input", "mul", "output"]
    assert after.body.nodes[1].attrs["m"] == 16


def test_a_sum_is_rounded_with_its_product() -> None:
    """round(lr * g + momentum * u), g a matrix product: one instruction, a factor on an operand."""
    s = Small((3, 4))
    row = s.b.emit("slice", (s.x,), start=(0, 0), step=(1, 1), shape=(1, 4))
    g = s.b.emit("matmul", (s.x, row), ta=False, tb=True, m=0, mode=1)
    u = s.b.emit("slice", (s.x,), start=(0, 1), step=(1, 1), shape=(3, 1))
    step = s.b.emit("scale", (g,), imm=-410, f=4)
    momentum = s.b.emit("scale", (u,), imm=943718, f=20)
    rest = s.b.emit("scale", (u,), imm=3 << 20, f=20)
    total = s.b.emit("add", (momentum, s.b.emit("add", (step, rest))))
    graph = s.finish(s.b.emit("trunc", (total,), m=20, mode=1))
    after = verify(dce.run(fuse.run(graph)))
    product = next(n for n in after.walk() if n.op == "matmul")
    assert len(product.inputs) == 3 and product.attrs["m"] == 20
    assert [x.op for x in product.inputs[:2]] == ["input", "scale"]  # the smaller operand's
    assert "trunc" not in ops(after)
    agree(graph, np.arange(12).reshape(3, 4) / 4 - 1)
    names = [i.instr.name for i in compile_graph(graph).program.code]
    assert "matmul_add" in names and "trunc" not in names


def test_a_product_that_others_use_is_not_rounded_with_a_sum() -> None:
    s = Small((3, 4))
    square = s.b.emit("mul", (s.x, s.x), m=0, mode=1)
    wide = s.b.emit("scale", (s.x,), imm=1 << 16, f=16)
    total = s.b.emit("trunc", (s.b.emit("add", (square, wide)),), m=16, mode=1)
    other = s.b.emit("trunc", (square,), m=16, mode=1)
    graph = s.finish(s.b.emit("add", (total, other)))
    assert ops(dce.run(fuse.run(graph))) == ops(graph)


def test_a_bias_is_added_in_place() -> None:
    s = Small((4, 8))
    row = s.b.emit("slice", (s.x,), start=(0, 0), step=(1, 1), shape=(1, 8))
    wide = s.b.emit("expand", (row,), shape=(4, 8))
    square = s.b.emit("mul", (s.x, s.x), m=16, mode=1)
    compiled = compile_graph(s.finish(s.b.emit("add", (square, wide))))
    names = [i.instr.name for i in compiled.program.code]
    assert names == ["input", "join", "mul", "join", "sacc", "output", "join", "end"]
    x = np.arange(32).reshape(4, 8) / 4
    got = Machine(compiled.program, {(0, "x"): x}).run().outputs["y"]
    np.testing.assert_array_equal(got.astype(np.int64), (x * x + x[:1]) * 65536)


def agree(graph: Graph, x: Any) -> None:
    """Reference executor and bytecode give the same output y."""
    wanted = executed(graph, {(0, "x"): x}).outputs["y"]
    machine = Machine(compile_graph(graph).program, {(0, "x"): x}).run()
    np.testing.assert_array_equal(machine.outputs["y"] / 65536, wanted)


def test_a_sum_in_a_loop_keeps_an_operand_from_outside() -> None:
    s = Small((4, 8))
    var = Var("v", s.x.t, Loc("a.py", 1))
    s.graph.vars.append(var)
    outside = s.b.emit("scale", (s.x,), imm=3, f=0)
    body = Block()
    s.b.emit("loop", (), (body,), trips=3)
    s.b.blocks.append(body)
    row = s.b.emit("slice", (s.x,), start=(0, 0), step=(1, 1), shape=(1, 8))
    total = s.b.emit("add", (outside, s.b.emit("expand", (row,), shape=(4, 8))))
    s.b.emit("store", (s.b.emit("add", (s.b.emit("load", var=var), total)),), var=var)
    s.b.blocks.pop()
    agree(s.finish(s.b.emit("load", var=var)), np.arange(32).reshape(4, 8) / 4)


def test_a_store_behind_a_break_does_not_happen_early() -> None:
    s = Small((8,))
    var = Var("v", s.x.t, Loc("a.py", 1))
    s.graph.vars.append(var)
    s.b.emit("store", (s.x,), var=var)
    zero = s.b.emit("const", value=np.array(0), type=arith(False, ()))
    body = Block()
    s.b.emit("while", (), (body,), max_trips=3)
    s.b.blocks.append(body)
    new = s.b.emit("offset", (s.b.emit("load", var=var),), imm=1 << 16)
    s.b.emit("break_if_zero", (zero,))
    s.b.emit("store", (new,), var=var)
    s.b.blocks.pop()
    agree(s.finish(s.b.emit("load", var=var)), np.arange(8) / 4)


def test_equal_constants_share_the_pool() -> None:
    s = Small((3,))
    value = s.x
    for _ in range(3):
        c = s.b.emit("const", value=np.array([1, 2, 3]), type=arith(False, (3,), 16))
        value = s.b.emit("mul", (s.b.emit("add", (value, c)), value), m=16, mode=1)
    off = frozenset({"cse"})
    assert compile_graph(s.finish(value), Options(off=off)).program.pool == (1, 2, 3)


def test_a_pass_that_is_needed_cannot_be_switched_off() -> None:
    with pytest.raises(ValueError, match="cannot switch off expand: optional are fold, cse"):
        Options(off=frozenset({"expand"}))


def test_without_regalloc_no_register_is_used_twice() -> None:
    s = Small((1, 2, 4, 4))
    x = s.x
    for _ in range(3):
        x = s.b.emit("add", (s.x, s.b.emit("relu", (x,))))
    graph = s.finish(x)
    with_, without = (
        compile_graph(graph, Options(off=frozenset(off))) for off in ((), ("regalloc",))
    )
    assert without.registers["s"] > with_.registers["s"]
    assert without.costs.rounds == with_.costs.rounds  # type: ignore[union-attr]


def test_explain_measures_every_pass_after_expansion() -> None:
    s = Small((1, 2, 4, 4))
    graph = s.finish(s.b.emit("relu", (s.b.emit("relu", (s.x,)),)))
    compiled = compile_graph(graph, Options(explain=True))
    expanded = [p.name for p in compiled.passes].index("expand")
    last = compiled.passes[-1]
    assert all(p.instructions and p.rounds and p.registers for p in compiled.passes[expanded:])
    assert last.name == "regalloc" and last.rounds == compiled.costs.rounds  # type: ignore[union-attr]
    assert last.instructions == len(compiled.program.code)
