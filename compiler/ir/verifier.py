"""The verifier: what every pass must leave behind.

Single definition, definition before use, scoping of blocks, types as the op table's rules compute
them, declared variables, inputs and outputs, and the security rules: `reveal` alone leads from a
secret to a clear value, and nothing branches on a secret or prints it.
"""

from __future__ import annotations

from .graph import Block, Graph, Node
from .ops import OPS, OpError, infer
from .types import Type

_BLOCKS = {"loop": 1, "while": 1, "if": 2}


class VerifierError(Exception):
    """A graph is not well formed: an error of a pass (ours), not of the program's author."""


def verify(graph: Graph) -> Graph:
    """Check a graph and return it.

    Raises:
        VerifierError: names the node, the rule and the source line.
    """
    _Verifier(graph).run()
    return graph


class _Verifier:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.vars = set(graph.vars)
        self.seen: set[Node] = set()
        self.inputs: list[object] = []
        self.outputs: list[object] = []

    def run(self) -> None:
        names = [v.name for v in self.graph.vars]
        if len(set(names)) != len(names):
            raise VerifierError("two variables have the same name")
        self._block(self.graph.body, set(), loops=0)
        if sorted(map(repr, self.inputs)) != sorted(map(repr, self.graph.inputs)):
            raise VerifierError("the input nodes are not the declared inputs")
        if sorted(map(repr, self.outputs)) != sorted(map(repr, self.graph.outputs)):
            raise VerifierError("the output nodes are not the declared outputs")

    def _block(self, block: Block, outer: set[Node], loops: int) -> None:
        visible = set(outer)
        for node in block.nodes:
            if node in self.seen:
                raise self._error(node, "appears twice")
            self.seen.add(node)
            self._node(node, visible, loops)
            inner = visible | {node} if node.op == "loop" else visible
            for sub in node.blocks:
                self._block(sub, inner, loops + (node.op in ("loop", "while")))
            if node.type is not None and node.op != "loop":
                visible.add(node)

    def _node(self, node: Node, visible: set[Node], loops: int) -> None:
        if node.op not in OPS:
            raise self._error(node, "is not in the op table")
        for x in node.inputs:
            if x not in visible:
                raise self._error(node, f"uses {x.op} (%{x.id}, {x.loc}) outside of its block, "
                                        "or before its definition")  # fmt: skip
        if len(node.blocks) != _BLOCKS.get(node.op, 0):
            raise self._error(node, f"has {len(node.blocks)} blocks")
        try:
            expected = infer(node.op, node.inputs, node.attrs, self.graph.config)
        except OpError as error:
            raise self._error(node, f"breaks its type rule: {error}") from None
        if expected != node.type:
            raise self._error(node, f"has type {node.type}, its rule gives {expected}")
        self._security(node, expected)
        if node.op in ("load", "store") and node.attrs["var"] not in self.vars:
            raise self._error(node, "names a variable that is not declared")
        if node.op == "break_if_zero" and not loops:
            raise self._error(node, "stands outside of a loop")
        if node.op == "input":
            self.inputs.append(node.attrs["input"])
        if node.op == "output":
            self.outputs.append(node.attrs["output"])

    def _security(self, node: Node, result: Type | None) -> None:
        takes_secret = any(x.t.secret for x in node.inputs)
        opens = result is not None and not result.secret
        if takes_secret and opens and node.op != "reveal":
            raise self._error(node, "leads from a secret to a clear value")
        if takes_secret and (node.op in _BLOCKS or node.op in ("break_if_zero", "print")):
            raise self._error(node, "branches on a secret, or prints it")

    @staticmethod
    def _error(node: Node, what: str) -> VerifierError:
        return VerifierError(f"{node.op} (%{node.id}, {node.loc}) {what}")
