"""Bringing a secret value into [1/2, 1] by its top bit, and powers of two by secret bits."""

from __future__ import annotations

from dataclasses import dataclass

from ..lang.tensor import Tensor, emit
from .fixed import (
    both,
    differ,
    exact_product,
    invert,
    join_planes,
    minus_from,
    numbers,
    planes,
    plus,
    precision,
    product,
    public_bit,
    scaled,
    shifted,
    times,
)


@dataclass(frozen=True)
class Normal:
    """A value x = +-u * 2^(low + e + 1) units, split.

    Attributes:
        mantissa: u in [1/2, 1], at the precision asked for.
        bits: those of e, least significant first, as integers 0 or 1.
        inverse: +-2^-e with the sign of x, exact (its precision is span - 1).
    """

    mantissa: Tensor
    bits: list[Tensor]
    inverse: Tensor

    @property
    def span(self) -> int:
        """0 <= e < span."""
        span: int = 1 << len(self.bits)
        return span


def normalise(x: Tensor, low: int, high: int, f: int, *, signed: bool = False) -> Normal:
    """The mantissa (at precision f) and exponent of x, for 2^low <= |x in units| < 2^high.

    Ones are spread downwards from the top bit by a prefix AND of the complements, as in
    [CatrinaSaxena2010]; where neighbours differ is the top bit, and XORs of such places, which
    are local, are its position in binary: only ceil(log2(high - low)) bits become numbers, not
    high - low. With `signed`, x may be negative: -x - 1 has the complemented bits, which moves the
    top bit only for powers of two, whose mantissa is then 1 instead of 1/2. Zero gives the
    mantissa 0.

    Rounds: a2b, ceil(log2(high - low)) ANDs, b2a, ceil(log2(len(bits))) products without
    truncation and one with.
    """
    width = high - low
    everything = emit("a2b", x, bits=high + signed)
    inner = planes(everything, low, high)
    signs = []
    if signed:
        sign = planes(everything, high, high + 1)
        inner = differ(inner, join_planes([sign] * width))
        signs.append(sign)
    count = max(1, (width - 1).bit_length())
    edges = _edges(invert(inner), width)
    found = numbers(join_planes([_position_bit(edges, j) for j in range(count)] + signs))
    bits = found[:count]
    # 2^-(bit 2^j) is 1 - bit (1 - 2^-(2^j)), with 2^j fractional bits.
    factors = [
        minus_from(1.0, scaled(bit, 1.0 - 2.0 ** -(1 << j), 1 << j)) for j, bit in enumerate(bits)
    ]
    factors += [minus_from(1.0, times(s, 2)) for s in found[count:]]
    inverse = exact_product(factors)
    operand = shifted(x, precision(x) - low - 1)
    spare = precision(operand) + precision(inverse) - f
    if spare < 0:
        operand = scaled(operand, 1.0, -spare)
    return Normal(product(operand, inverse, f), bits, inverse)


def half_power(bits: list[Tensor], factor: float, f: int, *, complement: bool) -> Tensor:
    """factor * 2^(e / 2), e = sum of bits[i] * 2^i (or of (1 - bits[i]) * 2^i), at precision f.

    Only the factors 2^(1/2) and `factor` are rounded. Rounds: ceil(log2(len(bits))) products
    without truncation.
    """
    factors = []
    for i, bit in enumerate(bits):
        unit, places = (factor, f) if i == 0 else (1.0, 0)
        root = unit * 2.0 ** (2**i / 2)
        zero, one = (root, unit) if complement else (unit, root)
        factors.append(plus(scaled(bit, one - zero, places), zero))
    return exact_product(factors)


def _edges(zeros: Tensor, width: int) -> list[Tensor]:
    """Bit i (0..width): whether all of `zeros`' planes i, i + 1, ... are one."""
    distance = 1
    while distance < width:
        merged = both(planes(zeros, 0, width - distance), planes(zeros, distance, width))
        zeros = join_planes([merged, planes(zeros, width - distance, width)])
        distance *= 2
    return [planes(zeros, i, i + 1) for i in range(width)] + [public_bit(1, zeros.shape)]


def _position_bit(edges: list[Tensor], j: int) -> Tensor:
    """Bit j of the top bit's position: whether it is in a block [m 2^j, (m + 1) 2^j), m odd."""
    width = len(edges) - 1
    total: Tensor | None = None
    for start in range(1 << j, width, 2 << j):
        inside = differ(edges[start], edges[min(start + (1 << j), width)])
        total = inside if total is None else differ(total, inside)
    return public_bit(0, edges[0].shape) if total is None else total
