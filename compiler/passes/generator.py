"""The machinery of code generation: values as views of registers, constants, blocks, emission.

What each op becomes is in codegen.py, which is the pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..ir.graph import Block, Graph, Loc, Node, Var
from ..ir.numeric import object_array, system
from ..ir.types import Shape, Type
from ..isa.table import BY_NAME, plane_words
from ..lang.errors import ProgramError
from .lir import Code, Op, Ref, Reg
from .rewrite import use_counts

Lowering = Callable[["Generator", Node], "Value | None"]
LOWERINGS: dict[str, Lowering] = {}
# Ops whose result has a register of its own, which nothing else aliases.
OWNERS = frozenset(
    (
        "add", "sub", "scale", "offset", "mul", "trunc", "matmul", "conv2d", "conv2d_dx",
        "conv2d_dw", "unslice", "sum", "gather", "scatter", "select", "b2a", "shuffle",
    )
)  # fmt: skip


def lower(name: str) -> Callable[[Lowering], Lowering]:
    """Register the lowering of an op."""

    def add(f: Lowering) -> Lowering:
        LOWERINGS[name] = f
        return f

    return add


def contiguous(shape: Shape) -> tuple[int, ...]:
    """Row-major strides in elements."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


@dataclass(frozen=True)
class Value:
    """A tensor in a register: element i is at offset + i . strides.

    Bits have `planes` planes of `stored` elements each; plane 0 starts at word `word`.
    """

    reg: Reg
    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0
    word: int = 0
    planes: int = 0
    stored: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_flat(self) -> bool:
        """The elements lie one after another, as instructions want them."""
        steps = zip(self.shape, self.strides, contiguous(self.shape), strict=True)
        dense = self.size == 0 or all(n == 1 or s == c for n, s, c in steps)
        return dense and (not self.planes or (self.offset == 0 and self.stored == self.size))

    @property
    def ref(self) -> Ref:
        """The operand, of a flat value (or of the storage of a bit value)."""
        return Ref(self.reg, self.word if self.planes else self.offset)


def walk_dims(
    shape: Shape, a: tuple[int, ...], b: tuple[int, ...]
) -> tuple[Shape, tuple[int, ...], tuple[int, ...]]:
    """The same index space with unit axes dropped and axes that run on merged: (shape, a, b)."""
    out: list[tuple[int, int, int]] = []
    for n, p, q in zip(shape, a, b, strict=True):
        if n == 1:
            continue
        if out and out[-1][1] == p * n and out[-1][2] == q * n:
            out[-1] = (out[-1][0] * n, p, q)
        else:
            out.append((n, p, q))
    return (
        tuple(n for n, _, _ in out),
        tuple(p for _, p, _ in out),
        tuple(q for _, _, q in out),
    )


