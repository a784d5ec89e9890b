"""Pooling of images (batch, channels, height, width)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import lang
from ..lang import Operators, Tensor, cint, concat, current, pad
from ..lang.functions import pair
from .module import Module, only

Pair = int | tuple[int, int]


class _Pool(Module):
    """Windows: kernel, stride (default: the kernel), padding of at most half the kernel."""

    def __init__(
        self, kernel_size: Pair, stride: Pair | None, padding: Pair, ceil_mode: bool
    ) -> None:
        self.kernel_size = pair(kernel_size)
        self.stride = self.kernel_size if stride is None else pair(stride)
        self.padding, self.ceil_mode = pair(padding), ceil_mode
        if min(self.kernel_size + self.stride) < 1:
            raise current().error(
                f"pooling with kernel {self.kernel_size} and stride {self.stride}",
                "both are at least 1",
            )
        if not all(0 <= p <= k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise current().error(
                f"pooling with padding {self.padding} and kernel {self.kernel_size}",
                "the padding is at most half the kernel",
            )

    def windows(self, x: Operators) -> list[tuple[int, int]]:
        """For either axis: how many windows, and how far the last one reaches beyond the image.

        With `ceil_mode` windows may end beyond the padding, but none begins there.
        """
        if x.ndim != 4:
            raise current().error(
                f"pooling of shape {x.shape}", "images are (batch, channels, height, width)"
            )
        found = []
        for n, k, s, p in zip(x.shape[2:], self.kernel_size, self.stride, self.padding,
                              strict=True):  # fmt: skip
            free = n + 2 * p - k
            count = (-(-free // s) if self.ceil_mode else free // s) + 1
            if self.ceil_mode and (count - 1) * s >= n + p:
                count -= 1
            if free < 0 or count < 1:
                raise current().error(f"a window of {k} does not fit an axis of {n}")
            found.append((count, max(0, (count - 1) * s + k - n - p)))
        return found


class MaxPool2d(_Pool):
    """Maxima of windows. Padding never wins.

    Padding repeats the border, which every window that reaches beyond it contains anyway, so no
    smallest number is needed and the gradient is right. Of equal elements the first one has it.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        only("MaxPool2d", dilation=(pair(dilation), (1, 1)),
             return_indices=(return_indices, False))  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode)

    def forward(self, x: Operators) -> Tensor:
        y = x.read()
        for axis, p, (_, after) in zip((2, 3), self.padding, self.windows(x), strict=True):
            if p or after:
                first, last = along(y, axis, slice(1)), along(y, axis, slice(-1, None))
                y = concat([first] * p + [y] + [last] * after, axis=axis)
        return lang.max_pool2d(y, self.kernel_size, self.stride)


class AvgPool2d(_Pool):
    """Means of windows.

    Args:
        count_include_pad: padding counts as zeros; otherwise the mean is of what is in the image.
        divisor_override: divide the sums by this instead.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override
        if divisor_override is not None and not divisor_override:
            raise current().error("divisor_override=0", "give another divisor, or None")

    def forward(self, x: Operators) -> Tensor:
        y, counts = x.read(), []
        for i, (count, after) in enumerate(self.windows(x)):
            n, k, s, p = x.shape[2 + i], self.kernel_size[i], self.stride[i], self.padding[i]
            y = _window_sums(padded(y, 2 + i, p, after), 2 + i, k, s, count)
            first = np.arange(count) * s - p
            if self.count_include_pad:
                counts.append(np.minimum(first + k, n + p) - first)
            else:
                counts.append(np.minimum(first + k, n) - np.maximum(first, 0))
        if self.divisor_override is not None:
            return y / self.divisor_override
        return _divided(y, counts[0][:, None] * counts[1])


class AdaptiveAvgPool2d(Module):
    """Means of as many windows as the output has places; None keeps the size of an axis."""

    def __init__(self, output_size: int | None | tuple[int | None, int | None]) -> None:
        given: Any = output_size
        sizes = tuple(given) if isinstance(given, tuple | list) else (given, given)
        self.output_size: tuple[int | None, int | None] = sizes
        if len(sizes) != 2 or any(n is not None and n < 1 for n in sizes):
            raise current().error(f"AdaptiveAvgPool2d({output_size})", "sizes are at least 1")

    def forward(self, x: Operators) -> Tensor:
        if x.ndim != 4:
            raise current().error(
                f"pooling of shape {x.shape}", "images are (batch, channels, height, width)"
            )
        sizes = x.shape[2:]
        rows, columns = (m or n for m, n in zip(self.output_size, sizes, strict=True))
        if not sizes[0] % rows and not sizes[1] % columns:
            split = x.reshape(*x.shape[:2], rows, sizes[0] // rows, columns, sizes[1] // columns)
            return split.mean((3, 5))
        y, counts = x.read(), []
        for axis, (n, m) in enumerate(((sizes[0], rows), (sizes[1], columns)), 2):
            bins = [(i * n // m, math.ceil((i + 1) * n / m)) for i in range(m)]
            y = concat([along(y, axis, slice(a, b)).sum(axis, keepdims=True) for a, b in bins],
                       axis=axis)  # fmt: skip
            counts.append(np.array([b - a for a, b in bins]))
        return _divided(y, counts[0][:, None] * counts[1])


def _divided(x: Tensor, counts: np.ndarray) -> Tensor:
    """x / counts, by one accurate factor where all are equal."""
    if (counts == counts.flat[0]).all():
        return x / int(counts.flat[0])
    return x / cint(counts)


def along(x: Tensor, axis: int, part: slice) -> Tensor:
    """A slice of one axis."""
    return x[tuple(part if i == axis else slice(None) for i in range(x.ndim))]


def padded(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Zeros around one axis."""
    return pad(x, [(before, after) if i == axis else (0, 0) for i in range(x.ndim)])


def _window_sums(x: Tensor, axis: int, kernel: int, stride: int, count: int) -> Tensor:
    """Sums of windows along one axis."""
    total: Tensor | None = None
    for j in range(kernel):
        part = along(x, axis, slice(j, j + stride * (count - 1) + 1, stride))
        total = part if total is None else total + part
    assert total is not None
    return total
