"""What the functions of this package are built from: arithmetic with the precision in the open.

The operators of the language keep every value at the program's f and round by themselves. Inside a
function a value may have more fractional bits, and where it is rounded is a matter of its error
bound; so these helpers say it each time. All tensors here are secret and at rest (nothing pending).

Ranges: a product before its truncation must stay below 2^product_bits in magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..ir.graph import Config
from ..ir.numeric import exact_round, object_array
from ..ir.types import Shape, Type, bits
from ..lang.builder import current
from ..lang.tensor import Tensor, emit

_IMMEDIATE = 1 << 63
GUARD = 4  # bits kept below the last place until the last rounding
MOST_FRACTION = 43  # coefficients and their errors are found in float64


def config() -> Config:
    """The precision the program is compiled for."""
    return current().config


def product_bits() -> int:
    """Bits that the magnitude of a product may have before truncation."""
    return config().ring_bits - 2


def working() -> int:
    """The precision at which functions compute, f + GUARD or more.

    Three factors below 1 (2 once) fit into one product if the ring has room for that, and values
    below 2^7 fit k bits.

    Raises:
        ProgramError: the ring has no room for the program's k and f.
    """
    c = config()
    most = min(c.k - 8, (product_bits() - 2) // 2, MOST_FRACTION + GUARD)
    if c.k + c.f + GUARD > c.ring_bits or c.f + GUARD > most:
        raise current().error(
            f"functions of secret values need f <= k - {8 + GUARD}, f <= {most - GUARD} and "
            f"k + f <= {c.ring_bits - GUARD} in the ring 2^{c.ring_bits}, not k = {c.k}, f = {c.f}",
            "choose another k or f" + (", or use --ring 128" if c.ring_bits < 128 else ""),
        )
    return max(c.f + GUARD, min(most, (product_bits() - 2) // 3, c.f + GUARD + 2))


def precision(x: Tensor) -> int:
    """Fractional bits of x."""
    return x.type.f


def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b at the same precision. Local."""
    return emit("add", a, b)


def sub(a: Tensor, b: Tensor) -> Tensor:
    """a - b at the same precision. Local."""
    return emit("sub", a, b)


def scaled(x: Tensor, factor: float, bits: int) -> Tensor:
    """x * factor with the factor rounded to `bits` bits and nothing else rounded. Local.

    The precision grows by `bits`.
    """
    return emit("scale", x, imm=exact_round(factor, bits), f=bits)


def times(x: Tensor, factor: int) -> Tensor:
    """x * factor for an integer. Local, exact."""
    return emit("scale", x, imm=factor, f=0)


def shifted(x: Tensor, exponent: int) -> Tensor:
    """x * 2^exponent: the same ring integers read with another precision. Local, exact."""
    return emit("scale", x, imm=1, f=-exponent)


def plus(x: Tensor, constant: float) -> Tensor:
    """x + constant, rounded to the precision of x. Local."""
    units = exact_round(constant, precision(x))
    if -_IMMEDIATE <= units < _IMMEDIATE:
        return emit("offset", x, imm=units)
    t = Type(False, (), precision(x))
    value = emit("const", value=object_array([units], ()), type=t)
    return add(x, emit("expand", value, shape=x.shape))


def minus_from(constant: float, x: Tensor) -> Tensor:
    """constant - x. Local."""
    return plus(times(x, -1), constant)


def rounded(x: Tensor, f: int) -> Tensor:
    """x at the lower precision f. One truncation, or nothing if x has it."""
    drop = precision(x) - f
    return emit("trunc", x, m=drop, mode=config().mode) if drop else x


def at_precision(x: Tensor, f: int) -> Tensor:
    """x at precision f: `rounded` if that is lower, exact if it is higher."""
    while precision(x) < f:
        x = scaled(x, 1.0, min(f - precision(x), 62))  # what an immediate holds
    return rounded(x, f)


def product(a: Tensor, b: Tensor, f: int) -> Tensor:
    """a * b rounded to f bits: one product with truncation."""
    drop = precision(a) + precision(b) - f
    return emit("mul", a, b, m=drop, mode=config().mode)


def exact_product(factors: Sequence[Tensor]) -> Tensor:
    """The product of all factors, not rounded, by a tree of products without truncation."""
    level = list(factors)
    while len(level) > 1:
        pairs = [
            emit("mul", level[i], level[i + 1], m=0, mode=0) for i in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[2 * len(pairs) :]
    return level[0]


def is_negative(x: Tensor, width: int | None = None) -> Tensor:
    """The bit x < 0, for |x| < 2^width units (default: a difference of two values)."""
    return emit("ltz", x, bits=config().k + 1 if width is None else width + 1)


def select(bit: Tensor, x: Tensor) -> Tensor:
    """x where the bit is 1, else 0."""
    return emit("select", bit, x)


def invert(b: Tensor) -> Tensor:
    """The complement of bits. Local."""
    return emit("not", b)


def both(a: Tensor, b: Tensor) -> Tensor:
    """The AND of bits."""
    return emit("and", a, b)


def differ(a: Tensor, b: Tensor) -> Tensor:
    """The XOR of bits. Local."""
    return emit("xor", a, b)


def planes(b: Tensor, low: int, high: int) -> Tensor:
    """Planes low..high-1 of bits. Local."""
    return emit("planes", b, lo=low, hi=high)


def join_planes(parts: Sequence[Tensor]) -> Tensor:
    """The planes of all parts, in order. Local."""
    return emit("join_planes", *parts)


def public_bit(bit: int, shape: Shape) -> Tensor:
    """A plane of equal public bits. Local."""
    return emit("bfill", bit=bit, type=bits(shape))


def numbers(b: Tensor) -> list[Tensor]:
    """Each plane as integers 0 or 1, converted together."""
    shape, count = b.shape, b.type.planes
    if count == 1:
        return [emit("b2a", b)]
    values = emit("b2a", b)
    rest = (0,) * len(shape)
    step = (1,) * (len(shape) + 1)
    parts = [emit("slice", values, start=(i, *rest), step=step, shape=(1, *shape))
             for i in range(count)]  # fmt: skip
    return [emit("reshape", part, shape=shape) for part in parts]


def weighted(numbers_: Sequence[Tensor], weights: Sequence[int]) -> Tensor:
    """sum of weights[i] * numbers[i]. Local, exact."""
    total = times(numbers_[0], weights[0])
    for x, w in zip(numbers_[1:], weights[1:], strict=True):
        total = add(total, times(x, w))
    return total


def expand(x: Tensor, shape: Shape) -> Tensor:
    """x broadcast to a shape. Local."""
    return emit("expand", x, shape=shape) if x.shape != shape else x


def public_units(values: NDArray[np.int64], f: int) -> Tensor:
    """A public tensor of integers in units of 2^-f. Local."""
    raw = object_array(values.ravel().tolist(), values.shape)
    return emit("const", value=raw, type=Type(False, values.shape, f))


def strided(x: Tensor, axis: int, start: int, step: int, count: int) -> Tensor:
    """Elements start, start + step, ... of an axis, `count` of them. Local."""
    n = len(x.shape)
    shape = tuple(count if i == axis else size for i, size in enumerate(x.shape))
    if shape == x.shape and step == 1:
        return x
    return emit(
        "slice", x, start=tuple(start if i == axis else 0 for i in range(n)),
        step=tuple(step if i == axis else 1 for i in range(n)), shape=shape,
    )  # fmt: skip
