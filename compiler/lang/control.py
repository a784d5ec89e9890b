"""Loops and branches. Bodies are traced once and become blocks of the graph.

Because a body runs many times but is traced once, what changes from one iteration to the next must
live in a variable (`state`, `loop.accumulator`). A Python name that the body reads first and binds
anew later would keep its first value for ever; such names are found by comparing the caller's
names before and after the body, and are an error.
"""

from __future__ import annotations

import contextlib
import dis
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np

from ..ir.graph import Block, Node
from . import functions, randomness
from .arith import equal
from .builder import Builder, current
from .errors import ProgramError
from .tensor import Operators, Tensor, Value, Variable, as_tensor, cint, state, wrap

_PLAIN = (int, float, bool, str, Tensor)


class _Body:
    """One block being traced by a Python `for`: opens it, closes it, and compares names."""

    def __init__(self, op: str, frame: FrameType, **attrs: Any) -> None:
        self.builder = current()
        self.block = Block()
        self.frame = frame
        self.loc = self.builder.loc()
        self.before = dict(frame.f_locals)
        self.span = _loop_span(frame)
        if self.span is None:
            raise self.builder.error(
                f"{op} is not the iterable of a `for` statement", "write: for i in loop(n): ..."
            )
        self.node = self.builder.emit(op, blocks=(self.block,), **attrs)
        self.builder.push(self.block)

    def close(self) -> None:
        self.builder.pop(self.block)
        after = self.frame.f_locals
        assert self.span is not None
        stale = _read_first(self.frame.f_code, *self.span)
        for name in sorted(stale & set(self.before) & set(after)):
            old, new = self.before[name], after[name]
            if old is new or not (isinstance(old, _PLAIN) and isinstance(new, _PLAIN)):
                continue
            if isinstance(old, Tensor) and not self.builder.is_open(old._node):
                continue
            if not isinstance(new, Tensor) and not isinstance(old, Tensor) and old == new:
                continue
            raise ProgramError(
                f"`{name}` is bound anew in this loop and read by its next iteration, "
                "but the body is traced only once: it would keep its first value",
                self.loc,
                f"make it a variable: {name} = state(...) before the loop, "
                f"{name} += ... or {name}.set(...) inside",
            )


def _loop_span(frame: FrameType) -> tuple[int, int] | None:
    """Offsets of the body of the `for` statement that a frame is at, or None."""
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset == frame.f_lasti and instruction.opname == "FOR_ITER":
            return instruction.offset, int(instruction.argval)
    return None


def _read_first(code: CodeType, start: int, stop: int) -> set[str]:
    """Names whose first use in a range of bytecode is a read."""
    seen: dict[str, bool] = {}
    for instruction in dis.get_instructions(code):
        if not start < instruction.offset < stop:
            continue
        kind = instruction.opname
        if not re.match("(LOAD|STORE)_(FAST|DEREF)", kind) or kind.endswith("AND_CLEAR"):
            continue
        values = instruction.argval
        names = values if isinstance(values, tuple) else (values,)
        for name, access in zip(names, re.findall("LOAD|STORE", kind), strict=True):
            seen.setdefault(name, access == "LOAD")
    return {name for name, read in seen.items() if read}


class LoopRange:
    """`for i in loop(n)`: i is a clear integer, the body runs n times."""

    def __init__(self, trips: int) -> None:
        if isinstance(trips, bool) or not isinstance(trips, int | np.integer) or trips < 0:
            raise current().error(
                f"loop takes a Python integer >= 0, not {trips!r}",
                "for a bound known at run time use while_(condition, max_trips=n)",
            )
        self.trips = int(trips)
        self._body: _Body | None = None

    def __iter__(self) -> LoopRange:
        return self

    def __next__(self) -> Tensor:
        if self._body is None:
            return self.open(sys._getframe(1))
        self.close()
        raise StopIteration

    def open(self, frame: FrameType) -> Tensor:
        """Start the body, in the `for` statement that a frame is at; its index."""
        self._body = _Body("loop", frame, trips=self.trips)
        return wrap(self._body.node)

    def close(self) -> None:
        """End the body."""
        assert self._body is not None
        self._body.close()


