"""Logarithms."""

from __future__ import annotations

import math

import numpy as np

from ..lang.lowering import lowering
from ..lang.tensor import Tensor
from .fixed import add, config, plus, precision, rounded, scaled, shifted, third, weighted
from .normalise import normalise
from .polynomial import chebyshev, polynomial


def logarithm(x: Tensor, low: int, high: int, f: int) -> Tensor:
    """ln(x) at precision f for 2^low <= x in units < 2^high.

    ln(u 2^e) = ln(u) + e ln(2), with a polynomial of degree 8 (f = 16) or 16 for ln(u) on
    [1/2, 1] [AlySmart2019] has the idea, with a rational function there.

    Error: 1.1 units of 2^-f and 2^-19 at f = 16, 2^-36 at f = 32.
    Rounds: normalisation, 3 or 4 products with truncation, a truncation.
    """
    fine = third()
    n = normalise(x, low, high, fine + 2)
    # u in [1/2, 1] is t in [-1, 1].
    t = plus(shifted(n.mantissa, 2), -3.0)
    degree = 8 if config().f <= 16 else 16
    fraction = polynomial(t, chebyshev(np.log, 0.5, 1.0, degree))
    exponent = weighted(n.bits, [1 << i for i in range(len(n.bits))])
    whole = scaled(plus(exponent, low + 1 - precision(x)), math.log(2), fine)
    return rounded(add(fraction, whole), f)


@lowering("log")
def log(x: Tensor) -> Tensor:
    """ln(x) for x > 0; some number otherwise. Error and rounds: see `logarithm`."""
    return logarithm(x, 0, config().k - 1, precision(x))
