"""Public rates: clear numbers with more fractional bits than the program's f.

Learning rates and the weights of moving averages are public but small, and may change from step to
step inside a loop of the bytecode, where they are clear values and no constants. With f = 16
fractional bits 0.001 would be off by 1 %. A rate has `RATE_BITS` of them instead, and meets a
secret value before that is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..ir.numeric import exact_round, object_array
from ..ir.types import arith as arith_type
from . import arith, convert, shapes
from .builder import current
from .tensor import Operators, Tensor, emit, wrap

RATE_BITS = 28
RATE_LIMIT = 8.0  # products of two rates fit the 64-bit ring


def rate(values: float | Sequence[float]) -> Tensor:
    """Public numbers as clear rates, in the shape of the argument (a number, or a list of them).

    Raises:
        ProgramError: a number that is not finite, or not below 8 in magnitude.
    """
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (np.abs(array) < RATE_LIMIT)).all():
        raise current().error(
            f"a rate of {array.flat[np.argmax(~(np.abs(array) < RATE_LIMIT))]:g}",
            f"rates are below {RATE_LIMIT:g}: scale the learning rate or the loss",
        )
    raw = object_array([exact_round(float(v), RATE_BITS) for v in array.ravel()], array.shape)
    return wrap(current().emit("const", value=raw, type=arith_type(False, array.shape, RATE_BITS)))


def rate_product(a: Tensor, b: Tensor) -> Tensor:
    """a * b of two rates of one shape, rounded to a rate."""
    product = current().emit("mul", [a.node, b.node], m=0, mode=1)
    return wrap(current().emit("trunc", [product], m=RATE_BITS, mode=1))


def rate_quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b of two rates of one shape, rounded down to a rate; |a / b| < 8."""
    raised = emit("scale", a, imm=1 << RATE_BITS, f=RATE_BITS)
    return emit("div_floor", raised, b)


def rated(value: Operators, r: Tensor, limit: float) -> Tensor:
    """value * r for a scalar rate |r| <= limit that is known when the program runs.

    The rate is multiplied in before the value's own truncation, if the ring has room for both;
    otherwise the value is rounded once more.
    """
    x = value.read()
    bits = max(convert.bits_below(limit) + RATE_BITS, 1)
    if x._pending and x._width + bits > current().config.ring_bits - 2:
        x = arith.materialised(x)
    factor = shapes.expand(r, x.shape)
    node = current().emit("mul", [x._node, factor.node], m=0, mode=current().config.mode)
    return wrap(node, x._pending + RATE_BITS, x._width + bits)
