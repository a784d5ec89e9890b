"""Linear, convolutional and embedding layers, and what only moves elements.

Parameters start as in PyTorch, from randomness that is public to all parties.
"""

from __future__ import annotations

from .. import lang
from ..lang import Operators, Tensor, Variable, arange, concat, current, sint, state, zeros
from ..lang.functions import pair
from .init import fan_in_uniform, normal_
from .module import Module, only

Pair = int | tuple[int, int]


class Linear(Module):
    """y = x W^T + b: (..., in_features) -> (..., out_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = fan_in_uniform((out_features, in_features), in_features, "Linear.weight")
        self.bias: Variable | None = None
        if bias:
            self.bias = fan_in_uniform((out_features,), in_features, "Linear.bias")

    def forward(self, x: Operators) -> Tensor:
        if not x.ndim or x.shape[-1] != self.in_features:
            raise current().error(
                f"Linear({self.in_features}, {self.out_features}) is given the shape {x.shape}",
                "its last axis must have as many elements as the layer takes; "
                "images go through Flatten() first",
            )
        rows = x if x.ndim <= 2 else x.reshape(-1, x.shape[-1])
        y = rows @ self.weight.T
        y = y if self.bias is None else y + self.bias
        return y.reshape(*x.shape[:-1], -1)


class Conv2d(Module):
    """Cross-correlation of images (batch, in_channels, height, width), zero padded.

    Args:
        padding: zeros on either side; "valid" is 0, "same" (for stride 1) keeps the size, with the
            odd zero, if any, at the end.
        dilation: distance between the kernel's elements. The kernel is filled with zeros, so work
            and the weight's gradient grow with dilation^2, the layer's output does not.
        groups: channels are split into so many groups, each with a convolution of its own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        only("Conv2d", padding_mode=(padding_mode, "zeros"))
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.dilation, self.groups = pair(dilation), groups
        if min(self.kernel_size + self.stride + self.dilation) < 1:
            raise current().error("Conv2d with a kernel, stride or dilation below 1")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise current().error(
                f"Conv2d of {in_channels} to {out_channels} channels in {groups} groups",
                "the groups divide both numbers of channels",
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.padding = padding if isinstance(padding, str) else pair(padding)
        self._sides = self._padding(padding)
        kernel = self.kernel_size
        fan_in = in_channels // groups * kernel[0] * kernel[1]
        shape = (out_channels, in_channels // groups, *kernel)
        self.weight = fan_in_uniform(shape, fan_in, "Conv2d.weight")
        self.bias: Variable | None = None
        if bias:
            self.bias = fan_in_uniform((out_channels,), fan_in, "Conv2d.bias")

    def _padding(self, padding: Pair | str) -> list[tuple[int, int]]:
        """Zeros before and after, for either axis."""
        if padding == "valid":
            return [(0, 0), (0, 0)]
        if padding == "same":
            if self.stride != (1, 1):
                raise current().error(
                    f'padding="same" with stride {self.stride}', "give the padding as numbers"
                )
            reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [(n // 2, n - n // 2) for n in reach]
        if isinstance(padding, str):
            raise current().error(
                f"padding={padding!r}", 'give numbers, padding="same" or padding="valid"'
            )
        if min(pair(padding)) < 0:
            raise current().error(f"padding={padding}", "the padding is 0 or more")
        return [(p, p) for p in pair(padding)]

    def forward(self, x: Operators) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise current().error(
                f"Conv2d of {self.in_channels} channels meets shape {x.shape}",
                "images are (batch, channels, height, width)",
            )
        images, weight, padding = x.read(), self.weight.read(), [p for p, _ in self._sides]
        if any(before != after for before, after in self._sides):
            images, padding = lang.pad(images, [(0, 0), (0, 0), *self._sides]), [0, 0]
        weight = lang.dilate(weight, (1, 1, *self.dilation))
        ins, outs = self.in_channels // self.groups, self.out_channels // self.groups
        parts = [
            lang.conv2d(
                images[:, i * ins : (i + 1) * ins],
                weight[i * outs : (i + 1) * outs],
                self.stride,
                (padding[0], padding[1]),
            )
            for i in range(self.groups)
        ]
        y = parts[0] if self.groups == 1 else concat(parts, axis=1)
        return y if self.bias is None else y + self.bias.reshape(1, -1, 1, 1)


def one_hot(labels: Operators, classes: int) -> Tensor:
    """Integer labels (n,) as rows of zeros and a one (n, classes), of integers.

    A label that is none of 0 ... classes - 1 gives a row of zeros: it is secret, so nobody is told.

    Costs an equality test an entry: for labels that are used often, do it once.
    """
    if labels.ndim != 1 or labels.type.f or labels.type.bit:
        raise current().error(f"labels are integers of shape (n,), not {labels.read()!r}")
    return (labels.reshape(-1, 1) == arange(classes)).to(sint)


class Embedding(Module):
    """Rows of a table: integers of any shape (...) -> (..., embedding_dim).

    Clear indices take rows, which is local. Secret ones become one-hot rows and a matrix product:
    an equality test for each index and row, so tables should be small.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> None:
        only("Embedding", padding_idx=(padding_idx, None), max_norm=(max_norm, None),
             norm_type=(norm_type, 2.0), scale_grad_by_freq=(scale_grad_by_freq, False),
             sparse=(sparse, False))  # fmt: skip
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        shape = (num_embeddings, embedding_dim)
        self.weight = normal_(state(zeros(shape), "Embedding.weight"))

    def forward(self, x: Operators) -> Tensor:
        if x.type.f or x.type.bit:
            raise current().error(f"indices are integers, not {x.read()!r}")
        if not x.secret:
            return self.weight[x]
        rows = one_hot(x.reshape(-1), self.num_embeddings)
        return (rows @ self.weight).reshape(*x.shape, self.embedding_dim)


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` joined."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Operators) -> Tensor:
        first, last = (d % x.ndim for d in (self.start_dim, self.end_dim))
        if first > last:
            raise current().error(f"Flatten({self.start_dim}, {self.end_dim}) of shape {x.shape}")
        return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])
