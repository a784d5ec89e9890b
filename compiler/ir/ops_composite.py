"""Rows: functions that a lowering in `compiler/math/` expands, and the placeholder of a gradient.

The NumPy meaning is the mathematical function; gradient rules are those of the function itself, so
they do not depend on how it is approximated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import special
from .graph import Config, Node
from .numeric import Array, Numbers, conv_size, windows
from .ops import Attrs, Domain, GradientRule, TypeRule, need, need_arith, op
from .types import Shape, Type, arith

if TYPE_CHECKING:
    from ..passes.autodiff import Step


def _number(t: Type) -> None:
    need_arith(t)
    need(t.secret, f"a secret value is needed, not {t}")


def _fixed(t: Type) -> None:
    _number(t)
    need(t.f > 0, f"a fixed-point value is needed, not {t}", "convert: x.to(sfix)")


def _unary(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _fixed(x[0])
    return x[0]


def _with_forms(name: str, other: str) -> TypeRule:
    """The rule of a function with the option approximate="none" or another."""

    def rule(x: Sequence[Type], a: Attrs, c: Config) -> Type:
        need(a["approximate"] in ("none", other), f"{name} with approximate={a['approximate']!r}",
             f'write approximate="none" or approximate="{other}"')  # fmt: skip
        return _unary(x, a, c)

    return rule


_rsqrt, _gelu = _with_forms("rsqrt", "quartic"), _with_forms("gelu", "tanh")


def _any_unary(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _number(x[0])
    return x[0]


def _pair(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _number(x[0])
    need(x[0] == x[1], f"operands {x[0]} and {x[1]} differ")
    return x[0]


def _div(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _fixed(x[0])
    return _pair(x, a, c)


def _axis(t: Type, a: Attrs) -> int:
    axis: int = a["axis"]
    need(0 <= axis < len(t.shape), f"axis {axis} of {t.shape}")
    need(t.shape[axis] > 0, "a reduction of no elements")
    return axis


def _reduced(t: Type, axis: int) -> Shape:
    return (*t.shape[:axis], *t.shape[axis + 1 :])


def _reduce(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _number(x[0])
    return x[0].with_shape(_reduced(x[0], _axis(x[0], a)))


def _reduce_grad(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    """Operands: gradient of the result, operand of the reduction."""
    _number(x[0])
    need(x[0].shape == _reduced(x[1], _axis(x[1], a)), f"gradient {x[0]} for {x[1]}")
    return arith(True, x[1].shape, x[0].f)


def _argmax(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _number(x[0])
    return arith(True, _reduced(x[0], _axis(x[0], a)))


def _along(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _fixed(x[0])
    _axis(x[0], a)
    return x[0]


def _sort(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    """The first `count` places along an axis."""
    _number(x[0])
    axis, count = _axis(x[0], a), a["count"]
    size = x[0].shape[axis]
    need(1 <= count <= size, f"the first {count} of {size} sorted values")
    return x[0].with_shape((*x[0].shape[:axis], count, *x[0].shape[axis + 1 :]))


def _argsort(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    return arith(True, _sort(x, a, c).shape)


def _sort_grad(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    """Operands: gradient of the result, operand of the sorting."""
    _number(x[0])
    need(x[0].shape == _sort(x[1:], a, c).shape, f"gradient {x[0]} for {x[1]}")
    return arith(True, x[1].shape, x[0].f)


def _pooled(t: Type, a: Attrs) -> Shape:
    _number(t)
    need(len(t.shape) == 4, f"pooling takes images (batch, channels, height, width), not {t.shape}")
    need(min(a["kernel"]) >= 1 and min(a["stride"]) >= 1, "bad kernel or stride")
    oh, ow = conv_size(t.shape, a["kernel"], a["stride"], (0, 0))
    need(oh >= 1 and ow >= 1, f"a window of {a['kernel']} does not fit images of {t.shape[2:]}")
    return (*t.shape[:2], oh, ow)


def _pool(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    return x[0].with_shape(_pooled(x[0], a))


def _pool_grad(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    """Operands: gradient of the result, operand of the pooling."""
    _number(x[0])
    need(x[0].shape == _pooled(x[1], a), f"gradient {x[0]} for {x[1]}")
    return arith(True, x[1].shape, x[0].f)


def _cross_entropy(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    _fixed(x[0])
    need_arith(x[1])
    need(len(x[0].shape) == 2, f"logits are (batch, classes), not {x[0].shape}")
    need(x[0].shape == x[1].shape, f"targets of shape {x[1].shape} for logits of {x[0].shape}",
         "targets are one-hot rows (or class probabilities)")  # fmt: skip
    return arith(True, (), x[0].f)


def _grad_placeholder(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    """Operands: loss, then the tensor if the gradient is not for a variable."""
    need(x[0].shape == (), f"gradients are of a scalar, not of shape {x[0].shape}",
         "reduce it: loss.mean() or loss.sum()")  # fmt: skip
    target: Type = a["var"].type if a["var"] is not None else x[1]
    return arith(True, target.shape, a["precision"])


# --- meaning on real numbers ---------------------------------------------------------------------


def softmax(z: Array, axis: int) -> Array:
    """Softmax along an axis, shifted by the maximum."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def log_softmax(z: Array, axis: int) -> Array:
    """Logarithm of softmax along an axis."""
    d = z - z.max(axis=axis, keepdims=True)
    return np.asarray(d - np.log(np.exp(d).sum(axis=axis, keepdims=True)))


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)) without overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def _pool_windows(n: Node, x: Array) -> Array:
    view = windows(x, n.attrs["kernel"], n.attrs["stride"])
    return view.reshape(*view.shape[:4], -1)


