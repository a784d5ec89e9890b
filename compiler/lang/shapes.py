"""Shapes: indexing, broadcasting, reshaping, joining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.types import Shape
from . import convert
from .builder import current
from .pytorch import axis_or_dim
from .tensor import Operators, Tensor, Value, as_tensor, emit, sint, wrap


def ints(shape: tuple[int | Sequence[int], ...]) -> tuple[int, ...]:
    """(2, 3) from f(2, 3) or f((2, 3))."""
    if len(shape) == 1 and not isinstance(shape[0], int | np.integer):
        shape = tuple(shape[0])
    for n in shape:
        if isinstance(n, Operators) or not isinstance(n, int | np.integer):
            raise current().error(f"{n!r} is not a Python integer", "shapes are static")
    return tuple(int(n) for n in shape)  # type: ignore[arg-type]


def normal_axis(x: Operators, axis: int) -> int:
    """A non-negative axis of x."""
    if not -x.ndim <= axis < x.ndim:
        raise current().error(f"axis {axis} of a tensor with shape {x.shape}")
    return axis % x.ndim


def normal_axes(x: Operators, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """Sorted non-negative axes; None: all."""
    if axis is None:
        return tuple(range(x.ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = sorted(normal_axis(x, i) for i in given)
    if len(set(axes)) != len(axes):
        raise current().error(f"an axis appears twice in {given}")
    return tuple(axes)


def moved(x: Tensor, op: str, **attrs: Any) -> Tensor:
    """A tensor whose elements are those of x, elsewhere: the bound on them stays."""
    node = current().emit(op, [x.node], **attrs)
    return wrap(node, 0, x._width)


def reshape(value: Operators, shape: Shape) -> Tensor:
    """See `Operators.reshape`."""
    x = value.read()
    known = math.prod(n for n in shape if n != -1)
    if shape.count(-1) == 1 and known and x.size % known == 0:
        shape = tuple(x.size // known if n == -1 else n for n in shape)
    if min(shape, default=0) < 0 or math.prod(shape) != x.size:
        raise current().error(f"shape {x.shape} ({x.size} elements) does not reshape to {shape}")
    return x if shape == x.shape else moved(x, "reshape", shape=shape)


def unsqueeze(value: Operators, dim: int) -> Tensor:
    """See `Operators.unsqueeze`."""
    if not -value.ndim <= dim + 1 <= value.ndim + 1:
        raise current().error(f"unsqueeze({dim}) of a tensor with shape {value.shape}")
    at = dim % (value.ndim + 1)
    return reshape(value, (*value.shape[:at], 1, *value.shape[at:]))


def squeeze(value: Operators, dim: int | Sequence[int] | None) -> Tensor:
    """See `Operators.squeeze`."""
    at = normal_axes(value, dim)
    return reshape(value, tuple(n for i, n in enumerate(value.shape) if n != 1 or i not in at))


def permute(value: Operators, axes: Sequence[int]) -> Tensor:
    """See `Operators.permute`."""
    x = value.read()
    order = tuple(normal_axis(x, i) for i in axes)
    if sorted(order) != list(range(x.ndim)):
        raise current().error(f"{tuple(axes)} is no order of the axes of shape {x.shape}")
    return x if order == tuple(range(x.ndim)) else moved(x, "permute", axes=order)


def transpose(value: Operators, a: int, b: int) -> Tensor:
    """See `Operators.transpose`."""
    order = list(range(value.ndim))
    i, j = normal_axis(value, a), normal_axis(value, b)
    order[i], order[j] = order[j], order[i]
    return permute(value, order)


def expand(value: Operators, shape: Shape) -> Tensor:
    """See `Operators.expand`."""
    x = value.read()
    return x if x.shape == shape else moved(x, "expand", shape=shape)


def broadcast(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both expanded to their common shape; products stay unrounded if nothing is to be done."""
    if a.shape == b.shape:
        return a, b
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise current().error(
            f"shapes {a.shape} and {b.shape} do not broadcast",
            "sizes must be equal or 1, counted from the last axis",
        ) from None
    return expand(a, shape), expand(b, shape)


def pad(value: Value, widths: Sequence[tuple[int, int]]) -> Tensor:
    """Zeros around a tensor: (before, after) for each axis, as NumPy's pad. Local."""
    x = as_tensor(value)
    if len(widths) != x.ndim or any(min(pair) < 0 for pair in widths):
        raise current().error(
            f"padding {tuple(widths)} of shape {x.shape}",
            "give (before, after), both >= 0, for each axis",
        )
    start = tuple(before for before, _ in widths)
    shape = tuple(n + sum(pair) for n, pair in zip(x.shape, widths, strict=True))
    return (
        x if shape == x.shape else moved(x, "unslice", start=start, step=(1,) * x.ndim, shape=shape)
    )


