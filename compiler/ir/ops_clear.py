"""Rows: arithmetic that only clear values have, and public randomness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .graph import Config, Node
from .numeric import Array, Numbers
from .ops import Attrs, need, need_arith, op
from .types import Type, arith


def _clear_pair(x: Sequence[Type]) -> None:
    need_arith(*x)
    need(not x[0].secret and not x[1].secret, "floor division and remainder are for clear values",
         "write x / y for a secret quotient")  # fmt: skip
    need(x[0].shape == x[1].shape, f"shapes {x[0].shape} and {x[1].shape} differ")


def _div_floor(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _clear_pair(x)
    need(x[0].f >= x[1].f, f"a quotient of the precision {x[0].f - x[1].f}")
    return arith(False, x[0].shape, x[0].f - x[1].f)


def _mod_floor(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _clear_pair(x)
    need(x[0].f == x[1].f, f"precisions {x[0].f} and {x[1].f} differ")
    return x[0]


def _div_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    if s.exact:
        return s.array(v[0] // v[1])
    return np.floor(v[0] / v[1]) if n.t.f == 0 else np.asarray(v[0] / v[1])


def _mod_value(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
    return s.array(v[0] % v[1])


def _perm(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(a["n"] >= 0, f"a permutation of {a['n']} rows")
    return arith(False, (a["n"],))


def _uniform(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    t: Type = a["type"]
    need(not t.secret and not t.bit, "uniform gives a clear arithmetic value")
    need(a["lo"] < a["hi"] <= a["lo"] + (1 << 63), f"uniform in [{a['lo']}, {a['hi']})")
    return t


op("div_floor", _div_floor, _div_value, arity=2)
op("mod_floor", _mod_floor, _mod_value, arity=2)
# The executor holds the streams of public randomness.
op("perm", _perm, attrs="n stream", mergeable=False, arity=0)
op("uniform", _uniform, attrs="lo hi stream type", mergeable=False, arity=0)
