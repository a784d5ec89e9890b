"""What is made of comparisons: relu, maxima, pooling, argmax.

A gradient needs the bits of the forward pass. It computes them again with the very same nodes, and
the pass that merges common subexpressions leaves one comparison for both.
"""

from __future__ import annotations

import math

import numpy as np

from ..ir.types import Shape
from ..lang.lowering import lowering
from ..lang.tensor import Tensor, emit
from .fixed import (
    add,
    both,
    config,
    differ,
    expand,
    invert,
    is_negative,
    join_planes,
    numbers,
    public_bit,
    public_units,
    select,
    strided,
    sub,
    times,
    weighted,
)

_ALL_PAIRS = 16  # up to so many elements are compared each with each

Levels = list[list["Tensor | None"]]


@lowering("relu")
def relu(x: Tensor) -> Tensor:
    """max(x, 0), exact. Rounds: a comparison and a selection.

    The bit is x > 0, not x >= 0, as the derivative at 0 is 0 (PyTorch's choice) and shares it. Its
    comparison is of k bits, one less than that of a difference: |x| < 2^(k - 1) units.
    """
    return select(is_negative(times(x, -1), config().k - 1), x)


@lowering("maximum")
def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The larger of a and b, exact. Rounds: a comparison and a selection."""
    return _larger(a, b)[0]


def _larger(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """max(a, b) and the bit a < b."""
    difference = sub(a, b)
    less = is_negative(difference)
    return sub(a, select(less, difference)), less


# --- pooling -------------------------------------------------------------------------------------


@lowering("max_pool2d")
def max_pool2d(x: Tensor, *, kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Maxima of windows: along rows first, then along columns, each by a tree; exact.

    Comparisons for 2 x 2 windows: 3/4 of the elements. Rounds: those of ceil(log2(kernel)) maxima
    along either axis.
    """
    return _pooled(x, kernel, stride)[0]


@lowering("max_pool2d_grad")
def max_pool2d_grad(
    g: Tensor, x: Tensor, *, kernel: tuple[int, int], stride: tuple[int, int]
) -> Tensor:
    """The gradient g to the first maximum of each window, row by row, zero elsewhere.

    Rounds, the forward pass's bits given: those of ceil(log2(kernel)) selections along either axis.
    """
    _, across, down = _pooled(x, kernel, stride)
    height = stride[0] * (g.shape[2] - 1) + kernel[0]
    middle = _scatter(_shares(g, down), 2, stride[0], (*g.shape[:2], height, g.shape[3]))
    return _scatter(_shares(middle, across), 3, stride[1], x.shape)


def _pooled(
    x: Tensor, kernel: tuple[int, int], stride: tuple[int, int]
) -> tuple[Tensor, Levels, Levels]:
    """Maxima of windows, and the bits of both trees."""
    rows = (x.shape[2] - kernel[0]) // stride[0] + 1
    columns = (x.shape[3] - kernel[1]) // stride[1] + 1
    used = stride[0] * (rows - 1) + kernel[0]
    top = strided(x, 2, 0, 1, used)
    middle, across = _tree([strided(top, 3, j, stride[1], columns) for j in range(kernel[1])])
    out, down = _tree([strided(middle, 2, i, stride[0], rows) for i in range(kernel[0])])
    return out, across, down


def _tree(parts: list[Tensor]) -> tuple[Tensor, Levels]:
    """The elementwise maximum of all parts, and per level the bits (None: no partner)."""
    levels: Levels = []
    while len(parts) > 1:
        pairs = [_larger(parts[i], parts[i + 1]) for i in range(0, len(parts) - 1, 2)]
        single = parts[2 * len(pairs) :]
        levels.append([less for _, less in pairs] + [None for _ in single])
        parts = [best for best, _ in pairs] + single
    return parts[0], levels


def _shares(g: Tensor, levels: Levels) -> list[Tensor]:
    """What of the gradient g of a tree's maximum belongs to each of its parts."""
    out = [g]
    for level in reversed(levels):
        wider = []
        for part, less in zip(out, level, strict=True):
            if less is None:
                wider.append(part)
                continue
            second = select(less, part)
            wider += [sub(part, second), second]
        out = wider
    return out


def _scatter(parts: list[Tensor], axis: int, stride: int, shape: Shape) -> Tensor:
    """Zeros of a shape with part j added to the places j, j + stride, ... of an axis."""
    total: Tensor | None = None
    for j, part in enumerate(parts):
        start = tuple(j if i == axis else 0 for i in range(len(shape)))
        step = tuple(stride if i == axis else 1 for i in range(len(shape)))
        placed = emit("unslice", part, start=start, step=step, shape=shape)
        total = placed if total is None else add(total, placed)
    assert total is not None
    return total


# --- along an axis -------------------------------------------------------------------------------


@lowering("reduce_max")
def reduce_max(x: Tensor, *, axis: int) -> Tensor:
    """The maximum along an axis, exact. Rounds: see `_tournament`."""
    best, _ = _tournament(axis_first(x, axis))
    return emit("reshape", best, shape=(*x.shape[:axis], *x.shape[axis + 1 :]))


