"""Common subexpressions: equal nodes are computed once, and loads see the last store.

Requires: nothing. Ensures: the same meaning. Of two nodes with the same op, operands and attributes
the second is replaced by the first where that is in scope; random bits and effects never merge.
A load of a variable whose value is known, from a store or load before, is that value; but while a
gradient for the variable is still to be taken its loads stay, for they are what it is taken by.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ..ir.graph import Block, Graph, Node, Var
from ..ir.ops import OPS
from .rewrite import Rewriter


def run(graph: Graph) -> Graph:
    """The graph without repeated computations."""
    return _Merger(graph).run()


class _Merger(Rewriter):
    def __init__(self, graph: Graph):
        super().__init__(graph, lambda _, node: self._merge(node))
        self.known: list[dict[Hashable, Node]] = []
        self.differentiated = {n.attrs["var"] for n in graph.walk() if n.op == "grad"}
        self.held: list[dict[Var, Node | None]] = []  # by block: what a variable holds

    def _block(self, block: Block) -> Block:
        self.known.append({})
        self.held.append({v: None for v in self._stored([block])} if self.held else {})
        made = super()._block(block)
        self.known.pop()
        self.held.pop()
        return made

    def _node(self, node: Node) -> None:
        super()._node(node)
        for var in self._stored(list(node.blocks)):
            self.held[-1][var] = None

    @staticmethod
    def _stored(blocks: list[Block]) -> list[Var]:
        found = [n.attrs["var"] for b in blocks for n in b.walk() if n.op == "store"]
        return list(dict.fromkeys(found))

    def _merge(self, node: Node) -> Node:
        if node.op == "store":
            self.held[-1][node.attrs["var"]] = node.inputs[0]
        elif node.op == "load":
            return self._load(node)
        if not OPS[node.op].mergeable:
            return node
        attrs = tuple((k, _key(v)) for k, v in sorted(node.attrs.items()))
        key = (node.op, node.inputs, attrs)
        for scope in reversed(self.known):
            if key in scope:
                return scope[key]
        self.known[-1][key] = node
        return node

    def _load(self, node: Node) -> Node:
        var = node.attrs["var"]
        for scope in reversed(self.held):
            if var in scope:
                value = scope[var]
                if value is None or value.type != node.type:
                    break
                own = value.op == "load" and value.attrs["var"] is var
                if own or var not in self.differentiated:
                    return value
                break
        self.held[-1][var] = node
        return node


def _key(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        data = value.tobytes() if value.dtype != object else tuple(value.ravel())
        return value.shape, str(value.dtype), data
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    return value  # type: ignore[no-any-return]
