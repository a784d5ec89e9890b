"""Watching a graph run: on the ring and on real numbers side by side, or on the ring alone.

What the numbers of a layer or of a source line need, what rounding did to them, and where they left
their range. Nothing stops at an overflow: the ring goes on with what is left, as the protocols do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graph import Block, Graph, Loc, Node
from .numeric import Array, Field, Ring
from .ops import OPS, Domain
from .reference import Break, ExecutionError, Executor, Result, last_uses
from .types import Type

Pair = tuple[Array, Array]
_LOW, _HIGH = -80, 80  # exponents that are told apart

_CONTROL = ("loop", "while", "if", "break_if_zero")


@dataclass
class Stats:
    """What was seen of secret fixed-point values of one kind.

    Attributes:
        elements: how many.
        largest: in magnitude, on real numbers.
        error: largest difference between ring and real numbers.
        drift: sum of the differences' magnitudes.
        mass: sum of magnitudes on real numbers, by exponent: |x| in [2^(e-1), 2^e) is in place
            e + 80.
        lost: of it, what is 0 on the ring.
    """

    elements: int = 0
    largest: float = 0.0
    error: float = 0.0
    drift: float = 0.0
    mass: Array = field(default_factory=lambda: np.zeros(_HIGH - _LOW))
    lost: float = 0.0

    def take(self, exact: Array, real: Array) -> None:
        """Add values, both as real numbers."""
        size = np.abs(real).ravel()
        if not size.size:
            return
        self.elements += size.size
        self.largest = max(self.largest, float(size.max()))
        apart = np.abs(exact - real)
        self.error = max(self.error, float(apart.max()))
        self.drift += float(apart.sum())
        self.lost += float(size[exact.ravel() == 0].sum())
        places = np.clip(np.frexp(size)[1], _LOW, _HIGH - 1) - _LOW
        self.mass += np.bincount(places, weights=size, minlength=_HIGH - _LOW)

    def lost_share(self) -> float:
        """The share of the magnitude that rounding made 0."""
        total = float(self.mass.sum())
        return self.lost / total if total else 0.0

    def below(self, f: int) -> float:
        """The share of the magnitude in values less than half a unit of f fractional bits."""
        total = float(self.mass.sum())
        return float(self.mass[: max(0, -f - _LOW)].sum()) / total if total else 0.0

    def whole_bits(self) -> int:
        """Bits before the point that the largest value needs, at least 0."""
        if not math.isfinite(self.largest):
            return _HIGH
        return max(0, math.frexp(self.largest)[1])


@dataclass(frozen=True)
class Overflow:
    """Where values left their range: `reached` is not below `limit`, as real numbers."""

    loc: Loc
    what: str
    reached: float
    limit: float

    def __str__(self) -> str:
        return f"{self.loc.place}: {self.what} {self.reached:.6g} is not below {self.limit:g}"


@dataclass
class Fault:
    """A function that met `count` of `elements` numbers it is not defined for, one of them
    `example`, in float or on the ring; `wants` says what it is defined for."""

    loc: Loc
    op: str
    wants: str
    count: int
    elements: int
    example: float

    def __str__(self) -> str:
        return (
            f"{self.loc.place}: {self.op} wants {self.wants}, and met {self.count} of "
            f"{self.elements} that are not, such as {self.example:.6g}"
        )


class _Watching(Ring):
    """A ring that reports products out of range instead of raising."""

    watch: Watcher

    def _check(self, estimate: Array) -> None:
        if estimate.size:
            self.watch.product(float(np.abs(estimate).max()), self.bits - 2)


class _WatchingField(_Watching, Field):
    """The same in the field."""


def steps(graph: Graph) -> int:
    """How many nodes a run evaluates, control flow aside, if no loop or `if` ends early."""
    return _steps(graph.body)


def _steps(block: Block) -> int:
    total = 0
    for node in block.nodes:
        inner = [_steps(b) for b in node.blocks]
        if node.op == "if":
            total += max(inner)
        elif inner:
            total += inner[0] * int(node.attrs["trips" if node.op == "loop" else "max_trips"])
        else:
            total += node.op not in _CONTROL
    return total


class Watcher(Executor):
    """Runs a graph on the ring and collects overflows, the largest of each line and kind, in their
    order. `tick` is called after each of its `steps`.

    Raises ExecutionError as `reference.run`, but not for values out of range.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[tuple[int, str], Any],
        *,
        public_seed: bytes,
        rng: np.random.Generator,
        tick: Callable[[], None],
    ) -> None:
        super().__init__(graph, dict(inputs), "exact", public_seed, rng, True)
        kind = _WatchingField if self.config.field else _Watching
        watching = kind(self.config.ring_bits, rng, checked=True)
        watching.watch = self
        self.s = watching
        self.overflows: dict[tuple[Loc, str], Overflow] = {}
        self.tick = tick
        self.at: Node | None = None

    def _node(self, node: Node, operands: list[Array], values: dict[Node, Array]) -> Array | None:
        self.at = node
        value = super()._node(node, operands, values)
        self.at = node
        if node.op not in _CONTROL:
            self.tick()
        return value

    def evaluate(self, node: Node, operands: list[Array]) -> Array | None:
        """One node that is no control flow, checked."""
        value = self._node(node, operands, {})
        self._check(node, operands, value)
        return value

    def product(self, reached: float, bits: int) -> None:
        """A product, or an operand of a truncation, of such a magnitude on the ring."""
        if reached < 2.0**bits:
            return
        assert self.at is not None
        f = self.at.t.f + self.at.attrs.get("m", 0)
        f = f if f > self.config.f else 2 * self.config.f  # a product within a composite
        self._note(self.at, "a product before truncation reaches", reached, bits, f)

    def _within(self, node: Node, t: Type, value: Array, bits: int) -> None:
        largest = max(abs(int(value.max())), abs(int(value.min()))) if value.size else 0
        if largest >= 1 << bits:
            compared = node.op in ("ltz", "eqz")
            what = (
                "a compared value" if compared else "an input" if node.op == "input" else "a value"
            )
            self._note(node, what, float(largest), bits, t.f)

    def _note(self, node: Node, what: str, reached: float, bits: int, f: int) -> None:
        new = Overflow(node.loc, what, reached / 2.0**f, 2.0 ** (bits - f))
        old = self.overflows.get((node.loc, what))
        if old is None or new.reached > old.reached:
            self.overflows[node.loc, what] = new