def dilate(value: Value, steps: Sequence[int]) -> Tensor:
    """Zeros between the elements: what was at place i of an axis is at i * step. Local."""
    x = as_tensor(value)
    if len(steps) != x.ndim or min(steps, default=1) < 1:
        raise current().error(
            f"steps {tuple(steps)} for shape {x.shape}", "give a step >= 1 for each axis"
        )
    shape = tuple(max((n - 1) * step + 1, 0) for n, step in zip(x.shape, steps, strict=True))
    start = (0,) * x.ndim
    return (
        x if shape == x.shape else moved(x, "unslice", start=start, step=tuple(steps), shape=shape)
    )


@axis_or_dim
def concat(parts: Sequence[Value], axis: int = 0) -> Tensor:
    """Join tensors along an existing axis."""
    tensors = common(parts)
    return emit("concat", *tensors, axis=normal_axis(tensors[0], axis))


@axis_or_dim
def stack(parts: Sequence[Value], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    tensors = common(parts)
    shape = tensors[0].shape
    at = axis % (len(shape) + 1)
    widened = [x.reshape(*shape[:at], 1, *shape[at:]) for x in tensors]
    return emit("concat", *widened, axis=at)


def common(parts: Sequence[Value]) -> list[Tensor]:
    """Tensors of one kind: clear ones become secret, integers fixed-point, if others are."""
    tensors = [as_tensor(p) for p in parts]
    if not tensors:
        raise current().error("no tensors are given")
    if any(x.type.bit for x in tensors):
        if all(x.type.bit for x in tensors):
            return tensors
        tensors = [convert.to(x, sint) if x.type.bit else x for x in tensors]
    if any(x.secret for x in tensors):
        tensors = [convert.secret(x) for x in tensors]
    if any(x.type.f for x in tensors):
        tensors = [convert.fixed(x) for x in tensors]
    return tensors


def getitem(value: Operators, key: Any) -> Tensor:
    """NumPy-like indexing: integers, slices, ..., None, and one clear tensor or integer array,
    which takes rows of its axis."""
    x = value.read()
    keys = _spelled_out(x, key if isinstance(key, tuple) else (key,))
    index: Tensor | None = None
    at = axis = 0
    start, step, size, shape = [], [], [], []
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        if isinstance(k, slice):
            first, last, stride = _slice(k, n)
            count = len(range(first, last, stride))
            start.append(first if count else 0)
            shape.append(count)
        elif isinstance(k, int):
            stride, count = 1, 1
            start.append(_checked(k, n, axis))
        else:
            index, at = k, len(shape)
            stride, count = 1, n
            start.append(0)
            shape.append(n)
        step.append(stride)
        size.append(count)
        axis += 1
    if tuple(size) != x.shape or any(d != 1 for d in step):
        x = moved(x, "slice", start=tuple(start), step=tuple(step), shape=tuple(size))
    x = reshape(x, tuple(shape))
    return x if index is None else take(x, index, at)


def _slice(k: slice, n: int) -> tuple[int, int, int]:
    for bound in (k.start, k.stop, k.step):
        if isinstance(bound, Operators):
            raise current().error(
                "a slice bound is not a Python integer",
                "shapes are static; take rows by a clear index: x[i * 8 + arange(8)]",
            )
    return k.indices(n)


def _checked(i: int, n: int, axis: int) -> int:
    if not -n <= i < n:
        raise current().error(f"index {i} of axis {axis}, which has size {n}")
    return i % n


def _spelled_out(x: Tensor, keys: tuple[Any, ...]) -> list[Any]:
    """Keys with ... replaced, missing ones added, and arrays as clear tensors; at most one."""
    keys = tuple(k if k is None or k is Ellipsis or isinstance(k, slice) else _index(k)
                 for k in keys)  # fmt: skip
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise current().error(f"{used} indices for a tensor with shape {x.shape}")
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(dots) > 1:
        raise current().error("more than one ... in an index")
    at = dots[0] if dots else len(keys)
    fill = [slice(None)] * (x.ndim - used)
    out = [*keys[:at], *fill, *keys[at + 1 :]]
    if sum(isinstance(k, Tensor) for k in out) > 1:
        raise current().error("more than one tensor in an index", "take rows one axis at a time")
    return out


def _index(k: Any) -> int | Tensor:
    if isinstance(k, bool):
        raise current().error("a Python bool as index")
    if isinstance(k, int | np.integer):
        return int(k)
    t = as_tensor(k)
    if t.secret:
        raise current().error(
            "a secret index",
            "rows can only be taken by clear indices; use where(...), or a product with a "
            "one-hot vector",
        )
    if t.type.f:
        raise current().error("an index must be an integer")
    return t


def take(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """Rows of an axis by clear integers; the axes of `index` stand in its place."""
    front = permute(x, (axis, *(i for i in range(x.ndim) if i != axis)))
    rows = emit("gather", front, index)
    n = index.ndim
    order = [*range(n, n + axis), *range(n), *range(n + axis, rows.ndim)]
    return permute(rows, order)
