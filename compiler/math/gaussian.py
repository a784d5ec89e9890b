"""The error function, GELU, and their derivatives.

All of them are constant or linear beyond some |x|; within, they are a linear function and an even
one, or x times an even one, which is a polynomial in x^2: no exponential is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..ir import special
from ..lang.lowering import lowering
from ..lang.tensor import Tensor
from .fixed import (
    GUARD,
    add,
    at_precision,
    config,
    differ,
    invert,
    is_negative,
    join_planes,
    minus_from,
    numbers,
    plus,
    precision,
    product,
    product_bits,
    rounded,
    scaled,
    select,
    shifted,
    sub,
    working,
)
from .polynomial import fitted, polynomial

Real = NDArray[np.float64]


@dataclass(frozen=True)
class _Middle:
    """x where |x| <= edge and 0 elsewhere, t = 2 (that / edge)^2 - 1, and the bits x > edge and
    x < -edge; t's edge may be a little wider."""

    x: Tensor
    t: Tensor
    edge: float
    above: Tensor
    below: Tensor


def _middle(x: Tensor, edge: float) -> _Middle:
    """Rounds: a comparison, a selection, a product with truncation."""
    above = is_negative(minus_from(edge, x))
    below = is_negative(plus(x, edge))
    inner = select(invert(differ(above, below)), x)
    # t from (inner sqrt(2) / edge)^2, the factor with as many bits as one product has room for.
    fine = working()
    bits = min(fine, (product_bits() - 4) // 2 - precision(x))
    factor = math.floor(math.sqrt(2.0) / edge * 2**bits) / 2**bits
    part = scaled(inner, factor, bits)
    t = plus(product(part, part, fine), -1.0)
    return _Middle(inner, t, math.sqrt(2.0) / factor, above, below)


def _signs(m: _Middle, f: int) -> Tensor:
    """1 above the edge, -1 below it and 0 between, at precision f."""
    above, below = numbers(join_planes([m.above, m.below]))
    return scaled(sub(above, below), 1.0, f)


@cache
def _edge(rest: Callable[[Real], Real], f: int) -> float:
    """The least multiple of 1/16 from which on rest(x) stays below 2^-(f + 2)."""
    x = np.arange(1, 16 * 16) / 16
    return float(x[int(np.flatnonzero(np.abs(rest(x)) >= 2.0 ** -(f + 2)).max()) + 1])


@cache
def _even(function: Callable[[Real], Real], edge: float, bits: int) -> tuple[float, ...]:
    """The polynomial in t = 2 (x / edge)^2 - 1 of an even function of x."""

    def of(t: Real) -> Real:
        return function(edge * np.sqrt(np.maximum((t + 1) / 2, 1e-18)))

    return fitted(of, bits)


def _erf_rest(x: Real) -> Real:
    return 1 - special.erf(x)


def _erf_ratio(x: Real) -> Real:
    return np.asarray(special.erf(x) / x)


@lowering("erf")
def erf(x: Tensor) -> Tensor:
    """erf(x) = 2 / sqrt(pi) times the integral of exp(-s^2) from 0 to x, for every x.

    Where 1 - erf|x| is below a quarter of a unit it is +-1; between, x times a polynomial in x^2.

    Rounds: a comparison, a selection, a product, 4 products of the polynomial (5 at f = 32), and
    one.
    """
    f, fine = precision(x), working()
    edge = _edge(_erf_rest, config().f)
    m = _middle(x, edge)
    ratio = polynomial(m.t, _even(_erf_ratio, m.edge, f + GUARD), fine)
    return add(product(m.x, ratio, f), _signs(m, f))


@lowering("erf_slope")
def erf_slope(x: Tensor) -> Tensor:
    """The derivative of `erf`, 2 / sqrt(pi) exp(-x^2), for every x.

    Error: 1.3 units. Rounds: those of `erf`, but for the last product.
    """
    f, fine = precision(x), working()
    edge = _edge(special.erf_slope, config().f)
    m = _middle(x, edge)
    value = rounded(polynomial(m.t, _even(special.erf_slope, m.edge, f + GUARD), 2 * fine), f)
    return select(invert(differ(m.above, m.below)), value)


@dataclass(frozen=True)
class _Form:
    """GELU in one of its two forms: what the functions below need of it."""

    approximate: str

    def even(self, x: Real) -> Real:
        """(GELU(x) - x / 2) / 2."""
        return np.asarray((special.gelu(x, self.approximate) - x / 2) / 2)

    def rest(self, x: Real) -> Real:
        """x - GELU(x)."""
        return np.asarray(x - special.gelu(x, self.approximate))

    def slope_ratio(self, x: Real) -> Real:
        """(GELU'(x) - 1/2) / x."""
        return np.asarray(special.gelu_slope_odd(x, self.approximate) / x)

    def slope_rest(self, x: Real) -> Real:
        """1 - GELU'(x)."""
        return np.asarray(0.5 - special.gelu_slope_odd(x, self.approximate))


@lowering("gelu")
def gelu(x: Tensor, *, approximate: str) -> Tensor:
    """x Phi(x) for the normal distribution function Phi [HendrycksGimpel2016], for every x; or with
    approximate="tanh" x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    GELU(x) - x / 2 is even: a polynomial in x^2 up to where GELU(x) is x or 0 to a quarter unit.

    Rounds: a comparison, a selection, a product, 4 products of the polynomial (5 at f = 32), a
    truncation.
    """
    form = _Form(approximate)
    f, fine = precision(x), working()
    edge = _edge(form.rest, config().f)
    m = _middle(x, edge)
    value = shifted(polynomial(m.t, _even(form.even, m.edge, f + GUARD), 2 * fine), 1)
    total = add(value, at_precision(shifted(m.x, -1), precision(value)))
    return add(rounded(total, f), select(m.above, x))


@lowering("gelu_slope")
def gelu_slope(x: Tensor, *, approximate: str) -> Tensor:
    """The derivative of `gelu`, for every x: 1/2 and x times a polynomial in x^2.

    Error: 1.6 units. Rounds: those of `erf`.
    """
    form = _Form(approximate)
    f, fine = precision(x), working()
    edge = _edge(form.slope_rest, config().f)
    m = _middle(x, edge)
    part = polynomial(m.t, _even(form.slope_ratio, m.edge, f + GUARD), fine)
    signs = shifted(_signs(m, f - 1), -1)
    return plus(add(product(m.x, part, f), signs), 0.5)
