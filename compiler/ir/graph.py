"""The tensor IR: nodes in blocks, blocks in a graph.

A node has one op (a row of `ops.OPS`), input nodes, attributes, one result type (None for pure
effects) and the source location of the author's line. A block is a list of nodes in an order that
respects data dependences and effects. `loop`, `while` and `if` nodes own sub-blocks
(`node.blocks`). Values of outer blocks may be used in inner ones, never the reverse; what changes
across iterations or branches lives in variables (`Var`), read by `load` and written by `store`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .types import Type


@dataclass(frozen=True)
class Loc:
    """A line of the author's program, and the layer it belongs to ("" if none)."""

    file: str
    line: int
    scope: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def place(self) -> str:
        """The line, and the layer if there is one."""
        return f"{self} ({self.scope})" if self.scope else str(self)


_ids = itertools.count()


@dataclass(eq=False)
class Node:
    """One operation. Identity is equality; `id` is unique in the process and only for printing."""

    op: str
    inputs: tuple[Node, ...]
    attrs: dict[str, Any]
    type: Type | None
    loc: Loc
    blocks: tuple[Block, ...] = ()
    id: int = field(default_factory=lambda: next(_ids))

    @property
    def t(self) -> Type:
        """The result type of a node that has one."""
        assert self.type is not None, f"{self.op} has no result"
        return self.type


@dataclass(eq=False)
class Block:
    """A straight run of nodes."""

    nodes: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """Every node, those of sub-blocks after their owner."""
        for node in self.nodes:
            yield node
            for block in node.blocks:
                yield from block.walk()


@dataclass(eq=False)
class Var:
    """Named memory: a tensor that outlives blocks (parameters, optimiser state, accumulators)."""

    name: str
    type: Type
    loc: Loc


@dataclass(frozen=True)
class Input:
    """A named array that one party brings."""

    party: int
    name: str
    type: Type


@dataclass(frozen=True)
class Output:
    """A named result; party None: to all."""

    name: str
    party: int | None
    type: Type


@dataclass(frozen=True)
class Config:
    """What the program is compiled for: integers mod 2^ring_bits, or the field of p = 2^127 - 1
    elements, where `ring_bits` only says that |z| < 2^(ring_bits - 2) before a rounding."""

    ring_bits: int = 64
    k: int = 31
    f: int = 16
    stat: int = 40
    rounding: str = "probabilistic"  # or "nearest"
    field: bool = False
    wide: bool = False  # mod 2^64, in words of 128 bits

    @property
    def mode(self) -> int:
        return 1 if self.rounding == "nearest" else 0


@dataclass(eq=False)
class Graph:
    """A traced program."""

    config: Config
    body: Block = field(default_factory=Block)
    vars: list[Var] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    name: str = "program"

    def walk(self) -> Iterator[Node]:
        return self.body.walk()
