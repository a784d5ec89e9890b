"""Composite ops, expanded in place by their lowerings.

Requires: gradients expanded. Ensures: no composite op is left. New nodes have the source line and
the layer of the node they replace.
"""

from __future__ import annotations

from .. import math as _lowerings  # noqa: F401 - registers them
from ..ir.graph import Block, Graph, Node
from ..ir.ops import OPS
from ..lang.builder import Builder
from ..lang.lowering import LOWERINGS
from ..lang.tensor import wrap


class ExpandError(Exception):
    """A lowering is missing or gives the wrong type: an error of ours."""


def run(graph: Graph) -> Graph:
    """Replace every composite node by what its lowering records; new composites in turn."""
    _expand_block(graph, graph.body, {})
    return graph


def _expand_block(graph: Graph, block: Block, replaced: dict[Node, Node]) -> None:
    pending = list(reversed(block.nodes))
    done: list[Node] = []
    while pending:
        node = pending.pop()
        node.inputs = tuple(replaced.get(x, x) for x in node.inputs)
        if not OPS[node.op].composite:
            done.append(node)
            for inner in node.blocks:
                _expand_block(graph, inner, replaced)
            continue
        made, result = _lower(graph, node)
        replaced[node] = result
        pending += reversed(made)
    for old, new in list(replaced.items()):
        replaced[old] = replaced.get(new, new)
    block.nodes = done


def _lower(graph: Graph, node: Node) -> tuple[list[Node], Node]:
    """The nodes that stand for a composite node, and the one with its value."""
    lowering = LOWERINGS.get(node.op)
    if lowering is None:
        raise ExpandError(f"{node.loc}: there is no lowering of {node.op} in compiler/math")
    block = Block()
    builder = Builder(graph, block, loc=node.loc)
    with builder.active():
        result = lowering(*(wrap(x) for x in node.inputs), **node.attrs).node
    if result.type != node.type:
        raise ExpandError(
            f"{node.loc}: the lowering of {node.op} gives {result.type}, not {node.type}"
        )
    return block.nodes, result
