"""Reverse-mode differentiation: `grad` placeholders replaced by the nodes that compute them.

Requires: composite ops not yet expanded (each has a gradient rule of its own). Ensures: no `grad`
node is left. All placeholders of one loss in a block are expanded together.

Adjoints carry a public factor beside their tensor, so that 1/batch, -1 and the like cost nothing
until they meet the placeholder's own factor, and are multiplied in once, with enough bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..ir.graph import Block, Graph, Node, Var
from ..ir.ops import OPS, OpError
from ..lang import arith, convert, functions
from ..lang.builder import Builder, current
from ..lang.errors import ProgramError
from ..lang.tensor import Tensor, cint, emit, wrap

# A tensor of ones stays a tensor of ones under these.
_KEEP_ONES = ("reshape", "permute", "sum", "trunc", "scale")


@dataclass(frozen=True)
class Adjoint:
    """factor * tensor; tensor None stands for ones."""

    tensor: Tensor | None
    factor: float = 1.0


class Step:
    """What a gradient rule sees: one node, its operands, and the adjoint of its result.

    A rule returns one entry an operand: a tensor, a `scaled` tensor, or None where no derivative
    passes. Entries are to be computed from `g` without its public factor, which the pass adds.
    """

    def __init__(self, node: Node, adjoint: Adjoint, relevant: set[Node]) -> None:
        self.node = node
        self._adjoint = adjoint
        self._relevant = relevant
        self.x: list[Tensor] = [wrap(x) for x in node.inputs]

    @property
    def g(self) -> Tensor:
        """The adjoint of the result, without its factor."""
        if self._adjoint.tensor is None:
            return convert.ones(self.node.t.shape, cint)
        return self._adjoint.tensor

    @property
    def y(self) -> Tensor:
        """The result."""
        return wrap(self.node)

    def wants(self, i: int) -> bool:
        """Whether a derivative for operand i is asked for."""
        return self.node.inputs[i] in self._relevant

    def times(self, x: Tensor) -> Tensor:
        """g * x."""
        return x if self._adjoint.tensor is None else self.g * x

    def scaled(self, tensor: Tensor, factor: float) -> Adjoint:
        """factor * tensor, the factor kept apart."""
        return Adjoint(tensor, factor)

    def select(self, bit: Tensor, value: Tensor) -> Tensor:
        """value where bit is 1, else 0."""
        return functions.select(bit, value)

    def matmul(self, a: Tensor, b: Tensor, ta: bool, tb: bool) -> Tensor:
        """op(a) @ op(b)."""
        return arith.matrix_product(a, b, ta, tb)

    def product(self, op: str, a: Tensor, b: Tensor, **attrs: Any) -> Tensor:
        """Another bilinear op; its truncation is pending."""
        return arith.product(op, a, b, **attrs)

    def linear(self, op: str, *tensors: Tensor, **attrs: Any) -> Tensor:
        """An op that only moves or adds elements."""
        return emit(op, *tensors, **attrs)

    def call(self, op: str, *tensors: Tensor, **attrs: Any) -> Tensor:
        """Any other op; g becomes secret if it is not."""
        if op in ("ltz", "eqz"):  # of one value: a difference has a bit more
            attrs.setdefault("bits", current().config.k)
        return emit(op, *(convert.secret(t) for t in tensors), **attrs)


def run(graph: Graph) -> Graph:
    """Expand every `grad` placeholder.

    Raises:
        ProgramError: a loss that does not depend on what the gradient is for; a path through a
            variable (and so through a loop); a variable overwritten between its use and the
            gradient; a second derivative of an op that has none.
    """
    _run_block(graph, graph.body)
    return graph


def _run_block(graph: Graph, block: Block) -> None:
    while True:
        first = next((n for n in block.nodes if n.op == "grad"), None)
        if first is None:
            break
        group = [n for n in block.nodes if n.op == "grad" and n.inputs[0] is first.inputs[0]]
        made, replaced = _Backward(graph, block, group).expand()
        gone = set(group)
        at = block.nodes.index(first)
        rest = [n for n in block.nodes[at:] if n not in gone]
        block.nodes = [*block.nodes[:at], *made, *rest]
        for node in block.walk():
            node.inputs = tuple(replaced.get(x, x) for x in node.inputs)
    for node in block.nodes:
        for inner in node.blocks:
            _run_block(graph, inner)


class _Backward:
    """The backward pass of one loss, for all its placeholders."""

    def __init__(self, graph: Graph, block: Block, group: list[Node]) -> None:
        self.graph, self.block, self.group = graph, block, group
        self.loss = group[0].inputs[0]
        self.order = _ancestors(self.loss)
        self.vars = {n.attrs["var"] for n in group if n.attrs["var"] is not None}
        self.leaves = {n.inputs[1] for n in group if n.attrs["var"] is None}
        self.leaves |= {n for n in self.order if n.op == "load" and n.attrs["var"] in self.vars}
        self.relevant = self._relevant()
        self.builder = Builder(graph, Block(), loc=group[0].loc)
        self.terms: dict[Node, list[Adjoint]] = {self.loss: [Adjoint(None)]}

    def _relevant(self) -> set[Node]:
        """Nodes that the leaves flow into on the way to the loss."""
        found = set(self.leaves)
        for node in self.order:
            if any(x in found for x in node.inputs):
                found.add(node)
        return found

    def expand(self) -> tuple[list[Node], dict[Node, Node]]:
        """The new nodes, and what each placeholder becomes."""
        self._check_paths()
        with self.builder.active():
            for node in reversed(self.order):
                if node in self.relevant and node in self.terms:
                    self.builder.fixed_loc = node.loc
                    self._step(node, _total(self.terms[node]))
            replaced = {}
            for placeholder in self.group:
                self.builder.fixed_loc = placeholder.loc
                replaced[placeholder] = self._result(placeholder).node
        return self.builder.blocks[0].nodes, replaced

    def _step(self, node: Node, adjoint: Adjoint) -> None:
        self.terms[node] = [adjoint]
        rule = OPS[node.op].gradient
        if rule is None:
            return
        if adjoint.tensor is None and node.op in _KEEP_ONES:
            parts: Sequence[Any] = (_ones_through(node),)
        else:
            try:
                parts = rule(Step(node, adjoint, self.relevant))
            except OpError as error:
                raise ProgramError(str(error), node.loc, error.hint) from None
        for x, part in zip(node.inputs, parts, strict=True):
            if part is None or x not in self.relevant:
                continue
            own = part if isinstance(part, Adjoint) else Adjoint(part)
            term = Adjoint(own.tensor, own.factor * adjoint.factor)
            self.terms.setdefault(x, []).append(term)

    def _result(self, placeholder: Node) -> Tensor:
        """The gradient with the placeholder's precision, times its factor."""
        var = placeholder.attrs["var"]
        if var is None:
            terms = self.terms.get(placeholder.inputs[1], [])
        else:
            terms = [t for leaf in self.leaves if leaf.op == "load" and leaf.attrs["var"] is var
                     for t in self.terms.get(leaf, [])]  # fmt: skip
        if not terms:
            name = "the tensor" if var is None else f"the variable {var.name}"
            raise ProgramError(
                f"the loss does not depend on {name} in a differentiable way",
                placeholder.loc,
                "compute the loss from it, in the same loop body, before asking for the gradient",
            )
        total = _total(terms)
        x = Step(placeholder, total, self.relevant).g
        x = convert.secret(x).expand(placeholder.t.shape)
        return _with_precision(
            x, total.factor * placeholder.attrs["factor"], placeholder.attrs["precision"]
        )

    def _check_paths(self) -> None:
        position = {n: i for i, n in enumerate(self.block.nodes)}
        at = position[self.group[0]]
        for load in (n for n in self.order if n.op == "load" and n.attrs["var"] in self.vars):
            var, start = load.attrs["var"], position.get(load, -1)
            between = [n for n in self.block.nodes[start + 1 : at]] if start >= 0 else []
            outside = self.block.nodes if start < 0 else []
            for store in _stores([*between, *outside]):
                if store.attrs["var"] is var:
                    raise ProgramError(
                        f"the variable {var.name}, read at {load.loc}, is overwritten at "
                        f"{store.loc} before its gradient is taken",
                        self.group[0].loc,
                        "take the gradient first, and update variables after it",
                    )
        tainted = _tainted(self.graph, self.vars, self.leaves)
        for load in (n for n in self.order if n.op == "load"):
            if load.attrs["var"] in tainted - self.vars:
                raise ProgramError(
                    f"the gradient passes through the variable {load.attrs['var'].name}, read at "
                    f"{load.loc}",
                    self.group[0].loc,
                    "gradients are taken within one loop body and not through variables or loops: "
                    "use tensors, and unroll recurrent steps with Python's for",
                )


