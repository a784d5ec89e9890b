"""Tensors of the language: secret and clear integers, fixed-point numbers, and secret bits.

A tensor has a static shape and supports NumPy's operators, indexing and broadcasting. Products keep
their extra fractional bits until something other than a sum along an axis or a public factor uses
them; then they are rounded once (`trunc`). So `(a * b).sum() * 0.5` rounds once.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Union

import numpy as np
from numpy.typing import NDArray

from ..ir.graph import Node, Var
from ..ir.numeric import system
from ..ir.types import Shape, Type
from .builder import Builder, current
from .errors import ProgramError
from .pytorch import METHODS, axis_or_dim, unknown

Scalar = Union[int, float, bool, "np.integer[Any]", "np.floating[Any]"]
Value = Union["Operators", Scalar, "NDArray[Any]", Sequence[Any]]
TensorT = TypeVar("TensorT", bound="Tensor")


class Operators:
    """Operators and methods that tensors and variables share."""

    __array_ufunc__ = None  # ndarray <op> tensor asks the tensor
    __hash__ = object.__hash__

    @property
    def type(self) -> Type:
        """Type of the value after rounding."""
        raise NotImplementedError

    def read(self) -> Tensor:
        """The value as a tensor (of a variable: its value now)."""
        raise NotImplementedError

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def size(self) -> int:
        return self.type.size

    @property
    def secret(self) -> bool:
        return self.type.secret

    # arithmetic
    def __add__(self, other: Value) -> Tensor:
        return arith.add(self, other)

    def __radd__(self, other: Value) -> Tensor:
        return arith.add(self, other)

    def __sub__(self, other: Value) -> Tensor:
        return arith.sub(self, other)

    def __rsub__(self, other: Value) -> Tensor:
        return arith.sub(other, self)

    def __mul__(self, other: Value) -> Tensor:
        return arith.mul(self, other)

    def __rmul__(self, other: Value) -> Tensor:
        return arith.mul(self, other)

    def __truediv__(self, other: Value) -> Tensor:
        return arith.div(self, other)

    def __rtruediv__(self, other: Value) -> Tensor:
        return arith.div(other, self)

    def __floordiv__(self, other: Value) -> Tensor:
        return arith.floor_div(self, other)

    def __mod__(self, other: Value) -> Tensor:
        return arith.mod(self, other)

    def __pow__(self, exponent: int) -> Tensor:
        return arith.power(self, exponent)

    def __neg__(self) -> Tensor:
        return arith.neg(self)

    def __abs__(self) -> Tensor:
        return arith.absolute(self)

    def __matmul__(self, other: Value) -> Tensor:
        return arith.matmul(self, other)

    def __rmatmul__(self, other: Value) -> Tensor:
        return arith.matmul(other, self)

    # comparisons and bits
    def __lt__(self, other: Value) -> Tensor:
        return arith.less(self, other)

    def __gt__(self, other: Value) -> Tensor:
        return arith.less(other, self)

    def __le__(self, other: Value) -> Tensor:
        return arith.less(other, self).logical_not()

    def __ge__(self, other: Value) -> Tensor:
        return arith.less(self, other).logical_not()

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return arith.equal(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return arith.equal(self, other).logical_not()

    def __and__(self, other: Value) -> Tensor:
        return arith.bit_and(self, other)

    __rand__ = __and__

    def __or__(self, other: Value) -> Tensor:
        return arith.bit_or(self, other)

    __ror__ = __or__

    def __xor__(self, other: Value) -> Tensor:
        return arith.bit_xor(self, other)

    __rxor__ = __xor__

    def __invert__(self) -> Tensor:
        return self.logical_not()

    def logical_not(self) -> Tensor:
        """1 - bit, of secret bits or of a clear 0/1."""
        return arith.logical_not(self)

    # shape
    def __getitem__(self, key: Any) -> Tensor:
        return shapes.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise current().error(
            "a part of a tensor cannot be assigned",
            "build the new tensor: concat([...]), stack([...]) or where(mask, new, old)",
        )

    def __len__(self) -> int:
        if not self.shape:
            raise current().error("a scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return shapes.reshape(self, shapes.ints(shape))

    view = reshape

    def unsqueeze(self, dim: int) -> Tensor:
        """With a new axis of size 1 at the place `dim` of the result."""
        return shapes.unsqueeze(self, dim)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        """Without axes of size 1: all, or those named of `dim`."""
        return shapes.squeeze(self, dim)

    def flatten(self, start: int = 0) -> Tensor:
        """Join the axes from `start` on."""
        return shapes.reshape(self, (*self.shape[:start], -1))

    def permute(self, *axes: int | Sequence[int]) -> Tensor:
        """Axes in another order."""
        return shapes.permute(self, shapes.ints(axes))

    def transpose(self, a: int = -2, b: int = -1) -> Tensor:
        """Two axes exchanged."""
        return shapes.transpose(self, a, b)

    def t(self) -> Tensor:
        """The transpose of a matrix; what has fewer axes stays."""
        if self.ndim > 2:
            raise current().error(f"t() of shape {self.shape}", "x.transpose(a, b)")
        return self.T

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return shapes.permute(self, tuple(reversed(range(self.ndim))))

    def expand(self, *shape: int | Sequence[int]) -> Tensor:
        """Broadcast to a shape."""
        return shapes.expand(self, shapes.ints(shape))

    # reductions
    @axis_or_dim
    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Sum over axes (default: all). Bits are counted."""
        return arith.reduce_sum(self, axis, keepdims)

    @axis_or_dim
    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
        """Mean over axes (default: all); integers become fixed-point numbers."""
        return arith.mean(self, axis, keepdims)

    def max(self, axis: int | None = None, keepdims: bool = False, **pytorch: int) -> Tensor:
        """Maximum along an axis (default: of all elements): the values alone."""
        functions.refuse_dim("max", pytorch)
        return functions.reduce_max(self, axis, keepdims)

    def min(self, axis: int | None = None, keepdims: bool = False, **pytorch: int) -> Tensor:
        """Minimum along an axis (default: of all elements): the values alone."""
        functions.refuse_dim("min", pytorch)
        return arith.neg(functions.reduce_max(arith.neg(self), axis, keepdims))

    @axis_or_dim
    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """Index of the first maximum along an axis (default: of all elements)."""
        return functions.argmax(self, axis, keepdims)

    def abs(self) -> Tensor:
        """|x|."""
        return arith.absolute(self)

    def pow(self, exponent: int) -> Tensor:
        """x ** exponent."""
        return arith.power(self, exponent)

    # conversion
    def to(self, kind: builtins.type[TensorT]) -> TensorT:
        """Convert: sbit -> sint -> sfix, cint -> cfix, clear -> secret, sfix -> sint (nearest)."""
        return convert.to(self, kind)

    def bits(self, n: int) -> Tensor:
        """The n lowest bits of each element, as planes of one secret bit tensor."""
        return arith.decompose(self, n)

    def planes(self, lo: int, hi: int | None = None) -> Tensor:
        """Planes lo..hi-1 of secret bits (default: the plane lo alone)."""
        return arith.planes(self, lo, hi)

    def bounded(self, limit: float) -> Tensor:
        """The same value with the author's promise |x| < limit, which leaves room for public
        factors of more bits."""
        return arith.bounded(self, limit)

    # opening
    def reveal(self) -> Tensor:
        """Open to all parties: the clear value. Appears in the ledger of openings."""
        return inout.reveal(self)

    def reveal_to(self, party: Any, name: str | None = None) -> None:
        """Open to one party, as its output `name`."""
        inout.reveal_to(self, party, name)

    # what a tensor is not
    def __bool__(self) -> bool:
        raise self._not_python(
            "a Python condition", "where(condition, a, b); & | ~ for and, or, not"
        )

    def __int__(self) -> int:
        raise self._not_python("a Python int", "reveal() and compute with the clear tensor")

    def __index__(self) -> int:
        raise self._not_python("a Python index", "where(...) or a product with a one-hot vector")

    def __float__(self) -> float:
        raise self._not_python("a Python float", "reveal() and compute with the clear tensor")

    def __str__(self) -> str:
        if Builder.active_one() is None:
            return repr(self)
        raise current().error(
            "a tensor has no text: its value is known when the program runs",
            "print_('{}', value)" + (", with value = x.reveal()" if self.secret else ""),
        )

    def __format__(self, spec: str) -> str:
        return str(self)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in METHODS:
                return functools.partial(getattr(functions, name), self)
            raise unknown("tensor", "a tensor", name, (*dir(type(self)), *METHODS))

    def _not_python(self, what: str, secret_hint: str) -> ProgramError:
        if self.secret:
            return current().error(f"a secret value is used as {what}", f"use {secret_hint}")
        return current().error(
            f"a clear value that is known only when the program runs is used as {what}",
            "for a branch use `with if_(c):` or while_(...)",
        )


