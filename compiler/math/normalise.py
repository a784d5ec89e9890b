"""Bringing a secret value into [1/2, 1] by its top bit, and powers of two by secret bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..lang.tensor import Tensor, emit
from .fixed import (
    both,
    differ,
    exact_product,
    invert,
    is_negative,
    join_planes,
    minus_from,
    numbers,
    planes,
    plus,
    precision,
    product,
    public_bit,
    shifted,
    sub,
    times,
    weighted,
)

_COMPARED = 4  # bits of a range whose powers of two are compared with, rather than a2b


@dataclass(frozen=True)
class Normal:
    """A value x = u * 2^(high - c) units, split.

    Attributes:
        mantissa: u in [1/2, 1], at the precision asked for or exact.
        power: +-2^c with the sign of x, exact, with no fractional bits.
        zeros: c, how far the top bit is below `high` - 1, an integer.
    """

    mantissa: Tensor
    power: Tensor
    zeros: Tensor


def normalise(x: Tensor, low: int, high: int, f: int, *, signed: bool = False) -> Normal:
    """The mantissa and exponent of x, for 2^low <= |x in units| < 2^high.

    The mantissa has precision f, or is exact with `high` fractional bits if that is less. With
    `signed`, x may be negative. Zero gives the mantissa 0.

    Rounds: `leading_zeros`, b2a, ceil(log2(number of bits)) products without truncation and one
    with.
    """
    found = numbers(leading_zeros(x, low, high, signed=signed))
    bits = found[:-1] if signed else found
    factors = power_factors(bits)
    factors += [minus_from(1.0, times(s, 2)) for s in found[len(bits) :]]
    power = exact_product(factors)
    operand = shifted(x, precision(x) - high)
    count = weighted(bits, [1 << i for i in range(len(bits))])
    return Normal(product(operand, power, min(f, high)), power, count)


def leading_zeros(
    x: Tensor, low: int, high: int, *, signed: bool = False, pairs: bool = False
) -> Tensor:
    """The planes, lowest first, of c: how far the top bit of |x in units| is below high - 1.

    Ones are spread downwards from the top bit by a prefix AND of the complements, as in
    [CatrinaSaxena2010]; where neighbours differ is the top bit, and XORs of such places, which
    are local, are its position in binary: only ceil(log2(high - low)) bits need to become
    numbers, not high - low. Zero counts as having the lowest bit. With `signed`, the sign's plane
    comes last; -x - 1 has the complemented bits of x, which moves the top bit only for powers of
    two, whose mantissa is then 1 instead of 1/2. With `pairs`, it is c // 2, which is cheaper.

    Rounds: a2b and ceil(log2(high - low)) ANDs; a comparison where high - low is at most 4 (with
    all the powers of two between).
    """
    width = high - low
    if width <= _COMPARED and not signed and not pairs:
        edges = _compared(x, low, high)
        return join_planes(
            [_position_bit(edges, j) for j in range(max(1, (width - 1).bit_length()))]
        )
    everything = emit("a2b", x, bits=high + signed)
    inner = planes(everything, low, high)
    signs = []
    if signed:
        sign = planes(everything, high, high + 1)
        inner = differ(inner, join_planes([sign] * width))
        signs.append(sign)
    empty = invert(inner)
    if pairs:
        empty, width = _pairs(empty, width)
    edges = _edges(empty, width)
    count = max(1, (width - 1).bit_length())
    return join_planes([_position_bit(edges, j) for j in range(count)] + signs)


def power_factors(bits: Sequence[Tensor]) -> list[Tensor]:
    """Factors, exact, whose product is 2^(sum of bits[i] * 2^i). Local."""
    factors = []
    for i, bit in enumerate(bits):
        high = bit
        for _ in range(1 << max(i - 5, 0)):  # in steps that an immediate holds
            high = times(high, 1 << (1 << min(i, 5)))
        factors.append(plus(sub(high, bit), 1))
    return factors


def _compared(x: Tensor, low: int, high: int) -> list[Tensor]:
    """`_edges` of x by comparisons: whether x in units is below 2^high, ..., 2^low."""
    less = [is_negative(emit("offset", x, imm=-(1 << i)), high) for i in range(high - 1, low, -1)]
    return [public_bit(1, x.shape), *less, public_bit(0, x.shape)]


def _pairs(zeros: Tensor, width: int) -> tuple[Tensor, int]:
    """ANDs of neighbouring planes, paired from the top, and how many."""
    odd = width % 2
    lower = join_planes([planes(zeros, i, i + 1) for i in range(odd, width, 2)])
    upper = join_planes([planes(zeros, i, i + 1) for i in range(odd + 1, width, 2)])
    merged = both(lower, upper)
    return (join_planes([planes(zeros, 0, 1), merged]) if odd else merged), (width + 1) // 2


def _edges(zeros: Tensor, width: int) -> list[Tensor]:
    """Entry i (0..width): whether the top i of `zeros`' planes are one; the last entry is 0, so
    that what has no top bit counts as having the lowest."""
    ends = public_bit(1, zeros.shape), public_bit(0, zeros.shape)
    if width == 1:
        return [*ends]
    zeros, count, distance = planes(zeros, 1, width), width - 1, 1
    while distance < count:
        merged = both(planes(zeros, 0, count - distance), planes(zeros, distance, count))
        zeros = join_planes([merged, planes(zeros, count - distance, count)])
        distance *= 2
    top_down = [planes(zeros, i, i + 1) for i in reversed(range(count))]
    return [ends[0], *top_down, ends[1]]


def _position_bit(edges: list[Tensor], j: int) -> Tensor:
    """Bit j of the top bit's distance from the top: whether it is in a block
    [m 2^j, (m + 1) 2^j), m odd."""
    width = len(edges) - 1
    total: Tensor | None = None
    for start in range(1 << j, width, 2 << j):
        inside = differ(edges[start], edges[min(start + (1 << j), width)])
        total = inside if total is None else differ(total, inside)
    return public_bit(0, edges[0].shape) if total is None else total