def _ancestors(loss: Node) -> list[Node]:
    """Every node that the loss is computed from, operands first, the loss last."""
    order: list[Node] = []
    done: set[Node] = set()
    stack = [(loss, False)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            stack += [(x, False) for x in node.inputs if x not in done]
    return order


def _stores(nodes: list[Node]) -> list[Node]:
    every = [m for n in nodes for m in (n, *(w for b in n.blocks for w in b.walk()))]
    return [n for n in every if n.op == "store"]


def _tainted(graph: Graph, vars_: set[Var], leaves: set[Node]) -> set[Var]:
    """Variables whose value depends on what gradients are taken for."""
    stores = _stores(graph.body.nodes)
    tainted = set(vars_)
    reached = set(leaves)
    grown = True
    while grown:
        grown = False
        for node in graph.walk():
            from_var = node.op == "load" and node.attrs["var"] in tainted
            if node not in reached and (from_var or any(x in reached for x in node.inputs)):
                reached.add(node)
                grown = True
        for store in stores:
            if store.inputs[0] in reached and store.attrs["var"] not in tainted:
                tainted.add(store.attrs["var"])
                grown = True
    return tainted


def _ones_through(node: Node) -> Adjoint:
    if node.op == "scale":
        return Adjoint(None, node.attrs["imm"] * 2.0 ** -node.attrs["f"])
    return Adjoint(None)


def _total(terms: list[Adjoint]) -> Adjoint:
    """The sum of adjoints; the factor of largest magnitude is kept apart."""
    if len(terms) == 1:
        return terms[0]
    factor = max((t.factor for t in terms), key=abs)
    if factor == 0:
        return terms[0]
    total: Tensor | None = None
    for term in terms:
        ratio = term.factor / factor
        x = convert.ones((), cint) if term.tensor is None else term.tensor
        if total is None:
            total = x if ratio == 1 else arith.scaled(x, ratio)
        elif ratio == -1:
            total = total - x
        else:
            total = total + (x if ratio == 1 else arith.scaled(x, ratio))
    return Adjoint(total, factor)


def _with_precision(x: Tensor, factor: float, precision: int) -> Tensor:
    """factor * x with `precision` fractional bits, as one public factor.

    If the factor has no more than f/2 bits beside an unrounded product, the product is rounded
    first, so that the factor's relative error stays below 2^-(f/2).
    """
    f = current().config.f
    imm, exact = _imm(factor, precision - x._node.t.f)
    if x._pending and not exact and imm.bit_length() <= f // 2:
        x = arith.materialised(x)
        imm, _ = _imm(factor, precision - x._node.t.f)
    if imm.bit_length() > 62:  # more than an immediate holds: part of it before
        x = arith.raised(x, x._pending + imm.bit_length() - 62)
        imm, _ = _imm(factor, precision - x._node.t.f)
    node = current().emit("scale", [x._node], imm=imm, f=precision - x._node.t.f)
    return wrap(node)


def _imm(factor: float, shift: int) -> tuple[int, bool]:
    """factor * 2^shift rounded, and whether that is exact."""
    value = Fraction(factor) * Fraction(2) ** shift
    return math.floor(value + Fraction(1, 2)), value.denominator == 1
