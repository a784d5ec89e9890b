"""Modules of PyTorch with a `forward` of their own, from the graph that torch.fx traces."""

from __future__ import annotations

import difflib
import importlib
import inspect
import operator
from collections.abc import Callable
from typing import Any

from ..lang import ProgramError, current, state, zeros
from .bridge_functions import FUNCTIONS, METHODS
from .module import Module

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
        if node.op == "call_module":
            self._add_layer(node.target, convert)
        elif node.op == "get_attr" and _is_layer(self.source, owner := _owner(node)):
            self._add_layer(owner, convert)  # whose weight is used besides
        elif node.op == "get_attr" and node.target not in vars(self):
            shape = tuple(operator.attrgetter(node.target)(self.source).shape)
            variable = state(zeros(shape), node.target)
            if node.target in dict(self.source.named_buffers()):
                self.register_buffer(node.target, variable)
            else:
                setattr(self, node.target, variable)
        elif node.op in ("call_function", "call_method"):
            self._known(node)

    def _add_layer(self, name: str, convert: Convert) -> None:
        if name not in self.layers:
            layer = self.source.get_submodule(name)
            self.layers[name] = convert(layer, f"{self.path}.{name}")

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
            owner = self.layers.get(_owner(node))
            return vars(owner or self)[node.target.rpartition(".")[2] if owner else node.target]
        try:
            if node.op == "call_module":
                # Arguments may be named as in PyTorch's layer; ours are in the same order.
                given = inspect.signature(self.source.get_submodule(node.target).forward)
                bound = given.bind(*args, **kwargs)
                return self.layers[node.target](*bound.args, **bound.kwargs)
            return self._known(node)(*args, **kwargs)
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise current().error(f"{self.path}: {_name(node)}: {error}") from None
        except ProgramError as error:
            message = f"{self.path}: {_name(node)}: {error.message}"
            raise current().error(message, error.hint) from None

    def _known(self, node: Any) -> Callable[..., Any]:
        known = METHODS if node.op == "call_method" else FUNCTIONS
        function = known.get(_name(node))
        if function is None:
            near = difflib.get_close_matches(_name(node), known, 4)
            raise current().error(
                f"{self.path} ({type(self.source).__name__}): its forward uses {_name(node)}, "
                "which is not known here",
                (f"known are {', '.join(near)}; " if near else "")
                + "docs/nn.md lists all that are; or write this module as an nn.Module",
            )
        return function


def _owner(node: Any) -> str:
    """Where the parameter or buffer of a node is."""
    return str(node.target).rpartition(".")[0]


def _is_layer(source: Any, name: str) -> bool:
    """Whether a part of a module is one of PyTorch's layers, which are not traced through."""
    fx = importlib.import_module("torch.fx")
    return bool(name) and fx.Tracer().is_leaf_module(source.get_submodule(name), name)


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
            "getattr", "dropout", "t", "squeeze", "unsqueeze", "chunk", "split", "expand",
            "expand_as", "view_as")  # fmt: skip
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
