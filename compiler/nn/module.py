"""Modules: layers and models with named parameters and buffers, as in PyTorch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..lang import Party, Variable, current
from ..lang.pytorch import unknown

Self = TypeVar("Self", bound="Module")


class Module:
    """The base of all layers. Subclasses set parameters and sub-modules as attributes and define
    `forward`.

    Parameters are variables (`state`). They and sub-modules may also stand in lists, tuples and
    dictionaries, nested ones too: `self.w = [state(...)]` is named `w.0`. A variable that is saved
    with the model but not trained is a buffer: `self.register_buffer("mean", state(0.0))`.
    What runs inside a sub-module is booked under its name and class, such as `0.Conv2d`, in the
    report.
    """

    training: bool = True
    _label: str = ""
    _buffers: frozenset[str] = frozenset()
    made_with: tuple[tuple[Any, ...], dict[str, Any]]  # the constructor's arguments

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        made.made_with = (args, kwargs)
        return made

    def forward(self, *inputs: Any) -> Any:
        """The module's result."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        children = list(self.named_children())
        for name, child in children:
            child._label = f"{name}.{type(child).__name__}"
        label = self._label or ("" if children else type(self).__name__)
        takes = inspect.signature(self.forward)
        try:
            takes.bind(*inputs, **named)
        except TypeError as error:
            raise current().error(
                f"{type(self).__name__}: {error}", f"its inputs: {', '.join(takes.parameters)}"
            ) from None
        if not label:
            return self.forward(*inputs, **named)
        with current().scope(label):
            return self.forward(*inputs, **named)

    def extra_repr(self) -> str:
        """What `repr` says of a layer besides its parts: the options that were given."""
        if not type(self).__module__.startswith(_PACKAGE):
            return ""
        args, kwargs = self.made_with
        given = inspect.signature(type(self)).bind(*args, **kwargs)
        plain = (int, float, str, tuple, list)
        return ", ".join(
            f"{key}={value!r}"
            for key, value in given.arguments.items()
            if isinstance(value, plain)
            and given.signature.parameters[key].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        )

    def __repr__(self) -> str:
        own = self.extra_repr()
        parts = [f"({name}): {child!r}" for name, child in self.named_children()]
        if not parts:
            return f"{type(self).__name__}({own})"
        lines = "\n".join(([own] if own else []) + parts).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {lines}\n)"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            known = (*dir(type(self)), *vars(self))
            raise unknown("module", type(self).__name__, name, known)

    def register_buffer(self, name: str, value: Variable) -> None:
        """Set an attribute that belongs to the model's state but is no parameter."""
        setattr(self, name, value)
        self._buffers |= {name}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Direct sub-modules with their names."""
        return ((key, part) for key, part in self._held() if isinstance(part, Module))

    def children(self) -> Iterator[Module]:
        """Direct sub-modules."""
        return (module for _, module in self.named_children())

    def _held(self) -> Iterator[tuple[str, Module | Variable]]:
        """The modules and variables that are set as attributes, alone or in lists and mappings."""
        for key, value in vars(self).items():
            if key != "made_with":
                yield from _inside(key, value)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module, under the name `prefix`, and all inside of it with dotted names. One that
        stands in several places appears once."""
        found: set[Module] = set()
        waiting: list[tuple[str, Module]] = [(prefix, self)]
        while waiting:
            name, module = waiting.pop()
            if module in found:
                continue
            found.add(module)
            yield name, module
            start = name + "." if name else ""
            waiting += reversed([(start + key, child) for key, child in module.named_children()])

    def modules(self) -> Iterator[Module]:
        """This module and all inside of it."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Variable]]:
        """All parameters with dotted names, in the order in which they were set; one that several
        modules share appears once."""
        return self._named_variables(prefix, parameters=True, buffers=False)

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Variable]]:
        """All buffers (such as running statistics) with dotted names."""
        return self._named_variables(prefix, parameters=False, buffers=True)

    def _named_variables(
        self, prefix: str, *, parameters: bool, buffers: bool
    ) -> Iterator[tuple[str, Variable]]:
        found: set[Variable] = set()
        for name, module in self.named_modules(prefix):
            own = {key: v for key, v in module._held() if isinstance(v, Variable)}
            kept = {
                key: v
                for key, v in own.items()
                if not module._buffers.isdisjoint((key, key.partition(".")[0]))
            }
            trained = {key: v for key, v in own.items() if key not in kept}
            for key, v in {**(trained if parameters else {}), **(kept if buffers else {})}.items():
                if v not in found:
                    found.add(v)
                    yield (f"{name}.{key}" if name else key), v

    def parameters(self) -> list[Variable]:
        """All parameters, in the order of `named_parameters`."""
        return [p for _, p in self.named_parameters()]

    def buffers(self) -> list[Variable]:
        """All buffers, in the order of `named_buffers`."""
        return [p for _, p in self.named_buffers()]

    def state_dict(self) -> dict[str, Variable]:
        """Parameters and buffers by name, module by module, as PyTorch orders and names them."""
        return dict(self._named_variables("", parameters=True, buffers=True))

    def train(self: Self, mode: bool = True) -> Self:
        """Set the training mode of this module and all inside of it; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """The same as `train(False)`."""
        return self.train(False)

    def load(self: Self, party: Party, name: str = "model") -> Self:
        """Set all parameters and buffers from a party's inputs `name.key`; returns the module.

        The arrays are those that `output(name, model)` wrote in another run.
        """
        for key, variable in self.state_dict().items():
            variable.set(party.input(f"{name}.{key}", shape=variable.shape))
        return self

    def to_torch(self, weights: Any = None, name: str = "model") -> Any:
        """The PyTorch module that computes the same; see `to_torch`."""
        from .bridge import to_torch

        return to_torch(self, weights, name)


