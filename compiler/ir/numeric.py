"""The number systems of the reference executor: those of the protocols (rings and a field), and the
reals.

All offer the same methods, so each op of the table states its NumPy meaning once. A value of the
ring is an array of signed representatives (int64 for 64 bits, Python integers otherwise) that
stands for v / 2^f; a value of the reals is the float64 array itself. Bits are uint8 arrays with the
planes as first axis in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .types import Shape

if TYPE_CHECKING:
    from .graph import Config

Array = NDArray[Any]
PRIME = 2**127 - 1


class RangeError(ArithmeticError):
    """A value left the range that its precision promises (checked execution)."""


class Numbers(Protocol):
    """What the ops' NumPy semantics may ask of a number system."""

    exact: bool

    def array(self, values: Any) -> Array: ...
    def encode(self, values: Array, f: int) -> Array: ...
    def decode(self, values: Array, f: int) -> Array: ...
    def raw(self, values: Array, f: int) -> Array: ...
    def from_raw(self, values: Array, f: int) -> Array: ...
    def zeros(self, shape: Shape) -> Array: ...
    def add(self, a: Array, b: Array) -> Array: ...
    def sub(self, a: Array, b: Array) -> Array: ...
    def mul(self, a: Array, b: Array) -> Array: ...
    def scale(self, a: Array, imm: int, f: int) -> Array: ...
    def matmul(self, a: Array, b: Array) -> Array: ...
    def sum(self, a: Array, axes: tuple[int, ...]) -> Array: ...
    def trunc(self, a: Array, m: int, nearest: bool) -> Array: ...
    def random_bits(self, shape: Shape) -> Array: ...


class Ring:
    """Integers modulo 2^bits.

    Args:
        bits: 64 or 128 (any multiple of 16 works).
        rng: the coins of probabilistic rounding and of `randbit`.
        checked: raise `RangeError` where a product or an operand of a truncation leaves
            |z| < 2^(bits - 2).
    """

    exact = True

    def __init__(self, bits: int, rng: np.random.Generator, *, checked: bool = False) -> None:
        self.bits = bits
        self.rng = rng
        self.checked = checked
        self.dtype: Any = np.int64 if bits == 64 else object

    def array(self, values: Any) -> Array:
        """Signed representatives of any integers."""
        a = np.asarray(values)
        if self.dtype is np.int64:
            if a.dtype == object:
                half = 1 << 63
                a = np.asarray((a + half) % (1 << 64) - half, dtype=np.int64)
            return np.asarray(a.astype(np.int64, copy=False))
        half = 1 << (self.bits - 1)
        return np.asarray((a.astype(object) + half) % (1 << self.bits) - half, dtype=object)

    def encode(self, values: Array, f: int) -> Array:
        """round(values * 2^f); halves go up, as in nearest truncation. What is not finite is 0."""
        scaled = np.nan_to_num(np.asarray(values, dtype=np.float64), posinf=0.0, neginf=0.0)
        if self.dtype is np.int64 and (np.abs(scaled) < 2.0 ** (62 - f)).all():
            return np.asarray(np.floor(np.ldexp(scaled, f) + 0.5)).astype(np.int64)
        flat = [exact_round(float(v), f) for v in scaled.ravel()]
        return self.array(object_array(flat, scaled.shape))

    def decode(self, values: Array, f: int) -> Array:
        return np.ldexp(np.asarray(values, dtype=np.float64), -f)

    def raw(self, values: Array, f: int) -> Array:
        return values

    def from_raw(self, values: Array, f: int) -> Array:
        return self.array(values)

    def zeros(self, shape: Shape) -> Array:
        return self.array(np.zeros(shape, dtype=np.int64))

    def add(self, a: Array, b: Array) -> Array:
        return self.array(a + b)

    def sub(self, a: Array, b: Array) -> Array:
        return self.array(a - b)

    def mul(self, a: Array, b: Array) -> Array:
        if self.checked:
            self._check(np.asarray(a, dtype=np.float64) * np.asarray(b, dtype=np.float64))
        return self.array(a * b)

    def scale(self, a: Array, imm: int, f: int) -> Array:
        return self.mul(a, self.array(object_array([imm], ())))

    def matmul(self, a: Array, b: Array) -> Array:
        """The exact product mod 2^bits, as BLAS products of 16-bit limbs in float64."""
        if self.checked:
            self._check(np.asarray(a, dtype=np.float64) @ np.asarray(b, dtype=np.float64))
        if a.shape[1] >= 1 << 16:
            half = a.shape[1] // 2
            return self.add(self.matmul(a[:, :half], b[:half]), self.matmul(a[:, half:], b[half:]))
        total = self.zeros((a.shape[0], b.shape[1]))
        limbs = self.bits // 16
        left, right = self._limbs(a, limbs), self._limbs(b, limbs)
        for place in range(limbs):
            column = np.zeros(total.shape)
            for i in range(place + 1):
                column += left[i] @ right[place - i]
            part = column.astype(np.int64)
            if self.dtype is object:
                part = part.astype(object) * (1 << (16 * place))
            else:
                part = part << (16 * place)
            total = self.add(total, part)
        return total

    @staticmethod
    def _limbs(a: Array, limbs: int) -> list[Array]:
        return [((a >> (16 * i)) & 0xFFFF).astype(np.float64) for i in range(limbs)]

    def sum(self, a: Array, axes: tuple[int, ...]) -> Array:
        return self.array(a.sum(axis=axes)) if axes else a

    def trunc(self, a: Array, m: int, nearest: bool) -> Array:
        """(a + c) >> m with c = 2^(m-1) (nearest) or a fresh coin from [0, 2^m)."""
        if m == 0:
            return a
        if self.checked:
            self._check(np.asarray(a, dtype=np.float64))
        if nearest:
            return self.array(self.add(a, self.array(object_array([1 << (m - 1)], ()))) >> m)
        return self.array(self.add(a, self._coins(m, a.shape)) >> m)

    def _coins(self, m: int, shape: Shape) -> Array:
        if m < 63:
            return self.array(self.rng.integers(0, 1 << m, size=shape, dtype=np.int64))
        low = self.rng.integers(0, 1 << 62, size=shape, dtype=np.int64).astype(object)
        high = self.rng.integers(0, 1 << (m - 62), size=shape, dtype=np.int64).astype(object)
        return self.array(low + high * (1 << 62))

    def random_bits(self, shape: Shape) -> Array:
        return self.rng.integers(0, 2, size=shape, dtype=np.uint8)

    def _check(self, estimate: Array) -> None:
        limit = 2.0 ** (self.bits - 2)
        if estimate.size and np.abs(estimate).max() >= limit:
            raise RangeError(
                f"a product before truncation reaches {np.abs(estimate).max():.4g}, "
                f"but |z| < 2^{self.bits - 2} is needed"
            )