class Tensor(Operators):
    """A value of the traced program: an IR node and its pending truncation.

    `_pending` bits of the node's precision are still to be rounded away; the node's ring integers
    are below 2^`_width` in magnitude, by the promises of k, f and `bounded`.
    """

    _node: Node
    _pending: int
    _width: int

    def __init__(self, value: Value) -> None:
        made = convert.to(as_tensor(value), type(self))
        self._node, self._pending, self._width = made._node, made._pending, made._width

    @property
    def type(self) -> Type:
        t = self._node.t
        return t if not self._pending else Type(t.secret, t.shape, t.f - self._pending)

    def read(self) -> Tensor:
        return self

    @property
    def node(self) -> Node:
        """The rounded value's node."""
        if self._pending:
            b = current()
            made = b.emit_after(self._node, "trunc", m=self._pending, mode=b.config.mode)
            self._width = min(self._width - self._pending + 1, b.config.k - 1)
            self._node, self._pending = made, 0
        return self._node

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {list(self.shape)}>"


class sint(Tensor):
    """Secret integers: signed, below 2^(k-1) in magnitude. `sint(value)` converts or shares."""


class sfix(Tensor):
    """Secret fixed-point numbers with f fractional bits. `sfix(value)` converts or shares."""


class sbit(Tensor):
    """Secret bits. `sbit(value)` shares public 0/1 values."""


