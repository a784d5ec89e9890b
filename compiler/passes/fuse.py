"""Fusion: a truncation becomes part of the product it rounds.

Requires: primitive ops. Ensures: the same meaning under nearest rounding, the same distribution
under probabilistic rounding. Rounded is a secret product that nothing else uses, not itself
rounded, times a public factor, plus anything secret: the factor moves to the product's smaller
operand, and what is added becomes the product's third. That is one machine of two rounds instead of
two machines of three; so is a step of SGD, round(lr * g + momentum * u), with the product g.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir.graph import Graph, Node
from .rewrite import Rewriter, use_counts

PRODUCTS = ("mul", "matmul", "conv2d", "conv2d_dx", "conv2d_dw")


@dataclass(frozen=True)
class _Sum:
    """product * imm, read with `f` fractional bits more, + added (None: nothing)."""

    product: Node
    imm: int = 1
    f: int = 0
    added: Node | None = None


def run(graph: Graph) -> Graph:
    """The graph with truncations fused into products; the products left over are dead."""
    uses = use_counts(graph)

    def rule(r: Rewriter, node: Node) -> Node:
        found = _found(r, node.inputs[0], uses) if node.op == "trunc" else None
        return _fused(r, node, found) if found else node

    return Rewriter(graph, rule).run()


def _found(r: Rewriter, x: Node, uses: dict[Node, int]) -> _Sum | None:
    """x as a sum with a product that can be fused."""
    if not r.used_once(x, uses):
        return None
    if x.op in PRODUCTS:
        interactive = x.op.startswith("conv") or all(y.t.secret for y in x.inputs)
        return _Sum(x) if interactive and not x.attrs["m"] and len(x.inputs) == 2 else None
    if x.op == "scale":
        inner = _found(r, x.inputs[0], uses)
        if inner is None or inner.added is not None:
            return None
        imm = inner.imm * x.attrs["imm"]
        small = imm.bit_length() + r.graph.config.k <= r.graph.config.ring_bits - 2
        return replace(inner, imm=imm, f=inner.f + x.attrs["f"]) if small else None
    if x.op == "add" and all(y.t.secret for y in x.inputs):
        for a, b in (x.inputs, x.inputs[::-1]):
            inner = _found(r, a, uses)
            if inner is not None:
                added = b if inner.added is None else r.make("add", inner.added, b)
                return replace(inner, added=added)
    return None


def _fused(r: Rewriter, node: Node, found: _Sum) -> Node:
    """The truncation as a product with its factor moved and its third operand."""
    x = found.product
    a, b = x.inputs
    if (found.imm, found.f) != (1, 0):
        if a.t.size <= b.t.size:
            a = r.make("scale", a, imm=found.imm, f=found.f)
        else:
            b = r.make("scale", b, imm=found.imm, f=found.f)
    attrs = {**x.attrs, "m": node.attrs["m"], "mode": node.attrs["mode"]}
    third = () if found.added is None else (found.added,)
    return r.make(x.op, a, b, *third, **attrs)
