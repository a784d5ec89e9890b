"""Algebraic rewrites: the same bits with less work.

Requires: nothing. Ensures: bit-identical results under any rounding (only exact identities of the
ring, and pooling before ReLU, as both only pick elements or zero).

* `max_pool2d(relu(x))` becomes `relu(max_pool2d(x))`: as many comparisons in the pool, and a
  quarter of them in the ReLU (for 2 x 2 windows).
* A transposed operand of a matrix product becomes a flag.
* Factors and summands that are one constant become immediates; chains of them merge.
* Chains of reshapes, permutations, expansions and slices merge; those that change nothing vanish.
"""

from __future__ import annotations

from collections.abc import Callable

from ..ir.graph import Graph, Node
from .rewrite import Rewriter, use_counts

Rule = Callable[[Rewriter, Node], "Node | None"]


def run(graph: Graph) -> Graph:
    """Apply the rules until none fits."""
    changed = True
    while changed:
        graph, changed = _once(graph)
    return graph


def _once(graph: Graph) -> tuple[Graph, bool]:
    """One walk; whether any rule fitted."""
    uses = use_counts(graph)
    fitted = []

    def rule(r: Rewriter, node: Node) -> Node:
        if node.op == "max_pool2d":
            found = _pool_of_relu(r, node, uses)
        else:
            found = next((x for f in RULES.get(node.op, ()) if (x := f(r, node))), None)
        fitted.append(found is not None)
        return found or node

    return Rewriter(graph, rule).run(), any(fitted)


def _pool_of_relu(r: Rewriter, node: Node, uses: dict[Node, int]) -> Node | None:
    inner = node.inputs[0]
    if inner.op != "relu" or not r.used_once(inner, uses):
        return None
    return r.make("relu", r.make("max_pool2d", inner.inputs[0], **node.attrs))


# ---- constants ----


def uniform(node: Node) -> int | None:
    """The integer that all elements of a constant are, seen through views."""
    while node.op in ("reshape", "expand", "permute"):
        node = node.inputs[0]
    if node.op != "const" or node.t.size == 0:
        return None
    values = node.attrs["value"].ravel()
    return int(values[0]) if (values == values[0]).all() else None


def _immediate(value: int) -> bool:
    return -(1 << 63) <= value < 1 << 63


def _mul_by_constant(r: Rewriter, node: Node) -> Node | None:
    for a, b in (node.inputs, node.inputs[::-1]):
        factor = uniform(b)
        if factor is None or not _immediate(factor):
            continue
        out = r.make("scale", a, imm=factor, f=b.t.f)
        m = node.attrs["m"]
        return r.make("trunc", out, m=m, mode=node.attrs["mode"]) if m else out
    return None


def _add_constant(r: Rewriter, node: Node) -> Node | None:
    for a, b in (node.inputs, node.inputs[::-1]):
        summand = uniform(b)
        if summand is not None and _immediate(summand):
            return r.make("offset", a, imm=summand)
    return None


def _sub_constant(r: Rewriter, node: Node) -> Node | None:
    a, b = node.inputs
    summand = uniform(b)
    if summand is not None and _immediate(-summand):
        return r.make("offset", a, imm=-summand)
    minuend = uniform(a)
    if minuend is not None and _immediate(minuend):
        return r.make("offset", r.make("scale", b, imm=-1, f=0), imm=minuend)
    return None


def _merge_scales(r: Rewriter, node: Node) -> Node | None:
    x, imm, f = node.inputs[0], node.attrs["imm"], node.attrs["f"]
    if imm == 1 and f == 0:
        return x
    if x.op == "scale" and _immediate(imm * x.attrs["imm"]):
        return r.make("scale", x.inputs[0], imm=imm * x.attrs["imm"], f=f + x.attrs["f"])
    return None


def _merge_offsets(r: Rewriter, node: Node) -> Node | None:
    x, imm = node.inputs[0], node.attrs["imm"]
    if imm == 0:
        return x
    if x.op == "offset" and _immediate(imm + x.attrs["imm"]):
        return r.make("offset", x.inputs[0], imm=imm + x.attrs["imm"])
    return None


# ---- products ----


def _transposed(node: Node) -> bool:
    return node.op == "permute" and tuple(node.attrs["axes"]) == (1, 0)


def _matmul_flags(r: Rewriter, node: Node) -> Node | None:
    a, b = node.inputs
    if not (_transposed(a) or _transposed(b)):
        return None
    attrs = dict(node.attrs)
    if _transposed(a):
        a, attrs["ta"] = a.inputs[0], not attrs["ta"]
    if _transposed(b):
        b, attrs["tb"] = b.inputs[0], not attrs["tb"]
    return r.make("matmul", a, b, **attrs)


# ---- views ----


def _reshape(r: Rewriter, node: Node) -> Node | None:
    x = node.inputs[0]
    if node.t == x.t:
        return x
    if x.op == "reshape":
        return r.make("reshape", x.inputs[0], shape=node.t.shape)
    return None


def _permute(r: Rewriter, node: Node) -> Node | None:
    x, axes = node.inputs[0], node.attrs["axes"]
    if tuple(axes) == tuple(range(len(axes))):
        return x
    if x.op == "permute":
        return r.make("permute", x.inputs[0], axes=tuple(x.attrs["axes"][i] for i in axes))
    return None


def _expand(r: Rewriter, node: Node) -> Node | None:
    x = node.inputs[0]
    if node.t == x.t:
        return x
    return r.make("expand", x.inputs[0], shape=node.t.shape) if x.op == "expand" else None


def _slice(r: Rewriter, node: Node) -> Node | None:
    x, start, step = node.inputs[0], node.attrs["start"], node.attrs["step"]
    if node.t == x.t and set(start) <= {0} and set(step) <= {1}:
        return x
    if x.op != "slice" or 0 in node.t.shape:
        return None
    inner = list(zip(x.attrs["start"], x.attrs["step"], strict=True))
    pairs = list(zip(inner, start, step, strict=True))
    return r.make(
        "slice", x.inputs[0],
        start=tuple(s + d * b for (s, d), b, _ in pairs),
        step=tuple(d * c for (_, d), _, c in pairs),
        shape=node.t.shape,
    )  # fmt: skip


def _nothing_summed(r: Rewriter, node: Node) -> Node | None:
    x, axes = node.inputs[0], node.attrs["axes"]
    if all(x.t.shape[i] == 1 for i in axes):
        return r.make("reshape", x, shape=node.t.shape)
    return None


def _twice_not(r: Rewriter, node: Node) -> Node | None:
    return node.inputs[0].inputs[0] if node.inputs[0].op == "not" else None


RULES: dict[str, tuple[Rule, ...]] = {
    "mul": (_mul_by_constant,),
    "add": (_add_constant,),
    "sub": (_sub_constant,),
    "scale": (_merge_scales,),
    "offset": (_merge_offsets,),
    "matmul": (_matmul_flags,),
    "reshape": (_reshape,),
    "permute": (_permute,),
    "expand": (_expand,),
    "slice": (_slice,),
    "sum": (_nothing_summed,),
    "not": (_twice_not,),
}
