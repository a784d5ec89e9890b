"""The NumPy executor: the meaning of a graph, on the ring or on real numbers.

In the mode "exact" every value is the ring integer that the protocols compute, with coins of its
own for probabilistic rounding; under nearest rounding it agrees bit for bit with the other
executors. In the mode "float" values are float64, truncations do nothing and composite ops are the
functions themselves: the same program in the clear.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .graph import Block, Graph, Node, Var
from .numeric import Array, Numbers, RangeError, Real, object_array, system
from .ops import OPS
from .types import Type

Mode = Literal["exact", "float"]


class ExecutionError(Exception):
    """The graph cannot be run on these inputs; says the author's line."""


@dataclass
class Opening:
    """One opening as it happened: to all (None) or to one party."""

    file: str
    line: int
    shape: tuple[int, ...]
    party: int | None


@dataclass
class Result:
    """What a run gave: outputs by name (real numbers, or integers where f = 0), printed lines,
    and openings in their order."""

    outputs: dict[str, Array] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)


class Break(Exception):
    """Ends the innermost loop."""


class PublicRandomness:
    """The program's public coins: AES-128 streams as in `docs/bytecode.md`, Public randomness.

    Args:
        seed: 16 bytes that all parties know.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 16:
            raise ValueError("the public seed has 16 bytes")
        self._parent = Cipher(algorithms.AES(seed), modes.ECB())
        self._count: dict[int, int] = {}

    def words(self, stream: int, n: int, purpose: int = 0) -> list[int]:
        """The first n 64-bit words of the next occurrence of a stream."""
        occurrence = self._count.get(stream, 0)
        self._count[stream] = occurrence + 1
        block = struct.pack("<QII", stream, occurrence, 0xFFFFFFFF)
        encryptor = self._parent.encryptor()
        key = encryptor.update(block) + encryptor.finalize()
        counters = b"".join(struct.pack("<QII", i, purpose, 0) for i in range((n + 1) // 2))
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        stream_bytes = encryptor.update(counters) + encryptor.finalize()
        return list(struct.unpack(f"<{len(stream_bytes) // 8}Q", stream_bytes))[:n]

    def permutation(self, stream: int, n: int) -> list[int]:
        """Fisher-Yates from the last place down, one word a swap."""
        order = list(range(n))
        for w, i in zip(self.words(stream, max(n - 1, 0)), range(n - 1, 0, -1), strict=True):
            j = (w * (i + 1)) >> 64
            order[i], order[j] = order[j], order[i]
        return order

    def uniform(self, stream: int, n: int, lo: int, hi: int) -> list[int]:
        """n integers in [lo, hi)."""
        return [lo + ((w * (hi - lo)) >> 64) for w in self.words(stream, n)]


def run(
    graph: Graph,
    inputs: Mapping[tuple[int, str], Any] | None = None,
    *,
    mode: Mode = "exact",
    public_seed: bytes = bytes(16),
    rng: np.random.Generator | None = None,
    checked: bool = False,
) -> Result:
    """Execute a graph, before or after any pass (but with gradients expanded).

    Args:
        inputs: (party, name) -> array of real numbers, or of integers for sint inputs.
        mode: "exact" (ring integers) or "float" (real numbers).
        public_seed: 16 bytes, the seed of `perm` and `uniform`.
        rng: coins of probabilistic rounding and of `randbit`.
        checked: in exact mode, raise where an input or a rounded value leaves |x * 2^f| < 2^(k-1),
            a compared one its bits, or a product before truncation |z| < 2^(ring_bits - 2).

    Raises:
        ExecutionError: missing inputs, wrong shapes, values out of range (checked), bad indices.
    """
    rng = np.random.default_rng() if rng is None else rng
    return Executor(graph, dict(inputs or {}), mode, public_seed, rng, checked).run()


class Executor:
    """One execution of a graph; see `run`, and `observe.py` for others who step through one."""

    def __init__(
        self,
        graph: Graph,
        inputs: dict[tuple[int, str], Any],
        mode: Mode,
        seed: bytes,
        rng: np.random.Generator,
        checked: bool,
    ) -> None:
        self.graph = graph
        self.config = graph.config
        self.inputs = inputs
        self.checked = checked and mode == "exact"
        self.s: Numbers = (
            system(self.config, rng, checked=checked) if mode == "exact" else Real(rng)
        )
        self.public = PublicRandomness(seed)
        self.memory: dict[Var, Array] = {}
        self.dying: dict[Block, dict[int, list[Node]]] = {}
        self.result = Result()

    def run(self) -> Result:
        """Execute all of it."""
        self.prepare()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._block(self.graph.body, {})
        return self.result

    def prepare(self) -> None:
        """Set all variables to zeros."""
        for var in self.graph.vars:
            self.memory[var] = self._blank(var.type)

    def evaluate(self, node: Node, operands: list[Array]) -> Array | None:
        """One node that is no control flow."""
        return self._node(node, operands, {})

    def _blank(self, t: Type) -> Array:
        return np.zeros((t.planes, *t.shape), np.uint8) if t.bit else self.s.zeros(t.shape)

    def _block(self, block: Block, outer: dict[Node, Array]) -> None:
        if block not in self.dying:
            self.dying[block] = last_uses(block)
        dying = self.dying[block]
        values = dict(outer)
        for i, node in enumerate(block.nodes):
            try:
                operands = [values[x] for x in node.inputs]
                value = self._node(node, operands, values)
            except (RangeError, IndexError, ZeroDivisionError) as error:
                raise ExecutionError(f"{node.loc}: {node.op}: {error}") from None
            if self.checked:
                self._check(node, operands, value)
            if value is not None:
                values[node] = value
            for dead in dying.get(i, ()):
                values.pop(dead, None)

    def _node(self, node: Node, operands: list[Array], values: dict[Node, Array]) -> Array | None:
        handler = getattr(self, "_op_" + node.op, None)
        if handler is not None:
            result: Array | None = handler(node, operands, values)
            return result
        numpy = OPS[node.op].numpy
        if numpy is None:
            raise ExecutionError(f"{node.loc}: {node.op} must be expanded first")
        return np.asarray(numpy(self.s, node, operands))

    def _check(self, node: Node, operands: list[Array], value: Array | None) -> None:
        """What checked emulation checks: rounded results and inputs have k bits, compared values
        theirs, but that `eqz` of fewer bits than values have is meant of the residue. (Number
        systems check products and operands of roundings themselves.)"""
        compared = node.op in ("ltz", "eqz") and node.inputs[0].t.secret
        fewest = self.config.k if node.op == "eqz" else 0
        if compared and fewest <= node.attrs["bits"] <= self.config.k + 1:
            self._within(node, node.inputs[0].t, operands[0], node.attrs["bits"] - 1)
        rounded = node.op in ("trunc", "input") or node.attrs.get("m")
        if rounded and value is not None and node.t.secret:
            self._within(node, node.t, value, self.config.k - 1)

    def _within(self, node: Node, t: Type, value: Array, bits: int) -> None:
        largest = max(abs(int(value.max())), abs(int(value.min()))) if value.size else 0
        if largest >= 1 << bits:
            what = "compares" if node.op in ("ltz", "eqz") else "gives"
            raise ExecutionError(
                f"{node.loc}: {node.op} {what} {largest / 2**t.f:g}, which is not below "
                f"2^{bits - t.f} (k = {self.config.k}, f = {t.f})"
            )

    # effects, by name

    def _op_input(self, node: Node, v: list[Array], values: dict[Node, Array]) -> Array:
        i = node.attrs["input"]
        if (i.party, i.name) not in self.inputs:
            raise ExecutionError(f"{node.loc}: input {i.party}:{i.name} is not given")
        given = np.asarray(self.inputs[(i.party, i.name)])
        if given.shape != i.type.shape:
            raise ExecutionError(
                f"{node.loc}: input {i.party}:{i.name} has shape {given.shape}, not {i.type.shape}"
            )
        if i.type.f:
            return self.s.encode(given, i.type.f)
        return self.s.array(given if given.dtype.kind in "iuO" else np.rint(given).astype(np.int64))

    def _op_load(self, node: Node, v: list[Array], values: dict[Node, Array]) -> Array:
        return self.memory[node.attrs["var"]]

    def _op_store(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        self.memory[node.attrs["var"]] = v[0]

    def _op_perm(self, node: Node, v: list[Array], values: dict[Node, Array]) -> Array:
        return self.s.array(np.array(self.public.permutation(node.attrs["stream"], node.attrs["n"]),
                                     dtype=np.int64))  # fmt: skip

    def _op_uniform(self, node: Node, v: list[Array], values: dict[Node, Array]) -> Array:
        a = node.attrs
        raw = self.public.uniform(a["stream"], node.t.size, a["lo"], a["hi"])
        return self.s.from_raw(self.s.array(object_array(raw, node.t.shape)), node.t.f)

    def _op_reveal(self, node: Node, v: list[Array], values: dict[Node, Array]) -> Array:
        self._opened(node, None)
        return self._clear(node.inputs[0].t, v[0])

    def _opened(self, node: Node, party: int | None) -> None:
        shape = node.inputs[0].t.shape
        self.result.openings.append(Opening(node.loc.file, node.loc.line, shape, party))

    def _clear(self, t: Type, value: Array) -> Array:
        """Bits as the sum of 2^i * plane i; numbers as they are."""
        if not t.bit:
            return value
        total = np.zeros(t.shape, dtype=object)
        for i in range(t.planes):
            total = total + value[i].astype(object) * (1 << i)
        return self.s.array(total)

    def _op_output(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        t, out = node.inputs[0].t, node.attrs["output"]
        if t.secret:
            self._opened(node, out.party)
        value = self._clear(t, v[0])
        if t.f:
            real = self.s.decode(value, t.f)
        elif self.s.exact:
            real = np.array(value.tolist())  # int64 where 128-bit integers fit
        else:
            real = np.rint(value).astype(np.int64)
        self.result.outputs[out.name] = np.array(real).reshape(t.shape)

    def _op_print(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        line = ""
        for piece in node.attrs["pieces"]:
            line += piece if isinstance(piece, str) else self._formatted(node, v, *piece)
        self.result.lines.append(line)

    def _op_checkpoint(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        """Nothing is saved here."""

    def _formatted(self, node: Node, v: list[Array], i: int, fmt: str) -> str:
        t = node.inputs[i].t
        flat = v[i].ravel()
        numbers = [float(x) for x in self.s.decode(flat, t.f)] if t.f else [int(x) for x in flat]
        texts = [fmt % x for x in numbers]
        return texts[0] if t.size == 1 else "[" + " ".join(texts) + "]"

    def _op_loop(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        for i in range(node.attrs["trips"]):
            try:
                self._block(node.blocks[0], {**values, node: self.s.array(i)})
            except Break:
                break

    def _op_while(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        for _ in range(node.attrs["max_trips"]):
            try:
                self._block(node.blocks[0], values)
            except Break:
                break

    def _op_break_if_zero(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        if not v[0].any():
            raise Break

    def _op_if(self, node: Node, v: list[Array], values: dict[Node, Array]) -> None:
        self._block(node.blocks[0 if v[0].any() else 1], values)


def last_uses(block: Block) -> dict[int, list[Node]]:
    """By position in a block: the values that are used there for the last time."""
    last = {x: i for i, node in enumerate(block.nodes) for x in _uses(node)}
    dying: dict[int, list[Node]] = {}
    for node, i in last.items():
        dying.setdefault(i, []).append(node)
    return dying


def _uses(node: Node) -> list[Node]:
    """Operands of a node and of everything in its blocks."""
    inner = [x for block in node.blocks for n in block.walk() for x in n.inputs]
    return [*node.inputs, *inner]
