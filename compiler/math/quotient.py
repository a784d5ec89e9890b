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

    Up to 16, 1/x = (1 - t_j) / x - with a residual t_j that is small enough - by Chebyshev's
    polynomials: t_i is that of degree 2^i in x, scaled to be 1 at x = 0. From t_1, the square of a
    linear function less a constant, t_(i+1) = a t_i^2 - (a - 1), and so 1 - t_(i+1) =
    a (1 - t_i) (1 + t_i): the result is a public factor times (1 + t_0) (1 + t_1) (1 + t_2) ...
    Residuals of that degree cannot be less [Trefethen2013, chapter 3]; Goldschmidt's iteration
    [Goldschmidt1964] is the case a = 1.

    Rounds: j products with truncation in a row, 5 for high = 10 and f = 16; above 16,
    normalisation and the polynomial of `reciprocal_on`, and one product more.
    Error: about 2 j units of 2^-f.
    """
    if high <= 2:
        return reciprocal_on(x, 1.0, f)
    if high > _DIRECT:
        low = precision(x)
        n = normalise(x, low, low + int(high).bit_length(), working() + 2)
        w = reciprocal_on(n.mantissa, 0.5, working())
        return product(w, shifted(n.power, -int(high).bit_length()), f)
    line = (product_bits() - 1) // 2 - precision(x)  # bits of the linear function's coefficients
    bits = min(8, product_bits() - 2 * f)
    a, b, gains = _residuals(high, line, bits)
    z = plus(scaled(x, -b, line), a)
    factor = b * math.prod(gains)
    w = rounded(scaled(plus(z, a), factor, product_bits() - 2 - precision(z)), f)
    t = plus(product(z, z, f), 1.0 - a * a)
    for gain in gains[:-1]:
        w = product(w, plus(t, 1.0), f)
        t = plus(product(scaled(t, gain, bits), t, f), 1.0 - gain)
    return product(w, plus(t, 1.0), f)


def _residuals(high: float, line: int, bits: int) -> tuple[float, float, list[float]]:
    """a and b of t_1 = (a - b x)^2 - (a^2 - 1), and the gains of t_2, t_3, ..., of so many bits,
    until the residual on [1, high] is below 2^-(f + GUARD).

    Rounding the gains moves the residuals a little from Chebyshev's; the result is what it says.
    """
    x = np.linspace(1.0, high, 1001)
    peak = 2 * ((high + 1) / (high - 1)) ** 2 - 1  # Chebyshev's polynomial of degree 2 at x = 0
    a = math.floor(math.sqrt(1 + 1 / peak) * 2**line) / 2**line
    b = math.floor(a * 2 / (high + 1) * 2**line) / 2**line
    t, gains = (a - b * x) ** 2 - (a * a - 1), list[float]()
    while np.abs(t).max() > 2.0 ** -(config().f + GUARD):
        peak = 2 * peak * peak - 1
        gains.append(1 + math.floor(2**bits / peak) / 2**bits)
        t = gains[-1] * t * t - (gains[-1] - 1)
    return a, b, gains


@lowering("reciprocal")
def reciprocal(x: Tensor) -> Tensor:
    """1/x for |x| > 2^(f - k + 1), so that the result fits; 1/0 is some number.

    A polynomial of degree 8 (f = 16) or 14 in the scale of the top bit, which [CatrinaSaxena2010]
    does with Goldschmidt's iteration in more rounds.

    Rounds: `normalise`, `reciprocal_on`, and one product.
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

    Rounds: those of `reciprocal`.
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
