"""Modules: layers and models with named parameters, as in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..lang import Party, Tensor, Variable, current


class Module:
    """The base of all layers. Subclasses set parameters and sub-modules as attributes and define
    `forward`.

    Parameters are variables (`state`); sub-modules may also stand in lists. What runs inside a
    sub-module is booked under its name and class, such as `0.Conv2d`, in the report.
    """

    training: bool = True
    _label: str = ""

    def forward(self, *inputs: Any) -> Tensor:
        """The module's result."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any) -> Tensor:
        children = list(self.named_children())
        for name, child in children:
            child._label = f"{name}.{type(child).__name__}"
        label = self._label or ("" if children else type(self).__name__)
        if not label:
            return self.forward(*inputs)
        with current().scope(label):
            return self.forward(*inputs)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Direct sub-modules with their names."""
        for key, value in vars(self).items():
            if isinstance(value, Module):
                yield key, value
            elif isinstance(value, list | tuple):
                for i, part in enumerate(value):
                    if isinstance(part, Module):
                        yield f"{key}.{i}", part

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Variable]]:
        """All parameters with dotted names, in the order in which they were set."""
        for key, value in vars(self).items():
            if isinstance(value, Variable):
                yield prefix + key, value
        for name, child in self.named_children():
            yield from child.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Variable]:
        """All parameters, in the order of `named_parameters`."""
        return [p for _, p in self.named_parameters()]

    def train(self, mode: bool = True) -> Module:
        """Set the training mode of this module and all inside of it; returns the module."""
        self.training = mode
        for _, child in self.named_children():
            child.train(mode)
        return self

    def eval(self) -> Module:
        """The same as `train(False)`."""
        return self.train(False)

    def load(self, party: Party, name: str = "model") -> Module:
        """Set all parameters from a party's inputs `name.parameter`; returns the module.

        The arrays are those that `output(name, model)` wrote in another run.
        """
        for key, parameter in self.named_parameters():
            parameter.set(party.input(f"{name}.{key}", shape=parameter.shape))
        return self


class Sequential(Module):
    """Modules one after the other, named 0, 1, ..."""

    def __init__(self, *modules: Module) -> None:
        self.modules = list(modules)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((str(i), m) for i, m in enumerate(self.modules))

    def forward(self, *inputs: Any) -> Tensor:
        for module in self.modules:
            inputs = (module(*inputs),)
        (result,) = inputs
        assert isinstance(result, Tensor)
        return result
