"""The op table, the verifier and the printer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lang_tools import NEAREST, traced

from sequester.compiler.ir.graph import Block, Graph, Input, Loc, Node, Var
from sequester.compiler.ir.ops import OPS, OpError, infer
from sequester.compiler.ir.printer import show
from sequester.compiler.ir.types import arith, bits
from sequester.compiler.ir.verifier import VerifierError, verify
from sequester.compiler.lang import cint, if_, loop, output, relu, state, where, while_
from sequester.compiler.lang.builder import Builder
from sequester.compiler.passes import expand

HERE = Loc("a.py", 1)
S = arith(True, (2, 3), 16)
C = arith(False, (2, 3), 16)
BIT = bits((2, 3))
SCALAR = arith(False, ())


def typed(*types: Any) -> list[Node]:
    """Nodes with these types, to be operands."""
    return [Node("const", (), {}, t, HERE) for t in types]


def infer_types(op: str, *types: Any, **attrs: Any) -> Any:
    return infer(op, typed(*types), attrs, NEAREST)


ROUND = {"m": 16, "mode": 1}
GEOMETRY = {"stride": (1, 1), "padding": (0, 0), **ROUND}
REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("nonsense", (), {}, "no op named"),
    ("add", (S,), {}, "takes 2 operands"),
    ("scale", (S, S), {"imm": 1, "f": 0}, "takes 1 operands"),
    ("scale", (S,), {"imm": 1}, "lacks the attributes f"),
    ("scale", (S,), {"imm": 1, "f": -17}, "negative precision"),
    ("scale", (S,), {"imm": 1 << 63, "f": 0}, "64 bits"),
    ("offset", (S,), {"imm": -(1 << 64)}, "64 bits"),
    ("add", (S, arith(True, (3, 2), 16)), {}, "shapes"),
    ("add", (S, arith(True, (2, 3), 8)), {}, "precisions"),
    ("add", (S, BIT), {}, "bit value"),
    ("public", (S,), {}, "clear value"),
    ("mul", (S, arith(True, (3,), 16)), ROUND, "differ"),
    ("mul", (S, S), {"m": 40, "mode": 1}, "leaves the precision"),
    ("mul", (S, S), {"m": 1, "mode": 2}, "bad rounding"),
    ("trunc", (S,), {"m": 17, "mode": 0}, "truncation by 17"),
    ("trunc", (S,), {"m": 0, "mode": 0}, "truncation by 0"),
    ("matmul", (S, S), {"ta": False, "tb": False, **ROUND}, "3 and 2 differ"),
    ("conv2d", (S, S), GEOMETRY, "images"),
    ("conv2d", (arith(True, (1, 2, 4, 4)), arith(True, (1, 3, 2, 2))), GEOMETRY, "channels"),
    ("conv2d", (arith(True, (1, 2, 4, 4)), arith(True, (1, 2, 5, 2))), GEOMETRY, "does not fit"),
    ("reshape", (S,), {"shape": (5,)}, "reshaped"),
    ("permute", (S,), {"axes": (0, 0)}, "axes"),
    ("expand", (S,), {"shape": (2, 4)}, "broadcast"),
    ("slice", (S,), {"start": (0, 1), "step": (1, 1), "shape": (2, 3)}, "slice from 1"),
    ("slice", (S,), {"start": (0, 1), "step": (1, -1), "shape": (2, 3)}, "slice from 1"),
    ("unslice", (S,), {"start": (0, 0), "step": (1, 2), "shape": (2, 4)}, "slice from 0"),
    ("concat", (S, C), {"axis": 0}, "cannot be joined"),
    ("sum", (S,), {"axes": (2,)}, "sum over"),
    ("gather", (S, arith(True, (2,))), {}, "secret index"),
    ("gather", (S, arith(False, (2,), 16)), {}, "integer"),
    ("scatter", (S, arith(False, (2,))), {"shape": (4, 4)}, "rows"),
    ("ltz", (S,), {"bits": 65}, "comparison of 65 bits"),
    ("xor", (BIT, bits((2, 3), 2)), {}, "differ"),
    ("and", (S, S), {}, "secret bits are needed"),
    ("planes", (BIT,), {"lo": 0, "hi": 2}, "planes 0..2"),
    ("select", (BIT, C), {}, "secret value"),
    ("select", (bits((2, 3), 2), S), {}, "more than one plane"),
    ("div_floor", (S, S), {}, "clear values"),
    ("uniform", (), {"lo": 1, "hi": 1, "stream": 0, "type": C}, "uniform in"),
    ("store", (C,), {"var": Var("v", S, HERE)}, "stored into v"),
    ("reveal", (C,), {}, "clear already"),
    ("print", (S,), {"pieces": ()}, "cannot be printed"),
    ("if", (BIT,), {}, "branch on a secret"),
    ("break_if_zero", (arith(True, ()),), {}, "branch on a secret"),
    ("if", (C,), {}, "condition of type"),
    ("exp", (arith(True, (2,)),), {}, "fixed-point"),
    ("relu", (C,), {}, "secret value"),
    ("reduce_max", (S,), {"axis": 2}, "axis 2"),
    ("max_pool2d", (S,), {"kernel": (2, 2), "stride": (2, 2)}, "images"),
    ("cross_entropy", (S, arith(True, (2, 2))), {}, "targets"),
    ("grad", (S,), {"var": None, "factor": 1.0, "precision": 32}, "scalar"),
]


@pytest.mark.parametrize(("op", "types", "attrs", "message"), REFUSED, ids=lambda v: str(v)[:20])
def test_type_rules_refuse(op: str, types: Any, attrs: Any, message: str) -> None:
    with pytest.raises(OpError, match=message):
        infer_types(op, *types, **attrs)


def test_type_rules_accept() -> None:
    assert infer_types("mul", S, C, **ROUND) == S
    assert infer_types("mul", C, C, **ROUND) == C
    assert infer_types("ltz", S, bits=32) == BIT
    assert infer_types("ltz", C, bits=32) == arith(False, (2, 3))
    assert infer_types("gather", S, arith(False, (5, 4))) == arith(True, (5, 4, 3), 16)
    assert infer_types("b2a", bits((2,), 3)) == arith(True, (3, 2))
    assert infer_types("reveal", BIT) == arith(False, (2, 3))


def test_only_reveal_leads_from_secret_to_clear() -> None:
    """Every rule that accepts secret operands of some shape gives a secret, but `reveal`'s."""
    attrs = {
        "imm": 1, "f": 0, "m": 0, "mode": 1, "ta": False, "tb": False, "stride": (1, 1),
        "padding": (0, 0), "shape": (2, 2), "axes": (0, 1), "start": (0, 0), "step": (1, 1),
        "axis": 0, "bits": 4, "planes": 2, "lo": 0, "hi": 1, "kernel": (1, 1), "var": None,
        "factor": 1.0, "precision": 32, "pieces": (), "n": 3, "stream": 0,
    }  # fmt: skip
    square = (2, 2)
    operands = [
        arith(True, square, 16), arith(True, square), bits(square), arith(True, (), 16),
        arith(True, (1, 1, 2, 2), 16), arith(False, square), arith(False, square, 16),
    ]  # fmt: skip
    accepted = set()
    for name in OPS:
        for pair in [(a,) for a in operands] + [(a, b) for a in operands for b in operands]:
            if not any(t.secret for t in pair):
                continue
            try:
                result = infer_types(name, *pair, **attrs)
            except (OpError, KeyError, ValueError, TypeError, IndexError, AttributeError):
                continue
            if result is not None:
                accepted.add(name)
                assert result.secret or name == "reveal", name
    assert len(accepted) > 40


