"""Inputs, openings, outputs and printing."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..ir.graph import Input, Node, Output
from ..ir.types import Shape, arith
from . import shapes
from .builder import current
from .program import input_parties, input_shape, inputs_known
from .tensor import Operators, Tensor, Value, as_tensor, emit, kind_of, sfix, sint, wrap

T = TypeVar("T", bound=Tensor)
_FORMAT = re.compile(r"d?$|(\.\d\d?)?f?$")


@dataclass(frozen=True)
class Party:
    """A party by its number, from 0."""

    index: int

    def input(self, name: str, kind: type[T] = sfix, shape: Shape | None = None) -> T:  # type: ignore[assignment]
        """The named array that this party brings, shared.

        Args:
            name: letters, digits, `_`, `.` and `-`.
            kind: sfix or sint.
            shape: default: from the input file's header, or `--shape`.
        """
        b = current()
        if not re.fullmatch(r"[\w.-]+", name):
            raise b.error(f"{name!r} is no name of an input", "use letters, digits, _ . -")
        if kind not in (sfix, sint):
            raise b.error(f"inputs are sfix or sint, not {kind!r}")
        if not isinstance(self.index, int) or self.index < 0:
            raise b.error(f"there is no party {self.index!r}", "parties count from 0")
        given = input_shape(self.index, name) if shape is None else tuple(shape)
        if given is None:
            raise b.error(
                f"the shape of input {self.index}:{name} is not known (known: {inputs_known()})",
                f"give --input {self.index}:{name}=FILE or --shape {self.index}:{name}=2,3",
            )
        if len(given) > 6:
            raise b.error(f"input {self.index}:{name} has {len(given)} axes, but 6 are the most")
        declared = Input(self.index, name, arith(True, given, b.config.f if kind is sfix else 0))
        if any((i.party, i.name) == (self.index, name) for i in b.graph.inputs):
            raise b.error(f"input {self.index}:{name} is read twice", "keep the tensor")
        b.graph.inputs.append(declared)
        node = b.emit("input", input=declared)
        return wrap(node)  # type: ignore[return-value]

    def dataset(self, name: str) -> tuple[sfix, sint]:
        """Inputs `name.x` (fixed-point samples) and `name.y` (integer labels, or one-hot rows)."""
        x = self.input(name + ".x", sfix)
        y = self.input(name + ".y", sint)
        _check_dataset(name, x, y)
        return x, y


class Parties:
    """Parties that bring parts of one tensor: `Parties(0, 1)`, or `Parties()` for all of those who
    bring the input, as `--input` and `--shape` say.

    Parts are joined in the order of the parties' numbers as given. The split is one of

    * "rows" (a horizontal partition): parts of the same columns, joined along the first axis;
    * "columns" (a vertical partition): parts of the same rows, joined along the last axis; a part
      of shape (n,) is one column. The parties' rows must be in the same order.
    """

    def __init__(self, *indices: int) -> None:
        self.indices = indices

    def input(self, name: str, kind: type[T] = sfix, split: str = "rows") -> T:  # type: ignore[assignment]
        """The tensor of which each party brings a part under this name, shared.

        Raises:
            ProgramError: nobody brings it, parts that do not go together.
        """
        b = current()
        if split not in ("rows", "columns"):
            raise b.error(f"split={split!r}", 'write "rows" or "columns"')
        parties = self._who(name)
        parts = [Party(i).input(name, kind) for i in parties]
        if split == "columns":
            parts = [p.reshape(-1, 1) if p.ndim == 1 else p for p in parts]  # type: ignore[misc]
        same = {p.shape[1:] if split == "rows" else p.shape[:-1] for p in parts}
        if len(same) > 1 or any(p.ndim == 0 for p in parts):
            found = ", ".join(f"{i}: {p.shape}" for i, p in zip(parties, parts, strict=True))
            axis = "first" if split == "rows" else "last"
            raise b.error(f"the parts of {name}, by party, are {found}",
                          f"split by {split} they agree in all axes but the {axis}")  # fmt: skip
        return shapes.concat(parts, axis=0 if split == "rows" else -1)  # type: ignore[return-value]

    def dataset(self, name: str, split: str = "rows") -> tuple[sfix, sint]:
        """Inputs `name.x` and `name.y` (see `Party.dataset`), of which each party has a part.

        By rows every party brings samples and labels; by columns each brings its columns of all
        samples, and one of them the labels.

        Raises:
            ProgramError: nobody brings it, parts that do not go together, labels of other parties.
        """
        b = current()
        x = self.input(name + ".x", sfix, split)
        owners, labels = self._who(name + ".x"), input_parties(name + ".y")
        found = [i for i in labels if i in self.indices] if self.indices else labels
        if split == "rows" and found != sorted(owners):
            raise b.error(f"{name}.x comes from parties {owners}, {name}.y from {found}",
                          'with split="columns" one party has all labels')  # fmt: skip
        if split == "columns" and len(found) != 1:
            raise b.error(f"{name}.y comes from parties {found}",
                          "split by columns one party brings the labels")  # fmt: skip
        y = Parties(*(owners if split == "rows" else found)).input(name + ".y", sint)
        _check_dataset(name, x, y)
        return x, y

    def _who(self, name: str) -> list[int]:
        parties = list(self.indices) or input_parties(name)
        if not parties:
            raise current().error(
                f"nobody is known to bring {name}",
                f"give --input 0:{name}=FILE or --shape 0:{name}=2,3",
            )
        return parties


def _check_dataset(name: str, x: Tensor, y: Tensor) -> None:
    if x.shape[:1] != y.shape[:1]:
        raise current().error(
            f"dataset {name}: {x.shape[0]} samples in {name}.x, {y.shape[0]} labels in {name}.y"
        )


def reveal(value: Operators) -> Tensor:
    """See `Operators.reveal`."""
    x = value.read()
    return emit("reveal", x) if x.secret else x


def reveal_to(value: Operators, party: Any, name: str | None = None) -> None:
    """See `Operators.reveal_to`."""
    output(name or current().unique("revealed"), value, to=party)


def output(name: str, value: Any, to: Party | int | None = None) -> None:
    """Declare a result: written by the party `to`, or by all parties.

    Args:
        name: of the array in the output file.
        value: a tensor; a mapping of names to tensors, or a model (its `state_dict()`, parameters
            and buffers), gives one output `name.key` each.
        to: the only party that may see it; None: everybody.
    """
    b = current()
    if hasattr(value, "state_dict"):
        value = value.state_dict()
    if isinstance(value, Mapping):
        for key, part in value.items():
            output(f"{name}.{key}", part, to)
        return
    x = as_tensor(value)
    party = to.index if isinstance(to, Party) else to
    if party is not None and (isinstance(party, bool) or not isinstance(party, int) or party < 0):
        raise b.error(f"there is no party {to!r}", "to=Party(0), or leave it out for everybody")
    if len(x.shape) > 6:
        raise b.error(f"output {name} has {len(x.shape)} axes, but 6 are the most")
    if any(o.name == name for o in b.graph.outputs):
        raise b.error(f"output {name!r} is written twice", "give each output its own name")
    if len(b.blocks) > 1:
        raise b.error(
            f"output {name!r} inside a loop or branch",
            "keep the value in a variable and write it after the loop",
        )
    declared = Output(name, party, x.node.t)
    b.graph.outputs.append(declared)
    b.emit("output", [x.node], output=declared)


def print_(fmt: str, *values: Value) -> None:
    """Print one line at run time, with clear values in the places of `{}` as in str.format.

    Formats are `{}`, `{:d}`, `{:f}` and `{:.4f}`; `{{` is a brace. Tensors print as `[1 2 3]`.
    """
    b = current()
    pieces: list[Any] = []
    inputs: list[Node] = []
    try:
        parsed = list(string.Formatter().parse(fmt))
    except ValueError as error:
        raise b.error(f"the format {fmt!r}: {error}") from None
    for text, field, spec, conversion in parsed:
        if text:
            pieces.append(text)
        if field is None:
            continue
        if field or conversion:
            raise b.error(f"{{{field}}} in a format", "only {} in order, such as {:.3f}")
        if len(inputs) == len(values):
            raise b.error(f"the format {fmt!r} has more places than the {len(values)} values")
        x = _printable(values[len(inputs)])
        pieces.append((len(inputs), _c_format(x, spec or "")))
        inputs.append(x.node)
    if len(inputs) != len(values):
        raise b.error(f"the format {fmt!r} has {len(inputs)} places for {len(values)} values")
    b.emit("print", inputs, pieces=tuple(pieces))


def _printable(value: Value) -> Tensor:
    x = as_tensor(value)
    if x.secret:
        raise current().error("a secret value cannot be printed", "print x.reveal()")
    return x


def _c_format(x: Tensor, spec: str) -> str:
    if not _FORMAT.match(spec):
        raise current().error(f"the format {{:{spec}}}", "use {}, {:d} or {:.4f}")
    if spec == "d" and x.type.f:
        raise current().error(
            f"the format {{:d}} for a {kind_of(x.type).__name__}", "use {:.4f}, or x.to(cint)"
        )
    if not spec:
        return "%f" if x.type.f else "%d"
    return "%" + spec + ("" if spec[-1] in "df" else "f")
