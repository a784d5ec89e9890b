"""The builder of a graph: where nodes go, and which line of the author's program they belong to.

One context variable holds the builder of the program being traced; nothing else here is global.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from types import FrameType
from typing import Any

from ..ir.graph import Block, Config, Graph, Loc, Node, Var
from ..ir.ops import OpError, infer
from ..ir.types import Type
from .errors import ProgramError

_PACKAGE = __name__.rsplit(".", 2)[0]  # the package `compiler`, whatever it is imported as
_SKIP = (_PACKAGE, "contextlib")
_current: ContextVar[Builder | None] = ContextVar("builder", default=None)


class Builder:
    """Appends nodes to the innermost open block of a graph.

    Args:
        graph: the graph that is built or extended.
        block: where nodes go; default: the graph's body.
        root: folder that file names are given relative to.
        loc: a fixed source line for every node (passes); None: find the author's line.
    """

    def __init__(
        self,
        graph: Graph,
        block: Block | None = None,
        *,
        root: str = "",
        loc: Loc | None = None,
    ) -> None:
        self.graph = graph
        self.root = root
        self.fixed_loc = loc
        self.blocks: list[Block] = [graph.body if block is None else block]
        self.openers: list[Loc | None] = [None]
        self.scopes: list[str] = []
        self._home: dict[Node, Block] = {}
        self._names: dict[str, int] = {}

    @property
    def config(self) -> Config:
        return self.graph.config

    @contextlib.contextmanager
    def active(self) -> Iterator[Builder]:
        """Make this the builder that language tensors record into."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    @staticmethod
    def active_one() -> Builder | None:
        """The builder of the program being traced, if one is."""
        return _current.get()

    def loc(self) -> Loc:
        """The author's line: the first frame outside of the package."""
        if self.fixed_loc is not None:
            return self.fixed_loc
        frame = author_frame()
        name = frame.f_code.co_filename
        if self.root:
            relative = os.path.relpath(name, self.root)
            name = os.path.basename(name) if relative.startswith("..") else relative
        return Loc(name, frame.f_lineno, ".".join(self.scopes))

    def error(self, message: str, hint: str = "") -> ProgramError:
        """A `ProgramError` at the author's line."""
        return ProgramError(message, self.loc(), hint)

    def emit(
        self, name: str, inputs: Sequence[Node] = (), blocks: tuple[Block, ...] = (), **attrs: Any
    ) -> Node:
        """Append one node; its type comes from the op table.

        Raises:
            ProgramError: operands that do not fit, or a value used outside of its block.
        """
        loc = self.loc()
        for x in inputs:
            self._check_open(x, loc)
        try:
            result = infer(name, inputs, attrs, self.config)
        except OpError as error:
            raise ProgramError(str(error), loc, error.hint) from None
        node = Node(name, tuple(inputs), attrs, result, loc, blocks)
        self._place(node, self.blocks[-1], len(self.blocks[-1].nodes))
        return node

    def emit_after(self, node: Node, name: str, **attrs: Any) -> Node:
        """A node with the single operand `node`, placed just behind it in its own block."""
        block = self._home.get(node)
        if block is None:
            return self.emit(name, (node,), **attrs)
        self._check_open(node, self.loc())
        result = infer(name, (node,), attrs, self.config)
        made = Node(name, (node,), attrs, result, node.loc)
        at = len(block.nodes) - 1
        while block.nodes[at] is not node:
            at -= 1
        self._place(made, block, at + 1)
        return made

    def _place(self, node: Node, block: Block, at: int) -> None:
        block.nodes.insert(at, node)
        self._home[node] = block

    def _check_open(self, node: Node, loc: Loc) -> None:
        home = self._home.get(node)
        if home is not None and home not in self.blocks:
            raise ProgramError(
                f"a value made at {node.loc}, inside a loop or branch, is used outside of it",
                loc,
                "keep it in a variable: v = state(...) before, v.set(x) inside, v afterwards",
            )

    def is_open(self, node: Node) -> bool:
        """Whether the value may be used at this place."""
        home = self._home.get(node)
        return home is None or home in self.blocks

    def push(self, block: Block) -> None:
        """Open a block."""
        self.blocks.append(block)
        self.openers.append(self.loc())

    def pop(self, block: Block) -> None:
        """Close a block, which must be the innermost one."""
        self.expect_innermost(block)
        self.blocks.pop()
        self.openers.pop()

    def expect_innermost(self, block: Block) -> None:
        """Refuse a loop that Python left early: its block is still open."""
        if self.blocks[-1] is not block:
            raise ProgramError(
                "this loop was left by break, return or an exception",
                self.openers[-1],
                "the loop is traced once and runs as a whole; use while_(condition, max_trips=n)",
            )

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Nodes recorded inside belong to the layer `name` (nested names join with dots)."""
        self.scopes.append(name)
        try:
            yield
        finally:
            self.scopes.pop()

    def variable(self, name: str, type_: Type) -> Var:
        """New named memory; a name in use gets a number."""
        var = Var(self.unique(name), type_, self.loc())
        self.graph.vars.append(var)
        return var

    def unique(self, name: str) -> str:
        """`name`, or `name_2`, `name_3` … if it is taken."""
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else self.unique(f"{name}_{count}")

    def stream(self) -> int:
        """The number of the next stream of public randomness."""
        return sum(n.op in ("perm", "uniform") for n in self.graph.walk())


def current() -> Builder:
    """The builder of the program being traced."""
    builder = _current.get()
    if builder is None:
        raise ProgramError(
            "no program is being traced",
            None,
            "write tensor code in a function decorated with @program",
        )
    return builder


def author_frame() -> FrameType:
    """The innermost frame outside of the package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not inside_package(frame):
            return frame
        if frame.f_back is None:
            break
        frame = frame.f_back
    assert frame is not None
    return frame


def inside_package(frame: FrameType) -> bool:
    """Whether a frame runs code of the compiler itself."""
    name = frame.f_globals.get("__name__", "")
    return any(name == p or name.startswith(p + ".") for p in _SKIP)
