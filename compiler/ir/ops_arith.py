"""Rows: constants and elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .graph import Config, Node
from .numeric import Array, Numbers
from .ops import Attrs, all_secret, any_secret, need, need_arith, op
from .types import Type, arith

if TYPE_CHECKING:
    from ..passes.autodiff import Step


def _const(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    t: Type = a["type"]
    need(not t.secret and not t.bit, "a constant is a clear arithmetic value")
    need(a["value"].shape == t.shape, f"value of shape {a['value'].shape} for the type {t}")
    return t


def _public(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    need(not x[0].secret, "public takes a clear value")
    return arith(True, x[0].shape, x[0].f)


def _same(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    p, q = x
    need(p.shape == q.shape, f"shapes {p.shape} and {q.shape} differ")
    need(p.f == q.f, f"precisions {p.f} and {q.f} differ")
    return arith(p.secret or q.secret, p.shape, p.f)


def _scale(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    need(-(1 << 63) <= a["imm"] < 1 << 63, f"the factor {a['imm']} does not fit 64 bits")
    f = x[0].f + a["f"]
    need(f >= 0, f"scale to a negative precision {f}")
    return arith(x[0].secret, x[0].shape, f)


def _offset(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    need(-(1 << 63) <= a["imm"] < 1 << 63, f"the summand {a['imm']} does not fit 64 bits")
    return x[0]


def product_type(x: Sequence[Type], shape: tuple[int, ...], a: Attrs, c: Config) -> Type:
    """The type of a product of two operands, plus a secret third if given, truncated by m."""
    need(len(x) in (2, 3), f"a product of {len(x)} operands")
    p, q = x[:2]
    need_arith(*x)
    f = p.f + q.f - a["m"]
    need(a["m"] >= 0 and a["mode"] in (0, 1), "bad rounding of a product")
    for e in x[2:]:
        need(e == arith(True, shape, p.f + q.f), f"{e} added to a product of {p} and {q}")
    need(f >= 0, f"a truncation by {a['m']} bits leaves the precision {f}")
    return arith(p.secret or q.secret, shape, f)


def _mul(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(x[0].shape == x[1].shape, f"shapes {x[0].shape} and {x[1].shape} differ")
    return product_type(x, x[0].shape, a, c)


def _trunc(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    need(0 < a["m"] <= x[0].f, f"a truncation by {a['m']} bits of the precision {x[0].f}")
    need(a["mode"] in (0, 1), "unknown rounding mode")
    return arith(x[0].secret, x[0].shape, x[0].f - a["m"])


def rounded(s: Numbers, n: Node, z: Array, *added: Array) -> Array:
    """The product z, plus what is added to it, truncated; clear values round to nearest."""
    for e in added:
        z = s.add(z, e)
    return s.trunc(z, n.attrs["m"], n.attrs["mode"] == 1 or not n.t.secret)


def _const_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    value = s.array(n.attrs["value"])
    return value if s.exact else s.from_raw(value, n.t.f)


def _grad_mul(s: Step) -> Sequence[Any]:
    a, b = s.x
    return s.times(b) if s.wants(0) else None, s.times(a) if s.wants(1) else None


def _grad_scale(s: Step) -> Sequence[Any]:
    return (s.scaled(s.g, s.node.attrs["imm"] * 2.0 ** -s.node.attrs["f"]),)


op("const", _const, _const_value, attrs="value type", arity=0)
op("public", _public, lambda s, n, v: v[0])
op("add", _same, lambda s, n, v: s.add(v[0], v[1]), lambda s: (s.g, s.g), arity=2)
op("sub", _same, lambda s, n, v: s.sub(v[0], v[1]), lambda s: (s.g, s.scaled(s.g, -1.0)), arity=2)
op("scale", _scale, lambda s, n, v: s.scale(v[0], n.attrs["imm"], n.attrs["f"]), _grad_scale,
   attrs="imm f")  # fmt: skip
op("offset", _offset,
   lambda s, n, v: s.add(v[0], s.from_raw(s.array(n.attrs["imm"]), n.t.f)),
   lambda s: (s.g,), attrs="imm")  # fmt: skip
op("mul", _mul, lambda s, n, v: rounded(s, n, s.mul(v[0], v[1]), *v[2:]), _grad_mul,
   attrs="m mode", interactive=all_secret, arity=None)  # fmt: skip
op("trunc", _trunc, lambda s, n, v: rounded(s, n, v[0]), lambda s: (s.g,),
   attrs="m mode", interactive=any_secret)  # fmt: skip
