"""What is done to pictures (batch, channels, height, width) on shares before a model sees them.

The names are torchvision's, but each is a `Module` on whole batches: put it into a `Sequential` in
front of the model. In evaluation mode nothing is random. Which pictures are flipped or moved, and
how far, is public by default, from the program's public randomness, and then costs no message; with
`secret=True` nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..lang import Operators, Tensor, arange, concat, current, random_bits, select, where, zeros
from ..lang.functions import pair
from ..lang.randomness import randint, secret_randint
from .module import Module


class Normalize(Module):
    """(x - mean) / std by channel, both public. Costs a truncation: do it once, before training,
    for what is used in every epoch."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != len(std) or not all(s > 0 for s in std):
            raise current().error(f"Normalize with mean={list(mean)}, std={list(std)}",
                                  "one mean and one positive std a channel")  # fmt: skip
        self.mean, self.std = np.array(mean, np.float64), np.array(std, np.float64)

    def forward(self, x: Operators) -> Tensor:
        _pictures(x)
        if x.shape[1] != len(self.mean):
            raise current().error(f"pictures of {x.shape[1]} channels for {len(self.mean)} means")
        factor, mean = (v.reshape(1, -1, 1, 1) for v in (1 / self.std, self.mean))
        return (x - mean) * factor


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
            y = _padded(y, axis, padding)
            places = y.shape[axis] - size + 1
            if places < 1:
                raise current().error(
                    f"a window of {self.size} in pictures of {x.shape[2:]} with padding "
                    f"{self.padding}",
                    "give a smaller size or more padding",
                )
            if not self.training:
                y = _part(y, axis, places // 2, size)
            elif self.secret:
                y = _secret_window(y, axis, size, places)
            else:
                y = _window(y, axis, size, randint(0, places, (y.shape[0],)))
        return y


def _pictures(x: Operators) -> None:
    if x.ndim != 4:
        raise current().error(
            f"pictures are (batch, channels, height, width), not {x.shape}", "reshape them"
        )


def _part(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    return x[tuple(slice(start, start + size) if i == axis else slice(None) for i in range(4))]


def _padded(x: Tensor, axis: int, width: int) -> Tensor:
    if not width:
        return x
    border = zeros(tuple(width if i == axis else n for i, n in enumerate(x.shape)))
    return concat([border, x, border], axis=axis)


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
        y = _padded_end(x, axis, keep + (1 << i))
        here, there = _part(y, axis, 0, keep), _part(y, axis, 1 << i, keep)
        x = here + select(bits[i], there - here)
    return _part(x, axis, 0, size)


def _padded_end(x: Tensor, axis: int, size: int) -> Tensor:
    missing = size - x.shape[axis]
    if missing <= 0:
        return x
    end = zeros(tuple(missing if i == axis else n for i, n in enumerate(x.shape)))
    return concat([x, end], axis=axis)
