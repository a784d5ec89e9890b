"""Rows: matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import numeric
from .graph import Config, Node
from .numeric import Array, Numbers
from .ops import Attrs, all_secret, need, op
from .ops_arith import product_type, rounded
from .types import Type

if TYPE_CHECKING:
    from ..passes.autodiff import Step


def _matmul(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    p, q = x[:2]
    need(len(p.shape) == 2 and len(q.shape) == 2, f"a matrix product of {p.shape} and {q.shape}")
    m, k = p.shape[::-1] if a["ta"] else p.shape
    k2, n = q.shape[::-1] if a["tb"] else q.shape
    need(k == k2, f"a matrix product of ({m}, {k}) and ({k2}, {n}): {k} and {k2} differ")
    return product_type(x, (m, n), a, c)


def _matmul_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    a = v[0].T if n.attrs["ta"] else v[0]
    b = v[1].T if n.attrs["tb"] else v[1]
    return rounded(s, n, s.matmul(a, b), *v[2:])


def _grad_matmul(s: Step) -> Sequence[Any]:
    a, b = s.x
    ta, tb = s.node.attrs["ta"], s.node.attrs["tb"]
    da = db = None
    if s.wants(0):
        da = s.matmul(b, s.g, tb, True) if ta else s.matmul(s.g, b, False, not tb)
    if s.wants(1):
        db = s.matmul(s.g, a, True, ta) if tb else s.matmul(a, s.g, not ta, False)
    return da, db


def _conv_checks(x: tuple[int, ...], w: tuple[int, ...], a: Attrs) -> tuple[int, ...]:
    need(len(x) == 4, f"a convolution takes images (batch, channels, height, width), not {x}",
         "reshape them, for example x.reshape(-1, 1, 28, 28)")  # fmt: skip
    need(len(w) == 4, f"convolution weights are (out, in, height, width), not {w}")
    need(x[1] == w[1], f"images with {x[1]} channels meet weights for {w[1]}")
    need(min(a["stride"]) >= 1 and min(a["padding"]) >= 0, "bad stride or padding")
    oh, ow = numeric.conv_size(x, w[2:], a["stride"], a["padding"])
    need(oh >= 1 and ow >= 1, f"a {w[2]} x {w[3]} kernel does not fit images of {x[2]} x {x[3]}")
    return x[0], w[0], oh, ow


def _conv2d(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    return product_type(x, _conv_checks(x[0].shape, x[1].shape, a), a, c)


def _conv2d_dx(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    out = _conv_checks(a["shape"], x[1].shape, a)
    need(x[0].shape == out, f"a gradient of shape {x[0].shape} for an output of {out}")
    return product_type(x, a["shape"], a, c)


def _conv2d_dw(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    out = _conv_checks(x[1].shape, a["shape"], a)
    need(x[0].shape == out, f"a gradient of shape {x[0].shape} for an output of {out}")
    return product_type(x, a["shape"], a, c)


def _conv2d_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    z = numeric.conv2d(s, v[0], v[1], n.attrs["stride"], n.attrs["padding"])
    return rounded(s, n, z, *v[2:])


def _conv2d_dx_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    a = n.attrs
    z = numeric.conv2d_dx(s, v[0], v[1], a["shape"], a["stride"], a["padding"])
    return rounded(s, n, z, *v[2:])


def _conv2d_dw_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    a = n.attrs
    z = numeric.conv2d_dw(s, v[0], v[1], a["shape"], a["stride"], a["padding"])
    return rounded(s, n, z, *v[2:])


def _grad_conv2d(s: Step) -> Sequence[Any]:
    x, w = s.x
    geometry = {"stride": s.node.attrs["stride"], "padding": s.node.attrs["padding"]}
    dx = s.product("conv2d_dx", s.g, w, shape=x.shape, **geometry) if s.wants(0) else None
    dw = s.product("conv2d_dw", s.g, x, shape=w.shape, **geometry) if s.wants(1) else None
    return dx, dw


def _grad_conv2d_dx(s: Step) -> Sequence[Any]:
    g, w = s.x
    geometry = {"stride": s.node.attrs["stride"], "padding": s.node.attrs["padding"]}
    dg = s.product("conv2d", s.g, w, **geometry) if s.wants(0) else None
    dw = s.product("conv2d_dw", g, s.g, shape=w.shape, **geometry) if s.wants(1) else None
    return dg, dw


def _grad_conv2d_dw(s: Step) -> Sequence[Any]:
    g, x = s.x
    geometry = {"stride": s.node.attrs["stride"], "padding": s.node.attrs["padding"]}
    dg = s.product("conv2d", x, s.g, **geometry) if s.wants(0) else None
    dx = s.product("conv2d_dx", g, s.g, shape=x.shape, **geometry) if s.wants(1) else None
    return dg, dx


op(
    "matmul",
    _matmul,
    _matmul_value,
    _grad_matmul,
    attrs="ta tb m mode",
    interactive=all_secret,
    arity=None,
)
op("conv2d", _conv2d, _conv2d_value, _grad_conv2d, attrs="stride padding m mode",
   interactive=all_secret, arity=None)  # fmt: skip
op("conv2d_dx", _conv2d_dx, _conv2d_dx_value, _grad_conv2d_dx, attrs="stride padding shape m mode",
   interactive=all_secret, arity=None)  # fmt: skip
op("conv2d_dw", _conv2d_dw, _conv2d_dw_value, _grad_conv2d_dw, attrs="stride padding shape m mode",
   interactive=all_secret, arity=None)  # fmt: skip
