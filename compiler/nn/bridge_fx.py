"""Modules of PyTorch with a `forward` of their own, from the graph that torch.fx traces."""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Callable
from typing import Any

from .. import lang
from ..lang import Operators, ProgramError, concat, current, state, zeros
from .activation import GELU, LeakyReLU, Softplus
from .module import Module
from .pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

Convert = Callable[[Any, str], Module]


class Traced(Module):
    """What the graph of a PyTorch module computes; its layers are sub-modules with the same names.

    Args:
        source: the PyTorch module, kept as it is.
        path: of the module, for messages.
        convert: makes a module of a layer in it.

    Raises:
        ProgramError: a graph that torch.fx cannot trace, or with functions that are not known here.
    """

    def __init__(self, source: Any, path: str, convert: Convert) -> None:
        fx = importlib.import_module("torch.fx")
        self.source, self.path = source, path
        try:
            self.nodes = list(fx.Tracer().trace(source).nodes)
        except Exception as error:
            raise current().error(
                f"{path} ({type(source).__name__}): torch.fx cannot trace its forward: {error}",
                "a forward without branches on values can be traced",
            ) from None
        self.layers: dict[str, Module] = {}
        buffers = dict(source.named_buffers())
        for node in self.nodes:
            if node.op == "call_module" and node.target not in self.layers:
                layer = source.get_submodule(node.target)
                self.layers[node.target] = convert(layer, f"{path}.{node.target}")
            elif node.op == "get_attr" and node.target not in vars(self):
                shape = tuple(operator.attrgetter(node.target)(source).shape)
                variable = state(zeros(shape), node.target)
                if node.target in buffers:
                    self.register_buffer(node.target, variable)
                else:
                    setattr(self, node.target, variable)
            elif node.op in ("call_function", "call_method"):
                self._known(node)

    def named_children(self) -> Any:
        return iter(self.layers.items())

    def forward(self, *inputs: Any) -> Any:
        given = iter(inputs)
        values: dict[Any, Any] = {}
        fx = importlib.import_module("torch.fx")
        for node in self.nodes:
            args = fx.node.map_arg(node.args, values.__getitem__)
            kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
            if node.op == "output":
                return args[0]
            values[node] = self._value(node, given, args, kwargs)
        raise AssertionError("a graph without output")

    def _value(self, node: Any, given: Any, args: Any, kwargs: Any) -> Any:
        if node.op == "placeholder":
            return next(given, *args)
        if node.op == "get_attr":
            return vars(self)[node.target]
        if node.op == "call_module":
            return self.layers[node.target](*args, **kwargs)
        try:
            return self._known(node)(*args, **kwargs)
        except TypeError as error:
            raise current().error(f"{self.path}: {_name(node)}: {error}") from None
        except ProgramError as error:
            message = f"{self.path}: {_name(node)}: {error.message}"
            raise current().error(message, error.hint) from None

    def _known(self, node: Any) -> Callable[..., Any]:
        function = (METHODS if node.op == "call_method" else FUNCTIONS).get(_name(node))
        if function is None:
            raise current().error(
                f"{self.path} ({type(self.source).__name__}): its forward uses {_name(node)}, "
                "which is not known here",
                "functions: " + ", ".join(sorted(FUNCTIONS)),
            )
        return function


def _name(node: Any) -> str:
    target = node.target
    if target is importlib.import_module("torch.nn.functional").max_pool2d:
        return "max_pool2d"  # a dispatcher without a name of its own
    return str(target if isinstance(target, str) else getattr(target, "__name__", target))


# What PyTorch's functions are here, with PyTorch's names of arguments: an argument that is not
# named in one of these is an error (TypeError, told with the module's path).


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


def _sigmoid(input: Any) -> Any:
    return lang.sigmoid(input)


def _tanh(input: Any) -> Any:
    return lang.tanh(input)


def _exp(input: Any) -> Any:
    return lang.exp(input)


def _softmax(input: Any, dim: int) -> Any:
    return lang.softmax(input, dim)


def _log_softmax(input: Any, dim: int) -> Any:
    return lang.log_softmax(input, dim)


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


def _log(input: Any) -> Any:
    return lang.log(input)


def _stack(tensors: Any, dim: int = 0) -> Any:
    return lang.stack(list(tensors), axis=dim)


def _flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = start_dim % input.ndim, end_dim % input.ndim
    shape = input.shape
    joined = math.prod(shape[first : last + 1])
    return input.reshape(*shape[:first], joined, *shape[last + 1 :])


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


_BOTH: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "matmul": _matmul,
    "relu": _relu, "relu_": _relu, "sigmoid": _sigmoid, "tanh": _tanh, "exp": _exp, "log": _log,
    "softmax": _softmax, "log_softmax": _log_softmax, "flatten": _flatten, "mean": _mean,
    "sum": _sum, "permute": _permute, "transpose": _transpose,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **_BOTH, "iadd": _add, "isub": _sub, "imul": _mul, "truediv": _div, "cat": _cat,
    "max_pool2d": _max_pool2d, "avg_pool2d": _avg_pool2d, "leaky_relu": _leaky_relu,
    "adaptive_avg_pool2d": _adaptive_avg_pool2d, "gelu": _gelu, "softplus": _softplus,
    "stack": _stack, "getitem": operator.getitem,
    "getattr": getattr, "floordiv": operator.floordiv,
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {
    **_BOTH, "add_": _add, "mul_": _mul, "view": _view, "reshape": _view, "size": _size,
    "contiguous": _same, "dim": lambda input: input.ndim,
}  # fmt: skip
