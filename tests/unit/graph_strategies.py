"""Hypothesis strategies: arbitrary small graphs of primitive ops, control flow and variables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sequester.compiler.ir.graph import Block, Config, Graph, Input, Loc, Node, Output, Var
from sequester.compiler.ir.types import Type, arith, bits
from sequester.compiler.lang.builder import Builder

SHAPES = [(), (1,), (4,), (2, 3), (3, 2), (2, 2), (2, 1, 3)]


class _Maker:
    """Grows one graph by drawn steps."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw
        bits_, k, f = draw(st.sampled_from([(64, 31, 16), (128, 63, 32)]))
        self.config = Config(bits_, k, f, rounding="nearest")
        self.graph = Graph(self.config, name="drawn")
        self.b = Builder(self.graph, loc=Loc("drawn.py", 1))
        self.values: list[Node] = []
        self.arrays: dict[tuple[int, str], Any] = {}
        self.streams = 0

    # ---- drawing ----

    def pick(self, ok: Any) -> Node | None:
        found = [v for v in self.values if ok(v.t)]
        return self.draw(st.sampled_from(found)) if found else None

    def arith(self) -> Node | None:
        return self.pick(lambda t: not t.bit)

    def bit(self) -> Node | None:
        return self.pick(lambda t: t.bit)

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def add(self, op: str, *inputs: Node, **attrs: Any) -> None:
        self.values.append(self.b.emit(op, inputs, **attrs))

    # ---- beginning and end ----

    def begin(self) -> None:
        for i in range(2):
            f = self.draw(st.sampled_from([0, self.config.f]))
            t = arith(True, self.draw(st.sampled_from(SHAPES)), f)
            item = Input(i, f"x{i}", t)
            self.graph.inputs.append(item)
            numbers = [self.integer(-9, 9) / (2.0 if f else 1) for _ in range(t.size)]
            self.arrays[i, f"x{i}"] = (
                np.array(numbers).reshape(t.shape).astype(float if f else np.int64)
            )
            self.add("input", input=item)
        self.constant()
        for i in range(2):
            value = self.draw(st.sampled_from(self.values))
            var = Var(f"v{i}", value.t, Loc("drawn.py", 2))
            self.graph.vars.append(var)
            self.b.emit("store", (value,), var=var)

    def end(self) -> None:
        for var in self.graph.vars:
            self.add("load", var=var)
        kept = [v for v in self.values if self.draw(st.integers(0, 2))]  # others may be dead
        for i, value in enumerate(kept):
            out = Output(f"o{i}", self.draw(st.sampled_from([None, 0])), value.t)
            self.graph.outputs.append(out)
            self.b.emit("output", (value,), output=out)

    # ---- steps ----

    def constant(self) -> None:
        shape = self.draw(st.sampled_from(SHAPES))
        same = self.draw(st.booleans())
        count = math.prod(shape)
        numbers = [self.integer(-40, 40) for _ in range(1 if same else count)]
        value = np.resize(np.array(numbers, np.int64), shape)
        f = self.draw(st.sampled_from([0, self.config.f]))
        self.add("const", value=value, type=arith(False, shape, f))

    def binary(self) -> None:
        a = self.arith()
        if a is None:
            return
        op = self.draw(st.sampled_from(["add", "sub", "mul"]))
        b = self.pick(
            lambda t: not t.bit and t.shape == a.t.shape and (op == "mul" or t.f == a.t.f)
        )
        if b is None:
            return
        if op == "mul":
            f = a.t.f + b.t.f
            m = self.draw(st.sampled_from([0, self.config.f])) if f >= self.config.f else 0
            if f - m <= 2 * self.config.f:
                self.add("mul", a, b, m=m, mode=1)
        else:
            self.add(op, a, b)

    def unary(self) -> None:
        a = self.arith()
        if a is None:
            return
        op = self.draw(st.sampled_from(["scale", "offset", "trunc", "public"]))
        if op == "scale":
            self.add("scale", a, imm=self.integer(-5, 5), f=0)
        elif op == "offset":
            self.add("offset", a, imm=self.integer(-3, 3))
        elif op == "trunc" and a.t.f:
            self.add("trunc", a, m=self.integer(1, a.t.f), mode=1)
        elif op == "public" and not a.t.secret:
            self.add("public", a)

    def view(self) -> None:
        a = self.draw(st.sampled_from(self.values))
        shape, rank = a.t.shape, len(a.t.shape)
        op = self.draw(st.sampled_from(["reshape", "permute", "expand", "slice", "unslice"]))
        if op == "reshape":
            options = [s for s in SHAPES if math.prod(s) == a.t.size]
            options.append((a.t.size,))
            self.add("reshape", a, shape=self.draw(st.sampled_from(options)))
        elif op == "permute":
            self.add("permute", a, axes=tuple(self.draw(st.permutations(range(rank)))))
        elif op == "expand" and rank < 4:
            lead = self.draw(st.sampled_from([(), (2,)]))
            self.add("expand", a, shape=lead + tuple(3 if n == 1 else n for n in shape))
        elif op == "slice":
            new = tuple(self.integer(1, n) for n in shape)
            starts, steps = [], []
            for n, m in zip(shape, new, strict=True):
                back = self.draw(st.booleans())
                room = n - m
                starts.append(m - 1 if back else self.integer(0, room))
                steps.append(-1 if back else 1)
            self.add("slice", a, start=tuple(starts), step=tuple(steps), shape=new)
        elif op == "unslice" and not a.t.bit:
            step = tuple(self.integer(1, 2) for _ in shape)
            start = tuple(self.integer(0, 1) for _ in shape)
            new = tuple(
                s + (n - 1) * d + 1 + self.integer(0, 1)
                for s, d, n in zip(start, step, shape, strict=True)
            )
            self.add("unslice", a, start=start, step=step, shape=new)

    def accumulate(self) -> None:
        """A sum of two values that nothing else uses, one of them a view or padded."""
        a = self.pick(lambda t: not t.bit and t.size > 0)
        if a is None:
            return
        b = self.pick(lambda t: not t.bit and (t.shape, t.f) == (a.t.shape, a.t.f)) or a
        whole = self.b.emit("scale", (a,), imm=self.integer(-3, 3), f=0)
        if self.draw(st.booleans()):
            shape = (2, *a.t.shape)
            whole = self.b.emit("sum", (self.b.emit("expand", (a,), shape=shape),), axes=(0,))
            whole = self.b.emit("reshape", (whole,), shape=a.t.shape)
            whole = self.b.emit("offset", (whole,), imm=1)
        rank = len(a.t.shape)
        short = tuple(self.integer(1, n) for n in a.t.shape)
        zeros, ones = (0,) * rank, (1,) * rank
        part = self.b.emit("slice", (b,), start=zeros, step=ones, shape=short)
        grown = self.b.emit("unslice", (part,), start=zeros, step=ones, shape=a.t.shape)
        thin = self.b.emit("slice", (b,), start=zeros, step=ones, shape=ones)
        wide = self.b.emit("expand", (thin,), shape=a.t.shape)
        other = self.draw(st.sampled_from([grown, wide]))
        pair = self.draw(st.permutations([whole, other]))
        self.add("add", *pair)

    def reduce(self) -> None:
        a = self.arith()
        if a is not None:
            axes = tuple(i for i in range(len(a.t.shape)) if self.draw(st.booleans()))
            self.add("sum", a, axes=axes)

    def concat(self) -> None:
        a = self.draw(st.sampled_from(self.values))
        b = self.pick(lambda t: t == a.t)
        if a.t.shape and b is not None:
            self.add("concat", a, b, axis=self.integer(0, len(a.t.shape) - 1))

    def rows(self) -> None:
        a = self.pick(lambda t: not t.bit and len(t.shape) >= 1 and t.size > 0)
        if a is None:
            return
        count = a.t.shape[0]
        index = np.array([self.integer(0, count - 1) for _ in range(3)], np.int64)
        i = self.b.emit("const", (), value=index, type=arith(False, (3,)))
        self.add("gather", a, i)
        if self.values[-1].t.secret:
            self.add("scatter", self.values[-1], i, shape=a.t.shape)

    def matmul(self) -> None:
        a = self.pick(lambda t: not t.bit and len(t.shape) == 2)
        if a is None:
            return
        ta, tb = self.draw(st.booleans()), self.draw(st.booleans())
        inner = a.t.shape[0 if ta else 1]
        limit = 2 * self.config.f
        b = self.pick(
            lambda t: (
                not t.bit
                and len(t.shape) == 2
                and t.shape[1 if tb else 0] == inner
                and t.f + a.t.f <= limit
            )
        )
        if b is None:
            return
        self.add("matmul", a, b, ta=ta, tb=tb, m=0, mode=1)
        if self.values[-1].t.f and self.draw(st.booleans()):
            product = self.values.pop()
            self.add("trunc", product, m=product.t.f // 2, mode=1)

    def compare(self) -> None:
        a = self.arith()
        if a is not None:
            width = self.draw(st.sampled_from([self.config.k + 1, self.config.ring_bits, 5]))
            self.add(self.draw(st.sampled_from(["ltz", "eqz"])), a, bits=width)

    def boolean(self) -> None:
        a = self.bit()
        if a is None:
            self.add("bfill", bit=self.integer(0, 1), type=bits((2, 3), self.integer(1, 2)))
            return
        op = self.draw(st.sampled_from(["xor", "and", "not", "planes", "join_planes", "b2a"]))
        if op in ("xor", "and"):
            b = self.pick(lambda t: t == a.t)
            if b is not None:
                self.add(op, a, b)
        elif op == "not":
            self.add("not", a)
        elif op == "planes":
            lo = self.integer(0, a.t.planes - 1)
            self.add("planes", a, lo=lo, hi=self.integer(lo + 1, a.t.planes))
        elif op == "join_planes":
            b = self.pick(lambda t: t.bit and t.shape == a.t.shape)
            if b is not None and a.t.planes + b.t.planes <= 8:
                self.add("join_planes", a, b)
        elif len(a.t.shape) < 4:
            self.add("b2a", a)

    def convert(self) -> None:
        a = self.pick(lambda t: not t.bit and t.secret)
        if a is not None:
            self.add("a2b", a, bits=self.integer(1, 4))
            b = self.pick(lambda t: t.bit and t.planes == 1 and t.shape == a.t.shape)
            if b is not None:
                self.add("select", b, a)

    def clear(self) -> None:
        a = self.pick(lambda t: not t.secret and t.f == 0)
        if a is None:
            return
        op = self.draw(st.sampled_from(["div_floor", "mod_floor", "bpublic", "perm", "uniform"]))
        self.streams += 1
        if op == "bpublic":
            self.add("bpublic", a, planes=self.integer(1, 3))
        elif op == "perm":
            self.add("perm", n=4, stream=self.streams)
        elif op == "uniform":
            self.add("uniform", lo=-5, hi=9, stream=self.streams, type=arith(False, (4,)))
        else:
            three = np.full(a.t.shape, self.draw(st.sampled_from([-3, 1, 7])), np.int64)
            c = self.b.emit("const", (), value=three, type=a.t)
            self.add(op, a, c)

    def effect(self) -> None:
        op = self.draw(st.sampled_from(["reveal", "store", "load", "print"]))
        var = self.draw(st.sampled_from(self.graph.vars))
        if op == "reveal":
            a = self.pick(lambda t: t.secret)
            if a is not None:
                self.add("reveal", a)
        elif op == "load":
            self.add("load", var=var)
        elif op == "store":
            a = self.pick(lambda t: t == var.type)
            if a is not None:
                self.b.emit("store", (a,), var=var)
        else:
            a = self.pick(lambda t: not t.secret and t.shape == ())
            if a is not None:
                fmt = "%.3f" if a.t.f else "%d"
                self.b.emit("print", (a,), pieces=("value ", (0, fmt), "!"))

    def update(self) -> None:
        """Read a variable, change it, and write it back or into another one, sooner or later."""
        var = self.draw(st.sampled_from(self.graph.vars))
        self.add("load", var=var)
        old = self.values[-1]
        if old.t.bit:
            self.add("not", old)
        else:
            other = self.pick(lambda t: t == old.t) or old
            self.add(self.draw(st.sampled_from(["add", "sub"])), other, old)
        new = self.values[-1]
        if self.draw(st.booleans()):
            self.view()
        targets = [v for v in self.graph.vars if v.type == new.t]
        if targets:
            self.b.emit("store", (new,), var=self.draw(st.sampled_from(targets)))
        if self.draw(st.booleans()):
            self.add("load", var=var)

    def control(self, depth: int) -> None:
        op = self.draw(st.sampled_from(["loop", "while", "if"]))
        condition = self.pick(lambda t: not t.secret and t.f == 0 and t.size == 1)
        if depth == 0 or (op == "if" and condition is None):
            return
        blocks = tuple(Block() for _ in range(2 if op == "if" else 1))
        if op == "if":
            node = self.b.emit("if", (condition,), blocks)  # type: ignore[arg-type]
        elif op == "loop":
            node = self.b.emit("loop", (), blocks, trips=self.integer(1, 3))
        else:
            node = self.b.emit("while", (), blocks, max_trips=self.integer(0, 3))
        for block in blocks:
            outer = list(self.values)
            self.b.blocks.append(block)
            if op == "loop":
                self.values.append(node)
            self.steps(self.integer(1, 6), depth - 1)
            c = self.pick(lambda t: not t.secret and t.f == 0 and t.size == 1)
            if op == "while" and c is not None:
                self.b.emit("break_if_zero", (c,))
                self.steps(self.integer(0, 3), depth - 1)
            self.b.blocks.pop()
            self.values = outer

    def steps(self, count: int, depth: int) -> None:
        makers = [
            self.constant, self.binary, self.binary, self.unary, self.view, self.view, self.reduce,
            self.accumulate, self.concat, self.rows, self.matmul, self.compare, self.boolean,
            self.boolean, self.convert, self.clear, self.effect, self.update, self.update,
            self.update, lambda: self.control(depth), lambda: self.control(depth),
        ]  # fmt: skip
        for _ in range(count):
            self.draw(st.sampled_from(makers))()
            self.values = [v for v in self.values if v.t.size <= 200]


Drawn = tuple[Graph, dict[tuple[int, str], Any]]


@st.composite
def graphs(draw: st.DrawFn, size: int = 14) -> Drawn:
    """A graph and arrays for its inputs. Most values in scope at the end are outputs."""
    maker = _Maker(draw)
    maker.begin()
    maker.steps(draw(st.integers(1, size)), 2)
    maker.end()
    return maker.graph, maker.arrays


def type_of(graph: Graph, name: str) -> Type:
    """The declared type of an output."""
    return next(o.type for o in graph.outputs if o.name == name)
