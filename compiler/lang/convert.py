"""Conversions between the kinds of tensors."""

from __future__ import annotations

import math
from typing import TypeVar, cast

import numpy as np

from ..ir.types import Type
from . import shapes
from .builder import current
from .tensor import (
    Operators,
    Tensor,
    as_tensor,
    cfix,
    cint,
    emit,
    kind_of,
    sbit,
    sfix,
    sint,
    wrap,
)

T = TypeVar("T", bound=Tensor)


def to(value: Operators, kind: type[T]) -> T:
    """See `Operators.to`. Raises ProgramError for secret -> clear and other to bits."""
    x = value.read()
    if isinstance(x, kind):
        return x
    b = current()
    if kind in (cint, cfix) and x.secret:
        raise b.error(f"a secret value cannot become a {kind.__name__}", "open it: x.reveal()")
    if kind is sbit:
        if x.secret or x.type.f:
            raise b.error(
                f"{kind_of(x.type).__name__} does not convert to sbit",
                "compare: x != 0, or take bits: x.bits(n)",
            )
        return cast(T, emit("bpublic", x, planes=1))
    if isinstance(x, sbit):
        if x.type.planes != 1:
            raise b.error(
                f"{x.type.planes} planes do not make one number", "use compose(bits) for that"
            )
        x = emit("b2a", x)
    if kind in (sint, sfix):
        x = secret(x)
    x = fixed(x) if kind in (sfix, cfix) else integer(x)
    return cast(T, x)


def secret(x: Tensor) -> Tensor:
    """A clear tensor shared; secret ones stay."""
    if x.secret:
        return x
    width = x._width - x._pending
    return wrap(emit("public", x)._node, 0, width)


def fixed(value: Operators) -> Tensor:
    """Integers as fixed-point numbers; these stay."""
    x = value.read()
    f = current().config.f
    if x.type.f:
        return x
    width = min(x._width + f, current().config.k - 1)
    return wrap(emit("scale", x, imm=1 << f, f=f)._node, 0, width)


def integer(value: Operators) -> Tensor:
    """Fixed-point numbers rounded to the nearest integers; integers stay."""
    x = value.read()
    if not x.type.f:
        return x
    return wrap(current().emit("trunc", [x._node], m=x._node.t.f, mode=1))


def compose(value: Operators) -> Tensor:
    """Secret bits as one integer: the sum of 2^i * plane i; at most k - 1 planes."""
    b = value.read()
    if b.type.planes == 1:
        return emit("b2a", b)
    values = emit("b2a", b)
    powers = as_tensor(2 ** np.arange(b.type.planes)).reshape(-1, *(1 for _ in b.shape))
    return (values * powers).sum(0)


def fit(x: Tensor, target: Type, name: str) -> Tensor:
    """Convert a value so that it can be stored as `target`; raises ProgramError if it cannot."""
    b = current()
    kind = kind_of(target)
    if x.type.f and not target.f and not target.bit:
        raise b.error(
            f"a fixed-point value is stored into the integer variable {name}",
            "start the variable with a float: state(0.0)",
        )
    x = to(x, kind)
    if x.shape != target.shape:
        if x.shape != ():
            raise b.error(f"shape {x.shape} is stored into {name}, which has {target.shape}")
        x = shapes.expand(x, target.shape)
    return x


def bits_below(limit: float) -> int:
    """The least n with limit <= 2^n."""
    return math.ceil(math.log2(limit))


def full(shape: int | tuple[int, ...], value: float, kind: type[Tensor] = sfix) -> Tensor:
    """A tensor filled with one number, of any kind."""
    where = (shape,) if isinstance(shape, int) else tuple(shape)
    integral = kind in (sint, cint, sbit)
    x = as_tensor(np.asarray(int(value) if integral else float(value)))
    return shapes.expand(to(x, kind), where)


def zeros(shape: int | tuple[int, ...], kind: type[Tensor] = sfix) -> Tensor:
    """Zeros of any kind."""
    return full(shape, 0, kind)


def ones(shape: int | tuple[int, ...], kind: type[Tensor] = sfix) -> Tensor:
    """Ones of any kind."""
    return full(shape, 1, kind)


def arange(start: int, stop: int | None = None, step: int = 1) -> Tensor:
    """Clear integers as of NumPy's arange."""
    first, last = (0, start) if stop is None else (start, stop)
    return as_tensor(np.arange(first, last, step))
