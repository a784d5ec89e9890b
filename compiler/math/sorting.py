"""Sorting along an axis, whole or in part: by ranks, or, for much data, by Batcher's network.

By ranks [BogdanovLaurTalviste2014]: all pairs are compared at once; how many elements come before
one is its place; an equality test for each element and place then says which goes where. These are
11 rounds for up to 16 elements and 12 for up to 256, but n^2 selections, so it is for few elements.

In the network the index of each element stands in bits below its value, so that one comparison and
one selection move both.

Either way equal elements keep their order, and a gradient goes back by the very same bits: the pass
that merges common subexpressions leaves one computation for values, indices and gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ..lang.builder import current
from ..lang.lowering import lowering
from ..lang.tensor import Tensor, emit
from .compare import axis_back, axis_first, index_of
from .fixed import (
    add,
    config,
    expand,
    is_negative,
    numbers,
    planes,
    precision,
    public_units,
    rounded,
    scaled,
    select,
    shifted,
    sub,
    times,
    weighted,
)

Layer = tuple[tuple[int, int], ...]
BY_RANKS = 1 << 17  # elements times places, up to which bytes are cheap beside the rounds saved


@cache
def network(n: int, needed: int) -> tuple[Layer, ...]:
    """Comparators (i, j), i < j, in layers that run at once: odd-even merge sort [Batcher1968] of n
    elements, without what the first `needed` places do not depend on."""
    size = 1 << max(n - 1, 0).bit_length()
    layers: list[list[tuple[int, int]]] = []
    block = 1
    while block < size:
        distance = block
        while distance:
            layers.append([
                (i, i + distance)
                for start in range(distance % block, size - distance, 2 * distance)
                for i in range(start, min(start + distance, size - distance))
                if i // (2 * block) == (i + distance) // (2 * block) and i + distance < n
            ])  # fmt: skip
            distance //= 2
        block *= 2
    wanted, kept = set(range(needed)), []
    for layer in reversed(layers):
        used = tuple((i, j) for i, j in layer if i in wanted or j in wanted)
        wanted |= {place for pair in used for place in pair}
        if used:
            kept.append(used)
    return tuple(reversed(kept))


@dataclass(frozen=True)
class _Sorted:
    """Keys (n, m) in ascending order, and per layer the bits that say which pairs were swapped."""

    keys: Tensor
    swaps: list[Tensor]


def _index_bits(n: int) -> int:
    bits = max(1, (n - 1).bit_length())
    if config().k + 1 + bits > config().ring_bits:
        raise current().error(
            f"sorting {n} values needs k < {config().ring_bits - bits}, not k = {config().k}",
            "lower k, or use --ring 128",
        )
    return bits


def _sorted(rows: Tensor, needed: int, descending: bool) -> _Sorted:
    """The first `needed` places of rows (n, m) in order, along axis 0; others in some order.

    Rounds: a comparison and a selection a layer; log2(n) (log2(n) + 1) / 2 layers.
    """
    n, bits = rows.shape[0], _index_bits(rows.shape[0])
    places = public_units(np.arange(n, dtype=np.int64).reshape(n, 1), precision(rows) + bits)
    keys = scaled(times(rows, -1) if descending else rows, 1.0, bits)
    keys = add(keys, expand(places, rows.shape))
    swaps = []
    for layer in network(n, needed):
        low, high = _picked(keys, layer)
        difference = sub(high, low)
        swap = is_negative(difference, config().k + bits)
        swaps.append(swap)
        moved = select(swap, difference)
        keys = _put_back(keys, layer, add(low, moved), sub(high, moved))
    return _Sorted(keys, swaps)


def _picked(x: Tensor, layer: Layer) -> tuple[Tensor, Tensor]:
    """Rows i and rows j of all comparators."""
    return _rows(x, [i for i, _ in layer]), _rows(x, [j for _, j in layer])


def _put_back(x: Tensor, layer: Layer, low: Tensor, high: Tensor) -> Tensor:
    """x with rows i and j of all comparators replaced."""
    n, count = x.shape[0], len(layer)
    source = list(range(n))
    for at, (i, j) in enumerate(layer):
        source[i], source[j] = n + at, n + count + at
    return _rows(emit("concat", x, low, high, axis=0), source)


def _rows(x: Tensor, order: list[int]) -> Tensor:
    return emit("gather", x, public_units(np.array(order, dtype=np.int64), 0))


def _first(x: Tensor, count: int) -> Tensor:
    return _rows(x, list(range(count))) if count < x.shape[0] else x


def _placed(rows: Tensor, count: int, descending: bool) -> Tensor | None:
    """Bits (count, n, m): whether row j of (n, m) comes to place i; None if these are too many.

    Rounds: a comparison, b2a, an equality test of log2(n) bits.
    """
    n, m = rows.shape
    if n * n * m > BY_RANKS:
        return None
    first, second = (places.tolist() for places in np.triu_indices(n, 1))
    difference = sub(_rows(rows, second), _rows(rows, first))
    (swapped,) = numbers(is_negative(times(difference, -1) if descending else difference))
    later, earlier = (_sums(swapped, places, n) for places in (first, second))
    before = np.arange(n, dtype=np.int64)
    start = expand(public_units(before.reshape(n, 1), 0), (n, m))
    rank = add(sub(later, earlier), start)
    place = expand(public_units(before[:count].reshape(count, 1, 1), 0), (count, n, m))
    away = sub(expand(emit("reshape", rank, shape=(1, n, m)), (count, n, m)), place)
    return emit("eqz", away, bits=max(1, (n - 1).bit_length()))


def _sums(x: Tensor, places: list[int], n: int) -> Tensor:
    """Row i of the result is the sum of those rows of x whose place is i. Local."""
    index = public_units(np.array(places, dtype=np.int64), 0)
    return emit("scatter", x, index, shape=(n, x.shape[1]))


def _moved(placed: Tensor, x: Tensor, axis: int) -> Tensor:
    """Rows of x to their places (axis 0), or back from there (axis 1). Rounds: a selection."""
    count, n, m = placed.shape
    spread = emit("reshape", x, shape=(1, n, m) if axis == 0 else (count, 1, m))
    return emit("sum", select(placed, expand(spread, placed.shape)), axes=(1 - axis,))


@lowering("sort")
def sort(x: Tensor, *, axis: int, descending: bool, count: int) -> Tensor:
    """The first `count` values along an axis in ascending or descending order, exact.

    Rounds: `_placed` and a selection; or `_sorted`, b2a and a truncation without error.
    """
    rows = axis_first(x, axis)
    placed = _placed(rows, count, descending)
    if placed is not None:
        return axis_back(_moved(placed, rows, 0), x.shape, axis, count)
    keys = _first(_sorted(rows, count, descending).keys, count)
    bits = _index_bits(rows.shape[0])
    values = rounded(sub(keys, shifted(_places(keys, bits), -precision(keys))), precision(x))
    return axis_back(times(values, -1) if descending else values, x.shape, axis, count)


@lowering("argsort")
def argsort(x: Tensor, *, axis: int, descending: bool, count: int) -> Tensor:
    """Indices of the first `count` values along an axis in order; equal ones keep theirs.

    Rounds: `_placed` and b2a; or `_sorted`, the lowest bits by a2b, and b2a.
    """
    rows = axis_first(x, axis)
    placed = _placed(rows, count, descending)
    if placed is not None:
        return axis_back(index_of(placed, 1), x.shape, axis, count)
    keys = _first(_sorted(rows, count, descending).keys, count)
    places = _places(keys, _index_bits(rows.shape[0]))
    return axis_back(places, x.shape, axis, count)


def _places(keys: Tensor, bits: int) -> Tensor:
    """The index below each key's value, an integer."""
    found = numbers(planes(emit("a2b", keys, bits=bits), 0, bits))
    return weighted(found, [1 << i for i in range(bits)])


@lowering("sort_grad")
def sort_grad(g: Tensor, x: Tensor, *, axis: int, descending: bool, count: int) -> Tensor:
    """The gradient g to where the sorted values came from, zero elsewhere.

    Rounds, the bits given: a selection; in the network one a layer.
    """
    rows = axis_first(x, axis)
    n, m = rows.shape
    out = axis_first(g, axis)
    placed = _placed(rows, count, descending)
    if placed is not None:
        return axis_back(_moved(placed, out, 1), x.shape, axis, n)
    if count < n:
        zeros = expand(public_units(np.zeros((1, 1), dtype=np.int64), precision(g)), (n - count, m))
        out = emit("concat", out, emit("public", zeros), axis=0)
    swaps = _sorted(rows, count, descending).swaps
    for layer, swap in reversed(list(zip(network(n, count), swaps, strict=True))):
        low, high = _picked(out, layer)
        moved = select(swap, sub(high, low))
        out = _put_back(out, layer, add(low, moved), sub(high, moved))
    return axis_back(out, x.shape, axis, n)
