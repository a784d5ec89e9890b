"""Arithmetic, comparisons and bits on tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..ir.numeric import object_array, system
from ..ir.types import arith as arith_type
from . import convert, functions, shapes
from .builder import current
from .tensor import Operators, Tensor, Value, as_tensor, emit, sbit, sint, wrap

_PRODUCTS = ("mul", "matmul", "conv2d", "conv2d_dx", "conv2d_dw")
_EXTRA_BITS = 8  # of a public factor, beyond f, where there is room


def is_number(value: Any) -> bool:
    """Whether a value is a plain number (not an array)."""
    return isinstance(value, int | float | np.integer | np.floating)


def number(value: Value) -> Tensor:
    """A tensor to compute with: bits become integers."""
    x = as_tensor(value)
    return convert.to(x, sint) if x.type.bit else x


def materialised(x: Tensor) -> Tensor:
    """The tensor with its pending truncation done."""
    x.node  # noqa: B018 - rounds in place
    return x


def exact(value: Any) -> Fraction:
    """A plain number as a fraction."""
    return Fraction(value.item() if isinstance(value, np.generic) else value)


# --- sums ----------------------------------------------------------------------------------------


def add(left: Value, right: Value) -> Tensor:
    """left + right, broadcast."""
    if is_number(right):
        return _offset(number(left), right)
    a, b = shapes.broadcast(number(left), number(right))
    a, b = _aligned(a, b)
    node = current().emit("add", [a._node, b._node])
    return wrap(node, a._pending, max(a._width, b._width))


def sub(left: Value, right: Value) -> Tensor:
    """left - right, broadcast."""
    if is_number(right):
        return _offset(number(left), -right)  # type: ignore[operator]
    if is_number(left):
        return _offset(neg(right), left)
    a, b = shapes.broadcast(number(left), number(right))
    a, b = _aligned(a, b)
    node = current().emit("sub", [a._node, b._node])
    return wrap(node, a._pending, max(a._width, b._width))


def neg(value: Value) -> Tensor:
    """-value."""
    x = number(value)
    return wrap(current().emit("scale", [x._node], imm=-1, f=0), x._pending, x._width)


def _offset(x: Tensor, value: Any) -> Tensor:
    """x + value for a public number."""
    if isinstance(value, float | np.floating) and not x.type.f:
        x = convert.fixed(x)
    imm = _rounded(value, x._node.t.f)
    if not -(1 << 63) <= imm < 1 << 63:
        x = materialised(x)
        imm = _rounded(value, x._node.t.f)
    limit = 1 << (current().config.k - 1 + x._pending)
    if not -limit < imm < limit:
        raise current().error(f"the number {value} does not fit k = {current().config.k} bits")
    return wrap(current().emit("offset", [x._node], imm=imm), x._pending, x._width)


def _rounded(value: Any, f: int) -> int:
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        raise current().error(f"{value} is not a finite number")
    return math.floor(exact(value) * (1 << f) + Fraction(1, 2))


def _aligned(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Operands of a sum with the same precision and the same pending truncation.

    A sum stays unrounded only if both operands are and one of them is no product: a product with
    its truncation is one instruction, and cheaper so.
    """
    f = current().config.f
    if a.type.f != b.type.f:
        a, b = (_with_f(a, f), _with_f(b, f))
    products = a._node.op in _PRODUCTS and b._node.op in _PRODUCTS
    if not (a._pending and b._pending) or products:
        return materialised(a), materialised(b)
    pending = max(a._pending, b._pending)
    room = current().config.ring_bits - 2
    if max(x._width + pending - x._pending for x in (a, b)) > room:
        return materialised(a), materialised(b)
    return raised(a, pending), raised(b, pending)


def _with_f(x: Tensor, f: int) -> Tensor:
    return x if x.type.f == f else convert.fixed(x)


def raised(x: Tensor, pending: int) -> Tensor:
    """The same value with more bits to be rounded away, exactly."""
    while x._pending < pending:
        shift = min(pending - x._pending, 62)  # what an immediate holds
        node = current().emit("scale", [x._node], imm=1 << shift, f=shift)
        x = wrap(node, x._pending + shift, x._width + shift)
    return x


# --- products ------------------------------------------------------------------------------------