def test_flags() -> None:
    secret, clear = typed(S, C)
    assert OPS["mul"].interactive(Node("mul", (secret, secret), {}, S, HERE))
    assert not OPS["mul"].interactive(Node("mul", (secret, clear), {}, S, HERE))
    assert OPS["trunc"].interactive(Node("trunc", (secret,), {}, S, HERE))
    assert not OPS["trunc"].interactive(Node("trunc", (clear,), {}, C, HERE))
    for name, row in OPS.items():
        assert not (row.mergeable and (row.effect or row.memory)), name
        assert row.numpy or row.composite or row.effect or row.memory or name in (
            "perm", "uniform"
        ), name  # fmt: skip


# --- the verifier --------------------------------------------------------------------------------


def sample() -> Graph:
    """A graph with a loop, a branch, variables and an opening."""

    def f(x: Any) -> None:
        total = state(0.0)
        for i in loop(3):
            total += (x * i).sum()
            with if_(i == 1):
                total.set(relu(total))
        for _ in while_(lambda: total.reveal() > 1.0, max_trips=4):
            total.set(total - 1.0)
        output("total", total)

    return traced(f, np.ones(4))[0]


def find(graph: Graph, op: str) -> Node:
    return next(n for n in graph.walk() if n.op == op)


def _used_before(graph: Graph) -> None:
    graph.body.nodes.reverse()


def _used_outside(graph: Graph) -> None:
    inner = find(graph, "sum")
    find(graph, "output").inputs = (inner,)


def _twice(graph: Graph) -> None:
    graph.body.nodes.append(graph.body.nodes[0])


