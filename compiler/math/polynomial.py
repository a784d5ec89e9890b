"""Polynomials of secret values: near-minimax coefficients and evaluation in few rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..lang.builder import current
from ..lang.tensor import Tensor
from .fixed import (
    add,
    at_precision,
    config,
    plus,
    precision,
    product,
    product_bits,
    rounded,
    scaled,
)

Function = Callable[[Any], Any]
_MOST = 40  # the largest degree that `fitted` tries


@cache
def chebyshev(function: Function, degree: int, high: float = 1.0) -> tuple[float, ...]:
    """Coefficients, lowest first, that interpolate function(t) at Chebyshev's points of [-1, high].

    The error is within a small factor of the best possible one [Trefethen2013, chapter 16].
    """
    series = np.polynomial.chebyshev.Chebyshev.interpolate(function, degree, domain=[-1, high])
    return tuple(float(c) for c in series.convert(kind=np.polynomial.Polynomial).coef)


@cache
def fitted(function: Function, bits: int, high: float = 1.0) -> tuple[float, ...]:
    """Coefficients as those of `chebyshev`, of the least degree whose error is below 2^-bits.

    `bits` is at most 47, so that float64 can tell.

    Raises:
        ProgramError: there is none of a degree up to 40.
    """
    assert bits < 48, "an error that float64 cannot measure"
    t = (high - 1) / 2 + (high + 1) / 2 * np.cos(np.linspace(0, np.pi, 1001))
    for degree in range(3, _MOST + 1):
        coefficients = chebyshev(function, degree, high)
        error = np.abs(np.polynomial.polynomial.polyval(t, coefficients) - function(t)).max()
        if error < 2.0**-bits:
            return coefficients
    raise current().error(
        f"no polynomial of degree {_MOST} has an error below 2^-{bits}", "choose a smaller f"
    )


def polynomial(t: Tensor, coefficients: Sequence[float], f: int) -> Tensor:
    """sum of coefficients[i] * t^i at precision f, for |t| <= 1 (a little more is fine) and
    |coefficients| < 2.

    [PatersonStockmeyer1973] with one split: with h the power of two in [degree / 2, degree), the
    result is low(t) + t^h * high(t); powers up to t^h come from a tree, and coefficients are
    public, so they cost nothing. Where two powers of t and a coefficient do not fit into one
    product, high(t) is rounded before it.

    Rounds: ceil(log2(degree)) products with truncation in a row, and perhaps that rounding; h
    products and one truncation in all. Error: about two units of t's last place, and that of the
    coefficients.
    """
    degree = len(coefficients) - 1
    bits = precision(t)
    assert degree >= 3 and f <= 2 * bits, "a polynomial's degree and precision"
    half = 1
    while 2 * half < degree:
        half *= 2
    powers = {1: t}
    for i in range(2, half + 1):
        left = 1 << ((i - 1).bit_length() - 1)
        powers[i] = product(powers[left], powers[i - left], bits)
    low = _combination(powers, coefficients[:half], bits)
    high = _combination(powers, coefficients[half:], bits)
    room = product_bits() - 2 - bits
    if room < 2 * bits:
        high = rounded(high, min(room, config().k - 3))
    top = product(powers[half], high, min(f, config().k - 3))
    return add(at_precision(top, f), rounded(low, f))


def _combination(powers: dict[int, Tensor], coefficients: Sequence[float], bits: int) -> Tensor:
    """sum of coefficients[i] * t^i with coefficients of so many bits, not rounded."""
    total: Tensor | None = None
    for i, c in enumerate(coefficients):
        if i > 0:
            term = scaled(powers[i], c, bits)
            total = term if total is None else add(total, term)
    assert total is not None
    return plus(total, coefficients[0])
