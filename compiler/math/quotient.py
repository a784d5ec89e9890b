"""Reciprocals and quotients."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..lang.builder import current
from ..lang.lowering import lowering
from ..lang.tensor import Tensor
from .fixed import (
    GUARD,
    at_precision,
    config,
    minus_from,
    plus,
    precision,
    product,
    product_bits,
    rounded,
    scaled,
    shifted,
    working,
)
from .normalise import Normal, normalise
from .polynomial import fitted, polynomial

_DIRECT = 16  # a wider range is normalised first


def _inverse(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/u on [1/2, 1] as a function of t = 4 u - 3."""
    return 4.0 / (t + 3)


def reciprocal_on(x: Tensor, low: float, f: int) -> Tensor:
    """1/x at precision f for low <= x <= 2 low, low a power of two, by a polynomial.

    Rounds: 3 (f = 16) or 4 (f = 32) products with truncation in a row. Error: about a unit.
    """
    fine = working()
    exponent = round(math.log2(low)) + 1
    t = plus(shifted(at_precision(shifted(x, -exponent), fine + 2), 2), -3.0)
    y = polynomial(t, fitted(_inverse, config().f + GUARD), f - exponent)
    return shifted(y, -exponent)


def reciprocal_above_one(x: Tensor, high: float, f: int) -> Tensor:
    """1/x at precision f for 1 <= x <= high.

    Up to 16 by Goldschmidt's iteration [Goldschmidt1964]: from a start w and e = 1 - x w,
    1/x = w (1 + e) (1 + e^2) (1 + e^4) ... The start is linear in x, so local, and such that
    e is Chebyshev's polynomial of degree 2: the least possible on the range.

    Rounds: 1 + n products with truncation in a row, where e^(2^n) < 2^-(f + GUARD); above 16,
    normalisation and the polynomial of `reciprocal_on`, and one product more.
    Error: about n + 1 units of 2^-f.
    """
    if high <= 2:
        return reciprocal_on(x, 1.0, f)
    if high > _DIRECT:
        low = precision(x)
        n = normalise(x, low, low + int(high).bit_length(), working() + 2)
        w = reciprocal_on(n.mantissa, 0.5, working())
        return product(w, shifted(n.power, -int(high).bit_length()), f)
    centre, slope = (high + 1) / (high - 1), 2 / (high - 1)
    peak = 2 * centre * centre - 1
    # The start's coefficients may be coarse, as e is computed from what they are.
    bits = math.ceil(math.log2(high * high / (1 - 1 / peak))) + 4
    w = plus(scaled(x, -2 * slope * slope / peak, bits), 4 * slope * centre / peak)
    w = rounded(w, min(precision(w), product_bits() - precision(x) - 6))
    e = minus_from(1.0, product(x, w, f))
    bound = 1 / peak
    while True:
        w = product(w, plus(e, 1.0), f)
        bound *= bound
        if bound <= 2.0 ** -(config().f + GUARD):
            return w
        e = product(e, e, f)


@lowering("reciprocal")
def reciprocal(x: Tensor) -> Tensor:
    """1/x for |x| > 2^(f - k + 1), so that the result fits; 1/0 is some number.

    A polynomial of degree 8 (f = 16) or 14 in the scale of the top bit, which [CatrinaSaxena2010]
    does with Goldschmidt's iteration in more rounds.

    Error: 1.3 units. Rounds: `normalise`, `reciprocal_on`, and one product.
    """
    f = precision(x)
    n, w = _parts(x, product_bits() - config().k)
    return product(w, shifted(n.power, f + 1 - config().k), f)


def _parts(x: Tensor, most: int) -> tuple[Normal, Tensor]:
    """x split, and 1/u of its mantissa u at the precision `working()` or `most`."""
    n = normalise(x, 0, config().k - 1, working() + 2, signed=True)
    return n, reciprocal_on(n.mantissa, 0.5, min(working(), most))


@lowering("div")
def div(a: Tensor, b: Tensor) -> Tensor:
    """a/b for b != 0 where the quotient fits; a/0 is some number.

    a is brought to the scale of b's mantissa u while 1/u <= 2 is computed; its rounding there
    counts twice.

    Error: 3.1 units. Rounds: those of `reciprocal`.
    """
    f, c = precision(b), config()
    if 2 * c.k - c.f > c.ring_bits:
        raise current().error(
            f"a quotient of secret values needs 2 k - f <= {c.ring_bits}, which k = {c.k} and "
            f"f = {c.f} break",
            "lower k, or multiply by reciprocal(b)",
        )
    n, w = _parts(b, product_bits() - c.k)
    numerator = product(a, shifted(n.power, f + 1 - c.k), f)
    return product(numerator, w, f)
