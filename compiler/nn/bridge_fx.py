"""Modules of PyTorch with a `forward` of their own, from the graph that torch.fx traces."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable
from typing import Any

from .. import lang
from ..lang import Operators, ProgramError, concat, current, state, zeros
from .activation import GELU, LeakyReLU, LogSoftmax, Softmax, Softplus
from .dropout import Dropout
from .layers import Flatten
from .module import Module, only
from .pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

Convert = Callable[[Any, str], Module]


class Traced(Module):
    """What the graph of a PyTorch module computes; its layers are sub-modules with the same names.

    There is a graph for training and one for evaluation, as a forward may ask for `training`.
    An operation in place makes a new value here, which then stands for the changed tensor
    wherever that is used later.

    Args:
        source: the PyTorch module, kept as it is.
        path: of the module, for messages.
        convert: makes a module of a layer in it.

    Raises:
        ProgramError: a graph that torch.fx cannot trace, with functions that are not known here,
            or with a change in place that a view of the tensor, or the next call, would see.
    """

    def __init__(self, source: Any, path: str, convert: Convert) -> None:
        self.source, self.path = source, path
        self.layers: dict[str, Module] = {}
        self.graphs: dict[bool, list[Any] | ProgramError] = {}
        self.renewed: dict[Any, list[Any]] = {}  # nodes whose tensor an operation in place changes
        for training in (source.training, not source.training):
            try:
                nodes = self.graphs[training] = _traced(source, path, training)
                for node in nodes:
                    self._prepare(node, convert)
                self._follow_changes(nodes)
            except ProgramError as error:
                if training == source.training:
                    raise
                self.graphs[training] = error  # told to whoever asks for this mode

    def _prepare(self, node: Any, convert: Convert) -> None:
        """Make what a node needs: its layer, or its parameter or buffer."""
        if node.op == "call_module" and node.target not in self.layers:
            layer = self.source.get_submodule(node.target)
            self.layers[node.target] = convert(layer, f"{self.path}.{node.target}")
        elif node.op == "get_attr" and node.target not in vars(self):
            shape = tuple(operator.attrgetter(node.target)(self.source).shape)
            variable = state(zeros(shape), node.target)
            if node.target in dict(self.source.named_buffers()):
                self.register_buffer(node.target, variable)
            else:
                setattr(self, node.target, variable)
        elif node.op in ("call_function", "call_method"):
            self._known(node)

    def _follow_changes(self, nodes: list[Any]) -> None:
        """Find which nodes an operation in place changes besides its own result."""
        place = {node: i for i, node in enumerate(nodes)}
        memory: dict[Any, Any] = {}  # the node that made the tensor whose memory a node may share
        tensor: dict[Any, Any] = {}  # and of which it is the whole, not a view or perhaps a copy
        for i, node in enumerate(nodes):
            first = next(iter(node.args), node.kwargs.get("input"))
            changes = self._in_place(node)
            shares = isinstance(first, type(node)) and (changes or self._may_share(node))
            memory[node] = memory[first] if shares else node
            tensor[node] = tensor[first] if changes else node
            if not changes:
                continue
            old = [n for n in nodes[:i] if memory[n] is memory[node]]
            self.renewed[node] = [n for n in old if tensor[n] is tensor[node]]
            seen = [n for n in old if tensor[n] is not tensor[node]
                    and any(place[u] > i and not _asks_shape(u) for u in n.users)]  # fmt: skip
            if seen or memory[node].op == "get_attr":
                kept = seen[0] if seen else memory[node]
                raise current().error(
                    f"{self.path} ({type(self.source).__name__}): {_name(node)} ({node.name}) "
                    f"changes in place what {_name(kept)} ({kept.name}) has, which is used after",
                    "write it without the change in place",
                )

    def _in_place(self, node: Any) -> bool:
        """Whether a node changes its first argument."""
        if node.op == "call_module":
            return bool(getattr(self.source.get_submodule(node.target), "inplace", False))
        if node.op not in ("call_function", "call_method"):
            return False
        name = _name(node)
        return name in _IN_PLACE or name[-1] == "_" or bool(node.kwargs.get("inplace"))

    def _may_share(self, node: Any) -> bool:
        """Whether a node's result may be its first argument, or a view of it."""
        if node.op == "call_module":
            return type(self.source.get_submodule(node.target)).__name__ in _SHARING_LAYERS
        called = node.op in ("call_function", "call_method")
        return called and _name(node) in _SHARING and not _asks_shape(node)

    def named_children(self) -> Any:
        return iter(self.layers.items())

    def forward(self, *inputs: Any) -> Any:
        nodes = self.graphs[self.training]
        if isinstance(nodes, ProgramError):
            raise nodes
        given = iter(inputs)
        values: dict[Any, Any] = {}
        fx = importlib.import_module("torch.fx")
        for node in nodes:
            args = fx.node.map_arg(node.args, values.__getitem__)
            kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
            if node.op == "output":
                return args[0]
            values[node] = self._value(node, given, args, kwargs)
            values.update(dict.fromkeys(self.renewed.get(node, ()), values[node]))
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


def _traced(source: Any, path: str, training: bool) -> list[Any]:
    """The nodes of a module's graph in one of the two modes."""
    fx = importlib.import_module("torch.fx")
    modes = [(module, module.training) for module in source.modules()]
    try:
        for module, _ in modes:
            module.training = training
        return list(fx.Tracer().trace(source).nodes)
    except Exception as error:
        raise current().error(
            f"{path} ({type(source).__name__}): torch.fx cannot trace its forward: {error}",
            "a forward without branches on values can be traced",
        ) from None
    finally:
        for module, mode in modes:
            module.training = mode


_IN_PLACE = ("iadd", "isub", "imul")  # and names that end in _
_SHARING = ("view", "reshape", "flatten", "permute", "transpose", "contiguous", "getitem",
            "getattr", "dropout")  # fmt: skip
_SHARING_LAYERS = ("Identity", "Flatten", "Dropout")


def _asks_shape(node: Any) -> bool:
    """Whether a node asks for what no operation in place changes."""
    if _name(node) == "getattr":
        return node.args[1] in ("shape", "ndim", "dtype", "device")
    return _name(node) in ("size", "dim")


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


def _log(input: Any) -> Any:
    return lang.log(input)


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
    "dropout": _dropout, "stack": _stack, "getitem": operator.getitem,
    "getattr": getattr, "floordiv": operator.floordiv,
}  # fmt: skip
METHODS: dict[str, Callable[..., Any]] = {
    **_BOTH, "add_": _add, "mul_": _mul, "view": _view, "reshape": _view, "size": _size,
    "contiguous": _same, "dim": lambda input: input.ndim,
}  # fmt: skip
