"""The `@program` decorator: a Python function that is traced into a graph."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ..ir.graph import Config, Graph
from ..ir.types import Shape
from .builder import Builder
from .errors import ProgramError

Shapes = Mapping[tuple[int, str], Shape]
_shapes: ContextVar[Shapes] = ContextVar("shapes")


def input_shape(party: int, name: str) -> Shape | None:
    """The shape of an input of the program being traced, if known."""
    found = _shapes.get().get((party, name))
    return None if found is None else tuple(int(n) for n in found)


def inputs_known() -> str:
    """The inputs of known shape of the program being traced, in words."""
    return ", ".join(f"{party}:{name}" for party, name in sorted(_shapes.get())) or "none"


def input_parties(name: str) -> list[int]:
    """Who is known to bring an input of this name to the program being traced, in order."""
    return sorted(party for party, other in _shapes.get() if other == name)


def check_config(c: Config) -> None:
    """Refuse a precision that does not fit the domain.

    The rule: 2 <= f + 1 <= k - 1 or f = 0, and k + f + 1 <= ring_bits: a product has k + f - 1
    bits and a sign, and truncation needs |z| < 2^(ring_bits - 2).

    Raises:
        ProgramError: says which bound is broken.
    """
    if not c.field and c.ring_bits not in (64, 128):
        raise ProgramError(f"there is no ring of {c.ring_bits} bits", hint="use 64 or 128")
    if not 1 <= c.f < c.k - 1:
        raise ProgramError(
            f"f = {c.f} fractional bits in k = {c.k} bits", hint="choose 1 <= f < k - 1"
        )
    if c.k + c.f + 1 > c.ring_bits:
        raise ProgramError(
            f"k = {c.k} and f = {c.f} do not fit "
            + (f"{c.ring_bits} bits of the field" if c.field else f"the ring of {c.ring_bits} bits")
            + f": products need k + f + 1 = {c.k + c.f + 1}",
            hint="lower k or f" + ("" if c.field else ", or use --ring 128"),
        )
    if c.rounding not in ("probabilistic", "nearest"):
        raise ProgramError(
            f"unknown rounding {c.rounding!r}", hint='use "probabilistic" or "nearest"'
        )
    if not 1 <= c.stat <= c.ring_bits:
        raise ProgramError(f"a statistical parameter of {c.stat} bits")


@dataclass(frozen=True)
class Option:
    """One keyword argument of a program, an option of the command line."""

    name: str
    type: type
    default: Any


class Program:
    """A traced function. Its keyword arguments are options with defaults.

    Attributes:
        name: the function's name.
        doc: its docstring.
        options: name, type (int, float, str or bool) and default of each option.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = function.__name__
        self.doc = inspect.getdoc(function) or ""
        self.root = os.path.dirname(os.path.abspath(function.__code__.co_filename))
        self.options = [self._option(p) for p in inspect.signature(function).parameters.values()]

    def _option(self, p: inspect.Parameter) -> Option:
        if p.default is inspect.Parameter.empty:
            raise ProgramError(
                f"the argument {p.name} of program {self.name} has no default",
                hint=f"write {p.name}: int = 1",
            )
        if type(p.default) not in (int, float, str, bool):
            raise ProgramError(
                f"the default of {p.name} in program {self.name} is {p.default!r}",
                hint="options are int, float, str or bool",
            )
        return Option(p.name, type(p.default), p.default)

    def trace(
        self, config: Config | None = None, shapes: Shapes | None = None, **options: Any
    ) -> Graph:
        """Run the function once and return the graph it recorded.

        Args:
            config: the domain and precision; default `Config()`.
            shapes: of inputs: (party, name) -> shape.
            options: values of the program's options.

        Raises:
            ProgramError: a mistake of the program's author or of an option.
        """
        config = Config() if config is None else config
        check_config(config)
        known = {o.name: o for o in self.options}
        for name, value in options.items():
            if name not in known:
                raise ProgramError(
                    f"program {self.name} has no option {name!r}",
                    hint="it has " + (", ".join(known) or "none"),
                )
            kind = known[name].type
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ProgramError(f"option {name}={value!r} is no {kind.__name__}")
        graph = Graph(config, name=self.name)
        builder = Builder(graph, root=self.root)
        token = _shapes.set({} if shapes is None else shapes)
        try:
            with builder.active():
                self.function(**options)
        finally:
            _shapes.reset(token)
        builder.expect_innermost(graph.body)
        return graph

    def __call__(self, **options: Any) -> Any:
        """Call the plain function: inside another program's trace, as a part of it."""
        return self.function(**options)


def program(function: Callable[..., Any]) -> Program:
    """Make a function a program: `@program def main(epochs: int = 1): ...`."""
    return Program(function)
