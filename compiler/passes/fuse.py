"""Fusion: a truncation becomes part of the product it rounds.

Requires: primitive ops. Ensures: the same meaning under nearest rounding, the same distribution
under probabilistic rounding. A `trunc` of a secret product that nothing else uses, not itself
rounded, is one machine of two rounds instead of two machines of three.
"""

from __future__ import annotations

from ..ir.graph import Graph, Node
from .rewrite import Rewriter, use_counts

PRODUCTS = ("mul", "matmul", "conv2d", "conv2d_dx", "conv2d_dw")


def run(graph: Graph) -> Graph:
    """The graph with truncations fused into products; the products left over are dead."""
    uses = use_counts(graph)

    def rule(r: Rewriter, node: Node) -> Node:
        if node.op != "trunc":
            return node
        x = node.inputs[0]
        interactive = x.op.startswith("conv") or all(y.t.secret for y in x.inputs)
        if x.op not in PRODUCTS or not interactive or x.attrs["m"] or not r.used_once(x, uses):
            return node
        attrs = {**x.attrs, "m": node.attrs["m"], "mode": node.attrs["mode"]}
        return r.make(x.op, *x.inputs, **attrs)

    return Rewriter(graph, rule).run()
