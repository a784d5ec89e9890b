"""Our classes of modules as classes of PyTorch's: the same Python code over PyTorch's own bases.

Methods, properties, static methods and attributes of a class are kept; `super()` finds PyTorch's
class, and functions of the language that the code names are PyTorch's of the same meaning.
"""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .. import lang
from ..lang import Operators, ProgramError, Variable
from ..lang.pytorch import axis_or_dim
from . import losses
from .containers import ModuleDict, ModuleList
from .module import Lambda, Module, Sequential, holds

_HERE = __name__.rpartition(".")[0]
_OWN = ("made_with", "training", "_label", "_buffers", "_parts")  # what our base classes keep
CONTAINERS = (Sequential, ModuleList, ModuleDict)

Convert = Callable[[Module, str], Any]


class InForward(ProgramError):
    """A forward that is not Python code for both sides."""


def mirror(module: Module, path: str, convert: Convert) -> Any:
    """A PyTorch module of a class like the module's, with all that the module holds.

    Args:
        module: any that is not one of PyTorch's layers by name.
        path: of the module, for messages.
        convert: makes a PyTorch module of one in it.

    Raises:
        ProgramError: with the path, for what PyTorch's modules cannot hold.
    """
    t = importlib.import_module("torch")
    classes = _Classes(path)
    kind: Any = classes.of(type(module))
    made = kind.__new__(kind)
    t.nn.Module.__init__(made)
    if isinstance(module, CONTAINERS):
        for key, child in module.named_children():
            made.add_module(key, convert(child, f"{path}.{key}"))
    for key, value in vars(module).items():
        if key in _OWN:
            continue
        where = f"{path}.{key}"
        if isinstance(value, Variable) and key in module._buffers:
            made.register_buffer(key, t.zeros(value.shape))
        elif key in module._buffers and holds(value):
            raise ProgramError(f"{where}: buffers in a list", hint="register each by a name")
        else:
            setattr(made, key, _held(classes.plain(value), where, convert))
    return made


def _held(value: Any, path: str, convert: Convert) -> Any:
    """A value of an attribute: modules and variables in it become PyTorch's."""
    t = importlib.import_module("torch")
    if isinstance(value, Module):
        return convert(value, path)
    if isinstance(value, Variable):
        return t.nn.Parameter(t.zeros(value.shape))
    if isinstance(value, Operators):
        raise ProgramError(
            f"{path} is a tensor of the program", hint="keep a number, an array, or state(...)"
        )
    if not holds(value):
        return value
    keyed = isinstance(value, Mapping)
    parts = dict(value) if keyed else dict(enumerate(value))
    made = {key: _held(part, f"{path}.{key}", convert) for key, part in parts.items()}
    found = {isinstance(part, Variable) for part in parts.values()}
    variables = found == {True}
    whole = variables or all(isinstance(part, t.nn.Module) for part in made.values())
    if not whole or (keyed and not all(isinstance(key, str) for key in made)):
        raise ProgramError(
            f"{path} holds modules, variables and other things together, which PyTorch's lists "
            "do not",
            hint="one list or dictionary (with words as keys) for modules, one for variables",
        )
    if keyed:
        return (t.nn.ParameterDict if variables else t.nn.ModuleDict)(made)
    return (t.nn.ParameterList if variables else t.nn.ModuleList)(made.values())


