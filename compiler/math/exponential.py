"""Exponentials and what is made of them: sigmoid, tanh, softmax, cross-entropy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..lang.lowering import lowering
from ..lang.tensor import Tensor, emit
from .compare import largest
from .fixed import (
    GUARD,
    add,
    at_precision,
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
    product_bits,
    rounded,
    scaled,
    select,
    shifted,
    sub,
    times,
    weighted,
    working,
)
from .logarithm import logarithm
from .normalise import power_factors
from .polynomial import fitted, polynomial
from .quotient import reciprocal_above_one, reciprocal_on

_COARSE = 8  # bits of log2(e) that are enough to find the integer part


def _two_to(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """2^x on [0, 1] as a function of t = 2 x - 1."""
    return np.exp2((t + 1) / 2)


def exponential(x: Tensor, f: int, top: int, base: float = math.e) -> Tensor:
    """base^x at precision f for base^x < 2^top (top = 0: for x <= 0); 0 if it is below 2^-f / 2.

    The exponentiation of [KellerSun2022, section 4]: base^x = 2^n 2^t with n + t = x log2(base),
    where n's bits select public powers of two and 2^t is a polynomial. Two changes: n is found from
    x times a coarse log2(e), which needs no truncation and so runs beside the exact product; t
    then leaves [0, 1) by less than 1/16. And n >= -span is checked beside both: smaller x count
    as the least one, and their bits are cleared.

    Error: 1 unit of 2^-f and 2^-17 of the result (f = 16), 2^-34 (f = 32).
    Rounds: a2b, an AND, b2a, 2 (f = 16) or 3 (f = 32) products with truncation, and one more.
    """
    rate, fx, fine = math.log2(base), precision(x), working()
    span = f + 1
    count = (span + max(top - 1, 0)).bit_length()
    lowest = -round(span / rate * 2**fx) / 2**fx
    above = plus(x, -lowest)
    kept = invert(is_negative(above))
    exact = plus(_exponent(select(kept, above), rate, fine + 1), lowest * rate + span)
    places = 0 if rate == 1 else _COARSE
    coarse = scaled(above, math.floor(rate * 2**places) / 2**places, places)
    point = fx + places
    integer = planes(emit("a2b", coarse, bits=point + count), point, point + count)
    integer = both(integer, join_planes([kept] * count))
    *bits, present = numbers(join_planes([integer, kept]))
    whole = weighted(bits, [1 << i for i in range(count)])
    t = plus(shifted(sub(exact, scaled(whole, 1.0, fine + 1)), 1), -1.0)
    # 2^(n + span) or, below the range, 0: there all bits are 0 and so is the first factor.
    power = exact_product([add(present, bits[0]), *power_factors(bits)[1:]])
    room = product_bits() - span - max(top, 1)
    places = 2 * fine if 2 * fine <= room else min(fine, room)
    coefficients = fitted(_two_to, config().f + 1, 9 / 8)
    return product(polynomial(t, coefficients, places), shifted(power, -span), f)


def _exponent(above: Tensor, rate: float, f: int) -> Tensor:
    """above * rate at precision f, for 0 <= above < 2^7."""
    if rate == 1:
        return at_precision(above, f)
    bits = min(f + 5, product_bits() - precision(above) - 8)
    return rounded(scaled(above, rate, bits), f)


@lowering("exp")
def exp(x: Tensor) -> Tensor:
    """exp(x) for x < (k - 1 - f) ln 2, so that the result fits (9.70 at f = 16, k = 31).

    Error and rounds: see `exponential`.
    """
    f = precision(x)
    return exponential(x, f, config().k - 1 - f)


@lowering("exp2")
def exp2(x: Tensor) -> Tensor:
    """2^x for x < k - 1 - f, so that the result fits. Error and rounds: see `exponential`."""
    f = precision(x)
    return exponential(x, f, config().k - 1 - f, 2.0)


@lowering("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) for every x, from y = 1 / (1 + exp(-|x|)) as y or 1 - y.

    Rounds: a comparison, a selection, `exponential`, 4 (f = 16) or 5 products with truncation, a
    selection.
    """
    return _sigmoid(x, precision(x))


@lowering("tanh")
def tanh(x: Tensor) -> Tensor:
    """tanh(x) = 2 sigmoid(2 x) - 1 for every x.

    Rounds: those of `sigmoid`.
    """
    f = precision(x)
    return plus(shifted(_sigmoid(shifted(x, 1), f + 1), 1), -1.0)


def _sigmoid(x: Tensor, f: int) -> Tensor:
    """sigmoid(x) at precision f."""
    negative = is_negative(x)
    below = select(negative, x)
    e = exponential(sub(below, sub(x, below)), f + GUARD, 0)  # exp(-|x|)
    y = rounded(reciprocal_on(plus(e, 1.0), 1.0, 2 * working() + 1), f)
    return add(y, select(negative, minus_from(1.0, times(y, 2))))


def _log1p(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(1 + e) on [0, 1] as a function of t = 2 e - 1."""
    return np.log((t + 3) / 2)


@lowering("softplus")
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) for every x: max(x, 0) + log(1 + exp(-|x|)), the latter by a polynomial.

    Rounds: a comparison, a selection, `exponential`, 3 (f = 16) or 4 products with truncation, a
    truncation.
    """
    f, fine = precision(x), working()
    below = select(is_negative(x), x)
    above = sub(x, below)
    e = exponential(sub(below, above), f + GUARD, 0)
    t = plus(shifted(at_precision(e, fine + 1), 1), -1.0)
    rest = polynomial(t, fitted(_log1p, f + GUARD), 2 * fine)
    return add(above, rounded(rest, f))


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

    Rounds: the maximum, `exponential`, `reciprocal_above_one` (5 products for n = 10), a product.
    """
    f = precision(x)
    _, e, total, n = _shifted_exponentials(x, axis)
    if n == 1:
        return plus(times(x, 0), 1.0)
    places = min(working() + GUARD, (product_bits() - 4) // 2)
    inverse = reciprocal_above_one(total, float(n), places)
    return product(e, expand(inverse, x.shape), f)


@lowering("log_softmax")
def log_softmax(x: Tensor, *, axis: int) -> Tensor:
    """x_i - log of sum of exp(x_j) along an axis.

    x_i - max may be twice what k bits hold. It is limited, beside the exponential, to what the
    logarithm, which is below that of 2 n, cannot bring out of the range: results below L = (bits of
    n) - 2^(k - 1 - f) are some number from L - log(n) to L.

    Rounds: the maximum, `exponential`, `logarithm`.
    """
    d, _, total, n = _shifted_exponentials(x, axis)
    f, low = precision(x), precision(total)
    least = n.bit_length() - 2.0 ** (config().k - 1 - f)
    beyond = plus(d, -least)
    d = sub(d, select(is_negative(beyond), beyond))
    log_total = logarithm(total, low, low + n.bit_length(), f)
    return sub(d, expand(log_total, x.shape))


@lowering("cross_entropy")
def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over rows of -sum of target_j * log_softmax(logits)_j; rows of `target` sum to 1.

    Computed as the mean of log(sum of exp(d_j)) - sum of target_j d_j, d = logits - max. The mean
    has guard bits, so it must be below 2^(k - 5 - f); losses of single rows need not.

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
    k, room = config().k, product_bits()
    loss = rounded(loss, f + spread if k + spread + f <= room else f + 1)
    bits = min(f, room - k - (precision(loss) - f))
    return rounded(scaled(loss, 2.0**spread / batch, bits), f)