class Field(Ring):
    """The field of p = 2^127 - 1 elements, as signed representatives; nothing wraps earlier.

    Args:
        bits: values before a rounding are |z| < 2^(bits - 2) (checked).
    """

    def __init__(self, bits: int, rng: np.random.Generator, *, checked: bool = False) -> None:
        super().__init__(bits, rng, checked=checked)
        self.dtype = object

    def array(self, values: Any) -> Array:
        half = PRIME >> 1
        integers = np.asarray(np.frompyfunc(int, 1, 1)(values), dtype=object)
        return np.asarray((integers + half) % PRIME - half, dtype=object)

    def matmul(self, a: Array, b: Array) -> Array:
        """The exact product mod p, as BLAS products of limbs in float64."""
        if self.checked:
            self._check(np.asarray(a, dtype=np.float64) @ np.asarray(b, dtype=np.float64))
        if a.shape[1] >= 1 << 16:
            half = a.shape[1] // 2
            return self.add(self.matmul(a[:, :half], b[:half]), self.matmul(a[:, half:], b[half:]))
        left, right = (self._limbs(self.array(x) % PRIME, 8) for x in (a, b))
        total = self.zeros((a.shape[0], b.shape[1]))
        for i, p in enumerate(left):
            for j, q in enumerate(right):
                if p.any() and q.any():
                    part = (p @ q).astype(np.int64).astype(object)
                    total = self.add(total, part << (16 * (i + j)))
        return total


def system(
    config: Config, rng: np.random.Generator | None = None, *, checked: bool = False
) -> Ring:
    """The number system that a program is compiled for; without `rng` for constants only."""
    rng = np.random.default_rng(0) if rng is None else rng
    return (Field if config.field else Ring)(config.ring_bits, rng, checked=checked)


