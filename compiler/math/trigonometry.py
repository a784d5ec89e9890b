"""Sine and cosine."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..lang.lowering import lowering
from ..lang.tensor import Tensor, emit
from .fixed import (
    GUARD,
    at_precision,
    config,
    minus_from,
    numbers,
    planes,
    plus,
    precision,
    product,
    product_bits,
    rounded,
    shifted,
    sub,
    times,
    weighted,
    working,
)
from .polynomial import fitted, polynomial

_TURN = Fraction("0.15915494309189533576888376337251436203445964574046")  # 1 / (2 pi)


def _sine_ratio(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """sin(pi w / 2) / w on [0, 1] as a function of t = 2 w^2 - 1."""
    w = np.sqrt(np.maximum((t + 1) / 2, 1e-18))
    return np.asarray(np.sin(math.pi / 2 * w) / w)


def _sine(x: Tensor, quarters: int) -> Tensor:
    """sin(x + quarters pi / 2) for |x| < 2^m, m = min(k - 1 - f, 15 / 32 ring_bits - f).

    x / (2 pi), not rounded, is a number of turns; its bits from the half turn on, taken away,
    leave at most a quarter of a turn to either side, where the sine is w times a polynomial in
    w^2; the bit of the half turn is the sign. ([AlySmart2019] reduces by comparisons.)
    """
    f, fine, c = precision(x), working(), config()
    span = min(c.k - 1 - f, c.ring_bits * 15 // 32 - f)
    bits = min(product_bits() + 2 - f - span, 64)
    turns = emit("scale", x, imm=round(_TURN * 2**bits), f=bits)
    point = precision(turns)
    turns = plus(turns, quarters / 4 + 0.25)
    top = point + max(span - 1, 1)  # |turns| < 2^(span - 2) and an offset; and the sign
    half, *whole = numbers(planes(emit("a2b", turns, bits=top), point - 1, top))
    weights = [1 << (i + 1) for i in range(len(whole))]
    weights[-1] *= -1
    halves = weighted([half, *whole], [1, *weights])
    rest = plus(sub(turns, shifted(at_precision(halves, point - 1), -1)), -0.25)
    w = rounded(shifted(rest, 2), fine)
    t = plus(shifted(product(w, w, fine + 1), 1), -1.0)
    signed = emit("mul", w, minus_from(1.0, times(half, 2)), m=0, mode=0)
    return product(signed, polynomial(t, fitted(_sine_ratio, f + GUARD), fine), f)


@lowering("sin")
def sin(x: Tensor) -> Tensor:
    """sin(x) for |x| < 2^m, m = min(k - 1 - f, 15 / 32 ring_bits - f): at f = 16 and k = 31 for
    every x, at f = 32 and k = 63 up to 2^28.

    Rounds: a2b, b2a, a truncation, a product, 2 (f = 16) or 3 products of the
    polynomial, and one.
    """
    return _sine(x, 0)


@lowering("cos")
def cos(x: Tensor) -> Tensor:
    """cos(x) = sin(x + pi / 2). Domain and rounds: see `sin`."""
    return _sine(x, 1)
