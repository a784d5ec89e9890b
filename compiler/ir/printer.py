"""Readable text of a graph."""

from __future__ import annotations

import numpy as np

from .graph import Block, Graph, Input, Node, Output, Var
from .types import Type


def show(graph: Graph) -> str:
    """The graph as text, one node a line, nodes numbered from %0 in order.

    >>> %3 = mul(%1, %2) m=16 mode=0 : sfix16[8]   # main.py:7
    """
    c = graph.config
    domain = "the field 2^127 - 1" if c.field else f"ring 2^{c.ring_bits}"
    lines = [f"{graph.name}: {domain}, k={c.k}, f={c.f}, {c.rounding} rounding"]
    lines += [f"var {v.name} : {v.type}" for v in graph.vars]
    numbers = {node: i for i, node in enumerate(graph.walk())}
    lines += _block(graph.body, numbers, "  ")
    return "\n".join(lines)


def _block(block: Block, numbers: dict[Node, int], indent: str) -> list[str]:
    lines = []
    for node in block.nodes:
        operands = ", ".join(f"%{numbers.get(x, '?')}" for x in node.inputs)
        attrs = "".join(f" {k}={_attr(v)}" for k, v in node.attrs.items())
        result = f"%{numbers[node]} = " if node.type is not None else ""
        kind = f" : {node.type}" if node.type is not None else ""
        scope = f" [{node.loc.scope}]" if node.loc.scope else ""
        lines.append(f"{indent}{result}{node.op}({operands}){attrs}{kind}   # {node.loc}{scope}")
        for i, inner in enumerate(node.blocks):
            lines.append(f"{indent}{'else ' if i else ''}{{")
            lines += _block(inner, numbers, indent + "  ")
            lines.append(f"{indent}}}")
    return lines


def _attr(value: object) -> str:
    if isinstance(value, np.ndarray):
        shown = ", ".join(str(v) for v in value.ravel()[:4])
        return f"[{shown}{', ...' if value.size > 4 else ''}]"
    if isinstance(value, Var):
        return value.name
    if isinstance(value, Input):
        return f"{value.party}:{value.name}"
    if isinstance(value, Output):
        return value.name
    if isinstance(value, Type):
        return str(value)
    return repr(value).replace(" ", "")