class Real:
    """Float64 numbers: truncations are the identity, scales are exact divisions."""

    exact = False

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def array(self, values: Any) -> Array:
        return np.asarray(values, dtype=np.float64)

    def encode(self, values: Array, f: int) -> Array:
        return self.array(values)

    def decode(self, values: Array, f: int) -> Array:
        return values

    def raw(self, values: Array, f: int) -> Array:
        return np.floor(np.ldexp(values, f) + 0.5)

    def from_raw(self, values: Array, f: int) -> Array:
        return np.ldexp(self.array(values), -f)

    def zeros(self, shape: Shape) -> Array:
        return np.zeros(shape)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def sub(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b)

    def mul(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b)

    def scale(self, a: Array, imm: int, f: int) -> Array:
        return np.asarray(a * (imm / 2**f if f >= 0 else imm * 2.0**-f))

    def matmul(self, a: Array, b: Array) -> Array:
        return np.asarray(a @ b)

    def sum(self, a: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(a.sum(axis=axes)) if axes else a

    def trunc(self, a: Array, m: int, nearest: bool) -> Array:
        return a

    def random_bits(self, shape: Shape) -> Array:
        return self.rng.integers(0, 2, size=shape, dtype=np.uint8)


def exact_round(value: float, f: int) -> int:
    """floor(value * 2^f + 1/2) without loss."""
    p, q = value.as_integer_ratio()
    scaled = p << f if f >= 0 else p
    q = q if f >= 0 else q << -f
    return (2 * scaled + q) // (2 * q)


def object_array(values: list[int], shape: Shape) -> Array:
    """An object array of Python integers in row-major order."""
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(shape)


def windows(x: Array, kernel: Shape, stride: Shape, padding: Shape = (0, 0)) -> Array:
    """(B, C, OH, OW, KH, KW) view of the windows of an NCHW array, zero padded."""
    if any(padding):
        p, q = padding
        x = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    return np.asarray(view[:, :, :: stride[0], :: stride[1]])


def _columns(x: Array, kernel: Shape, stride: Shape, padding: Shape) -> Array:
    """im2col: (B * OH * OW, C * KH * KW)."""
    view = windows(x, kernel, stride, padding)
    b, c, oh, ow, kh, kw = view.shape
    return np.asarray(view.transpose(0, 2, 3, 1, 4, 5).reshape(b * oh * ow, c * kh * kw))


def _rows(g: Array) -> Array:
    """(B * OH * OW, O) from an NCHW gradient."""
    return np.asarray(g.transpose(0, 2, 3, 1).reshape(-1, g.shape[1]))


def conv2d(s: Numbers, x: Array, w: Array, stride: Shape, padding: Shape) -> Array:
    """Cross-correlation, NCHW with OIHW, as one matrix product."""
    o, _, kh, kw = w.shape
    out = s.matmul(_columns(x, (kh, kw), stride, padding), w.reshape(o, -1).T)
    oh, ow = conv_size(x.shape, (kh, kw), stride, padding)
    return np.asarray(out.reshape(x.shape[0], oh, ow, o).transpose(0, 3, 1, 2))


def conv2d_dw(s: Numbers, g: Array, x: Array, shape: Shape, stride: Shape, padding: Shape) -> Array:
    """Gradient of `conv2d` for its weight."""
    cols = _columns(x, shape[2:], stride, padding)
    oh, ow = conv_size(x.shape, shape[2:], stride, padding)
    assert g.shape[2:] == (oh, ow)
    return np.asarray(s.matmul(_rows(g).T, cols).reshape(shape))


def conv2d_dx(s: Numbers, g: Array, w: Array, shape: Shape, stride: Shape, padding: Shape) -> Array:
    """Gradient of `conv2d` for its input: columns added back where they came from."""
    o, c, kh, kw = w.shape
    b, _, h, width = shape
    oh, ow = g.shape[2:]
    cols = s.matmul(_rows(g), w.reshape(o, -1)).reshape(b, oh, ow, c, kh, kw)
    cols = cols.transpose(0, 3, 4, 5, 1, 2)
    (sh, sw), (ph, pw) = stride, padding
    out = s.zeros((b, c, h + 2 * ph, width + 2 * pw))
    for i in range(kh):
        for j in range(kw):
            place = out[:, :, i : i + sh * oh : sh, j : j + sw * ow : sw]
            place[...] = s.add(place, cols[:, :, i, j])
    return np.asarray(out[:, :, ph : ph + h, pw : pw + width])


def conv_size(x: Shape, kernel: Shape, stride: Shape, padding: Shape) -> tuple[int, int]:
    """(OH, OW) of a convolution or pooling; zero or negative if the kernel does not fit."""
    oh = (x[2] + 2 * padding[0] - kernel[0]) // stride[0] + 1
    ow = (x[3] + 2 * padding[1] - kernel[1]) // stride[1] + 1
    return oh, ow