def mul(left: Value, right: Value) -> Tensor:
    """left * right, broadcast. A secret bit times a number selects."""
    if is_number(right):
        return scaled(number(left), right)
    a, b = as_tensor(left), as_tensor(right)
    if a.type.bit and b.type.bit:
        return bit_and(a, b)
    if a.type.bit or b.type.bit:
        bit, x = (a, b) if a.type.bit else (b, a)
        if x.secret:
            return functions.select(bit, x)
        a, b = number(a), number(b)
    a, b = shapes.broadcast(a, b)
    return product("mul", a, b)


def product(op: str, a: Tensor, b: Tensor, **attrs: Any) -> Tensor:
    """A product whose truncation is pending."""
    node = current().emit(op, [a.node, b.node], m=0, mode=current().config.mode, **attrs)
    return wrap(node, node.t.f - max(a.type.f, b.type.f))


def scaled(x: Tensor, factor: Any) -> Tensor:
    """x times a public number, with enough bits of the factor and one truncation.

    The factor becomes imm / 2^s with |imm| of f to f + 8 bits (fewer if it is exact with fewer), so
    its relative error is at most 2^-f; where the ring has no room for f bits beside the value's
    own, the value is rounded first.
    """
    b = current()
    if not math.isfinite(factor):
        raise b.error(f"the factor {factor} is not finite")
    value = exact(factor)
    if not x.type.f and not isinstance(factor, int | np.integer):
        x = convert.fixed(x)
    if value == 0:
        return wrap(b.emit("scale", [x._node], imm=0, f=0), x._pending, 0)
    want, total = b.config.f + _EXTRA_BITS, b.config.ring_bits - 2
    if x._pending and x._width + min(_bits_of(value, want), b.config.f) > total:
        x = materialised(x)
    room = total - x._width
    imm, shift = fixed_factor(value, min(want, room), b.config.ring_bits - 3 - x._pending)
    if imm.bit_length() > max(room, 1) and x.secret:
        raise b.error(
            f"the factor {factor} does not fit beside values of k = {b.config.k} bits",
            "use a smaller factor, or promise x.bounded(limit)",
        )
    node = b.emit("scale", [x._node], imm=imm, f=shift)
    return wrap(node, x._pending + shift, x._width + max(0, (abs(imm) - 1).bit_length()))


def _bits_of(factor: Fraction, bits: int) -> int:
    return (abs(fixed_factor(factor, bits, 1 << 10)[0]) - 1).bit_length()


def fixed_factor(factor: Fraction, bits: int, max_shift: int) -> tuple[int, int]:
    """(imm, s) with factor ~ imm / 2^s, imm of at most `bits` bits unless s is 0, s <= max_shift;
    common powers of two are taken out."""
    magnitude = abs(factor.numerator).bit_length() - factor.denominator.bit_length()
    shift = max(0, min(bits - 1 - magnitude, max_shift))
    imm = math.floor(factor * (1 << shift) + Fraction(1, 2))
    while shift and imm and imm % 2 == 0:
        imm, shift = imm // 2, shift - 1
    return (imm, shift) if imm else (0, 0)


def power(value: Operators, exponent: int) -> Tensor:
    """value ** exponent for an integer exponent >= 1, by repeated squaring."""
    if not isinstance(exponent, int) or exponent < 1:
        raise current().error(
            f"** takes an integer exponent >= 1, not {exponent!r}", "sqrt, exp and log exist"
        )
    x = number(value)
    result = None
    while True:
        if exponent & 1:
            result = x if result is None else mul(result, x)
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        x = mul(x, x)


def matmul(left: Value, right: Value) -> Tensor:
    """Matrix product of vectors and matrices, as NumPy's @ for up to two axes."""
    a, b = number(left), number(right)
    if not (1 <= a.ndim <= 2 and 1 <= b.ndim <= 2):
        raise current().error(
            f"@ takes vectors and matrices, not shapes {a.shape} and {b.shape}",
            "reshape to two axes, or loop over the first one",
        )
    if a.shape[-1] != b.shape[0]:
        raise current().error(
            f"shapes {a.shape} and {b.shape} do not match: {a.shape[-1]} columns meet "
            f"{b.shape[0]} rows"
        )
    shape = a.shape[:-1] + b.shape[1:]
    a2 = a if a.ndim == 2 else a.reshape(1, -1)
    b2 = b if b.ndim == 2 else b.reshape(-1, 1)
    out = matrix_product(a2, b2, False, False)
    return out if len(shape) == 2 else out.reshape(shape)


