"""Constant folding: what depends on constants only is computed now.

Requires: nothing. Ensures: the same meaning. Results larger than their operands together (expanded
constants, say) are left to be computed at run time, so that the constant pool stays small.
"""

from __future__ import annotations

from ..ir.graph import Graph, Node
from ..ir.numeric import system
from ..ir.ops import OPS
from .rewrite import Rewriter

SMALL = 256  # elements: results up to this size may be larger than their operands


def run(graph: Graph) -> Graph:
    """The graph with constant subexpressions replaced by constants."""
    ring = system(graph.config)

    def rule(r: Rewriter, node: Node) -> Node:
        row = OPS[node.op]
        foldable = row.numpy is not None and row.mergeable and not row.composite
        if not foldable or node.op == "const" or not node.inputs or node.t.secret:
            return node
        if any(x.op != "const" for x in node.inputs):
            return node
        if node.t.size > max(SMALL, sum(x.t.size for x in node.inputs)):
            return node
        assert row.numpy is not None
        try:
            value = row.numpy(ring, node, [ring.array(x.attrs["value"]) for x in node.inputs])
        except (ZeroDivisionError, IndexError):
            return node  # an error of the run, if it gets there
        return r.make("const", value=ring.array(value).reshape(node.t.shape), type=node.t)

    return Rewriter(graph, rule).run()
