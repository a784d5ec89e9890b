"""Functions on tensors: selection, extrema, and the composite functions of mathematics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ir.types import arith as arith_type
from ..ir.types import bits
from . import arith, convert, shapes
from .builder import current
from .pytorch import axis_or_dim
from .tensor import Operators, Tensor, Value, as_tensor, emit, sbit


def _secret_number(value: Value) -> Tensor:
    return arith.materialised(convert.secret(arith.number(value)))


def _secret_fixed(value: Value) -> Tensor:
    return arith.materialised(convert.fixed(convert.secret(arith.number(value))))


def select(bit: Value, value: Value) -> Tensor:
    """value where the secret bit is 1, else 0; broadcast."""
    b, x = as_tensor(bit), _secret_number(value)
    if not b.type.bit:
        raise current().error(f"{type(b).__name__} is no secret bit", "compare first: x != 0")
    return emit("select", *shapes.broadcast(b, x))


def where(condition: Value, a: Value, b: Value) -> Tensor:
    """a where the condition (secret bits, or a clear 0/1) is 1, b elsewhere; both are computed."""
    c = as_tensor(condition)
    if c.secret and not c.type.bit:
        raise current().error(
            f"the condition of where is {type(c).__name__}", "compare: where(x < y, a, b)"
        )
    if arith.is_number(b) and b == 0:
        return select(c, a) if c.type.bit else arith.mul(c, a)
    difference = arith.sub(as_tensor(a), b)
    chosen = select(c, difference) if c.type.bit else arith.mul(c, difference)
    return arith.add(chosen, b)


def maximum(a: Value, b: Value) -> Tensor:
    """The larger of two, element by element."""
    x, y = arith.number(a), arith.number(b)
    if not x.secret and not y.secret:
        return where(arith.less(x, y), y, x)
    if x.type.f or y.type.f:
        x, y = convert.fixed(x), convert.fixed(y)
    return emit("maximum", *shapes.broadcast(convert.secret(x), convert.secret(y)))


def minimum(a: Value, b: Value) -> Tensor:
    """The smaller of two, element by element."""
    return arith.neg(maximum(arith.neg(a), arith.neg(b)))


def _flat(value: Operators, axis: int | None) -> tuple[Tensor, int]:
    x = _secret_number(value)
    if axis is None:
        return x.reshape(-1), 0
    return x, shapes.normal_axis(x, axis)


def reduce_max(value: Operators, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """See `Operators.max`."""
    x, at = _flat(value, axis)
    return _kept(emit("reduce_max", x, axis=at), value, axis, keepdims)


def _kept(out: Tensor, value: Operators, axis: int | None, keepdims: bool) -> Tensor:
    """What is left of a tensor along an axis, with that axis or without."""
    if not keepdims:
        return out
    at = range(value.ndim) if axis is None else (shapes.normal_axis(value, axis),)
    return out.reshape(tuple(1 if i in at else n for i, n in enumerate(value.shape)))


def refuse_dim(name: str, pytorch: Mapping[str, Any]) -> None:
    """Refuse PyTorch's max and min along `dim`, which give values and indices, and other names."""
    if pytorch:
        raise current().error(
            f"{name} with {', '.join(pytorch)}",
            f"x.{name}(axis) gives the values alone, x.argmax(axis) where the largest is",
        )