def _max_pool2d_value(n: Node, x: Array) -> Array:
    kernel, stride = n.attrs["kernel"], n.attrs["stride"]
    oh, ow = conv_size(x.shape, kernel, stride, (0, 0))
    out = None
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            part = x[:, :, i : i + stride[0] * oh : stride[0], j : j + stride[1] * ow : stride[1]]
            out = part if out is None else np.maximum(out, part)
    return np.asarray(out)


def _max_pool2d_grad_value(n: Node, g: Array, x: Array) -> Array:
    """The gradient goes to the first maximum of each window, row by row."""
    kernel, stride = n.attrs["kernel"], n.attrs["stride"]
    oh, ow = g.shape[2:]
    best = _max_pool2d_value(n, x)
    out = np.zeros(x.shape, dtype=np.float64)
    open_ = np.ones(g.shape, dtype=bool)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            where = np.s_[
                :, :, i : i + stride[0] * oh : stride[0], j : j + stride[1] * ow : stride[1]
            ]
            hit = open_ & (x[where] == best)
            out[where] += np.where(hit, g, 0.0)
            open_ &= ~hit
    return out


def _reduce_max_grad_value(n: Node, g: Array, x: Array) -> Array:
    """The gradient goes to the first maximum."""
    axis = n.attrs["axis"]
    out = np.zeros(x.shape)
    where = np.expand_dims(x.argmax(axis=axis), axis)
    np.put_along_axis(out, where, np.expand_dims(g, axis), axis=axis)
    return out


def _argsort_value(n: Node, x: Array) -> Array:
    axis, keys = n.attrs["axis"], -x if n.attrs["descending"] else x
    order = keys.argsort(axis=axis, kind="stable")
    return np.asarray(order.take(range(n.attrs["count"]), axis=axis))


def _sort_value(n: Node, x: Array) -> Array:
    return np.take_along_axis(x, _argsort_value(n, x), axis=n.attrs["axis"])


def _sort_grad_value(n: Node, g: Array, x: Array) -> Array:
    out = np.zeros(x.shape)
    np.put_along_axis(out, _argsort_value(n, x), g, axis=n.attrs["axis"])
    return out


def _cross_entropy_value(n: Node, z: Array, y: Array) -> Array:
    return np.asarray(-(y * log_softmax(z, 1)).sum() / z.shape[0])


def _no_second_derivative(s: Step) -> Sequence[Any]:
    need(False, f"there is no derivative of {s.node.op}, itself a gradient",
         "second derivatives of maxima are not supported")  # fmt: skip
    return ()


# --- gradients -----------------------------------------------------------------------------------


def _grad_relu(s: Step) -> Sequence[Any]:
    return (s.select(s.call("ltz", -s.x[0]), s.g),)


