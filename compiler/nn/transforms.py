"""What is done to pictures (batch, channels, height, width) on shares before a model sees them.

The names are torchvision's, but each is a `Module` on whole batches: put it into a `Sequential` in
front of the model, or give it to `fit`. In evaluation mode nothing is random. Which pictures are
flipped or moved, and how far, is public by default, from the program's public randomness, and then
costs no message; with `secret=True` nobody knows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..lang import (
    Operators,
    Tensor,
    arange,
    current,
    random_bits,
    select,
    sqrt,
    where,
)  # fmt: skip
from ..lang.functions import pair
from ..lang.randomness import randint, secret_randint
from .module import Module
from .pooling import along, padded


class Normalize(Module):
    """(x - mean) / std by channel: by the second axis of pictures, by column of tables (n, d).

    Costs a truncation, or a product where the std is secret: do it once, before training, for what
    is used in every epoch.

    Args:
        mean, std: numbers, one a channel, or tensors of shape (channels,), clear or secret, as
            `Normalize.measured` finds them.
    """

    def __init__(self, mean: Sequence[float] | Operators, std: Sequence[float] | Operators) -> None:
        means: Any = mean if isinstance(mean, Operators) else np.asarray(mean, np.float64)
        stds: Any = std if isinstance(std, Operators) else np.asarray(std, np.float64)
        public = not isinstance(stds, Operators)
        if means.ndim != 1 or means.shape != stds.shape or (public and not (stds > 0).all()):
            raise current().error(f"Normalize with mean={mean}, std={std}",
                                  "one mean and one positive std a channel")  # fmt: skip
        self.mean, self.factor = means, 1.0 / stds

    @classmethod
    def measured(cls, x: Operators, eps: float = 1e-5) -> Normalize:
        """With the means and standard deviations of x, computed on shares: they stay secret.

        For data of several parties, of which none knows them all. Apply the same to test data.
        The channels of x should be of about unit size, as their squares are added up.

        Args:
            eps: added to the variance, as BatchNorm does; below 2^-f it counts as 2^-f.
        """
        axes = tuple(i for i in range(x.ndim) if i != 1)
        count = math.prod(x.shape[i] for i in axes)
        mean = (x * (1 / count)).sum(axes)
        centred = x - _by_channel(mean, x.ndim)
        variance = (centred * centred * (1 / count)).sum(axes)
        return cls(mean, sqrt(variance + max(eps, 2.0 ** -current().config.f)))

    def forward(self, x: Operators) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.mean.shape[0]:
            raise current().error(
                f"{x.shape} to be normalised with {self.mean.shape[0]} means",
                "the second axis are the channels",
            )
        mean, factor = (_by_channel(v, x.ndim) for v in (self.mean, self.factor))
        normalised: Tensor = (x - mean) * factor
        return normalised


class RandomHorizontalFlip(Module):
    """Each picture of a batch mirrored, or not, with probability 1/2.

    Secret: one selection of the batch.
    """

    def __init__(self, *, secret: bool = False) -> None:
        self.secret = secret

    def forward(self, x: Operators) -> Tensor:
        _pictures(x)
        if not self.training:
            return x.read()
        shape = (x.shape[0], 1, 1, 1)
        coin = random_bits(*shape) if self.secret else randint(0, 2, shape)
        return where(coin, x[:, :, :, ::-1], x)


class RandomCrop(Module):
    """A window of each picture at a random place, after zeros are put around it.

    In evaluation mode the window in the middle.

    Args:
        size: height and width of the window.
        padding: rows above and below, columns left and right.
        secret: one selection of the batch for each bit of the place: 8 for a padding of 4.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | tuple[int, int] = 0,
        *,
        secret: bool = False,
    ) -> None:
        self.size, self.padding, self.secret = pair(size), pair(padding), secret
        if min(self.padding) < 0 or min(self.size) < 1:
            raise current().error(f"RandomCrop of {self.size} with padding {self.padding}")

    def forward(self, x: Operators) -> Tensor:
        _pictures(x)
        y = x.read()
        for axis, size, padding in zip((2, 3), self.size, self.padding, strict=True):
            y = padded(y, axis, padding, padding)
            places = y.shape[axis] - size + 1
            if places < 1:
                raise current().error(
                    f"a window of {self.size} in pictures of {x.shape[2:]} with padding "
                    f"{self.padding}",
                    "give a smaller size or more padding",
                )
            if not self.training:
                y = along(y, axis, slice(places // 2, places // 2 + size))
            elif self.secret:
                y = _secret_window(y, axis, size, places)
            else:
                y = _window(y, axis, size, randint(0, places, (y.shape[0],)))
        return y


def _by_channel(v: Any, ndim: int) -> Any:
    """One value a channel, to be broadcast with x of so many axes."""
    return v.reshape(1, -1, *[1] * (ndim - 2))


def _pictures(x: Operators) -> None:
    if x.ndim != 4:
        raise current().error(
            f"pictures are (batch, channels, height, width), not {x.shape}", "reshape them"
        )


def _window(x: Tensor, axis: int, size: int, start: Tensor) -> Tensor:
    """Rows (or columns) start[i] ... start[i] + size - 1 of picture i; start is clear."""
    order = (0, 2, 1, 3) if axis == 2 else (0, 3, 1, 2)
    lines = x.permute(*order)
    n, length = lines.shape[:2]
    first = (arange(n) * length + start).reshape(-1, 1)
    index = (first + arange(size).reshape(1, -1)).reshape(-1)
    chosen = lines.reshape(n * length, -1)[index].reshape(n, size, *lines.shape[2:])
    return chosen.permute(*(order.index(i) for i in range(4)))


def _secret_window(x: Tensor, axis: int, size: int, places: int) -> Tensor:
    """The same at places that nobody knows: for each bit of the place, the highest first, the rest
    of the picture or what lies 2^bit further."""
    bits = secret_randint(places, (x.shape[0], 1, 1, 1))
    for i in reversed(range(len(bits))):
        keep = size + (1 << i) - 1
        y = padded(x, axis, 0, max(0, keep + (1 << i) - x.shape[axis]))
        here, there = along(y, axis, slice(keep)), along(y, axis, slice(1 << i, keep + (1 << i)))
        x = here + select(bits[i], there - here)
    return along(x, axis, slice(size))
