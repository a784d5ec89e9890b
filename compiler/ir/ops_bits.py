"""Rows: secret bits, comparisons and conversions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import Config, Node
from .numeric import Array, Numbers
from .ops import Attrs, all_secret, any_secret, need, need_arith, need_bits, op
from .types import Type, arith, bits

if TYPE_CHECKING:
    from ..passes.autodiff import Step


def _compare(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    need(1 <= a["bits"] <= c.ring_bits, f"a comparison of {a['bits']} bits")
    return bits(x[0].shape) if x[0].secret else arith(False, x[0].shape)


def _same_bits(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(*x)
    for t in x[1:]:
        need(t == x[0], f"{x[0]} and {t} differ")
    return x[0]


def _bfill(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(a["type"])
    need(a["bit"] in (0, 1), f"a bit of {a['bit']}")
    t: Type = a["type"]
    return t


def _bpublic(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(not x[0].secret and x[0].f == 0, "bits of a value that is not a clear integer")
    need(1 <= a["planes"] <= c.ring_bits, f"{a['planes']} planes")
    return bits(x[0].shape, a["planes"])


def _planes(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(*x)
    need(0 <= a["lo"] < a["hi"] <= x[0].planes, f"planes {a['lo']}..{a['hi']} of {x[0].planes}")
    return bits(x[0].shape, a["hi"] - a["lo"])


def _join_planes(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(*x)
    need(all(t.shape == x[0].shape for t in x), "planes of different shapes")
    return bits(x[0].shape, sum(t.planes for t in x))


def _select(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(x[0])
    need_arith(x[1])
    need(x[0].planes == 1, "a selection by more than one plane")
    need(x[1].secret, "select takes a secret value")
    need(x[0].shape == x[1].shape, f"shapes {x[0].shape} and {x[1].shape} differ")
    return x[1]


def _b2a(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(*x)
    p = x[0].planes
    return arith(True, x[0].shape if p == 1 else (p, *x[0].shape))


def _a2b(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_arith(*x)
    need(x[0].secret and 1 <= a["bits"] <= c.ring_bits, f"{a['bits']} bits of {x[0]}")
    return bits(x[0].shape, a["bits"])


def _randbit(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need_bits(a["type"])
    t: Type = a["type"]
    return t


def _integers(s: Numbers, n: Node, v: Array) -> Array:
    """The ring integers behind a value, as Python integers if they may be long."""
    raw = s.raw(v, n.inputs[0].t.f)
    return raw if s.exact else np.asarray(np.frompyfunc(int, 1, 1)(raw), dtype=object)


def _ltz_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    raw = _integers(s, n, v[0]) if s.exact else None
    sign = v[0] < 0 if raw is None else (raw >> (n.attrs["bits"] - 1)) & 1
    return _flag(s, n, sign)


def _eqz_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    if not s.exact:
        return _flag(s, n, s.raw(v[0], n.inputs[0].t.f) == 0)
    width = n.attrs["bits"]
    masked = v[0] & (-1 if width >= 64 and v[0].dtype == np.int64 else (1 << width) - 1)
    return _flag(s, n, masked == 0)


def _flag(s: Numbers, n: Node, bit: Array) -> Array:
    flags = np.asarray(bit).astype(np.uint8)
    return flags[None] if n.t.bit else s.array(flags)


def _bpublic_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return _split(_integers(s, n, v[0]), n.attrs["planes"])


def _split(raw: Array, planes: int) -> Array:
    parts = [np.asarray((raw >> i) & 1).astype(np.uint8) for i in range(planes)]
    return np.stack(parts)


def _select_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return np.where(v[0][0] != 0, v[1], s.zeros(()))


def _b2a_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return s.array(v[0][0] if n.inputs[0].t.planes == 1 else v[0])


def _a2b_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return _split(_integers(s, n, v[0]), n.attrs["bits"])


def _bit_shape(t: Type) -> tuple[int, ...]:
    return (t.planes, *t.shape)


def _bfill_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return np.full(_bit_shape(n.t), n.attrs["bit"], dtype=np.uint8)


def _grad_select(s: Step) -> Sequence[Any]:
    return None, s.select(s.x[0], s.g)


op("ltz", _compare, _ltz_value, attrs="bits", interactive=any_secret)
op("eqz", _compare, _eqz_value, attrs="bits", interactive=any_secret)
op("xor", _same_bits, lambda s, n, v: v[0] ^ v[1], arity=2)
op("and", _same_bits, lambda s, n, v: v[0] & v[1], interactive=all_secret, arity=2)
op("not", _same_bits, lambda s, n, v: v[0] ^ 1)
op("bfill", _bfill, _bfill_value, attrs="bit type", arity=0)
op("bpublic", _bpublic, _bpublic_value, attrs="planes")
op("planes", _planes, lambda s, n, v: v[0][n.attrs["lo"] : n.attrs["hi"]], attrs="lo hi")
op("join_planes", _join_planes, lambda s, n, v: np.concatenate(v), arity=None)
op("select", _select, _select_value, _grad_select, interactive=all_secret, arity=2)
op("b2a", _b2a, _b2a_value, interactive=all_secret)
op("a2b", _a2b, _a2b_value, attrs="bits", interactive=all_secret)
op("randbit", _randbit, lambda s, n, v: s.random_bits(_bit_shape(n.t)), attrs="type",
   interactive=lambda n: True, mergeable=False, arity=0)  # fmt: skip