def _grad_maximum(s: Step) -> Sequence[Any]:
    a, b = s.x
    first = s.select((a < b).logical_not(), s.g)
    return first, s.g - first


def _grad_exp(s: Step) -> Sequence[Any]:
    return (s.times(s.y),)


def _grad_log(s: Step) -> Sequence[Any]:
    return (s.g / s.x[0],)


def _grad_exp2(s: Step) -> Sequence[Any]:
    return (s.scaled(s.times(s.y), math.log(2)),)


def _grad_log2(s: Step) -> Sequence[Any]:
    return (s.scaled(s.g / s.x[0], 1 / math.log(2)),)


def _grad_reciprocal(s: Step) -> Sequence[Any]:
    return (s.scaled(s.times(s.y) * s.y, -1.0),)


def _grad_div(s: Step) -> Sequence[Any]:
    da = s.g / s.x[1]
    return da, s.scaled(da * s.y, -1.0) if s.wants(1) else None


def _grad_sqrt(s: Step) -> Sequence[Any]:
    return (s.scaled(s.times(s.call("rsqrt", s.x[0], approximate="none")), 0.5),)


def _grad_rsqrt(s: Step) -> Sequence[Any]:
    return (s.scaled(s.times(s.y) * s.y * s.y, -0.5),)


def _grad_sigmoid(s: Step) -> Sequence[Any]:
    return (s.times(s.y - s.y * s.y),)


def _grad_tanh(s: Step) -> Sequence[Any]:
    return (s.times(1 - s.y * s.y),)


def _grad_softplus(s: Step) -> Sequence[Any]:
    return (s.times(s.call("sigmoid", s.x[0])),)


def _grad_erf(s: Step) -> Sequence[Any]:
    return (s.times(s.call("erf_slope", s.x[0])),)


def _grad_erf_slope(s: Step) -> Sequence[Any]:
    return (s.scaled(s.times(s.y * s.x[0]), -2.0),)


def _grad_gelu(s: Step) -> Sequence[Any]:
    slope = s.call("gelu_slope", s.x[0], approximate=s.node.attrs["approximate"])
    return (s.times(slope),)


def _grad_sin(s: Step) -> Sequence[Any]:
    return (s.times(s.call("cos", s.x[0])),)


def _grad_cos(s: Step) -> Sequence[Any]:
    return (s.scaled(s.times(s.call("sin", s.x[0])), -1.0),)


def _grad_softmax(s: Step) -> Sequence[Any]:
    axis = s.node.attrs["axis"]
    return (s.y * (s.g - (s.g * s.y).sum(axis, keepdims=True)),)


def _grad_log_softmax(s: Step) -> Sequence[Any]:
    axis = s.node.attrs["axis"]
    p = s.call("softmax", s.x[0], axis=axis)
    return (s.g - p * s.g.sum(axis, keepdims=True),)


def _grad_cross_entropy(s: Step) -> Sequence[Any]:
    z, y = s.x
    p = s.call("softmax", z, axis=1)
    return s.scaled(s.times(p - y), 1.0 / z.shape[0]), None


def _grad_reduce_max(s: Step) -> Sequence[Any]:
    return (s.call("reduce_max_grad", s.g, s.x[0], axis=s.node.attrs["axis"]),)


def _grad_sort(s: Step) -> Sequence[Any]:
    return (s.call("sort_grad", s.g, s.x[0], **s.node.attrs),)


def _grad_max_pool2d(s: Step) -> Sequence[Any]:
    a = s.node.attrs
    return (s.call("max_pool2d_grad", s.g, s.x[0], kernel=a["kernel"], stride=a["stride"]),)


def _composite(
    name: str,
    rule: TypeRule,
    function: Callable[..., Array],
    gradient: GradientRule | None,
    attrs: str = "",
    arity: int = 1,
    domain: Domain | None = None,
) -> None:
    """A row whose NumPy meaning is `function(node, *reals)`."""

    def numpy(s: Numbers, n: Node, v: Sequence[Array]) -> Array:
        reals = [s.decode(x, i.t.f) for x, i in zip(v, n.inputs, strict=True)]
        with np.errstate(all="ignore"):
            return s.encode(np.asarray(function(n, *reals)), n.t.f)

    op(name, rule, numpy, gradient, attrs=attrs, arity=arity, composite=True,
       interactive=lambda n: True, domain=domain)  # fmt: skip


