"""Code generation: IR nodes become instructions on virtual registers, one short function an op.

Requires: a verified graph of primitive ops (autodiff and expand have run).
Ensures: one `Code` with the same meaning. Reshapes, permutations, expansions, slices and planes are
views and cost nothing until an instruction needs its operand contiguous; one strided copy then
serves them all. A `load` is a copy of the variable and a `store` one into it: coalesce.py removes
those that are not needed.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ..ir.graph import Graph, Node
from ..ir.types import Shape
from ..isa.table import plane_words
from ..lang.errors import ProgramError
from .generator import Generator, Value, contiguous, lower, walk_dims
from .lir import Code, Reg


def run(graph: Graph) -> Code:
    """The code of a graph; ProgramError names the line that has no instructions."""
    return Generator(graph).run()


# ---- elementwise arithmetic ----


@lower("const")
def _const(g: Generator, n: Node) -> Value:
    return g.constant(tuple(int(v) for v in n.attrs["value"].ravel()), n.t.shape)


@lower("public")
def _public(g: Generator, n: Node) -> Value:
    return g.shared(g.use(n.inputs[0]))


@lower("add")
def _add(g: Generator, n: Node) -> Value:
    if n in g.sums:
        return _accumulated(g, *g.sums[n])
    a, b = (g.use(x) for x in n.inputs)
    if a.reg.file == "c":
        a, b = b, a
    out = g.fresh(n.t)
    name = {"ss": "sadd", "sc": "saddc", "cc": "cadd"}[a.reg.file + b.reg.file]
    g.emit(name, out, a, b, out.size)
    return out


def _accumulated(g: Generator, x: Node, y: Node) -> Value:
    """x + y in the place of x, where y is an unslice or expand that is not made by itself."""
    out, part = g.use(x), g.get(y.inputs[0])
    if y.op == "unslice":
        there = g.sliced(out, y.attrs["start"], y.attrs["step"], part.shape)
    else:
        there, part = out, _expanded(part, y.t.shape)
    g.emit(f"{out.reg.file}acc", there, part, *walk_dims(part.shape, there.strides, part.strides))
    return out


@lower("sub")
def _sub(g: Generator, n: Node) -> Value:
    a, b = (g.use(x) for x in n.inputs)
    out = g.fresh(n.t)
    if a.reg.file == b.reg.file:
        g.emit(f"{a.reg.file}sub", out, a, b, out.size)
    elif a.reg.file == "s":
        g.emit("saddc", out, a, g.scaled(b, -1), out.size)
    else:
        g.emit("saddc", out, g.scaled(b, -1), a, out.size)
    return out


@lower("scale")
def _scale(g: Generator, n: Node) -> Value:
    return g.scaled(g.use(n.inputs[0]), n.attrs["imm"])


@lower("offset")
def _offset(g: Generator, n: Node) -> Value:
    a, out = g.use(n.inputs[0]), g.fresh(n.t)
    g.emit(f"{a.reg.file}addi", out, a, n.attrs["imm"], out.size)
    return out


@lower("mul")
def _mul(g: Generator, n: Node) -> Value:
    a, b, *added = (g.use(x) for x in n.inputs)
    m, mode = n.attrs["m"], n.attrs["mode"]
    out = g.fresh(n.t)
    if a.reg.file == b.reg.file == "s":
        g.emit(_product(n), out, a, b, out.size, m, mode, *added)
        return out
    if a.reg.file == "c":
        a, b = b, a
    g.emit("smulc" if a.reg.file == "s" else "cmul", out, a, b, out.size)
    return g.truncated(out, m, mode)


def _product(n: Node) -> str:
    """The instruction of a product of secrets."""
    return f"{n.op}_add" if len(n.inputs) == 3 else n.op


@lower("trunc")
def _trunc(g: Generator, n: Node) -> Value:
    return g.truncated(g.use(n.inputs[0]), n.attrs["m"], n.attrs["mode"])


@lower("div_floor")
def _div_floor(g: Generator, n: Node) -> Value:
    return _clear_pair(g, n, "cdiv")


@lower("mod_floor")
def _mod_floor(g: Generator, n: Node) -> Value:
    return _clear_pair(g, n, "cmod")


def _clear_pair(g: Generator, n: Node, name: str) -> Value:
    a, b = (g.use(x) for x in n.inputs)
    out = g.fresh(n.t)
    g.emit(name, out, a, b, out.size)
    return out


@lower("perm")
def _perm(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("cperm", out, n.attrs["stream"], out.size)
    return out


@lower("uniform")
def _uniform(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("cuniform", out, n.attrs["lo"], n.attrs["hi"], n.attrs["stream"], out.size)
    return out


# ---- products ----


@lower("matmul")
def _matmul(g: Generator, n: Node) -> Value:
    a, b, *added = (g.use(x) for x in n.inputs)
    ta, tb, m, mode = (n.attrs[k] for k in ("ta", "tb", "m", "mode"))
    k = a.shape[0] if ta else a.shape[1]
    out = g.fresh(n.t)
    operands = (out, a, b, n.t.shape[0], k, n.t.shape[1], int(ta), int(tb))
    if a.reg.file == b.reg.file == "s":
        g.emit(_product(n), *operands, m, mode, *added)
        return out
    name = {"sc": "smatmulc", "cs": "scmatmul", "cc": "cmatmul"}[a.reg.file + b.reg.file]
    g.emit(name, *operands)
    return g.truncated(out, m, mode)


def _conv(g: Generator, n: Node, x: Shape, w: Shape) -> Value:
    """A convolution or gradient, given the shapes of the image and of the weights."""
    if not n.t.secret:
        raise ProgramError("a convolution of two clear tensors", n.loc)
    a, b, *added = (g.shared(g.use(v)) for v in n.inputs)
    (sh, sw), (ph, pw) = n.attrs["stride"], n.attrs["padding"]
    oh = (x[2] + 2 * ph - w[2]) // sh + 1
    ow = (x[3] + 2 * pw - w[3]) // sw + 1
    geometry = (*x, w[0], w[2], w[3], oh, ow, sh, sw, ph, pw)
    out = g.fresh(n.t)
    g.emit(_product(n), out, a, b, *geometry, n.attrs["m"], n.attrs["mode"], *added)
    return out


@lower("conv2d")
def _conv2d(g: Generator, n: Node) -> Value:
    return _conv(g, n, n.inputs[0].t.shape, n.inputs[1].t.shape)


@lower("conv2d_dx")
def _conv2d_dx(g: Generator, n: Node) -> Value:
    return _conv(g, n, n.t.shape, n.inputs[1].t.shape)


@lower("conv2d_dw")
def _conv2d_dw(g: Generator, n: Node) -> Value:
    return _conv(g, n, n.inputs[1].t.shape, n.t.shape)


# ---- moving elements ----


@lower("reshape")
def _reshape(g: Generator, n: Node) -> Value:
    v, shape = g.get(n.inputs[0]), n.t.shape
    kept = [(d, s) for d, s in zip(v.shape, v.strides, strict=True) if d != 1]
    if [d for d, _ in kept] == [d for d in shape if d != 1]:
        strides = iter([s for _, s in kept])
        return replace(v, shape=shape, strides=tuple(0 if d == 1 else next(strides) for d in shape))
    return replace(g.flatten(v), shape=shape, strides=contiguous(shape))


@lower("permute")
def _permute(g: Generator, n: Node) -> Value:
    v, axes = g.get(n.inputs[0]), n.attrs["axes"]
    return replace(v, shape=n.t.shape, strides=tuple(v.strides[i] for i in axes))


@lower("expand")
def _expand(g: Generator, n: Node) -> Value:
    return _expanded(g.get(n.inputs[0]), n.t.shape)


def _expanded(v: Value, shape: Shape) -> Value:
    """A view that repeats axes of one element, and has new axes in front."""
    lead = len(shape) - len(v.shape)
    grown = zip(v.shape, v.strides, shape[lead:], strict=True)
    strides = (0,) * lead + tuple(s if d == new else 0 for d, s, new in grown)
    return replace(v, shape=shape, strides=strides)


@lower("slice")
def _slice(g: Generator, n: Node) -> Value:
    return g.sliced(g.get(n.inputs[0]), n.attrs["start"], n.attrs["step"], n.t.shape)


@lower("unslice")
def _unslice(g: Generator, n: Node) -> Value:
    v, out = g.get(n.inputs[0]), g.fresh(n.t)
    g.emit(f"{out.reg.file}fill", out, 0, out.size)
    g.copy(g.sliced(out, n.attrs["start"], n.attrs["step"], v.shape), v)
    return out


@lower("concat")
def _concat(g: Generator, n: Node) -> Value:
    out, axis, at = g.fresh(n.t), n.attrs["axis"], 0
    total: Value | None = None
    for x in n.inputs:
        start = tuple(at if i == axis else 0 for i in range(len(n.t.shape)))
        whole = g.fresh(n.t) if n.t.bit else out
        g.copy(g.sliced(whole, start, (1,) * len(start), x.t.shape), g.get(x))
        at += x.t.shape[axis]
        if n.t.bit:  # a copy of bits clears the rest: put the parts together by XOR
            total = whole if total is None else _xored(g, total, whole)
    return total or out


def _xored(g: Generator, a: Value, b: Value) -> Value:
    out = g.bits(a.shape, a.planes)
    g.emit("bxor", out, a, b, a.planes, a.size)
    return out


@lower("sum")
def _sum(g: Generator, n: Node) -> Value:
    v, axes = g.get(n.inputs[0]), n.attrs["axes"]
    out = g.fresh(n.t)
    g.emit(f"{out.reg.file}fill", out, 0, out.size)
    steps = iter(out.strides)
    strides = tuple(0 if i in axes else next(steps) for i in range(len(v.shape)))
    # Summed axes innermost, so that the accumulation runs over them.
    order = sorted(range(len(v.shape)), key=lambda i: i in axes)
    pick = [tuple(x[i] for i in order) for x in (v.shape, strides, v.strides)]
    g.emit(f"{out.reg.file}acc", out, v, *walk_dims(pick[0], pick[1], pick[2]))
    return out


@lower("gather")
def _gather(g: Generator, n: Node) -> Value:
    a, index = (g.use(x) for x in n.inputs)
    out = g.fresh(n.t)
    length = math.prod(a.shape[1:])
    g.emit(f"{out.reg.file}gather", out, a, index, index.size, length, a.shape[0])
    return out


@lower("shuffle")
def _shuffle(g: Generator, n: Node) -> Value:
    a, order = (g.use(x) for x in n.inputs)
    out = g.fresh(n.t)
    g.emit("shuffle", out, a, order, a.shape[0], math.prod(a.shape[1:]))
    return out


@lower("scatter")
def _scatter(g: Generator, n: Node) -> Value:
    if not n.t.secret:
        raise ProgramError("rows of a clear tensor added into another", n.loc)
    a, index = (g.use(x) for x in n.inputs)
    out = g.fresh(n.t)
    g.emit("sfill", out, 0, out.size)
    length = math.prod(n.t.shape[1:])
    g.emit("sscatter", out, a, index, index.size, length, n.t.shape[0])
    return out


# ---- bits ----


@lower("ltz")
def _ltz(g: Generator, n: Node) -> Value:
    return _compare(g, n, "ltz")


@lower("eqz")
def _eqz(g: Generator, n: Node) -> Value:
    return _compare(g, n, "eqz")


def _compare(g: Generator, n: Node, name: str) -> Value:
    a, bits, out = g.use(n.inputs[0]), n.attrs["bits"], g.fresh(n.t)
    if a.reg.file == "s":
        g.emit(name, out, a, a.size, bits)
        return out
    if g.config.field or g.config.wide:
        a = _low_bits(g, a, bits, name == "ltz")
    elif bits < g.config.ring_bits:  # mod 2^bits: the low bits become the high ones
        a = g.scaled(a, 1 << (g.config.ring_bits - bits))
    g.emit(f"c{name}", out, a, a.size)
    return out


def _low_bits(g: Generator, a: Value, bits: int, signed: bool) -> Value:
    """Clear a mod 2^bits, least or signed representatives, where no ring wraps it."""
    shape, half = a.shape, 1 << (bits - 1)
    modulus = g.constant((2 * half,) * a.size, shape)
    moved = g.constant((half if signed else 0,) * a.size, shape)
    up, low, out = (g.arith("c", shape) for _ in range(3))
    g.emit("cadd", up, a, moved, a.size)
    g.emit("cmod", low, up, modulus, a.size)
    g.emit("csub", out, low, moved, a.size)
    return out


@lower("xor")
def _xor(g: Generator, n: Node) -> Value:
    return _xored(g, g.use(n.inputs[0]), g.use(n.inputs[1]))


@lower("and")
def _and(g: Generator, n: Node) -> Value:
    a, b = n.inputs
    if a.op == "bpublic":
        a, b = b, a
    out = g.fresh(n.t)
    if b.op == "bpublic":
        g.emit("bandc", out, g.use(a), g.use(b.inputs[0]), n.t.planes, out.size)
    else:
        g.emit("and", out, g.use(a), g.use(b), n.t.planes, out.size)
    return out


@lower("not")
def _not(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("bnot", out, g.use(n.inputs[0]), n.t.planes, out.size)
    return out


@lower("bfill")
def _bfill(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("bfill", out, n.attrs["bit"], n.t.planes, out.size)
    return out


@lower("bpublic")
def _bpublic(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("bset", out, g.use(n.inputs[0]), n.t.planes, out.size)
    return out


@lower("planes")
def _planes(g: Generator, n: Node) -> Value:
    v, lo = g.get(n.inputs[0]), n.attrs["lo"]
    return replace(v, word=v.word + lo * plane_words(v.stored), planes=n.t.planes)


@lower("join_planes")
def _join_planes(g: Generator, n: Node) -> Value:
    out, at = g.fresh(n.t), 0
    for x in n.inputs:
        part = replace(out, word=at * plane_words(out.stored), planes=x.t.planes)
        g.copy(part, g.get(x))
        at += x.t.planes
    return out


@lower("select")
def _select(g: Generator, n: Node) -> Value:
    b, a = (g.use(x) for x in n.inputs)
    out = g.fresh(n.t)
    g.emit("select", out, b, a, out.size)
    return out


@lower("b2a")
def _b2a(g: Generator, n: Node) -> Value:
    a, out = g.use(n.inputs[0]), g.fresh(n.t)
    g.emit("b2a", out, a, a.planes, a.size)
    return out


@lower("a2b")
def _a2b(g: Generator, n: Node) -> Value:
    a, out = g.use(n.inputs[0]), g.fresh(n.t)
    g.emit("a2b", out, a, a.size, n.attrs["bits"])
    return out


@lower("randbit")
def _randbit(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("randbit", out, n.t.planes, out.size)
    return out


# ---- effects ----


@lower("input")
def _input(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.emit("input", out, g.graph.inputs.index(n.attrs["input"]), out.size)
    return out


@lower("load")
def _load(g: Generator, n: Node) -> Value:
    out = g.fresh(n.t)
    g.copy(out, g.var(n.attrs["var"]))
    return out


@lower("store")
def _store(g: Generator, n: Node) -> None:
    g.copy(g.var(n.attrs["var"]), g.get(n.inputs[0]))


@lower("reveal")
def _reveal(g: Generator, n: Node) -> Value:
    a, out = g.use(n.inputs[0]), g.fresh(n.t)
    if a.planes:
        g.emit("openb", out, a, a.planes, a.size)
    else:
        g.emit("open", out, a, a.size)
    return out


@lower("output")
def _output(g: Generator, n: Node) -> None:
    a, out = g.use(n.inputs[0]), g.graph.outputs.index(n.attrs["output"])
    if a.planes:
        g.emit("outputb", out, a, a.planes, a.size)
    else:
        g.emit("coutput" if a.reg.file == "c" else "output", out, a, a.size)


@lower("print")
def _print(g: Generator, n: Node) -> None:
    text = ""
    for piece in (*n.attrs["pieces"], "\n"):
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            g.emit("ptext", g.code.intern(text))
            text = ""
        index, fmt = piece
        a = g.use(n.inputs[index])
        g.emit("pval", a, a.size, n.inputs[index].t.f, g.code.intern(fmt))
    g.emit("ptext", g.code.intern(text))


@lower("checkpoint")
def _checkpoint(g: Generator, n: Node) -> None:
    g.emit("checkpoint", (), ())  # what it saves is known when registers have addresses


@lower("loop")
def _loop(g: Generator, n: Node) -> Value:
    counter = g.fresh(n.t)
    g.values[n] = counter
    body = g.inner(n.blocks[0])
    g.loc = n.loc
    g.emit("loop", counter, n.attrs["trips"], blocks=(body,))
    return counter


@lower("while")
def _while(g: Generator, n: Node) -> None:
    counter = Value(Reg("c", 1), (), ())
    body = g.inner(n.blocks[0])
    g.loc = n.loc
    g.emit("loop", counter, n.attrs["max_trips"], blocks=(body,))


@lower("break_if_zero")
def _break_if_zero(g: Generator, n: Node) -> None:
    g.emit("breakz", g.use(n.inputs[0]))


@lower("if")
def _if(g: Generator, n: Node) -> None:
    condition = g.use(n.inputs[0])
    blocks = tuple(g.inner(block) for block in n.blocks)
    g.loc = n.loc
    g.emit("if", condition, blocks=blocks)
