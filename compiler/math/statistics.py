"""Standardisation: less the mean, over the deviation."""

from __future__ import annotations

from ..lang.functions import rsqrt
from ..lang.lowering import lowering
from ..lang.tensor import Tensor
from .fixed import config, expand, precision, product, shifted

Axes = tuple[int, ...]


def _moments(x: Tensor, axes: Axes, eps: float) -> tuple[Tensor, Tensor]:
    """x - mean, and 1/sqrt(variance + eps) with extra fractional bits, as many as fit k.

    The variance is a value of f bits: where it is small, the result has fewer correct bits.
    """
    f = precision(x)
    d = x - x.mean(axes, keepdims=True)
    variance = (d * d).mean(axes, keepdims=True) + max(eps, 2.0**-f)
    # 1/sqrt(v) = 2^-lift / sqrt(v 2^-2lift), whose result is at most 2^(f / 2 + lift).
    lift = max(0, (config().k - 2 - (3 * f + 1) // 2) // 3)
    return d, shifted(rsqrt(shifted(variance.read(), -2 * lift)), -lift)


@lowering("standardize")
def standardize(x: Tensor, *, axes: Axes, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps), statistics over some axes, variances divided by n.

    An eps below one unit counts as one unit.

    Error: for a variance v, 1 unit and 2^-f / v of the result.
    Rounds: those of `rsqrt`, and 3 or 4 products or truncations.
    """
    d, inverse = _moments(x, axes, eps)
    return product(d, expand(inverse, x.shape), precision(x))


@lowering("standardize_grad")
def standardize_grad(g: Tensor, x: Tensor, *, axes: Axes, eps: float) -> Tensor:
    """(g - mean(g) - y mean(g y)) / sqrt(variance + eps) for y = standardize(x)
    [IoffeSzegedy2015, section 3].

    Rounds, the forward pass given: 3 or 4 products or truncations.
    """
    d, inverse = _moments(x, axes, eps)
    factor = expand(inverse, x.shape)
    y = product(d, factor, precision(x))
    centred = g - g.mean(axes, keepdims=True) - y * (g * y).mean(axes, keepdims=True)
    return product(centred.read(), factor, precision(x))