class Batches:
    """Mini-batches of tensors, rows of the first axis; see `loop.batches`."""

    def __init__(
        self, tensors: tuple[Operators, ...], batch: int, shuffle: str | bool, drop_last: bool
    ) -> None:
        b = current()
        if isinstance(shuffle, bool):
            shuffle = "public" if shuffle else "none"
        if shuffle not in ("public", "secret", "none"):
            raise b.error(f"shuffle={shuffle!r}", 'write "public", "secret" or "none"')
        rows = {t.shape[0] if t.shape else 0 for t in tensors}
        if len(rows) != 1:
            raise b.error(f"tensors of {', '.join(map(str, sorted(rows)))} rows do not go together")
        self.rows = rows.pop()
        if not isinstance(batch, int) or not 1 <= batch <= self.rows:
            raise b.error(f"batches of {batch} of {self.rows} rows")
        self.tensors, self.batch, self.shuffle = tensors, batch, shuffle
        self._rows_now = tensors
        self.rest = 0 if drop_last else self.rows % batch
        self._order: Tensor | None = None
        self._loop: LoopRange | None = None
        self._stage = 0

    def __len__(self) -> int:
        """Number of batches in one pass."""
        return self.rows // self.batch + (self.rest > 0)

    def __iter__(self) -> Batches:
        self._stage = 0
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        full = self.rows // self.batch
        if self._stage == 0:
            self._stage = 1
            if self.shuffle == "secret":
                self._rows_now = randomness.shuffle(*self.tensors)
            elif self.shuffle == "public":
                self._order = functions.permutation(self.rows)
            self._loop = LoopRange(full)
            return self._rows(self._loop.open(sys._getframe(1)))
        if self._stage == 1:
            self._stage = 2
            assert self._loop is not None
            self._loop.close()
            if self.rest:
                return self._last(full * self.batch)
        raise StopIteration

    def _rows(self, i: Tensor) -> tuple[Tensor, ...]:
        if self._order is None:
            index = i * self.batch + np.arange(self.batch)
        else:
            whole = self._order[: len(self) * self.batch if not self.rest else -self.rest]
            index = whole.reshape(-1, self.batch)[i]
        return tuple(t[index] for t in self._rows_now)

    def _last(self, start: int) -> tuple[Tensor, ...]:
        if self._order is None:
            return tuple(t[start:] for t in self._rows_now)
        index = self._order[start:]
        return tuple(t[index] for t in self._rows_now)


class loop(LoopRange):
    """`for i in loop(n):` traces the body once and runs it n times.

    i is a clear integer tensor, 0 … n-1. Values made in the body end with it; what lives on is
    kept in variables.
    """

    @staticmethod
    def batches(
        *tensors: Operators, batch: int, shuffle: str | bool = "public", drop_last: bool = True
    ) -> Batches:
        """`for xb, yb in loop.batches(x, y, batch=128):` loops over mini-batches of rows.

        Args:
            tensors: tensors with the same first axis.
            batch: rows of a batch.
            shuffle: the order of rows, anew for each pass. "public" (or True): a permutation that
                everybody knows; "secret": one that nobody knows, at 3 rounds and two words an
                element a party; "none" (or False): as they are.
            drop_last: leave out the last rows that do not fill a batch; otherwise they are a batch
                of their own, for which the body is traced a second time.

        The iterator's `len()` is the number of batches.
        """
        return Batches(tensors, batch, shuffle, drop_last)

    @staticmethod
    def accumulator(init: Value) -> Variable:
        """A variable to add up in: `total = loop.accumulator(0.0)`, `total += x` in the loop."""
        return state(init, "accumulator")


class while_:
    """`for _ in while_(lambda: error.reveal() > 0.1, max_trips=100):` repeats while a clear
    condition holds, at most `max_trips` times.

    The condition is computed anew before each iteration; it reads variables.
    """

    def __init__(self, condition: Callable[[], Tensor], *, max_trips: int) -> None:
        if not callable(condition):
            raise current().error(
                "while_ takes a function that computes the condition",
                "write while_(lambda: x.reveal() > 0, max_trips=100)",
            )
        self.condition, self.max_trips = condition, max_trips
        self._body: _Body | None = None

    def __iter__(self) -> while_:
        return self

    def __next__(self) -> None:
        if self._body is not None:
            self._body.close()
            raise StopIteration
        self._body = _Body("while", sys._getframe(1), max_trips=self.max_trips)
        condition = _condition(self.condition())
        self._body.builder.emit("break_if_zero", [condition.node])


def checkpoint() -> None:
    """A place, inside a loop, where the run may be saved and later resumed.

    `sequester run --checkpoint-every N` saves at every N-th time that the run passes one; without
    that option it costs nothing. The end of an epoch, or of a batch, is a good place: few values
    are in use there besides the variables.
    """
    b = current()
    if len(b.blocks) < 2:
        raise b.error("checkpoint() outside of a loop", "write it at the end of the loop's body")
    b.emit("checkpoint")


def _condition(value: Any) -> Tensor:
    c = as_tensor(value)
    b = current()
    if c.secret:
        raise b.error(
            "a branch on a secret value",
            "compute both sides and use where(condition, a, b), or reveal() what may be known",
        )
    if c.size != 1:
        raise b.error(f"a condition of shape {c.shape}", "reduce it to one value")
    if not isinstance(c, cint):
        raise b.error("a condition that is no comparison", "compare: x > 0")
    return c.reshape(())


@contextlib.contextmanager
def if_(condition: Value) -> Iterator[None]:
    """`with if_(c):` runs the body if the clear condition is not 0; `with else_():` may follow."""
    b = current()
    c = _condition(condition)
    c = equal(c, 0).logical_not()
    then, other = Block(), Block()
    b.emit("if", [c.node], blocks=(then, other))
    with _block(b, then):
        yield


@contextlib.contextmanager
def else_() -> Iterator[None]:
    """The other branch of the `if_` just before it."""
    b = current()
    nodes = b.blocks[-1].nodes
    node: Node | None = nodes[-1] if nodes else None
    if node is None or node.op != "if" or node.blocks[1].nodes:
        raise b.error("else_ does not follow an if_ directly")
    with _block(b, node.blocks[1]):
        yield


@contextlib.contextmanager
def _block(b: Builder, block: Block) -> Iterator[None]:
    b.push(block)
    yield
    b.pop(block)