class cint(Tensor):
    """Clear integers that all parties hold. `cint(value)` makes a constant."""


class cfix(Tensor):
    """Clear fixed-point numbers. `cfix(value)` makes a constant."""


def kind_of(t: Type) -> builtins.type[Tensor]:
    """The class of tensors of an IR type."""
    if t.bit:
        return sbit
    if t.secret:
        return sfix if t.f else sint
    return cfix if t.f else cint


def wrap(node: Node, pending: int = 0, width: int | None = None) -> Tensor:
    """The tensor of a node. `width`: bits of its ring integers; default: what k promises."""
    t = node.t if not pending else Type(node.t.secret, node.t.shape, node.t.f - pending)
    kind = kind_of(t)
    tensor: Tensor = kind.__new__(kind)
    tensor._node, tensor._pending = node, pending
    tensor._width = current().config.k - 1 + pending if width is None else width
    return tensor


def emit(name: str, *inputs: Operators, **attrs: Any) -> Tensor:
    """Record one op on rounded values and wrap its result."""
    return wrap(current().emit(name, [x.read().node for x in inputs], **attrs))


def as_tensor(value: Any) -> Tensor:
    """Any value of the language as a tensor: numbers and arrays become clear constants.

    Raises:
        ProgramError: values that are no numbers.
    """
    if isinstance(value, Operators):
        return value.read()
    try:
        array = np.asarray(value)
    except (ValueError, RuntimeError):  # lists of several lengths; another library's tensors
        array = np.empty(0, dtype=object)
    if array.dtype == bool:
        array = array.astype(np.int64)
    if array.dtype.kind in "iu":
        return constant(array, 0)
    if array.dtype.kind == "f":
        return constant(array, current().config.f)
    raise current().error(
        f"{value!r} is not a number or an array of numbers",
        "lists of tensors: stack([...]) or concat([...])",
    )


def constant(values: NDArray[Any], f: int) -> Tensor:
    """A clear constant of real values, rounded to f fractional bits."""
    b = current()
    ring = system(b.config)
    if not np.isfinite(values.astype(np.float64)).all():
        raise b.error("a constant is not a finite number")
    limit = float(np.abs(values.astype(np.float64)).max()) if values.size else 0.0
    if limit >= 2.0 ** (b.config.k - 1 - f):
        raise b.error(
            f"the constant {limit:g} does not fit k = {b.config.k} bits with f = {f}",
            f"values stay below {2.0 ** (b.config.k - 1 - f):g}; scale the data",
        )
    raw = ring.encode(values, f) if f else ring.array(values)
    t = Type(False, values.shape, f)
    bits = max(1, math.ceil(math.log2(limit + 1)) + f) if values.size else 1
    return wrap(b.emit("const", value=raw, type=t), 0, min(bits, b.config.k - 1))


class Variable(Operators):
    """A tensor that changes in place and outlives loops and branches (`state(init)`).

    Reading it gives its value at that place of the program; `set`, `+=`, `-=`, `*=` change it.
    """

    def __init__(self, var: Var) -> None:
        self.var = var

    @property
    def type(self) -> Type:
        return self.var.type

    def read(self) -> Tensor:
        return wrap(current().emit("load", var=self.var))

    def set(self, value: Value) -> None:
        """Store a new value of the same shape; clear values become secret if need be."""
        x = convert.fit(as_tensor(value), self.var.type, self.var.name)
        current().emit("store", [x.node], var=self.var)

    def __iadd__(self, other: Value) -> Variable:  # type: ignore[override]
        self.set(self + other)
        return self

    def __isub__(self, other: Value) -> Variable:  # type: ignore[override]
        self.set(self - other)
        return self

    def __imul__(self, other: Value) -> Variable:  # type: ignore[override]
        self.set(self * other)
        return self

    def __repr__(self) -> str:
        return f"<variable {self.var.name}: {kind_of(self.type).__name__} {list(self.shape)}>"


def state(init: Value, name: str = "state") -> Variable:
    """Named memory that starts as `init` (plain numbers: secret) and is changed in place.

    >>> total = state(0.0)
    >>> for i in loop(10):
    ...     total += x[i]
    """
    x = init.read() if isinstance(init, Operators) else convert.secret(as_tensor(init))
    variable = Variable(current().variable(name, x.node.t))
    current().emit("store", [x.node], var=variable.var)
    return variable


from . import arith, convert, functions, inout, shapes  # noqa: E402

__all__ = [
    "Operators", "ProgramError", "Tensor", "Variable", "as_tensor", "cfix", "cint", "constant",
    "emit", "kind_of", "sbit", "sfix", "sint", "state", "wrap",
]  # fmt: skip
