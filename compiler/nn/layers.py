"""Layers. Parameters start as in PyTorch, from randomness that is public to all parties."""

from __future__ import annotations

from .. import lang
from ..lang import Operators, Tensor, Variable, concat, current
from ..lang.functions import pair
from .init import fan_in_uniform
from .module import Module


class Linear(Module):
    """y = x W^T + b: (batch, in_features) -> (batch, out_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.weight = fan_in_uniform((out_features, in_features), in_features, "Linear.weight")
        self.bias: Variable | None = None
        if bias:
            self.bias = fan_in_uniform((out_features,), in_features, "Linear.bias")

    def forward(self, x: Operators) -> Tensor:
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


class Conv2d(Module):
    """Cross-correlation of images (batch, in_channels, height, width), zero padded."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
    ) -> None:
        kernel = pair(kernel_size)
        fan_in = in_channels * kernel[0] * kernel[1]
        self.stride, self.padding = pair(stride), pair(padding)
        self.weight = fan_in_uniform((out_channels, in_channels, *kernel), fan_in, "Conv2d.weight")
        self.bias: Variable | None = None
        if bias:
            self.bias = fan_in_uniform((out_channels,), fan_in, "Conv2d.bias")

    def forward(self, x: Operators) -> Tensor:
        y = lang.conv2d(x, self.weight, self.stride, self.padding)
        return y if self.bias is None else y + self.bias.reshape(1, -1, 1, 1)


class MaxPool2d(Module):
    """Maxima of windows; stride: default the kernel. Padding, at most half the kernel, never wins.

    Padding repeats the border, which every window that reaches beyond it contains anyway, so no
    smallest number is needed and the gradient is right.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel = pair(kernel_size)
        self.stride = self.kernel if stride is None else pair(stride)
        self.padding = _pool_padding(padding, self.kernel)

    def forward(self, x: Operators) -> Tensor:
        y = x.read()
        for axis, p in zip((2, 3), self.padding, strict=True):
            if p:
                first, last = _along(y, axis, slice(1)), _along(y, axis, slice(-1, None))
                y = concat([first] * p + [y] + [last] * p, axis=axis)
        return lang.max_pool2d(y, self.kernel, self.stride)


class AvgPool2d(Module):
    """Means of windows; stride: default the kernel. Padding counts as zeros."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.kernel = pair(kernel_size)
        self.stride = self.kernel if stride is None else pair(stride)
        self.padding = _pool_padding(padding, self.kernel)

    def forward(self, x: Operators) -> Tensor:
        y = x.read()
        for axis, p in zip((2, 3), self.padding, strict=True):
            if p:
                shape = tuple(p if i == axis else n for i, n in enumerate(y.shape))
                y = concat([lang.zeros(shape), y, lang.zeros(shape)], axis=axis)
            y = _window_sums(y, axis, self.kernel[axis - 2], self.stride[axis - 2])
        return y * (1.0 / (self.kernel[0] * self.kernel[1]))


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Operators) -> Tensor:
        return lang.relu(x)


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


class Flatten(Module):
    """All axes from `start_dim` on joined."""

    def __init__(self, start_dim: int = 1) -> None:
        self.start_dim = start_dim

    def forward(self, x: Operators) -> Tensor:
        return x.flatten(self.start_dim)


def _pool_padding(padding: int | tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
    p = pair(padding)
    if not all(0 <= q <= k // 2 for q, k in zip(p, kernel, strict=True)):
        raise current().error(f"pooling with padding {p} and kernel {kernel}",
                              "the padding is at most half the kernel")  # fmt: skip
    return p


def _along(x: Tensor, axis: int, part: slice) -> Tensor:
    """A slice of one axis."""
    return x[tuple(part if i == axis else slice(None) for i in range(x.ndim))]


def _window_sums(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    """Sums of windows along one axis."""
    count = (x.shape[axis] - kernel) // stride + 1
    if count < 1:
        raise current().error(f"a window of {kernel} does not fit an axis of {x.shape[axis]}")
    total: Tensor | None = None
    for j in range(kernel):
        part = _along(x, axis, slice(j, j + stride * (count - 1) + 1, stride))
        total = part if total is None else total + part
    assert total is not None
    return total
