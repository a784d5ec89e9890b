"""Dropout by a mask that nobody knows."""

from __future__ import annotations

import math

from ..lang import Operators, Tensor, current, random_bits, select
from .module import Module

_BITS = 16  # of the threshold that a rate becomes


class Dropout(Module):
    """In training each element is 0 with probability p, else x / (1 - p); in evaluation x.

    Each element has its own secret random bits. p = 1/2 is one bit; any other rate becomes a
    comparison of up to 16 random bits with a public threshold, so it is met with an error of at
    most 2^-17. The factor is that of p itself.

    Rounds: a selection; before it, independent of x, ceil(log2(bits)) ANDs.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        if not 0.0 <= p <= 1.0:
            raise current().error(f"Dropout(p={p})", "p is a probability, from 0 to 1")
        self.p, self.inplace = float(p), inplace

    def forward(self, x: Operators) -> Tensor:
        if not self.training or self.p == 0:
            return x.read()
        threshold = math.floor((1.0 - self.p) * 2**_BITS + 0.5)
        if threshold == 0:
            return x * 0  # with a gradient, which is 0
        kept = x.read() if threshold == 2**_BITS else select(random_below(threshold, x.shape), x)
        return kept * (1.0 / (1.0 - self.p))


def random_below(threshold: int, shape: tuple[int, ...]) -> Tensor:
    """Secret bits (of a shape) that are 1 with probability threshold / 2^16, independently.

    With r the number that the random bits make: r < threshold. From pairs (less, equal) of single
    bits a tree makes those of all bits; bits below the threshold's last one do not matter.
    """
    count = _BITS
    while threshold % 2 == 0:
        threshold, count = threshold // 2, count - 1
    coins = random_bits(count, *shape)
    # From the top bit: where the threshold has a 1, a 0 is less and a 1 is equal.
    wanted = [threshold >> (count - 1 - i) & 1 for i in range(count)]
    less = [~coins[i] if wanted[i] else None for i in range(count)]
    equal = [coins[i] if wanted[i] else ~coins[i] for i in range(count)]
    while len(less) > 1:
        for i in range(0, len(less) - 1, 2):
            low, high = less[i + 1], less[i]
            merged = None if low is None else equal[i] & low
            less[i] = high if merged is None else merged if high is None else high ^ merged
            equal[i] = equal[i] & equal[i + 1]
        less, equal = less[::2], equal[::2]
    assert less[0] is not None
    return less[0]
