"""PyTorch's functions and methods of tensors, in the language.

They have PyTorch's names of arguments: an argument that is not named in one of these is an error
(TypeError, told with the module's path).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .. import lang
from ..lang import Operators, concat, current
from ..lang.shapes import normal_axis
from .activation import GELU, LeakyReLU, LogSoftmax, Softmax, Softplus
from .dropout import Dropout
from .layers import Flatten
from .module import only
from .pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d, along


def _add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    return input + (other if alpha == 1 else other * alpha)


def _sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    return input - (other if alpha == 1 else other * alpha)


def _mul(input: Any, other: Any) -> Any:
    return input * other


def _div(input: Any, other: Any) -> Any:
    return input / other


def _neg(input: Any) -> Any:
    return -input


def _matmul(input: Any, other: Any) -> Any:
    return input @ other


def _relu(input: Any, inplace: bool = False) -> Any:
    return lang.relu(input)


def _softmax(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: None = None) -> Any:
    only("softmax", dtype=(dtype, None))
    return Softmax(dim)(input)


def _log_softmax(input: Any, dim: Any = None, _stacklevel: int = 3, dtype: None = None) -> Any:
    only("log_softmax", dtype=(dtype, None))
    return LogSoftmax(dim)(input)


def _dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return Dropout(p)(input) if training else input


def _max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    return MaxPool2d(kernel_size, stride, padding, dilation, return_indices, ceil_mode)(input)


def _avg_pool2d(input: Any, *args: Any, **kwargs: Any) -> Any:
    return AvgPool2d(*args, **kwargs)(input)


def _adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    return AdaptiveAvgPool2d(output_size)(input)


def _leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return LeakyReLU(negative_slope)(input)


def _gelu(input: Any, approximate: str = "none") -> Any:
    return GELU(approximate)(input)


def _softplus(input: Any, beta: float = 1, threshold: float = 20) -> Any:
    return Softplus(beta, threshold)(input)


def _stack(tensors: Any, dim: int = 0) -> Any:
    return lang.stack(list(tensors), axis=dim)


def _flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    return Flatten(start_dim, end_dim)(input)


def _cat(tensors: Any, dim: int = 0) -> Any:
    return concat(list(tensors), axis=dim)


def _mean(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return input.mean(dim, keepdim)


def _sum(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return input.sum(dim, keepdim)


def _view(input: Any, *shape: Any) -> Any:
    return input.reshape(*shape)


def _permute(input: Any, *dims: Any) -> Any:
    return input.permute(*dims)


def _transpose(input: Any, dim0: int, dim1: int) -> Any:
    return input.transpose(dim0, dim1)


def _size(input: Operators, dim: int | None = None) -> Any:
    return input.shape if dim is None else input.shape[dim]


def _same(input: Any) -> Any:
    return input


def _one_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one tensor, which PyTorch calls `input`."""

    def named(input: Any) -> Any:
        return function(input)

    return named


def _pow(input: Any, exponent: Any) -> Any:
    return input**exponent


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    rows = input.reshape(-1, input.shape[-1]) @ weight.T
    y = rows.reshape(*input.shape[:-1], weight.shape[0])
    return y if bias is None else y + bias


def _t(input: Any) -> Any:
    return input.t()


def _unsqueeze(input: Any, dim: int) -> Any:
    return input.unsqueeze(dim)


def _squeeze(input: Any, dim: Any = None) -> Any:
    return input.squeeze(dim)


def _split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    sizes, at = split_size_or_sections, normal_axis(tensor, dim)
    n = tensor.shape[at]
    if isinstance(sizes, int):
        if sizes < 1:
            raise TypeError(f"parts of {sizes}")
        sizes = [min(sizes, n - i) for i in range(0, n, sizes)]
    if sum(sizes) != n:
        raise TypeError(f"parts of {tuple(sizes)} of an axis of size {n}")
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(along(tensor, at, slice(b - m, b)) for m, b in zip(sizes, ends, strict=True))


def _chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    return _split(input, -(-input.shape[dim] // chunks), dim)


def _clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    y = input if min is None else lang.maximum(input, min)
    return y if max is None else lang.minimum(y, max)


def _amax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return input.max(dim, keepdim)


def _amin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return input.min(dim, keepdim)


def _maximum(input: Any, other: Any) -> Any:
    return lang.maximum(input, other)


def _minimum(input: Any, other: Any) -> Any:
    return lang.minimum(input, other)


def _expand(input: Any, *sizes: Any) -> Any:
    shape = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    kept = (*((None,) * (len(shape) - input.ndim)), *input.shape)
    return input.expand(tuple(k if n == -1 else n for n, k in zip(shape, kept, strict=True)))


def _expand_as(input: Any, other: Any) -> Any:
    return input.expand(other.shape)


def _view_as(input: Any, other: Any) -> Any:
    return input.reshape(other.shape)


_ATTRIBUTES = ("shape", "ndim", "T")


def _attribute(input: Any, name: str) -> Any:
    if name not in _ATTRIBUTES:
        raise current().error(
            f"a tensor's {name} is not known here", f"known are {', '.join(_ATTRIBUTES)}"
        )
    return getattr(input, name)


_BOTH: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "matmul": _matmul,
    "relu": _relu, "relu_": _relu, "softmax": _softmax, "log_softmax": _log_softmax,
    "flatten": _flatten, "mean": _mean, "sum": _sum, "permute": _permute, "transpose": _transpose,
    "pow": _pow, "abs": _one_argument(abs), "t": _t, "unsqueeze": _unsqueeze, "squeeze": _squeeze,
    "split": _split, "chunk": _chunk, "clamp": _clamp, "amax": _amax, "amin": _amin,
    "maximum": _maximum, "minimum": _minimum, "square": _one_argument(lambda x: x * x),
    **{f.__name__: _one_argument(f) for f in (
        lang.sigmoid, lang.tanh, lang.exp, lang.exp2, lang.log, lang.log2, lang.reciprocal,
        lang.sqrt, lang.rsqrt, lang.erf, lang.sin, lang.cos)},
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_BOTH, "iadd": _add, "isub": _sub, "imul": _mul, "truediv": _div, "cat": _cat,
    "max_pool2d": _max_pool2d, "avg_pool2d": _avg_pool2d, "leaky_relu": _leaky_relu,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d, "gelu": _gelu, "softplus": _softplus,
    "dropout": _dropout, "stack": _stack, "getitem": operator.getitem,
    "getattr": _attribute, "floordiv": operator.floordiv, "linear": _linear,
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {
    **_BOTH, "add_": _add, "mul_": _mul, "view": _view, "reshape": _view, "size": _size,
    "contiguous": _same, "dim": lambda input: input.ndim, "expand": _expand,
    "expand_as": _expand_as, "view_as": _view_as,
}  # fmt: skip
