"""Rows: standardisation, what batch and layer normalisation are made of.

One row, and not a composition of others, for the sake of its gradient: the chain rule would pass
through the third power of the inverse deviation, which hardly fits fixed-point numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import Config, Node
from .numeric import Array
from .ops import Attrs, need
from .ops_composite import _composite, _fixed, _no_second_derivative
from .types import Type

if TYPE_CHECKING:
    from ..passes.autodiff import Step


def _standardize(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _fixed(x[0])
    axes = a["axes"]
    need(len(axes) > 0 and len(set(axes)) == len(axes)
         and all(0 <= i < len(x[0].shape) for i in axes),
         f"statistics over the axes {axes} of {x[0].shape}")  # fmt: skip
    need(all(x[0].shape[i] for i in axes), "statistics of no elements")
    need(a["eps"] > 0, f"eps = {a['eps']}", "eps > 0 keeps equal values finite")
    return x[0]


def _standardize_grad(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    """Operands: gradient of the result, operand of the standardisation."""
    _standardize(x[1:], a, c)
    _fixed(x[0])
    need(x[0] == x[1], f"gradient {x[0]} for {x[1]}")
    return x[1]


def _moments(n: Node, x: Array) -> tuple[Array, Array]:
    """x less its mean, and the inverse deviation."""
    d = x - x.mean(axis=n.attrs["axes"], keepdims=True)
    variance = (d * d).mean(axis=n.attrs["axes"], keepdims=True)
    return d, 1.0 / np.sqrt(variance + n.attrs["eps"])


def _standardize_value(n: Node, x: Array) -> Array:
    d, inverse = _moments(n, x)
    return np.asarray(d * inverse)


def _standardize_grad_value(n: Node, g: Array, x: Array) -> Array:
    axes = n.attrs["axes"]
    d, inverse = _moments(n, x)
    y = d * inverse
    along = y * (g * y).mean(axis=axes, keepdims=True)
    return np.asarray(inverse * (g - g.mean(axis=axes, keepdims=True) - along))


def _grad_standardize(s: Step) -> Sequence[Any]:
    a = s.node.attrs
    return (s.call("standardize_grad", s.g * 1.0, s.x[0], axes=a["axes"], eps=a["eps"]),)


_composite("standardize", _standardize, _standardize_value, _grad_standardize, "axes eps")
_composite("standardize_grad", _standardize_grad, _standardize_grad_value, _no_second_derivative,
           "axes eps", arity=2)  # fmt: skip
