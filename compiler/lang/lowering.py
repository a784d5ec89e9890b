"""The registry of lowerings: how composite ops are written in the language.

A lowering takes the operands as tensors and the node's attributes as keywords, and returns the
result as a tensor of the node's type:

>>> @lowering("relu")
... def relu(x):
...     return select(x >= 0, x)

It may use other composite ops; they are expanded in turn. `compiler/math/` holds them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..ir.ops import OPS
from .tensor import Tensor

Lowering = Callable[..., Tensor]
F = TypeVar("F", bound=Callable[..., Any])
LOWERINGS: dict[str, Lowering] = {}


def lowering(name: str) -> Callable[[F], F]:
    """Register the lowering of a composite op."""

    def register(function: F) -> F:
        assert OPS[name].composite, f"{name} is no composite op"
        assert name not in LOWERINGS, f"{name} has two lowerings"
        LOWERINGS[name] = function
        return function

    return register