class Lockstep:
    """Runs a graph (gradients expanded, composites not) on the ring and on real numbers at once.

    Branches and `while` follow the ring; secret random bits are the same in both. `stats` has what
    was seen of each node, `faults` who met what it is not defined for, `gradients` the nodes that
    belong to a gradient, whose ids are above `last_traced`, or are computed from one.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[tuple[int, str], Any],
        *,
        public_seed: bytes,
        rng: np.random.Generator,
        last_traced: int,
        tick: Callable[[], None],
    ) -> None:
        self.graph = graph
        self.gradients: set[Node] = set()
        for node in graph.walk():
            if node.id > last_traced or not self.gradients.isdisjoint(node.inputs):
                self.gradients.add(node)
        self.exact = Watcher(graph, inputs, public_seed=public_seed, rng=rng, tick=tick)
        self.real = Executor(graph, dict(inputs), "float", public_seed, rng, False)
        self.stats: dict[Node, Stats] = {}
        self.faults: dict[tuple[Loc, str], Fault] = {}

    def run(self) -> tuple[Result, Result]:
        """Results on the ring and on real numbers."""
        self.exact.prepare()
        self.real.prepare()
        with np.errstate(all="ignore"):
            self._block(self.graph.body, {})
        return self.exact.result, self.real.result

    def _block(self, block: Block, outer: dict[Node, Pair]) -> None:
        dying = last_uses(block)
        values = dict(outer)
        for i, node in enumerate(block.nodes):
            if node.op in _CONTROL:
                self._control(node, values)
            else:
                pair = self._pair(node, [values[x] for x in node.inputs])
                if pair is not None:
                    values[node] = pair
            for dead in dying.get(i, ()):
                values.pop(dead, None)

    def _control(self, node: Node, values: dict[Node, Pair]) -> None:
        if node.op == "break_if_zero":
            if not values[node.inputs[0]][0].any():
                raise Break
        elif node.op == "if":
            self._block(node.blocks[0 if values[node.inputs[0]][0].any() else 1], values)
        else:
            for i in range(node.attrs["trips" if node.op == "loop" else "max_trips"]):
                index = (self.exact.s.array(i), self.real.s.array(i))
                try:
                    self._block(node.blocks[0], {**values, node: index})
                except Break:
                    break

    def _pair(self, node: Node, operands: list[Pair]) -> Pair | None:
        try:
            exact = self.exact.evaluate(node, [a for a, _ in operands])
            real = self.real.evaluate(node, [b for _, b in operands])
        except (IndexError, ZeroDivisionError) as error:
            raise ExecutionError(f"{node.loc}: {node.op}: {error}") from None
        if exact is None or real is None:
            return None
        domain = OPS[node.op].domain
        if domain is not None:
            self._domain(node, domain, *operands[-1])
        if node.t.bit and not node.inputs:
            real = exact  # coins
        t = node.t
        if t.secret and not t.bit and t.f == self.graph.config.f:
            stats = self.stats.setdefault(node, Stats())
            stats.take(self.exact.s.decode(exact, t.f), real)
        return exact, real

    def _domain(self, node: Node, domain: Domain, exact: Array, real: Array) -> None:
        """Note numbers that a function is not defined for; those of the ring are as it has them."""
        inside = domain.inside
        on_ring = self.exact.s.decode(exact, node.inputs[-1].t.f)
        outside = ~(inside(real) & inside(on_ring)).ravel()
        if outside.any():
            example = float(np.where(inside(real), on_ring, real).ravel()[outside][0])
            new = Fault(node.loc, node.op, domain.wants, 0, 0, example)
            fault = self.faults.setdefault((node.loc, node.op), new)
            fault.count += int(outside.sum())
            fault.elements += outside.size
