"""Types of IR values: secret or clear, arithmetic or bit, shape, fixed-point precision."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Type:
    """The type of one IR value.

    An arithmetic value holds signed k-bit integers that stand for x * 2^f (f = 0: integers). A bit
    value holds `planes` bits for every element of `shape`; a clear bit value does not exist (clear
    arithmetic 0/1 is used instead).
    """

    secret: bool
    shape: Shape
    f: int = 0
    bit: bool = False
    planes: int = 1

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def with_shape(self, shape: Shape) -> Type:
        return replace(self, shape=shape)

    def __str__(self) -> str:
        base = f"sbit{self.planes}" if self.bit else ("s" if self.secret else "c") + f"fix{self.f}"
        return f"{base}[{','.join(map(str, self.shape))}]"


def arith(secret: bool, shape: Shape, f: int = 0) -> Type:
    """An arithmetic type."""
    return Type(secret, tuple(shape), f)


def bits(shape: Shape, planes: int = 1) -> Type:
    """A secret bit type."""
    return Type(True, tuple(shape), 0, True, planes)
