"""Functions of real arrays that NumPy lacks: what the op table and the polynomials mean by them."""

from __future__ import annotations

import math

import numpy as np

from .numeric import Array

_ERF = np.vectorize(math.erf, otypes=[np.float64])
_CUBE = 0.044715  # of the approximation of GELU


def erf(x: Array) -> Array:
    """The error function."""
    return np.asarray(_ERF(x))


def erf_slope(x: Array) -> Array:
    """Its derivative."""
    return np.asarray(2 / math.sqrt(math.pi) * np.exp(-np.square(x)))


def gelu(x: Array, approximate: str) -> Array:
    """x Phi(x), or its approximation by tanh [HendrycksGimpel2016]."""
    return np.asarray(x / 2 * (1 + _gate(x, approximate)))


def _gate(x: Array, approximate: str) -> Array:
    """2 Phi(x) - 1."""
    if approximate == "none":
        return erf(x / math.sqrt(2))
    return np.asarray(np.tanh(math.sqrt(2 / math.pi) * (x + _CUBE * x**3)))


def gelu_slope_odd(x: Array, approximate: str) -> Array:
    """The derivative of `gelu` less 1/2, an odd function."""
    gate = _gate(x, approximate)
    if approximate == "none":
        rate = math.sqrt(2 / math.pi) * np.exp(-np.square(x) / 2)
    else:
        rate = (1 - gate**2) * math.sqrt(2 / math.pi) * (1 + 3 * _CUBE * np.square(x))
    return np.asarray((gate + x * rate) / 2)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