def _wrong_type(graph: Graph) -> None:
    node = find(graph, "relu")
    node.type = replace(node.t, f=8)


def _undeclared(graph: Graph) -> None:
    graph.vars.clear()


def _same_names(graph: Graph) -> None:
    graph.vars.append(Var(graph.vars[0].name, S, HERE))


def _lost_input(graph: Graph) -> None:
    graph.inputs.append(Input(1, "more", S))


def _lost_output(graph: Graph) -> None:
    graph.outputs.clear()


def _unknown_op(graph: Graph) -> None:
    find(graph, "relu").op = "rely"


def _lost_block(graph: Graph) -> None:
    find(graph, "if").blocks = (Block(),)


def _secret_branch(graph: Graph) -> None:
    secret = find(graph, "load")
    node = find(graph, "while")
    node.blocks[0].nodes.append(Node("break_if_zero", (secret,), {}, None, HERE))


def _break_outside(graph: Graph) -> None:
    zero = Node("const", (), {"value": np.zeros((), np.int64), "type": SCALAR}, SCALAR, HERE)
    graph.body.nodes += [zero, Node("break_if_zero", (zero,), {}, None, HERE)]


def _broken_rule(graph: Graph) -> None:
    find(graph, "sum").attrs["axes"] = (7,)


def _opened_silently(graph: Graph) -> None:
    node = find(graph, "relu")
    node.type = replace(node.t, secret=False)


BREAKS: list[tuple[Callable[[Graph], None], str]] = [
    (_used_before, "outside of its block, or before"),
    (_used_outside, "outside of its block"),
    (_twice, "appears twice"),
    (_wrong_type, "its rule gives"),
    (_undeclared, "not declared"),
    (_same_names, "same name"),
    (_lost_input, "declared inputs"),
    (_lost_output, "declared outputs"),
    (_unknown_op, "not in the op table"),
    (_lost_block, "has 1 blocks"),
    (_secret_branch, "outside of its block|branch on a secret"),
    (_break_outside, "outside of a loop"),
    (_broken_rule, "breaks its type rule"),
    (_opened_silently, "its rule gives"),
]


@pytest.mark.parametrize(("damage", "message"), BREAKS, ids=lambda v: getattr(v, "__name__", ""))
def test_verifier_refuses(damage: Callable[[Graph], None], message: str) -> None:
    graph = verify(sample())
    damage(graph)
    with pytest.raises(VerifierError, match=message):
        verify(graph)


# --- the printer, the builder, expansion ---------------------------------------------------------


def test_printer_shows_every_node_once() -> None:
    graph = sample()
    text = show(graph)
    lines = text.splitlines()
    assert lines[0] == "main: ring 2^64, k=31, f=16, nearest rounding"
    assert "var state : sfix16[]" in lines
    assert sum("#" in line for line in lines) == sum(1 for _ in graph.walk())
    assert any("loop() trips=3" in line and "cfix0[]" in line for line in lines)
    assert "?" not in text


def test_expansion_inherits_line_and_layer() -> None:
    def f(x: Any) -> Any:
        from sequester.compiler.lang import current

        with current().scope("0.ReLU"):
            return relu(x)

    graph, _ = traced(f, np.ones(3))
    loc = find(graph, "relu").loc
    assert loc.scope == "0.ReLU"
    verify(expand.run(graph))
    assert not any(OPS[n.op].composite for n in graph.walk())
    assert find(graph, "ltz").loc == loc == find(graph, "select").loc


def test_expansion_reaches_inner_blocks_and_later_uses() -> None:
    def f(x: Any) -> Any:
        y = relu(relu(x) * 2.0)
        total = state(0.0)
        for _ in loop(2):
            with if_(cint(1)):
                total += relu(y.sum())
        return total, where(x > 0, y, relu(y))

    graph, _ = traced(f, np.ones(3))
    verify(expand.run(graph))
    assert not any(n.op == "relu" for n in graph.walk())


def test_the_builder_places_roundings_behind_their_product() -> None:
    """A product made outside of a loop and used in it is rounded once, outside."""

    def f(x: Any) -> Any:
        p, total = x * x, state(0.0)
        for i in loop(3):
            total += p * i
        return total + p

    graph, _ = traced(f, np.array(2.0))
    outside = [n.op for n in graph.body.nodes]
    assert outside[outside.index("mul") + 1] == "trunc"
    assert sum(n.op == "trunc" for n in graph.walk()) == 1


def test_variables_have_unique_names() -> None:
    graph = Graph(NEAREST)
    builder = Builder(graph, loc=HERE)
    for _ in range(3):
        builder.variable("w", S)
    builder.variable("w_2", S)
    assert len({v.name for v in graph.vars}) == 4
