"""The op table: one row an op. Rows live in `ops_*.py`, by family, and are all in `OPS`.

Adding an op is one row here and, if it is composite, a lowering in `compiler/math/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .graph import Config, Node
from .numeric import Array, Numbers
from .types import Type

if TYPE_CHECKING:
    from ..passes.autodiff import Step

Attrs = dict[str, Any]


class OpError(Exception):
    """A type rule refuses its operands; `hint` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


TypeRule = Callable[[Sequence[Type], Attrs, Config], "Type | None"]
Semantics = Callable[[Numbers, Node, Sequence[Array]], Array]
GradientRule = Callable[["Step"], Sequence[Any]]


def never(node: Node) -> bool:
    return False


def any_secret(node: Node) -> bool:
    """True if an operand is secret."""
    return any(x.t.secret for x in node.inputs)


def all_secret(node: Node) -> bool:
    """True if every operand is secret."""
    return all(x.t.secret for x in node.inputs)


@dataclass(frozen=True)
class Domain:
    """What a function is defined for: `wants` says it, `inside` tells it of each number of the last
    operand. Elsewhere the function gives some number."""

    wants: str
    inside: Callable[[Array], Array]


@dataclass(frozen=True)
class OpDef:
    """One row.

    Attributes:
        rule: result type from operand types, attributes and configuration; raises `OpError`.
        numpy: meaning on arrays, for both number systems (`numeric.Ring`, `numeric.Real`); None
            for control flow, variables, inputs and outputs, which the executor does itself.
            Composite ops state it on real numbers; the ring rounds the result.
        gradient: adjoints of the operands from that of the result (see `passes/autodiff.py`);
            None: no derivative passes.
        interactive: whether this node needs an exchange between parties.
        effect: must stay, in its order, even if unused.
        memory: reads or writes a variable; order among nodes with the same variable matters.
        mergeable: two nodes with equal operands and attributes are the same value.
        composite: expanded by a lowering (`lang.lowering`) before code is generated.
        attrs: names of the attributes that a node must have.
        arity: number of operands; None: any.
        domain: where a function is defined; None: everywhere.
    """

    name: str
    rule: TypeRule
    numpy: Semantics | None = None
    gradient: GradientRule | None = None
    interactive: Callable[[Node], bool] = never
    effect: bool = False
    memory: bool = False
    mergeable: bool = True
    composite: bool = False
    attrs: tuple[str, ...] = ()
    arity: int | None = 1
    domain: Domain | None = None


OPS: dict[str, OpDef] = {}


def op(
    name: str,
    rule: TypeRule,
    numpy: Semantics | None = None,
    gradient: GradientRule | None = None,
    *,
    attrs: str = "",
    interactive: Callable[[Node], bool] = never,
    effect: bool = False,
    memory: bool = False,
    mergeable: bool = True,
    composite: bool = False,
    arity: int | None = 1,
    domain: Domain | None = None,
) -> None:
    """Add a row. `attrs` names the attributes a node must have, separated by blanks."""
    assert name not in OPS, name
    OPS[name] = OpDef(
        name, rule, numpy, gradient, interactive, effect, memory,
        mergeable and not effect and not memory, composite, tuple(attrs.split()), arity, domain,
    )  # fmt: skip


def infer(name: str, inputs: Sequence[Node], attrs: Attrs, config: Config) -> Type | None:
    """The result type of an op, or `OpError`."""
    row = OPS.get(name)
    if row is None:
        raise OpError(f"there is no op named {name!r}")
    missing = set(row.attrs) - set(attrs)
    if missing:
        raise OpError(f"{name} lacks the attributes {', '.join(sorted(missing))}")
    if row.arity is not None and len(inputs) != row.arity:
        raise OpError(f"{name} takes {row.arity} operands, not {len(inputs)}")
    return row.rule([x.t for x in inputs], attrs, config)


def need(condition: bool, message: str, hint: str = "") -> None:
    """Raise `OpError` unless the condition holds."""
    if not condition:
        raise OpError(message, hint)


def need_arith(*types: Type) -> None:
    """All operands must be arithmetic."""
    for t in types:
        need(not t.bit, f"a bit value {t} stands where a number is needed", "convert: x.to(sint)")


def need_bits(*types: Type) -> None:
    """All operands must be secret bits."""
    for t in types:
        need(t.bit, f"{t} stands where secret bits are needed")


from . import (  # noqa: E402
    ops_arith,
    ops_bits,
    ops_clear,
    ops_composite,
    ops_effects,
    ops_linear,
    ops_norm,
    ops_shape,
)

__all__ = [
    "OPS", "Domain", "OpDef", "OpError", "infer", "op", "ops_arith", "ops_bits", "ops_clear",
    "ops_composite", "ops_effects", "ops_linear", "ops_norm", "ops_shape",
]  # fmt: skip