_PACKAGE = __name__.rpartition(".")[0]  # of all layers


def _inside(name: str, value: Any) -> Iterator[tuple[str, Module | Variable]]:
    """The modules and variables in a value, with dotted names as PyTorch's containers give."""
    if isinstance(value, Module | Variable):
        yield name, value
    elif isinstance(value, Mapping | list | tuple):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, part in parts:
            yield from _inside(f"{name}.{key}", part)


def holds(value: Any) -> bool:
    """Whether modules or variables are in a value."""
    return next(_inside("", value), None) is not None


class Identity(Module):
    """x. Arguments are accepted and ignored, as in PyTorch: it stands for any layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        return x


class Lambda(Module):
    """Any function of tensors as a module without parameters of its own."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise current().error(f"{function!r} is no function", "nn.Lambda(lambda x: 2 * x)")
        self.function = function

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


Part = Module | Callable[..., Any]


class Sequential(Module):
    """Modules one after the other, named 0, 1, ... or by the keys of one mapping.

    Plain functions of tensors become `Lambda` modules.
    """

    def __init__(self, *modules: Part | Mapping[str, Part]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            parts: dict[str, Any] = dict(modules[0])
        else:
            parts = {str(i): m for i, m in enumerate(modules)}
        self._parts = {k: m if isinstance(m, Module) else Lambda(m) for k, m in parts.items()}

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(self._parts.items())

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._parts.values())

    @overload
    def __getitem__(self, i: int) -> Module: ...
    @overload
    def __getitem__(self, i: slice) -> Sequential: ...
    def __getitem__(self, i: int | slice) -> Module:
        """One module, or those of a slice as a model that shares them."""
        names = list(self._parts)
        if isinstance(i, slice):
            return Sequential({name: self._parts[name] for name in names[i]})
        if not -len(names) <= i < len(names):
            raise current().error(f"module {i} of {len(names)}")
        return self._parts[names[i]]

    def __setitem__(self, i: int, module: Part) -> None:
        """Put another module in the place of one, under the same name."""
        names = list(self._parts)
        if not -len(names) <= i < len(names):
            raise current().error(f"module {i} of {len(names)}")
        self._parts[names[i]] = module if isinstance(module, Module) else Lambda(module)

    def forward(self, x: Any) -> Any:
        for module in self._parts.values():
            x = module(x)
        return x


def only(layer: str, **options: tuple[Any, Any]) -> None:
    """Refuse PyTorch's options whose value (first) is not the only one there is (second)."""
    for name, (given, possible) in options.items():
        if given is not possible and (possible is None or given != possible):
            raise current().error(
                f"{layer} with {name}={given!r}", f"only {name}={possible!r} is there"
            )
