"""Square roots and their reciprocals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..lang.lowering import lowering
from ..lang.tensor import Tensor, emit
from .fixed import (
    GUARD,
    add,
    at_precision,
    config,
    exact_product,
    numbers,
    plus,
    precision,
    product,
    product_bits,
    rounded,
    scaled,
    shifted,
    working,
)
from .normalise import leading_zeros, power_factors
from .polynomial import fitted, polynomial

_QUARTIC_BITS = 9  # of its argument


def _inverse_root(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """u^(-1/2) on [1/2, 1] as a function of t = 4 u - 3."""
    return 2.0 / np.sqrt(t + 3)


@dataclass(frozen=True)
class _Halves:
    """x = u 2^(k - 1 - c) units with u in [1/2, 1], c = 2 d + r.

    Attributes:
        inverse: u^(-1/2), in [1, sqrt(2)], at a precision of f + GUARD or more.
        odd: r, as an integer.
        power: 2^d, exact.
        scaled: u 2^(-d - r), exact, with k - 1 fractional bits.
    """

    inverse: Tensor
    odd: Tensor
    power: Tensor
    scaled: Tensor


def _halves(x: Tensor, f: int) -> _Halves:
    """x, in units of 2^-f, split for a root."""
    high, fine = config().k - 1, working()
    odd, *bits = numbers(leading_zeros(x, 0, high))
    power = exact_product(power_factors(bits))
    whole = emit("mul", shifted(x, f - high), power, m=0, mode=0)
    again = emit("mul", power, plus(odd, 1), m=0, mode=0)
    u = product(whole, again, min(fine + 2, high))  # u = x 2^(2 d) (1 + r)
    t = plus(shifted(at_precision(u, fine + 2), 2), -3.0)
    y = polynomial(t, fitted(_inverse_root, config().f + GUARD), fine)
    return _Halves(y, odd, power, whole)


def _root_of_two(odd: Tensor, exponent: int, f: int) -> Tensor:
    """2^(odd / 2), times 2^(1/2) if the exponent is odd. Local."""
    unit = math.sqrt(2.0) if exponent % 2 else 1.0
    return plus(scaled(odd, (math.sqrt(2.0) - 1.0) * unit, f), unit)


@lowering("sqrt")
def sqrt(x: Tensor) -> Tensor:
    """sqrt(x) for x >= 0; some number otherwise.

    With x = u 2^(e - c), e = k - 1 - f and c = 2 d + r: sqrt(x) =
    u^(-1/2) (u 2^(-d - r)) 2^((r + e) / 2), where the polynomial for u^(-1/2) runs beside the rest.
    At x = 0 the polynomial is some number, and with f > k - 20 a checked run may report it.

    Rounds: those of `rsqrt`.
    """
    f = precision(x)
    h = _halves(x, f)
    exponent = config().k - 1 - f
    fine = f + exponent // 2 + 2
    factor = _root_of_two(h.odd, exponent, min(f + GUARD, product_bits() - config().k))
    whole = product(h.scaled, factor, fine)
    room = product_bits() - fine - 1
    y = rounded(h.inverse, min(precision(h.inverse), room))
    return product(shifted(whole, exponent // 2), y, f)


@lowering("rsqrt")
def rsqrt(x: Tensor, *, approximate: str) -> Tensor:
    """1/sqrt(x) for x > 0 whose result fits; some number otherwise.

    With x as in `sqrt`, it is u^(-1/2) 2^d 2^((r - e) / 2). The polynomial in the top bit's scale
    is the inverse square root of [Lu2020] that [KellerSun2022] uses, which has a quadratic one;
    here its degree follows f. `approximate="quartic"` is that idea with d = c // 2 alone, so u in
    [1/4, 1], and a polynomial of degree 4 that is not rounded: relative error below 2^-7, and
    half the bytes.

    Rounds: `leading_zeros`, b2a, 2 products without truncation to the power (3
    at f = 32), another and one with; 3 products of the polynomial (4 at f = 32); one product.
    """
    f = precision(x)
    if approximate == "quartic":
        return _quartic(x, f)
    h = _halves(x, f)
    exponent = f - config().k + 1
    factor = _root_of_two(h.odd, exponent, f + GUARD)
    room = product_bits() - 3 - precision(h.inverse) - (config().k - 2) // 2
    if f + GUARD <= room:
        inverse, power = h.inverse, product(h.power, factor, f + GUARD)
    else:  # a step more
        inverse, power = product(h.inverse, factor, f + GUARD), h.power
    return product(inverse, shifted(power, exponent // 2), f)


@cache
def _quartic_coefficients(factor: float) -> tuple[float, ...]:
    """Of factor * u^(-1/2) in v = 2 u - 5/4, u in [1/4, 1]: near-minimax in relative error."""
    u = 0.625 + 0.375 * np.cos(np.linspace(0, np.pi, 1001))
    curve = np.polynomial.Polynomial.fit(
        2 * u - 1.25, factor / np.sqrt(u), 4, domain=[-1, 1], w=np.sqrt(u)
    )
    return tuple(float(c) for c in curve.coef)


def _quartic(x: Tensor, f: int) -> Tensor:
    """`rsqrt`, roughly: see there."""
    high, bits = config().k - 1, _QUARTIC_BITS
    exponent = f - high
    power = exact_product(power_factors(numbers(leading_zeros(x, 0, high, pairs=True))))
    whole = emit("mul", shifted(x, f - high), power, m=0, mode=0)
    v = plus(shifted(product(whole, power, min(bits + 1, high)), 1), -1.25)
    bits = precision(v)
    square = emit("mul", v, v, m=0, mode=0)
    c = _quartic_coefficients(math.sqrt(2.0) if exponent % 2 else 1.0)
    room = product_bits() - 3 - (high - 1) // 2
    upper = add(scaled(v, c[3], 2 * bits), scaled(square, c[4], bits))
    top = product(square, upper, min(5 * bits, room))
    rest = add(scaled(v, c[1], 2 * bits), scaled(square, c[2], bits))
    y = add(top, scaled(plus(rest, c[0]), 1.0, precision(top) - 3 * bits))
    return product(y, shifted(power, exponent // 2), f)
