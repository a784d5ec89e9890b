"""Polynomials of secret values: near-minimax coefficients and evaluation in few rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..lang.tensor import Tensor
from .fixed import add, plus, precision, product, rounded, scaled, third


@cache
def chebyshev(
    function: Callable[[Any], Any], low: float, high: float, degree: int
) -> tuple[float, ...]:
    """Coefficients in t, lowest first, that interpolate function(x) at Chebyshev's points.

    t runs over [-1, 1] as x runs over [low, high]. The error is within a small factor of the best
    possible one [Trefethen2013, chapter 16].
    """
    series = np.polynomial.chebyshev.Chebyshev.interpolate(
        lambda t: function((low + high) / 2 + t * (high - low) / 2), degree
    )
    return tuple(float(c) for c in series.convert(kind=np.polynomial.Polynomial).coef)


def polynomial(t: Tensor, coefficients: Sequence[float]) -> Tensor:
    """sum of coefficients[i] * t^i, for |t| <= 1 (a little more is fine), |coefficients| < 2.

    The precision of t must be `third()`, so that two powers of t and a coefficient fit into one
    product. [PatersonStockmeyer1973] with one split: with h the power of two in
    [degree / 2, degree), the result is low(t) + t^h * high(t); powers up to t^h come from a
    tree, and coefficients are public, so they cost nothing.

    Rounds: ceil(log2(degree)) products with truncation in a row; h products and one truncation
    in all. Error: about two units of t's last place, and that of the coefficients.
    """
    degree = len(coefficients) - 1
    f = precision(t)
    assert degree >= 3 and f == third(), "the precision of a polynomial's argument"
    half = 1
    while 2 * half < degree:
        half *= 2
    powers = {1: t}
    for i in range(2, half + 1):
        left = 1 << ((i - 1).bit_length() - 1)
        powers[i] = product(powers[left], powers[i - left], f)
    low = _combination(powers, coefficients[:half])
    high = _combination(powers, coefficients[half:])
    return add(product(powers[half], high, f), rounded(low, f))


def _combination(powers: dict[int, Tensor], coefficients: Sequence[float]) -> Tensor:
    """sum of coefficients[i] * t^i, not rounded."""
    bits = third()
    total: Tensor | None = None
    for i, c in enumerate(coefficients):
        if i > 0:
            term = scaled(powers[i], c, bits)
            total = term if total is None else add(total, term)
    assert total is not None
    return plus(total, coefficients[0])