_ABOVE = Domain("numbers above 0", lambda x: x > 0)
_ROOTS = Domain("numbers not below 0", lambda x: x >= 0)
_FACTORS = Domain("numbers other than 0", lambda x: x != 0)
_DIVISORS = Domain("divisors other than 0", lambda x: x != 0)

_composite("relu", _any_unary, lambda n, x: np.where(x < 0, 0.0, x), _grad_relu)
_composite("maximum", _pair, lambda n, a, b: np.maximum(a, b), _grad_maximum, arity=2)
_composite("reduce_max", _reduce, lambda n, x: x.max(axis=n.attrs["axis"]), _grad_reduce_max,
           "axis")  # fmt: skip
_composite("reduce_max_grad", _reduce_grad, _reduce_max_grad_value,
           _no_second_derivative, "axis", arity=2)  # fmt: skip
_composite("argmax", _argmax, lambda n, x: x.argmax(axis=n.attrs["axis"]), None, "axis")
_composite("sort", _sort, _sort_value, _grad_sort, "axis descending count")
_composite("argsort", _argsort, _argsort_value, None, "axis descending count")
_composite("sort_grad", _sort_grad, _sort_grad_value, _no_second_derivative,
           "axis descending count", arity=2)  # fmt: skip
_composite("max_pool2d", _pool, _max_pool2d_value, _grad_max_pool2d, "kernel stride")
_composite("max_pool2d_grad", _pool_grad, _max_pool2d_grad_value,
           _no_second_derivative, "kernel stride", arity=2)  # fmt: skip
_composite("exp", _unary, lambda n, x: np.exp(x), _grad_exp)
_composite("exp2", _unary, lambda n, x: np.exp2(x), _grad_exp2)
_composite("log", _unary, lambda n, x: np.log(x), _grad_log, domain=_ABOVE)
_composite("log2", _unary, lambda n, x: np.log2(x), _grad_log2, domain=_ABOVE)
_composite("reciprocal", _unary, lambda n, x: 1.0 / x, _grad_reciprocal, domain=_FACTORS)
_composite("div", _div, lambda n, a, b: a / b, _grad_div, arity=2, domain=_DIVISORS)
_composite("sqrt", _unary, lambda n, x: np.sqrt(x), _grad_sqrt, domain=_ROOTS)
_composite("rsqrt", _rsqrt, lambda n, x: 1.0 / np.sqrt(x), _grad_rsqrt, "approximate",
           domain=_ABOVE)  # fmt: skip
_composite("sigmoid", _unary, lambda n, x: sigmoid(x), _grad_sigmoid)
_composite("tanh", _unary, lambda n, x: np.tanh(x), _grad_tanh)
_composite("softplus", _unary, lambda n, x: special.softplus(x), _grad_softplus)
_composite("erf", _unary, lambda n, x: special.erf(x), _grad_erf)
_composite("erf_slope", _unary, lambda n, x: special.erf_slope(x), _grad_erf_slope)
_composite("gelu", _gelu, lambda n, x: special.gelu(x, n.attrs["approximate"]), _grad_gelu,
           "approximate")  # fmt: skip
_composite("gelu_slope", _gelu,
           lambda n, x: 0.5 + special.gelu_slope_odd(x, n.attrs["approximate"]),
           _no_second_derivative, "approximate")  # fmt: skip
_composite("sin", _unary, lambda n, x: np.sin(x), _grad_sin)
_composite("cos", _unary, lambda n, x: np.cos(x), _grad_cos)
_composite("softmax", _along, lambda n, x: softmax(x, n.attrs["axis"]), _grad_softmax, "axis")
_composite("log_softmax", _along, lambda n, x: log_softmax(x, n.attrs["axis"]),
           _grad_log_softmax, "axis")  # fmt: skip
_composite("cross_entropy", _cross_entropy, _cross_entropy_value, _grad_cross_entropy, arity=2)
op("grad", _grad_placeholder, attrs="var factor precision", mergeable=False, composite=True,
   interactive=lambda n: True, arity=None)  # fmt: skip
