"""Dead code: nodes whose results nobody uses, and stores into variables that nobody loads.

Requires: nothing. Ensures: the same effects; variables without loads are gone with their stores.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.graph import Block, Graph, Node
from ..ir.ops import OPS


def run(graph: Graph) -> Graph:
    """The graph without dead nodes."""
    loaded = {n.attrs["var"] for n in graph.walk() if n.op == "load"}
    while True:
        live = _live(graph, loaded)
        still = {n.attrs["var"] for n in live if n.op == "load"}
        if still == loaded:
            break
        loaded = still
    new: dict[Node, Node] = {}
    body = _kept(graph.body, live, new)
    return replace(graph, body=body, vars=[v for v in graph.vars if v in loaded])


def _live(graph: Graph, loaded: set[object]) -> set[Node]:
    """Effects, and all they depend on; a store counts if its variable is loaded."""
    todo = [
        n
        for n in graph.walk()
        if OPS[n.op].effect and (n.op != "store" or n.attrs["var"] in loaded)
    ]
    live = set(todo)
    while todo:
        for x in todo.pop().inputs:
            if x not in live:
                live.add(x)
                todo.append(x)
    return live


def _kept(block: Block, live: set[Node], new: dict[Node, Node]) -> Block:
    """The block's live nodes; owners of blocks are made anew, as their blocks are."""
    out = []
    for node in block.nodes:
        if node not in live:
            continue
        inputs = tuple(new.get(x, x) for x in node.inputs)
        if node.blocks or inputs != node.inputs:
            kept = Node(node.op, inputs, node.attrs, node.type, node.loc)
            new[node] = kept
            kept.blocks = tuple(_kept(b, live, new) for b in node.blocks)
            node = kept
        out.append(node)
    return Block(out)
