"""Logarithms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..lang.lowering import lowering
from ..lang.tensor import Tensor
from .fixed import (
    GUARD,
    add,
    at_precision,
    config,
    minus_from,
    plus,
    precision,
    rounded,
    scaled,
    shifted,
    working,
)
from .normalise import normalise
from .polynomial import fitted, polynomial


def _log(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(u) on [1/2, 1] as a function of t = 4 u - 3."""
    return np.log((t + 3) / 4)


def _log2(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log2((t + 3) / 4)


def logarithm(x: Tensor, low: int, high: int, f: int, base: float = math.e) -> Tensor:
    """The logarithm of x at precision f for 2^low <= x in units < 2^high.

    log(u 2^e) = log(u) + e log(2), with a polynomial for log(u) on [1/2, 1], whose degree follows
    f: 7 at f = 16, 13 at f = 32 ([AlySmart2019] has the idea, with a rational function there).
    Nothing is rounded between the polynomial's last product and the result.

    Rounds: `normalise`, 3 or 4 products with truncation, a truncation.
    """
    fine = working()
    n = normalise(x, low, high, fine + 2)
    # u in [1/2, 1] is t in [-1, 1].
    t = plus(shifted(at_precision(n.mantissa, fine + 2), 2), -3.0)
    function = _log if base == math.e else _log2
    fraction = polynomial(t, fitted(function, f + GUARD), 2 * fine)
    exponent = minus_from(high - precision(x), n.zeros)
    whole = scaled(exponent, 1 / math.log2(base), fine)
    return rounded(add(fraction, at_precision(whole, 2 * fine)), f)


@lowering("log")
def log(x: Tensor) -> Tensor:
    """ln(x) for x > 0; some number otherwise. Rounds: see `logarithm`."""
    return logarithm(x, 0, config().k - 1, precision(x))


@lowering("log2")
def log2(x: Tensor) -> Tensor:
    """log2(x) for x > 0; some number otherwise. Rounds: see `logarithm`."""
    return logarithm(x, 0, config().k - 1, precision(x), 2.0)
