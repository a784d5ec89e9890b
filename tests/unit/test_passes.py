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
from sequester.compiler.ir.graph import Graph
from sequester.compiler.ir.verifier import verify
from sequester.compiler.isa.codec import decode
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
    compiled = compile_graph(graph, Options(off=frozenset(off), protocol=None, verify=True))
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