def matrix_product(a: Tensor, b: Tensor, ta: bool, tb: bool) -> Tensor:
    """op(a) @ op(b); a transposition that only feeds the product becomes a flag of it."""
    (a, ta), (b, tb) = _untransposed(a, ta), _untransposed(b, tb)
    return product("matmul", a, b, ta=ta, tb=tb)


def _untransposed(x: Tensor, flag: bool) -> tuple[Tensor, bool]:
    node = x.node
    if node.op == "permute" and node.attrs["axes"] == (1, 0):
        return wrap(node.inputs[0]), not flag
    return x, flag


# --- quotients -----------------------------------------------------------------------------------


def div(left: Value, right: Value) -> Tensor:
    """left / right, broadcast: by a public number with an accurate factor, by a clear tensor with
    one reciprocal, by a secret with the composite `div`."""
    b = current()
    if is_number(right):
        if right == 0:
            raise b.error("division by zero")
        return scaled(convert.fixed(number(left)), 1 / exact(right))
    divisor = number(right)
    if is_number(left) and divisor.secret:
        return scaled(functions.reciprocal(convert.fixed(divisor)), left)
    x = convert.fixed(number(left))
    if divisor.secret:
        x, y = shapes.broadcast(convert.secret(x), convert.fixed(divisor))
        return emit("div", x, y)
    if x.secret:
        return _div_by_clear(x, divisor)
    x, y = shapes.broadcast(x, divisor)
    raised = emit("scale", x, imm=1 << y.type.f, f=y.type.f)
    return emit("div_floor", raised, y)


def _div_by_clear(x: Tensor, divisor: Tensor) -> Tensor:
    """x * (1 / divisor), the reciprocal with all the bits that the ring has room for."""
    c = current().config
    precision = c.ring_bits - 2 - (c.k - 1)
    f = precision + divisor.type.f
    one = emit("const", value=_power_of_two(f), type=arith_type(False, (), f))
    x, y = shapes.broadcast(materialised(x), divisor)
    inverse = emit("div_floor", one.expand(y.shape), y)
    node = current().emit("mul", [x.node, inverse.node], m=0, mode=c.mode)
    return wrap(node, precision, c.ring_bits - 2)


def _power_of_two(f: int) -> Any:
    return system(current().config).array(object_array([1 << f], ()))


def floor_div(left: Operators, right: Value) -> Tensor:
    """floor(left / right) of clear integers."""
    return _clear("div_floor", left, right, "//")


def mod(left: Operators, right: Value) -> Tensor:
    """left - right * floor(left / right) of clear values."""
    return _clear("mod_floor", left, right, "%")


def _clear(op: str, left: Value, right: Value, sign: str) -> Tensor:
    a, b = shapes.broadcast(number(left), number(right))
    if a.secret or b.secret:
        raise current().error(f"{sign} is for clear values", "write x / y for a secret quotient")
    if a.type.f != b.type.f:
        a, b = convert.fixed(a), convert.fixed(b)
    return emit(op, a, b)


# --- reductions ----------------------------------------------------------------------------------


