"""Exponentials and what is made of them: sigmoid, tanh, softmax, cross-entropy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..lang.lowering import lowering
from ..lang.tensor import Tensor, emit
from .compare import largest
from .fixed import (
    add,
    both,
    config,
    exact_product,
    expand,
    invert,
    is_negative,
    join_planes,
    minus_from,
    numbers,
    planes,
    plus,
    precision,
    product,
    rounded,
    scaled,
    select,
    shifted,
    sub,
    third,
    times,
    weighted,
)
from .logarithm import logarithm
from .polynomial import chebyshev, polynomial
from .quotient import GUARD, mantissa_bits, reciprocal_above_one, reciprocal_on

_COARSE = 8  # bits of log2(e) that are enough to find the integer part


def _two_to(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp2(x)


def exponential(x: Tensor, f: int, top: int) -> Tensor:
    """exp(x) at precision f for exp(x) < 2^top (top = 0: for x <= 0); 0 if it is below 2^-f / 4.

    The exponentiation of [KellerSun2022, section 4]: exp(x) = 2^n 2^t with n + t = x log2(e),
    where n's bits select public powers of two and 2^t is a polynomial. Two changes: n is found from
    x times a coarse log2(e), which needs no truncation and so runs beside the exact product; t
    then leaves [0, 1) by less than 1/16. And n >= -span is checked beside both: smaller x are
    replaced by -span ln 2, and their bits cleared.

    Error: 1 unit of 2^-f and 2^-17.5 of the result (f = 16), 2^-35.8 (f = 32).
    Rounds: a2b, an AND, b2a, 2 (f = 16) or 3 (f = 32) products with truncation, and one more.
    """
    log2e, fx = math.log2(math.e), precision(x)
    count = (f + top).bit_length()
    span = (1 << count) - (top if top else 1)  # 2^n runs from 2^-span
    lowest = -round(span * math.log(2) * 2**fx) / 2**fx
    above = plus(x, -lowest)
    kept = invert(is_negative(above))
    fine = third() + 1
    exact = plus(rounded(scaled(select(kept, above), log2e, fine), fine), lowest * log2e + span)
    coarse = scaled(above, math.floor(log2e * 2**_COARSE) / 2**_COARSE, _COARSE)
    point = fx + _COARSE
    integer = planes(emit("a2b", coarse, bits=point + count), point, point + count)
    integer = both(integer, join_planes([kept] * count))
    *bits, present = numbers(join_planes([integer, kept]))
    whole = weighted(bits, [1 << i for i in range(count)])
    t = plus(shifted(sub(exact, scaled(whole, 1.0, fine)), 1), -1.0)
    fraction = polynomial(t, chebyshev(_two_to, 0.0, 1.0, 4 if config().f <= 16 else 8))
    # 2^(n - span) or, below the range, 0: there all bits are 0 and so is the first factor.
    factors = [shifted(add(present, bits[0]), -span)]
    factors += [plus(times(b, (1 << (1 << i)) - 1), 1) for i, b in enumerate(bits) if i > 0]
    return product(fraction, exact_product(factors), f)


@lowering("exp")
def exp(x: Tensor) -> Tensor:
    """exp(x) for x < (k - 1 - f) ln 2, so that the result fits (9.70 at f = 16, k = 31).

    Error and rounds: see `exponential`.
    """
    f = precision(x)
    return exponential(x, f, config().k - 1 - f)


@lowering("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) for every x, from y = 1 / (1 + exp(-|x|)) as y or 1 - y.

    Error: 1.2 units.
    Rounds: a comparison, a selection, `exponential`, 4 (f = 16) or 5 products with truncation, a
    selection.
    """
    return _sigmoid(x, precision(x))


@lowering("tanh")
def tanh(x: Tensor) -> Tensor:
    """tanh(x) = 2 sigmoid(2 x) - 1 for every x.

    Error: 2.4 units. Rounds: those of `sigmoid`.
    """
    return plus(times(_sigmoid(shifted(x, 1), precision(x)), 2), -1.0)


def _sigmoid(x: Tensor, f: int) -> Tensor:
    """sigmoid(x) at precision f."""
    negative = is_negative(x)
    below = select(negative, x)
    e = exponential(sub(below, sub(x, below)), f + GUARD, 0)  # exp(-|x|)
    y = rounded(reciprocal_on(plus(e, 1.0), 1.0, 2.0, mantissa_bits(), 2.0 ** -(f + 8)), f)
    return add(y, select(negative, minus_from(1.0, times(y, 2))))


def _shifted_exponentials(x: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """x - max x, exp of that, its sums along the axis (kept, both with guard bits), its length."""
    f = precision(x)
    d = sub(x, expand(largest(x, axis), x.shape))
    e = exponential(d, f + GUARD, 0)
    total = emit("sum", e, axes=(axis,))
    kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return d, e, emit("reshape", total, shape=kept), x.shape[axis]


@lowering("softmax")
def softmax(x: Tensor, *, axis: int) -> Tensor:
    """exp(x_i) / sum of exp(x_j) along an axis.

    The maximum is subtracted first, so the sum lies in [1, n]: its reciprocal needs no
    normalisation up to n = 16.

    Error: 1.2 units.
    Rounds: the maximum, `exponential`, `reciprocal_above_one` (6 products for n = 10), a product.
    """
    f = precision(x)
    _, e, total, n = _shifted_exponentials(x, axis)
    if n == 1:
        return plus(times(x, 0), 1.0)
    inverse = reciprocal_above_one(total, float(n), mantissa_bits(), 2.0 ** -(f + 7))
    return product(e, expand(inverse, x.shape), f)


@lowering("log_softmax")
def log_softmax(x: Tensor, *, axis: int) -> Tensor:
    """x_i - log of sum of exp(x_j) along an axis.

    Error: 1.3 units. Rounds: the maximum, `exponential`, `logarithm`.
    """
    d, _, total, n = _shifted_exponentials(x, axis)
    low = precision(total)
    log_total = logarithm(total, low, low + n.bit_length(), precision(x))
    return sub(d, expand(log_total, x.shape))


@lowering("cross_entropy")
def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over rows of -sum of target_j * log_softmax(logits)_j; rows of `target` sum to 1.

    Computed as the mean of log(sum of exp(d_j)) - sum of target_j d_j, d = logits - max.

    Error: 2 units for one-hot rows.
    Rounds: those of `log_softmax`, and two products.
    """
    f, batch = precision(logits), logits.shape[0]
    d, _, total, n = _shifted_exponentials(logits, 1)
    low = precision(total)
    log_total = logarithm(total, low, low + n.bit_length(), f)
    # Everything divided by a power of two near the batch, by reading it so: no sum gets too large.
    spread = batch.bit_length()
    hits = emit("sum", emit("mul", shifted(d, -spread), target, m=0, mode=0), axes=(0, 1))
    logs = emit("sum", shifted(log_total, -spread), axes=(0, 1))
    fine = f + (min(spread, GUARD) if target.type.f else spread)
    loss = sub(logs, scaled(rounded(hits, fine), 1.0, f + spread - fine))
    return rounded(scaled(loss, 2.0**spread / batch, f), f)
