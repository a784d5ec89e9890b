"""Walk a graph and rebuild it, node by node: what the graph passes have in common.

A pass never changes the graph it was given: nodes whose operands stay are shared, all others are
made anew, so that the graph before a pass can still be printed, run and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..ir.graph import Block, Graph, Loc, Node
from ..ir.ops import infer


class Rewriter:
    """Rebuilds a graph. `rule(rewriter, node)` sees each node with its new operands.

    The rule returns the node that stands for it (the same one to keep it, which is then placed), or
    one made by `make` or any earlier one.
    """

    def __init__(self, graph: Graph, rule: Callable[[Rewriter, Node], Node]):
        self.graph = graph
        self.rule = rule
        self.new: dict[Node, Node] = {}
        self.origin: dict[Node, Node] = {}  # a node made anew only for its operands -> the old one
        self.block: list[Node] = []
        self.loc = Loc("", 0)

    def run(self) -> Graph:
        """The new graph."""
        return replace(self.graph, body=self._block(self.graph.body))

    def make(self, op: str, *inputs: Node, **attrs: Any) -> Node:
        """A new node at the current place, with the current node's source line."""
        node = Node(op, inputs, attrs, infer(op, inputs, attrs, self.graph.config), self.loc)
        self.block.append(node)
        return node

    def _block(self, block: Block) -> Block:
        outer, self.block = self.block, []
        for node in block.nodes:
            self.loc = node.loc
            self._node(node)
        made, self.block = self.block, outer
        return Block(made)

    def _node(self, node: Node) -> None:
        inputs = tuple(self.new.get(x, x) for x in node.inputs)
        if node.blocks:
            kept = Node(node.op, inputs, node.attrs, node.type, node.loc)
            self.new[node] = kept  # before the body: a loop is its own index
            kept.blocks = tuple(self._block(b) for b in node.blocks)
            self.block.append(kept)
            return
        same = all(x is y for x, y in zip(inputs, node.inputs, strict=True))
        kept = node if same else Node(node.op, inputs, node.attrs, node.type, node.loc)
        if kept is not node:
            self.origin[kept] = node
        result = self.rule(self, kept)
        if result is kept:
            self.block.append(kept)
        if result is not node:
            self.new[node] = result

    def used_once(self, node: Node, uses: dict[Node, int]) -> bool:
        """By the counts of the old graph; nodes that are new in this walk do not count."""
        return uses.get(self.origin.get(node, node)) == 1


def copy(graph: Graph) -> Graph:
    """The same graph of new nodes."""
    new: dict[Node, Node] = {}

    def block(old: Block) -> Block:
        made = Block()
        for node in old.nodes:
            inputs = tuple(new[x] for x in node.inputs)
            new[node] = twin = Node(node.op, inputs, dict(node.attrs), node.type, node.loc)
            twin.blocks = tuple(block(b) for b in node.blocks)
            made.nodes.append(twin)
        return made

    return replace(graph, body=block(graph.body))


def use_counts(graph: Graph) -> dict[Node, int]:
    """How often each node is an operand."""
    counts: dict[Node, int] = {}
    for node in graph.walk():
        for x in node.inputs:
            counts[x] = counts.get(x, 0) + 1
    return counts