@axis_or_dim
def argmax(value: Operators, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """See `Operators.argmax`."""
    x, at = _flat(value, axis)
    return _kept(emit("argmax", x, axis=at), value, axis, keepdims)


@axis_or_dim
def sort(value: Operators, axis: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """Values in order along an axis, and their indices, integers. Equal values keep their order.

    >>> values, indices = sort(scores, descending=True)
    """
    x = _secret_number(value)
    at = shapes.normal_axis(x, axis)
    attrs = {"axis": at, "descending": bool(descending), "count": x.shape[at]}
    return emit("sort", x, **attrs), emit("argsort", x, **attrs)


@axis_or_dim
def argsort(value: Operators, axis: int = -1, descending: bool = False) -> Tensor:
    """The indices of `sort`."""
    return sort(value, axis, descending)[1]


@axis_or_dim
def topk(value: Operators, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) values along an axis, in order, and their indices; of equal
    values the first ones."""
    x = _secret_number(value)
    attrs = {"axis": shapes.normal_axis(x, axis), "descending": bool(largest), "count": int(k)}
    return emit("sort", x, **attrs), emit("argsort", x, **attrs)


def relu(x: Value) -> Tensor:
    """max(x, 0)."""
    return emit("relu", _secret_number(x))


def exp(x: Value) -> Tensor:
    """e^x."""
    return emit("exp", _secret_fixed(x))


def exp2(x: Value) -> Tensor:
    """2^x."""
    return emit("exp2", _secret_fixed(x))


def log(x: Value) -> Tensor:
    """Natural logarithm, x > 0."""
    return emit("log", _secret_fixed(x))


def log2(x: Value) -> Tensor:
    """Logarithm to base 2, x > 0."""
    return emit("log2", _secret_fixed(x))


def reciprocal(x: Value) -> Tensor:
    """1 / x, x != 0."""
    return emit("reciprocal", _secret_fixed(x))


def sqrt(x: Value) -> Tensor:
    """Square root, x >= 0."""
    return emit("sqrt", _secret_fixed(x))


def rsqrt(x: Value, approximate: str = "none") -> Tensor:
    """1 / sqrt(x), x > 0.

    Args:
        approximate: "none", or "quartic" for a cheaper one with relative error below 2^-7.
    """
    return emit("rsqrt", _secret_fixed(x), approximate=approximate)


def sigmoid(x: Value) -> Tensor:
    """1 / (1 + e^-x)."""
    return emit("sigmoid", _secret_fixed(x))


def tanh(x: Value) -> Tensor:
    """Hyperbolic tangent."""
    return emit("tanh", _secret_fixed(x))


def softplus(x: Value, beta: float = 1.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, for a public beta > 0."""
    if not beta > 0:
        raise current().error(f"softplus with beta={beta}", "beta is a positive number")
    t = _secret_fixed(x)
    if beta == 1:
        return emit("softplus", t)
    return arith.div(emit("softplus", arith.scaled(t, beta)), beta)


def erf(x: Value) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of e^(-s^2) from 0 to x."""
    return emit("erf", _secret_fixed(x))


def gelu(x: Value, approximate: str = "none") -> Tensor:
    """x Phi(x) for the normal distribution function Phi; approximate="tanh": its approximation
    x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), which costs the same."""
    return emit("gelu", _secret_fixed(x), approximate=approximate)


def sin(x: Value) -> Tensor:
    """Sine of radians."""
    return emit("sin", _secret_fixed(x))


def cos(x: Value) -> Tensor:
    """Cosine of radians."""
    return emit("cos", _secret_fixed(x))


@axis_or_dim
def softmax(x: Value, axis: int = -1) -> Tensor:
    """e^x / sum(e^x) along an axis."""
    t = _secret_fixed(x)
    return emit("softmax", t, axis=shapes.normal_axis(t, axis))


@axis_or_dim
def log_softmax(x: Value, axis: int = -1) -> Tensor:
    """log(softmax(x)) along an axis."""
    t = _secret_fixed(x)
    return emit("log_softmax", t, axis=shapes.normal_axis(t, axis))


def standardize(x: Value, axis: int | Sequence[int], eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) with statistics over axes; variances are divided by n.

    An eps below 2^-f counts as 2^-f.
    """
    t = _secret_fixed(x)
    return emit("standardize", t, axes=shapes.normal_axes(t, axis), eps=float(eps))


def cross_entropy(logits: Value, targets: Value) -> Tensor:
    """Mean over the batch of -sum(targets * log_softmax(logits)).

    Args:
        logits: (batch, classes).
        targets: the same shape: one-hot rows or class probabilities, secret or clear.
    """
    return emit("cross_entropy", _secret_fixed(logits), arith.number(targets))


def conv2d(
    x: Value, w: Value, stride: int | tuple[int, int] = 1, padding: int | tuple[int, int] = 0
) -> Tensor:
    """Cross-correlation: x (batch, in, height, width), w (out, in, kernel height, kernel width)."""
    a, b = convert.secret(arith.number(x)), convert.secret(arith.number(w))
    return arith.product("conv2d", a, b, stride=pair(stride), padding=pair(padding))


def max_pool2d(
    x: Value, kernel: int | tuple[int, int], stride: int | tuple[int, int] | None = None
) -> Tensor:
    """Maxima of windows of an image batch; stride: default the kernel. No padding."""
    size = pair(kernel)
    step = size if stride is None else pair(stride)
    return emit("max_pool2d", _secret_number(x), kernel=size, stride=step)


def pair(value: Any) -> tuple[int, int]:
    """(n, n) from n."""
    a, b = (value, value) if isinstance(value, int) else value
    return int(a), int(b)


def random_bits(*shape: int) -> Tensor:
    """Secret uniform bits that nobody knows."""
    return emit("randbit", type=bits(tuple(shape)))


def permutation(n: int) -> Tensor:
    """A public uniform permutation of 0..n-1, the same at all parties: clear integers (n,)."""
    return emit("perm", n=n, stream=current().stream())


def uniform(lo: float, hi: float, shape: tuple[int, ...]) -> Tensor:
    """Public uniform fixed-point numbers in [lo, hi), the same at all parties: clear."""
    b = current()
    f = b.config.f
    first, last = int(lo * 2**f), int(hi * 2**f)
    if first >= last:
        raise b.error(f"uniform numbers in the empty range [{lo}, {hi})")
    t = arith_type(False, tuple(shape), f)
    return emit("uniform", lo=first, hi=last, stream=b.stream(), type=t)


__all__ = [
    "argmax", "argsort", "conv2d", "cos", "cross_entropy", "erf", "exp", "exp2", "gelu", "log",
    "log2", "log_softmax", "max_pool2d", "maximum", "minimum", "pair", "permutation", "random_bits",
    "reciprocal", "reduce_max", "relu", "rsqrt", "sbit", "select", "sigmoid", "sin", "softmax",
    "softplus", "sort", "sqrt", "standardize", "tanh", "topk", "uniform", "where",
]  # fmt: skip
