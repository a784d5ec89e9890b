"""Activation functions as modules."""

from __future__ import annotations

from .. import lang
from ..lang import Operators, Tensor
from .module import Module


class ReLU(Module):
    """max(x, 0)."""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace

    def forward(self, x: Operators) -> Tensor:
        return lang.relu(x)


class LeakyReLU(Module):
    """x for x > 0, else negative_slope * x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, x: Operators) -> Tensor:
        return x * self.negative_slope + lang.relu(x) * (1.0 - self.negative_slope)


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Operators) -> Tensor:
        return lang.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Operators) -> Tensor:
        return lang.tanh(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) along an axis."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Operators) -> Tensor:
        return lang.softmax(x, self.dim)


class LogSoftmax(Module):
    """log(softmax(x)) along an axis."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Operators) -> Tensor:
        return lang.log_softmax(x, self.dim)
