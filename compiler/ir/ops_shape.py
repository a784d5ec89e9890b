"""Rows: moving elements about, and sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import Config, Node
from .numeric import Array, Numbers
from .ops import Attrs, need, need_arith, op
from .types import Shape, Type

if TYPE_CHECKING:
    from ..passes.autodiff import Step


def _reshape(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(math.prod(a["shape"]) == x[0].size, f"{x[0].shape} reshaped to {a['shape']}")
    return x[0].with_shape(a["shape"])


def _permute(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(sorted(a["axes"]) == list(range(len(x[0].shape))), f"axes {a['axes']} of {x[0].shape}")
    return x[0].with_shape(tuple(x[0].shape[i] for i in a["axes"]))


def _expand(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    old, new = x[0].shape, a["shape"]
    padded = (1,) * (len(new) - len(old)) + old
    fits = len(padded) == len(new) and all(p in (1, q) for p, q in zip(padded, new, strict=True))
    need(fits, f"shape {old} does not broadcast to {new}")
    return x[0].with_shape(new)


def _inside(big: Shape, a: Attrs, small: Shape) -> None:
    need(len(big) == len(small) == len(a["start"]) == len(a["step"]), "slice of the wrong rank")
    for size, start, step, n in zip(big, a["start"], a["step"], small, strict=True):
        last = start + (n - 1) * step
        need(step != 0 and (n == 0 or (0 <= start < size and 0 <= last < size)),
             f"slice from {start} by {step}, {n} elements, of an axis of size {size}")  # fmt: skip


def _slice(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _inside(x[0].shape, a, a["shape"])
    return x[0].with_shape(a["shape"])


def _unslice(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    _inside(a["shape"], a, x[0].shape)
    return x[0].with_shape(a["shape"])


def _concat(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    first, axis = x[0], a["axis"]
    need(0 <= axis < len(first.shape), f"axis {axis} of {first.shape}")
    for t in x:
        rest = (*t.shape[:axis], *t.shape[axis + 1 :])
        need(
            (t.secret, t.bit, t.f, t.planes) == (first.secret, first.bit, first.f, first.planes)
            and len(t.shape) == len(first.shape)
            and rest == (*first.shape[:axis], *first.shape[axis + 1 :]),
            f"{first} and {t} cannot be joined along axis {axis}",
        )
    size = sum(t.shape[axis] for t in x)
    return first.with_shape((*first.shape[:axis], size, *first.shape[axis + 1 :]))


def _sum(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    axes = a["axes"]
    need(len(set(axes)) == len(axes) and all(0 <= i < len(x[0].shape) for i in axes),
         f"sum over the axes {axes} of {x[0].shape}")  # fmt: skip
    return x[0].with_shape(tuple(n for i, n in enumerate(x[0].shape) if i not in axes))


def _index(t: Type) -> None:
    need(not t.secret, "a secret index",
         "rows can only be taken by clear indices; use where(...) or a product with a one-hot "
         "vector for a secret choice")  # fmt: skip
    need(t.f == 0, "an index must be an integer", "use cint")


def _gather(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(x[0])
    _index(x[1])
    need(len(x[0].shape) >= 1, "a scalar has no rows")
    return x[0].with_shape(x[1].shape + x[0].shape[1:])


def _scatter(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(x[0])
    _index(x[1])
    need(x[0].shape == x[1].shape + a["shape"][1:], f"rows {x[0].shape} into {a['shape']}")
    return x[0].with_shape(a["shape"])


def _shuffle(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(x[0])
    need(x[0].secret and len(x[0].shape) >= 1, f"rows of {x[0]} in a secret order")
    need(not x[1].secret and x[1].size == 1 and not x[1].f, f"an order named by {x[1]}")
    return x[0]


def _on_elements(n: Node, v: Array, f: Any) -> Array:
    """Apply f to the element axes; bits have their planes in front."""
    if n.inputs[0].t.bit:
        return np.stack([f(plane) for plane in v])
    return np.asarray(f(v))


def slices(start: Shape, step: Shape, shape: Shape) -> tuple[slice, ...]:
    """NumPy slices of start + i * step, i < shape, on every axis."""
    out = []
    for a, d, n in zip(start, step, shape, strict=True):
        stop = a + n * d
        out.append(slice(a, stop if stop >= 0 else None, d))
    return tuple(out)


def _reshape_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return _on_elements(n, v[0], lambda a: a.reshape(n.attrs["shape"]))


def _permute_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return _on_elements(n, v[0], lambda a: a.transpose(n.attrs["axes"]))


def _expand_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return _on_elements(n, v[0], lambda a: np.broadcast_to(a, n.attrs["shape"]))


def _slice_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    if 0 in n.attrs["shape"]:
        return np.asarray(v[0].reshape(-1)[:0].reshape(v[0].shape[: n.t.bit] + n.attrs["shape"]))
    where = slices(n.attrs["start"], n.attrs["step"], n.attrs["shape"])
    return _on_elements(n, v[0], lambda a: a[where])


def _unslice_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    out = s.zeros(n.attrs["shape"])
    if v[0].size:
        out[slices(n.attrs["start"], n.attrs["step"], v[0].shape)] = v[0]
    return out


def _concat_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return np.concatenate(v, axis=n.attrs["axis"] + n.t.bit)


def _gather_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return np.asarray(v[0][checked_index(v[1], v[0].shape[0])])


def _scatter_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    out = s.zeros(n.attrs["shape"])
    np.add.at(out, checked_index(v[1], out.shape[0]), v[0])
    return s.array(out)


def checked_index(index: Array, rows: int) -> Array:
    """Row numbers; IndexError where one lies outside of 0..rows-1."""
    i = np.asarray(index, dtype=np.int64)
    if i.size and (i.min() < 0 or i.max() >= rows):
        raise IndexError(f"row {i.min() if i.min() < 0 else i.max()} of {rows}")
    return i


def secret_order(name: int, n: int) -> Array:
    """The order in which `shuffle` puts n rows for a clear number, here and in the tests alone:
    where parties compute, nobody knows it."""
    return np.random.default_rng(name).permutation(n)


def _grad_permute(s: Step) -> Sequence[Any]:
    axes = s.node.attrs["axes"]
    return (s.g.permute(*(axes.index(i) for i in range(len(axes)))),)


def _grad_expand(s: Step) -> Sequence[Any]:
    old, new = s.x[0].shape, s.node.t.shape
    lead = len(new) - len(old)
    repeated = tuple(i for i in range(len(new)) if i < lead or old[i - lead] != new[i])
    return (s.g.sum(repeated).reshape(old) if repeated else s.g,)


def _grad_slice(s: Step) -> Sequence[Any]:
    a = s.node.attrs
    return (s.linear("unslice", s.g, start=a["start"], step=a["step"], shape=s.x[0].shape),)


def _grad_unslice(s: Step) -> Sequence[Any]:
    a = s.node.attrs
    return (s.linear("slice", s.g, start=a["start"], step=a["step"], shape=s.x[0].shape),)


def _grad_concat(s: Step) -> Sequence[Any]:
    out: list[Any] = []
    axis, at = s.node.attrs["axis"], 0
    for x in s.x:
        start = tuple(at if i == axis else 0 for i in range(len(x.shape)))
        step = (1,) * len(x.shape)
        out.append(s.linear("slice", s.g, start=start, step=step, shape=x.shape))
        at += x.shape[axis]
    return out


def _grad_sum(s: Step) -> Sequence[Any]:
    shape, axes = s.x[0].shape, s.node.attrs["axes"]
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
    return (s.g.reshape(kept).expand(shape),)


def _grad_gather(s: Step) -> Sequence[Any]:
    return s.linear("scatter", s.g, s.x[1], shape=s.x[0].shape), None


def _grad_scatter(s: Step) -> Sequence[Any]:
    return s.linear("gather", s.g, s.x[1]), None


op("reshape", _reshape, _reshape_value, lambda s: (s.g.reshape(s.x[0].shape),), attrs="shape")
op("permute", _permute, _permute_value, _grad_permute, attrs="axes")
op("expand", _expand, _expand_value, _grad_expand, attrs="shape")
op("slice", _slice, _slice_value, _grad_slice, attrs="start step shape")
op("unslice", _unslice, _unslice_value, _grad_unslice, attrs="start step shape")
op("concat", _concat, _concat_value, _grad_concat, attrs="axis", arity=None)
op("sum", _sum, lambda s, n, v: s.sum(v[0], n.attrs["axes"]), _grad_sum, attrs="axes")
op("gather", _gather, _gather_value, _grad_gather, arity=2)
op("shuffle", _shuffle, lambda s, n, v: v[0][secret_order(int(v[1].reshape(())), len(v[0]))],
   interactive=lambda n: True, arity=2)  # fmt: skip
op("scatter", _scatter, _scatter_value, _grad_scatter, attrs="shape", arity=2)