@lowering("reduce_max_grad")
def reduce_max_grad(g: Tensor, x: Tensor, *, axis: int) -> Tensor:
    """The gradient g to the first maximum. Rounds, the bits given: one selection."""
    rows = axis_first(x, axis)
    _, winner = _tournament(rows)
    spread = expand(emit("reshape", g, shape=(1, *rows.shape[1:])), rows.shape)
    return axis_back(select(winner, spread), x.shape, axis, x.shape[axis])


@lowering("argmax")
def argmax(x: Tensor, *, axis: int) -> Tensor:
    """The index of the first maximum along an axis.

    The index in binary is made of XORs of the winner's bits, which are local.
    Rounds: see `_tournament`; then b2a.
    """
    _, winner = _tournament(axis_first(x, axis))
    return emit("reshape", index_of(winner, 0), shape=(*x.shape[:axis], *x.shape[axis + 1 :]))


def index_of(marks: Tensor, axis: int) -> Tensor:
    """The index of the one bit that is set along an axis, which is taken away.

    Bit j of the index is the parity of the marks at indices that have it. Rounds: b2a.
    """
    shape = (*marks.shape[:axis], *marks.shape[axis + 1 :])
    found, rest = [], marks
    while rest.shape[axis] > 1:
        parity = strided(rest, axis, 1, 2, rest.shape[axis] // 2)
        while parity.shape[axis] > 1:
            parity = _folded(parity, axis)
        found.append(emit("reshape", parity, shape=shape))
        rest = _folded(rest, axis)
    if not found:
        found = [public_bit(0, shape)]
    return weighted(numbers(join_planes(found)), [1 << j for j in range(len(found))])


def _folded(x: Tensor, axis: int) -> Tensor:
    """XORs of neighbours along an axis; the last of an odd number stays. Local."""
    n = x.shape[axis]
    pairs = differ(strided(x, axis, 0, 2, n // 2), strided(x, axis, 1, 2, n // 2))
    return emit("concat", pairs, strided(x, axis, n - 1, 1, 1), axis=axis) if n % 2 else pairs


def largest(x: Tensor, axis: int) -> Tensor:
    """The maximum along an axis, which stays with size 1."""
    best, _ = _tournament(axis_first(x, axis))
    return emit("reshape", best, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))


def axis_back(x: Tensor, shape: Shape, axis: int, size: int) -> Tensor:
    """(size, everything else) as the shape with `size` in place of an axis: undoes `axis_first`."""
    moved = emit("reshape", x, shape=(size, *shape[:axis], *shape[axis + 1 :]))
    order = [i + 1 if i < axis else i for i in range(len(shape))]
    order[axis] = 0
    return emit("permute", moved, axes=tuple(order))


def axis_first(x: Tensor, axis: int) -> Tensor:
    """x as (size of the axis, everything else)."""
    if axis:
        x = emit("permute", x, axes=(axis, *(i for i in range(len(x.shape)) if i != axis)))
    return emit("reshape", x, shape=(x.shape[0], math.prod(x.shape[1:])))


def _tournament(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima (m,) over axis 0 of x (n, m), and the bits (n, m) that mark the first one.

    Neighbours are compared until at most 16 are left, which are compared each with each: more
    comparisons in fewer rounds.

    Rounds: ceil(log2(n / 16)) comparisons and selections, if positive; then one comparison, 4 ANDs
    and a selection; for the bits as many ANDs again as there were levels.
    """
    n, m = x.shape
    if n == 1:
        return emit("reshape", x, shape=(m,)), public_bit(1, (1, m))
    if n <= _ALL_PAIRS:
        return _all_pairs(x)
    half = n // 2
    best, less = _larger(strided(x, 0, 0, 2, half), strided(x, 0, 1, 2, half))
    odd = [strided(x, 0, n - 1, 1, 1)] if n % 2 else []
    top, chosen = _tournament(emit("concat", best, *odd, axis=0) if odd else best)
    pair = strided(chosen, 0, 0, 1, half)
    second = both(pair, less)
    first = differ(pair, second)
    woven = [emit("reshape", b, shape=(half, 1, m)) for b in (first, second)]
    marks = emit("reshape", emit("concat", *woven, axis=1), shape=(2 * half, m))
    if odd:
        marks = emit("concat", marks, strided(chosen, 0, half, 1, 1), axis=0)
    return top, marks


def _all_pairs(x: Tensor) -> tuple[Tensor, Tensor]:
    """`_tournament` by comparing each with each: i wins if x_i >= x_j, or > for j < i."""
    n, m = x.shape
    rows = expand(emit("reshape", x, shape=(n, 1, m)), (n, n, m))
    columns = expand(emit("reshape", x, shape=(1, n, m)), (n, n, m))
    earlier = public_units(np.tril(np.ones((n, n), dtype=np.int64), -1), x.type.f)
    strict = expand(emit("reshape", earlier, shape=(n, n, 1)), (n, n, m))
    wins = invert(is_negative(sub(sub(rows, columns), strict)))
    while wins.shape[1] > 1:
        count = wins.shape[1]
        half = count // 2
        merged = both(strided(wins, 1, 0, 1, half), strided(wins, 1, half, 1, half))
        odd = [strided(wins, 1, count - 1, 1, 1)] if count % 2 else []
        wins = emit("concat", merged, *odd, axis=1) if odd else merged
    winner = emit("reshape", wins, shape=(n, m))
    return emit("sum", select(winner, x), axes=(0,)), winner
