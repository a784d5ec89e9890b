"""How parameters start: PyTorch's initialisers, in place on variables.

Each takes `secret=False`: the numbers come from the program's public randomness, so that all
parties know them and a run in the clear with the same seed starts alike. With `secret=True` they
come from random bits that nobody knows. Uniform numbers are made of bits; normal ones are sums of
12 uniform numbers.

>>> layer = nn.Linear(784, 128)
>>> nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
>>> nn.init.zeros_(layer.bias)
"""

from __future__ import annotations

import math

import numpy as np

from ..lang import Tensor, Variable, current, maximum, minimum, sfix, state, uniform, where
from ..lang.randomness import normal, secret_normal, secret_uniform

_TRIES = 4  # of numbers out of range: of those beyond 2 std one in five million is cut after them


def fan_in_uniform(shape: tuple[int, ...], fan_in: int, name: str) -> Variable:
    """A parameter that starts uniform in +-1/sqrt(fan_in), from public randomness: PyTorch's
    default for Linear, Conv2d and recurrent layers."""
    bound = 1.0 / math.sqrt(fan_in)
    return state(sfix(uniform(-bound, bound, shape)), name)


def uniform_(tensor: Variable, a: float = 0.0, b: float = 1.0, *, secret: bool = False) -> Variable:
    """Uniform numbers in [a, b)."""
    if not a < b:
        raise current().error(f"uniform numbers in the empty range [{a}, {b})")
    if secret:
        return _start(tensor, secret_uniform(tensor.shape) * (b - a) + a)
    return _start(tensor, uniform(a, b, tensor.shape))


def normal_(
    tensor: Variable, mean: float = 0.0, std: float = 1.0, *, secret: bool = False
) -> Variable:
    """Normal numbers; at most 6 std from the mean."""
    if not std > 0:
        raise current().error(f"normal numbers with std={std}", "give a positive number")
    drawn = secret_normal(tensor.shape) if secret else normal(tensor.shape)
    return _start(tensor, drawn * std + mean)


def trunc_normal_(
    tensor: Variable,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    *,
    secret: bool = False,
) -> Variable:
    """Normal numbers within [a, b]: drawn anew where they are not, up to four times, then cut.

    Secret numbers take eight comparisons and selections each, unless a and b are 6 std away.
    """
    if not (std > 0 and a < b):
        raise current().error(f"normal numbers with std={std} in [{a}, {b}]", "std > 0 and a < b")
    draw = secret_normal if secret else normal
    low, high = (a - mean) / std, (b - mean) / std
    x = draw(tensor.shape)
    if low > -6 or high < 6:
        for _ in range(_TRIES):
            other = draw(tensor.shape)
            x = where(x < low, other, x)
            x = where(x > high, other, x)
        x = minimum(maximum(x, low), high)
    return _start(tensor, x * std + mean)


def constant_(tensor: Variable, val: float) -> Variable:
    """The same number everywhere."""
    tensor.set(val)
    return tensor


def zeros_(tensor: Variable) -> Variable:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Variable) -> Variable:
    """Ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Variable) -> Variable:
    """A matrix with ones on the diagonal."""
    if tensor.ndim != 2:
        raise current().error(f"eye_ of shape {tensor.shape}", "a matrix has two axes")
    tensor.set(sfix(np.eye(tensor.shape[0], tensor.shape[1])))
    return tensor


def dirac_(tensor: Variable, groups: int = 1) -> Variable:
    """Weights (out, in, ...) of a convolution, with which as many channels as there can be come
    out as they go in, in each group."""
    if tensor.ndim < 3 or groups < 1 or tensor.shape[0] % groups:
        raise current().error(
            f"dirac_ of shape {tensor.shape} in {groups} groups",
            "weights of a convolution have three axes or more, and groups divide the first",
        )
    value = np.zeros(tensor.shape)
    middle = tuple(n // 2 for n in tensor.shape[2:])
    each = tensor.shape[0] // groups
    for group in range(groups):
        for i in range(min(each, tensor.shape[1])):
            value[(group * each + i, i) + middle] = 1.0
    tensor.set(sfix(value))
    return tensor


def xavier_uniform_(tensor: Variable, gain: float = 1.0, *, secret: bool = False) -> Variable:
    """Uniform with the variance gain^2 * 2 / (fan_in + fan_out) [GlorotBengio2010]."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, secret=secret)


def xavier_normal_(tensor: Variable, gain: float = 1.0, *, secret: bool = False) -> Variable:
    """Normal with the variance gain^2 * 2 / (fan_in + fan_out) [GlorotBengio2010]."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), secret=secret)


def kaiming_uniform_(
    tensor: Variable,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    secret: bool = False,
) -> Variable:
    """Uniform with the variance gain^2 / fan [He2015].

    Args:
        a: the slope below zero of a leaky ReLU.
        mode: "fan_in" or "fan_out".
        nonlinearity: what follows; see `calculate_gain`.
    """
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, secret=secret)


def kaiming_normal_(
    tensor: Variable,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    secret: bool = False,
) -> Variable:
    """Normal with the variance gain^2 / fan [He2015]; see `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity), secret=secret)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much to scale weights before a nonlinearity, as PyTorch says.

    Raises:
        ProgramError: a name that is not known.
    """
    gains = {
        "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3,
        "relu": math.sqrt(2.0), "selu": 0.75,
        "leaky_relu": math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2)),
    }  # fmt: skip
    if nonlinearity not in gains:
        raise current().error(
            f"no gain is known for {nonlinearity!r}", "one of " + ", ".join(sorted(gains))
        )
    return gains[nonlinearity]


def fans(tensor: Variable) -> tuple[int, int]:
    """How many inputs a unit of a weight (out, in, ...) has, and how many units an input has."""
    if tensor.ndim < 2:
        raise current().error(
            f"the fan of a tensor with shape {tensor.shape}", "weights have two axes or more"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _kaiming(tensor: Variable, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise current().error(f"mode={mode!r}", 'write "fan_in" or "fan_out"')
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _start(tensor: Variable, value: Tensor) -> Variable:
    tensor.set(sfix(value))
    return tensor
