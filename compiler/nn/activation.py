"""Activation functions as modules."""

from __future__ import annotations

from .. import lang
from ..lang import Operators, Tensor, current
from .module import Module, only


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


class GELU(Module):
    """x Phi(x), Phi being the normal distribution function; approximate="tanh": its approximation
    by tanh."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise current().error(f"GELU(approximate={approximate!r})", 'write "none" or "tanh"')
        self.approximate = approximate

    def forward(self, x: Operators) -> Tensor:
        return lang.gelu(x, self.approximate)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta. PyTorch's threshold, above which it gives x, saves it from an
    overflow that there is none of here: the default is accepted, another one is an error."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        only("Softplus", threshold=(threshold, 20.0))
        if not beta > 0:
            raise current().error(f"Softplus(beta={beta})", "beta is positive")
        self.beta = float(beta)

    def forward(self, x: Operators) -> Tensor:
        return lang.softplus(x, self.beta)


class _AlongAxis(Module):
    """A function along the axis `dim`, by default the last one."""

    def __init__(self, dim: int = -1) -> None:
        if not isinstance(dim, int):
            raise current().error(
                f"{type(self).__name__}(dim={dim!r})",
                "name the axis: what PyTorch takes for None depends on the shape",
            )
        self.dim = dim


class Softmax(_AlongAxis):
    """exp(x) / sum(exp(x)) along an axis."""

    def forward(self, x: Operators) -> Tensor:
        return lang.softmax(x, self.dim)


class LogSoftmax(_AlongAxis):
    """log(softmax(x)) along an axis."""

    def forward(self, x: Operators) -> Tensor:
        return lang.log_softmax(x, self.dim)
