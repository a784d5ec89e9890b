"""Reciprocals and quotients."""

from __future__ import annotations

import math

from ..lang.lowering import lowering
from ..lang.tensor import Tensor
from .fixed import (
    config,
    minus_from,
    plus,
    precision,
    product,
    product_bits,
    rounded,
    scaled,
    shifted,
)
from .normalise import Normal, normalise

GUARD = 4  # bits kept below the last place until the last rounding
_DIRECT = 16  # a wider range is normalised first


def reciprocal_on(x: Tensor, low: float, high: float, f: int, error: float) -> Tensor:
    """1/x at precision f for low <= x <= high, high <= 16 low, low >= 1/2.

    Goldschmidt's iteration [Goldschmidt1964]: from a start w and e = 1 - x w,
    1/x = w (1 + e) (1 + e^2) (1 + e^4) ... The start is linear in x, so local, and such that
    e is Chebyshev's polynomial of degree 2: the least possible on the range.

    Rounds: 1 + n products with truncation in a row, where e^(2^n) <= error.
    Error: about n + 1 units of 2^-f, and `error`.
    """
    assert high <= _DIRECT * low, "a range for a direct start"
    centre, slope = (high + low) / (high - low), 2 / (high - low)
    peak = 2 * centre * centre - 1
    # The start's coefficients may be coarse, as e is computed from what they are.
    bits = math.ceil(math.log2(high * high / (1 - 1 / peak))) + 4
    w = plus(scaled(x, -2 * slope * slope / peak, bits), 4 * slope * centre / peak)
    e = minus_from(1.0, product(x, w, f))
    bound = 1 / peak
    while True:
        w = product(w, plus(e, 1.0), f)
        bound *= bound
        if bound <= error:
            return w
        e = product(e, e, f)


def reciprocal_above_one(x: Tensor, high: float, f: int, error: float) -> Tensor:
    """1/x at precision f for 1 <= x <= high.

    Rounds: those of `reciprocal_on` if high <= 16, else normalisation and one product more.
    """
    if high <= _DIRECT:
        return reciprocal_on(x, 1.0, high, f, error)
    low = precision(x)
    n = normalise(x, low, low + int(high).bit_length(), mantissa_bits())
    w = reciprocal_on(n.mantissa, 0.5, 1.0, mantissa_bits(), error)
    return product(w, shifted(n.inverse, -1), f)


def mantissa_bits() -> int:
    """The precision of values in [1/2, 1] whose product with a start of `reciprocal_on` fits."""
    return (product_bits() - 6) // 2 - 1


def _inverse(x: Tensor) -> tuple[Tensor, Normal]:
    """1/u for the mantissa u of x, and the rest of x."""
    f = mantissa_bits()
    n = normalise(x, 0, config().k - 1, f, signed=True)
    return reciprocal_on(n.mantissa, 0.5, 1.0, f, 2.0**-f), n


@lowering("reciprocal")
def reciprocal(x: Tensor) -> Tensor:
    """1/x for |x| > 2^(f - k + 1), so that the result fits; 1/0 is some number.

    Error: 1.1 units.
    Rounds: normalisation, then 4 (f = 16) or 5 (f = 32) products with truncation, then one.
    """
    w, n = _inverse(x)
    f = precision(x)
    return product(shifted(w, f - 1), n.inverse, f)


@lowering("div")
def div(a: Tensor, b: Tensor) -> Tensor:
    """a/b for b != 0 where the quotient fits; a/0 is some number.

    a is brought to the scale of b's mantissa u while 1/u <= 2 is computed; its rounding there
    counts twice.

    Error: 3.1 units. Rounds: those of `reciprocal`.
    """
    w, n = _inverse(b)
    f = precision(b)
    numerator = product(shifted(a, f - 1), n.inverse, f)
    room = product_bits() - config().k - 1
    return product(numerator, rounded(w, min(precision(w), room)), f)