class _Classes:
    """PyTorch's classes for those of one module."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.made: dict[type, type] = {}
        self.functions: dict[types.FunctionType, types.FunctionType] = {}

    def of(self, cls: type) -> type:
        """The class that stands for one of ours; what has nothing to do with modules stays."""
        nn = importlib.import_module("torch.nn")
        if cls is Module or cls in CONTAINERS:
            return getattr(nn, cls.__name__)  # type: ignore[no-any-return]
        if not issubclass(cls, Module):
            return cls
        if cls.__module__.startswith(_HERE + ".") and cls is not Lambda:
            raise ProgramError(
                f"{self.path}: a class derived from {cls.__name__}",
                hint="derive it from nn.Module and keep the layer as an attribute",
            )
        if cls not in self.made:
            self.made[cls] = self._new(cls)
        return self.made[cls]

    def _new(self, cls: type) -> type:
        own = types.CellType()
        left = ("__init__", "__new__", "__dict__", "__weakref__")
        names = {k: self._part(v, own) for k, v in vars(cls).items() if k not in left}
        if "forward" in names:
            names["forward"] = _told(names["forward"], f"{self.path} ({cls.__name__})")
        bases = tuple(self.of(base) for base in cls.__bases__)
        own.cell_contents = made = types.new_class(
            cls.__name__, bases, {}, lambda n: n.update(names)
        )
        return made

    def _part(self, value: Any, own: types.CellType) -> Any:
        """A function, property or attribute of a class, for the class that `own` will hold."""
        if isinstance(value, types.FunctionType):
            return self._function(value, own)
        if isinstance(value, staticmethod | classmethod):
            return type(value)(self._part(value.__func__, own))
        if isinstance(value, property):
            get, put, drop = (
                f and self._part(f, own) for f in (value.fget, value.fset, value.fdel)
            )
            return property(get, put, drop, value.__doc__)
        return value

    def _function(self, f: types.FunctionType, own: types.CellType | None) -> types.FunctionType:
        if f in self.functions:
            return self.functions[f]
        names = dict(f.__globals__)
        cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        closure = tuple(
            own if name == "__class__" and own else self._cell(cell) for name, cell in cells
        )
        made = types.FunctionType(f.__code__, names, f.__name__, f.__defaults__, closure)
        made.__kwdefaults__ = f.__kwdefaults__
        self.functions[f] = made
        names.update({name: self._name(f, names[name]) for name in _named(f.__code__, names)})
        return made

    def _cell(self, cell: types.CellType) -> types.CellType:
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            return cell
        other = counterparts().get(value) if isinstance(value, types.FunctionType) else None
        return cell if other is None else types.CellType(other)

    def _name(self, f: types.FunctionType, value: Any) -> Any:
        """What a global name of a function stands for on PyTorch's side."""
        if isinstance(value, types.ModuleType):
            ours = vars(value).get("program") is lang.program or value.__name__ == _HERE
            known = {k: v for k, v in vars(value).items() if callable(v)}
            return types.SimpleNamespace(
                **{k: self._name(f, v) for k, v in known.items()}
            ) if ours else value  # fmt: skip
        return self.plain(value) if getattr(value, "__module__", "") == f.__module__ else (
            counterparts().get(value, value) if isinstance(value, types.FunctionType) else value
        )  # fmt: skip

    def plain(self, value: Any) -> Any:
        """A function for PyTorch's side; any other value as it is."""
        if not isinstance(value, types.FunctionType):
            return value
        return counterparts().get(value) or self._function(value, None)


def _named(code: types.CodeType, names: Mapping[str, Any]) -> Iterator[str]:
    """The global names that a function and those inside of it use."""
    yield from (name for name in code.co_names if name in names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _named(const, names)


def _told(forward: Callable[..., Any], where: str) -> Callable[..., Any]:
    """A forward whose errors name the module."""

    def told(self: Any, *inputs: Any, **named: Any) -> Any:
        try:
            return forward(self, *inputs, **named)
        except InForward:
            raise
        except (ProgramError, AttributeError, TypeError, NameError) as error:
            said = error.message if isinstance(error, ProgramError) else f"{error}"
            raise InForward(
                f"{where}: its forward needs the language: {said}",
                hint="use modules such as nn.ReLU(), operators, methods of tensors, and functions "
                "that PyTorch has too, by global names",
            ) from None

    return told


@functools.cache
def counterparts() -> dict[Any, Callable[..., Any]]:
    """PyTorch's functions for those of the language."""
    t = importlib.import_module("torch")
    f = t.nn.functional
    same = (lang.sigmoid, lang.tanh, lang.exp, lang.exp2, lang.log, lang.log2, lang.sqrt,
            lang.reciprocal, lang.sin, lang.cos, lang.erf, lang.relu)  # fmt: skip
    known = (lang.gelu, losses.mse_loss, losses.cross_entropy, losses.binary_cross_entropy,
             losses.binary_cross_entropy_with_logits)  # fmt: skip

    def both(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b: function(t.as_tensor(a), t.as_tensor(b))

    def dims(function: Any) -> Any:
        return axis_or_dim(function)

    return {
        **{ours: getattr(t, ours.__name__) for ours in same},
        **{ours: getattr(f, ours.__name__) for ours in known},
        lang.maximum: both(t.maximum),
        lang.minimum: both(t.minimum),
        lang.softplus: lambda x, beta=1.0: f.softplus(x, beta),
        lang.rsqrt: lambda x, approximate="none": t.rsqrt(x),
        lang.where: lambda condition, a, b: t.where(condition, a, b),
        lang.softmax: dims(lambda x, axis=-1: t.softmax(x, axis)),
        lang.log_softmax: dims(lambda x, axis=-1: t.log_softmax(x, axis)),
        lang.concat: dims(lambda parts, axis=0: t.cat(list(parts), axis)),
        lang.stack: dims(lambda parts, axis=0: t.stack(list(parts), axis)),
    }
