"""Square roots and their reciprocals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

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
    shifted,
    third,
)
from .normalise import Normal, half_power, normalise
from .polynomial import chebyshev, polynomial


def _inverse_root(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / np.sqrt(u)


def _roots(x: Tensor, places: int) -> tuple[Tensor, Tensor, Normal]:
    """sqrt(u) and 1/(2 sqrt(u)) at the precision `places` for x's mantissa u, and the rest of x.

    From a polynomial y for 1/sqrt(u), the coupled iteration g = u y, h = y / 2;
    r = 1/2 - g h; g += g r; h += h r [Goldschmidt1964], once at f = 16 and twice beyond.
    """
    fine = third()
    n = normalise(x, 0, config().k - 1, places)
    t = plus(shifted(rounded(n.mantissa, fine + 2), 2), -3.0)
    y = polynomial(t, chebyshev(_inverse_root, 0.5, 1.0, 4))
    g, h = product(n.mantissa, y, places), shifted(y, -1)
    for _ in range(1 if config().f <= 16 else 2):
        r = plus(minus_from(0.5, product(g, h, places)), 1.0)
        g, h = product(g, r, places), product(h, r, places)
    return g, h, n


def _split() -> tuple[int, int]:
    """Precisions of a mantissa's root and of the factor sqrt(2) of its exponent, which together
    with half the exponent's range fit into one product."""
    span = 1 << (config().k - 2).bit_length()
    room = product_bits() - 4 - span // 2
    return room // 2 + 1, room - room // 2 - 1


@lowering("sqrt")
def sqrt(x: Tensor) -> Tensor:
    """sqrt(x) for x >= 0; some number otherwise.

    Error: 1.2 units.
    Rounds: normalisation, 5 (f = 16) or 7 products with truncation, and one.
    """
    places, root_places = _split()
    g, _, n = _roots(x, places)
    f = precision(x)
    # x in units is u 2^(e + 1), the result in units sqrt(u) 2^(e / 2) 2^((f + 1) / 2).
    whole, half = divmod(1 - f, 2)
    power = half_power(n.bits, math.sqrt(2.0) if half else 1.0, root_places, complement=False)
    return product(g, shifted(power, whole), f)


@lowering("rsqrt")
def rsqrt(x: Tensor) -> Tensor:
    """1/sqrt(x) for x > 0; some number otherwise.

    Error: 1.2 units.
    Rounds: those of `sqrt`.
    """
    places, root_places = _split()
    _, h, n = _roots(x, places)
    f = precision(x)
    # With c = span - 1 - e, the result is u^(-1/2) 2^(c / 2) 2^((f - span) / 2).
    whole, half = divmod(f - n.span, 2)
    power = half_power(n.bits, math.sqrt(2.0) if half else 1.0, root_places, complement=True)
    return product(shifted(h, 1), shifted(power, whole), f)