class Generator:
    """The state of one run: values of nodes so far, and the block being filled."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.config = graph.config
        self.code = Code(graph.config, inputs=graph.inputs, outputs=graph.outputs)
        self.code.intern("")
        for var in graph.vars:
            self.code.vars[var] = Reg(*self._storage(var.type), var)
        self.values: dict[Node, Value] = {}
        self.flat: list[dict[Value, Value]] = [{}]
        self.block = self.code.body
        self.loc = Loc("", 0)
        self.constants: dict[tuple[int, ...], int] = {}
        # add -> (operand to accumulate into, unslice or expand accumulated without being made)
        self.sums = _accumulations(graph.body, use_counts(graph))
        self.deferred = {y for _, y in self.sums.values()}

    def run(self) -> Code:
        """The code of the whole graph."""
        self.nodes(self.graph.body)
        return self.code

    def nodes(self, block: Block) -> None:
        """Generate a block's nodes into the current block."""
        for node in block.nodes:
            self.loc = node.loc
            if node in self.deferred:
                continue
            rule = LOWERINGS.get(node.op)
            if rule is None:
                raise ProgramError(f"no instructions for the op {node.op}", node.loc)
            value = rule(self, node)
            if value is not None:
                self.values[node] = value

    def inner(self, block: Block) -> list[Op]:
        """The code of a block nested in the current one."""
        outer, self.block = self.block, []
        self.flat.append({})
        self.nodes(block)
        self.flat.pop()
        made, self.block = self.block, outer
        return made

    def emit(self, name: str, *args: Any, blocks: tuple[list[Op], ...] = ()) -> None:
        """Append an instruction. Values stand for their registers; no handle is given."""
        row = BY_NAME[name]
        full = [None, *args] if row.interactive else list(args)
        full = [a.ref if isinstance(a, Value) else a for a in full]
        assert len(full) == len(row.operands), name
        self.block.append(Op(row, full, self.loc, blocks))

    # ---- values ----

    def _storage(self, t: Type) -> tuple[str, int]:
        if t.bit:
            return "b", t.planes * plane_words(t.size)
        return ("s" if t.secret else "c"), t.size

    def fresh(self, t: Type) -> Value:
        """A new register for a value of this type."""
        return self.view(Reg(*self._storage(t)), t)

    def view(self, reg: Reg, t: Type) -> Value:
        """A register seen as a flat value of this type."""
        planes, stored = (t.planes, t.size) if t.bit else (0, 0)
        return Value(reg, t.shape, contiguous(t.shape), planes=planes, stored=stored)

    def arith(self, file: str, shape: Shape) -> Value:
        """A new arithmetic value in file s or c."""
        return Value(Reg(file, math.prod(shape)), shape, contiguous(shape))

    def bits(self, shape: Shape, planes: int = 1) -> Value:
        """A new bit value."""
        n = math.prod(shape)
        reg = Reg("b", planes * plane_words(n))
        return Value(reg, shape, contiguous(shape), planes=planes, stored=n)

    def get(self, node: Node) -> Value:
        """A node's value, however it lies."""
        return self.values[node]

    def use(self, node: Node) -> Value:
        """A node's value, flat."""
        return self.flatten(self.values[node])

    def flatten(self, v: Value) -> Value:
        """The value itself, or a flat copy (one for all uses in this block and inner ones)."""
        if v.is_flat:
            return v
        for known in reversed(self.flat):
            if v in known:
                return known[v]
        out = self.bits(v.shape, v.planes) if v.planes else self.arith(v.reg.file, v.shape)
        self.copy(out, v)
        self.flat[-1][v] = out
        return out

    def copy(self, d: Value, a: Value) -> None:
        """d = a for values of one shape. Other bits of d's planes become 0."""
        shape, dstr, sstr = walk_dims(a.shape, d.strides, a.strides)
        if not a.planes:
            self.emit(f"{a.reg.file}copy", d, a, shape, dstr, sstr)
        elif a.is_flat and d.is_flat:
            self.emit("bmove", d, a, a.planes, a.size)
        else:
            sizes = (a.planes, d.stored, a.stored, d.offset, a.offset)
            self.emit("bcopy", d, a, *sizes, shape, dstr, sstr)

    def sliced(self, v: Value, start: Shape, step: Shape, shape: Shape) -> Value:
        """View of v[start + i * step]."""
        steps = zip(start, v.strides, strict=True)
        at = v.offset + sum(s * stride for s, stride in steps) if math.prod(shape) else v.offset
        strides = tuple(d * stride for d, stride in zip(step, v.strides, strict=True))
        return replace(v, shape=shape, strides=strides, offset=at)

    # ---- constants ----

    def pool(self, words: tuple[int, ...]) -> int:
        """Position of constants in the pool, each run of words kept once."""
        if words not in self.constants:
            self.constants[words] = len(self.code.pool)
            self.code.pool += words
        return self.constants[words]

    def constant(self, words: tuple[int, ...], shape: Shape) -> Value:
        """A clear value with these ring integers."""
        signed = system(self.config).array(object_array(list(words), (len(words),)))
        words = tuple(int(w) for w in signed)
        out = self.arith("c", shape)
        if words and words.count(words[0]) == len(words) and _is_immediate(words[0]):
            self.emit("cfill", out, words[0], len(words))
        else:
            self.emit("cset", out, self.pool(words), len(words))
        return out

    def scaled(self, a: Value, factor: int) -> Value:
        """a * factor, for any factor."""
        out = self.arith(a.reg.file, a.shape)
        if _is_immediate(factor):
            self.emit(f"{a.reg.file}muli", out, a, factor, a.size)
        else:
            name = "smulc" if a.reg.file == "s" else "cmul"
            self.emit(name, out, a, self.constant((factor,) * a.size, a.shape), a.size)
        return out

    def shared(self, v: Value) -> Value:
        """A flat secret value: clear ones become public sharings."""
        if v.reg.file == "s":
            return v
        out = self.arith("s", v.shape)
        self.emit("sset", out, v, v.size)
        return out

    def truncated(self, v: Value, m: int, mode: int) -> Value:
        """v / 2^m rounded; m = 0: v."""
        if m == 0:
            return v
        out = self.arith(v.reg.file, v.shape)
        if v.reg.file == "s":
            self.emit("trunc", out, v, v.size, m, mode)
        else:
            self.emit("cshr", out, v, m, v.size)
        return out

    def var(self, var: Var) -> Value:
        """The memory of a variable."""
        return self.view(self.code.vars[var], var.type)


def _accumulations(block: Block, uses: dict[Node, int]) -> dict[Node, tuple[Node, Node]]:
    """Sums that can be taken in place: x + y with nobody else looking at x, y a view or a slice."""
    found: dict[Node, tuple[Node, Node]] = {}
    here = set(block.nodes)
    deferred: set[Node] = set()
    for n in block.nodes:
        for inner in n.blocks:
            found.update(_accumulations(inner, uses))
        if n.op != "add" or n.inputs[0].t.secret != n.inputs[1].t.secret:
            continue
        for x, y in (n.inputs, n.inputs[::-1]):
            alone = {x, y} <= here and uses[x] == uses[y] == 1 and x not in deferred
            if alone and x.op in OWNERS and y.op in ("unslice", "expand"):
                found[n] = (x, y)
                deferred.add(y)
                break
    return found


def _is_immediate(value: int) -> bool:
    return -(1 << 63) <= value < 1 << 63