def reduce_sum(value: Operators, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    """See `Operators.sum`."""
    x = number(value)
    axes = shapes.normal_axes(x, axis)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    if not axes:
        return x
    c = current().config
    count = math.prod(x.shape[i] for i in axes)
    # The sum is a value of k bits by promise, unless its terms' own bounds say less.
    width = min(x._width + (count - 1).bit_length(), c.k - 1 + x._pending)
    if x._pending and width > c.ring_bits - 2:
        x, width = materialised(x), c.k - 1
    out = wrap(current().emit("sum", [x._node], axes=axes), x._pending, width)
    return out.reshape(kept) if keepdims else out


def mean(value: Operators, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    """See `Operators.mean`."""
    x = convert.fixed(number(value))
    count = math.prod(x.shape[i] for i in shapes.normal_axes(x, axis))
    if not count:
        raise current().error("the mean of no elements")
    total = _mean_of(x, reduce_sum(x, axis, False), count)
    axes = shapes.normal_axes(x, axis)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return total.reshape(kept) if keepdims else total


def _mean_of(x: Tensor, total: Tensor, count: int) -> Tensor:
    """total / count for the sum of `count` elements of x.

    The mean is a value of k bits, the sum need not be one. Where there is no room for the factor
    beside it, it is divided by a power of two, which is exact, and rounded first.
    """
    c = current().config
    width = x._width + (count - 1).bit_length()
    total = wrap(total._node, total._pending, width)
    if not count & (count - 1) or width + c.f <= c.ring_bits - 2:
        return scaled(total, Fraction(1, count))
    power = count.bit_length() - 1
    part = current().emit("scale", [total._node], imm=1, f=power)
    total = materialised(wrap(part, total._pending + power, width))
    return scaled(total, Fraction(1 << power, count))


def absolute(value: Operators) -> Tensor:
    """|value|."""
    x = number(value)
    negative = less(x, 0)
    if not x.secret:
        return sub(x, scaled(mul(negative, x), 2))
    return sub(x, scaled(functions.select(negative, x), 2))


# --- comparisons and bits ------------------------------------------------------------------------


def less(left: Any, right: Any) -> Tensor:
    """left < right: a secret bit, or a clear 0/1 if both are clear."""
    difference = materialised(sub(left, right))
    return emit("ltz", difference, bits=current().config.k + 1)


def equal(left: Any, right: Any) -> Tensor:
    """left == right: a secret bit, or a clear 0/1 if both are clear."""
    a, b = as_tensor(left), as_tensor(right)
    if a.type.bit and b.type.bit:
        return logical_not(bit_xor(a, b))
    difference = materialised(sub(left, right) if not is_number(right) else sub(a, right))
    return emit("eqz", difference, bits=current().config.k + 1)


def logical_not(value: Operators) -> Tensor:
    """1 - bit."""
    x = value.read()
    if x.type.bit:
        return emit("not", x)
    if x.secret or x.type.f:
        raise current().error("`not` of a number", "compare it first: ~(x < 0), or x == 0")
    return sub(1, x)


def _bit_pair(left: Value, right: Value, sign: str) -> tuple[Tensor, Tensor] | None:
    """Both as secret bits of one shape, or None if both are clear."""
    a, b = as_tensor(left), as_tensor(right)
    if not a.secret and not b.secret:
        return None
    for x in (a, b):
        if x.secret and not x.type.bit:
            raise current().error(
                f"{sign} joins secret bits, not {type(x).__name__}", "compare first: (a < b) & c"
            )
    return shapes.broadcast(convert.to(a, sbit), convert.to(b, sbit))


def bit_and(left: Value, right: Value) -> Tensor:
    """left & right of bits."""
    pair = _bit_pair(left, right, "&")
    return mul(as_tensor(left), as_tensor(right)) if pair is None else emit("and", *pair)


def bit_xor(left: Value, right: Value) -> Tensor:
    """left ^ right of bits."""
    pair = _bit_pair(left, right, "^")
    if pair is not None:
        return emit("xor", *pair)
    a, b = as_tensor(left), as_tensor(right)
    return sub(add(a, b), scaled(mul(a, b), 2))


def bit_or(left: Value, right: Value) -> Tensor:
    """left | right of bits."""
    pair = _bit_pair(left, right, "|")
    if pair is not None:
        return logical_not(emit("and", logical_not(pair[0]), logical_not(pair[1])))
    a, b = as_tensor(left), as_tensor(right)
    return sub(add(a, b), mul(a, b))


def decompose(value: Operators, n: int) -> Tensor:
    """See `Operators.bits`."""
    x = value.read()
    if not 1 <= n <= current().config.ring_bits:
        raise current().error(f"{n} bits of a {current().config.ring_bits}-bit ring")
    return emit("a2b", x, bits=n) if x.secret else emit("bpublic", x, planes=n)


def planes(value: Operators, lo: int, hi: int | None) -> Tensor:
    """See `Operators.planes`."""
    return emit("planes", value, lo=lo, hi=lo + 1 if hi is None else hi)


def join_planes(parts: Sequence[Operators]) -> Tensor:
    """The planes of several bit tensors of one shape, one after the other."""
    return emit("join_planes", *parts)


def bit_values(value: Operators) -> Tensor:
    """Each plane as secret integers 0 or 1: shape (planes, *shape), or shape for one plane."""
    return emit("b2a", value)


def bounded(value: Operators, limit: float) -> Tensor:
    """See `Operators.bounded`."""
    x = value.read()
    if not limit > 0:
        raise current().error(f"the bound {limit} is not positive")
    bits = max(1, math.ceil(math.log2(limit)) + x._node.t.f)
    return wrap(x._node, x._pending, min(x._width, bits))
