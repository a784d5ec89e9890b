"""Costs of `rep3-mal`: replicated sharing, every message proven before anything is opened.

An instruction costs the same at every execution. The proofs are apart (`Verification`): they are
made at openings, and in between when much waits for them, of all statements that instructions left
since the last one; docs/protocols/rep3-mal.md counts the same. Numbers are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..isa.table import BY_NAME
from . import Cost, Setting, result_size
from .rep3 import P1, P2, P3, Traffic, blocks

PARTIES = 3
VERIFIED = True
RING = "64"
WORD = 8
DEGREE = 48  # words of an extension element of Z_2^64; bits have elements of one word
LIMIT = 96 << 20  # bytes of the log, about, after which it is verified
CHUNK = 3 * 512  # blocks in one task of an opening
KAPPA = 6  # variables bound in the first round
LANES = 8  # neighbours in a row that are neighbours in memory, too
# About the bytes in the log of a word of a product, of one with what P2 and P3 know, of a dealt
# word; of a truncation, and of what nearest rounding needs besides its gates.
_PRODUCT, _THIRD, _DEALT, _TRUNC, _NEAREST = 48, 27, 16, 97, 59


def _levels(nodes: int) -> int:
    return max(nodes - 1, 0).bit_length()


def _adder_gates(nodes: int, every_carry: bool) -> int:
    """Generates of all nodes, and the prefix tree over them."""
    gates = nodes
    for level in range(_levels(nodes)):
        for j in range(nodes):
            last = (j + 1) % (2 << level) == 0 or j + 1 == nodes
            if j >> level & 1 and (every_carry or last):
                gates += 2 if j >= 2 << level else 1
    return gates


@dataclass
class _Call:
    """One instruction as it is added up: messages, and the statements they leave."""

    n: int
    rounds: int = 0
    traffic: Traffic = field(init=False)
    words: list[int] = field(default_factory=lambda: [0] * 3)  # statements over Z_2^64, by prover
    bits: list[int] = field(default_factory=lambda: [0] * 3)  # over bits, in 64
    inner: int = 0  # extension elements of matrix statements
    due: int = 0

    def __post_init__(self) -> None:
        self.traffic = Traffic(self.n)

    def product(self) -> None:
        """Everybody sends a word, and proves it."""
        self.traffic.ring(-1, WORD * self.n)
        self.words = [w + self.n for w in self.words]
        self.due += _PRODUCT * self.n

    def third(self, words: int = 1) -> None:
        """Products of dealt words and words that P2 and P3 know: these two send to P1."""
        for p in (P2, P3):
            self.traffic.role(p, P1, WORD * words, 0)
            for r, (_, elements) in enumerate(self.traffic.thirds()):
                self.words[(r + p) % 3] += words * elements
        self.due += _THIRD * words * self.n

    def gates(self, count: int) -> None:
        """Everybody sends a bit for each gate, and proves it."""
        self.traffic.ring(-1, 8 * count * blocks(self.n))
        self.bits = [b + count * blocks(self.n) for b in self.bits]

    def deal(self, words: int, planes: int = 0) -> None:
        """P1 sends P2 words and bits, and proves them."""
        self.traffic.role(P1, P2, WORD * words, planes)
        for r, (there, elements) in enumerate(self.traffic.thirds()):
            self.words[(r + P1) % 3] += words * elements
            self.bits[(r + P1) % 3] += planes * there
        self.due += _DEALT * words * self.n

    def truncate(self, m: int, nearest: int) -> None:
        """Of a fresh sharing, by m > 0 bits."""
        due = self.due
        self.deal(2 + nearest, 64)
        self.third()
        self.rounds += 2
        if nearest:
            self.gates(_adder_gates(m, False))
            self.deal(1)
            self.third()
            self.rounds += 3 + _levels(m)
        self.due = due + (_TRUNC + (_NEAREST + 2 * m if nearest else 0)) * self.n

    def sum(self, bits: int, gates: int, levels: int) -> None:
        """Bits of a sum that P1 knows, and gates."""
        if bits > 1:
            self.deal(0, bits - 1)
            self.gates(gates)
            self.rounds = 1 + levels

    def cost(self) -> Cost:
        return self.traffic.cost(self.rounds)


_INNER = {
    "matmul": ("K",),
    "conv2d": ("C", "KH", "KW"),
    "conv2d_dx": ("O", "KH", "KW"),
    "conv2d_dw": ("B", "OH", "OW"),
}


def _bilinear(name: str, args: Mapping[str, Any]) -> _Call:
    call = _Call(result_size(name, args), 1)
    x, y = (factor.elements(args) for factor in BY_NAME[name].operands[2:4])
    inner = _INNER[name.removesuffix("_add")]
    call.traffic.ring(-1, WORD * call.n)
    call.inner = 2 * math.prod(int(args[side]) for side in inner)
    call.due = 16 * (x + y + call.n)
    if args["m"]:
        call.truncate(args["m"], args["mode"])
    if not call.n:
        call.inner = 0
    return call


def _elementwise(name: str, args: Mapping[str, Any]) -> _Call:
    call = _Call(args["n"], 1)
    call.product()
    if args["m"]:
        call.truncate(args["m"], args["mode"])
    return call


def _bits(name: str, args: Mapping[str, Any]) -> _Call:
    call = _Call(args["n"])
    bits = args["bits"]
    if name == "eqz":
        call.sum(bits, bits - 1, _levels(bits))
        call.due = 5 * call.n * bits // 4
    else:
        call.sum(bits, _adder_gates(bits - 1, name == "a2b"), 1 + _levels(bits - 1))
        call.due = (10 if name == "a2b" else 5) * call.n * bits // 2
    return call


def _words_of_bits(name: str, args: Mapping[str, Any]) -> _Call:
    planes = args.get("p", 1)
    call = _Call(args["n"] if planes else 0)
    if name != "select_kept":
        call.deal(planes)
        call.third(planes)
        call.rounds = 2
    if name != "b2a":
        call.product()
        call.rounds += 1
    return call


def _shuffle(args: Mapping[str, Any]) -> _Call:
    size = args["n"] * args["len"]
    call = _Call(size, 3)
    call.traffic.ring(1, WORD * size)
    call.traffic.ring(-1, WORD * size)
    call.inner = 2 * args["n"] if size else 0
    call.due = 64 * size
    return call


def _opening(name: str, args: Mapping[str, Any]) -> _Call:
    n = args["n"] if args.get("p", 1) else 0
    size = 8 * args["p"] * blocks(n) if name.endswith("b") else WORD * n
    tags = WORD * -(-blocks(n) // CHUNK)
    call = _Call(n, 1)
    party = args.get("party")
    for to in range(3) if party is None else (party,):
        call.traffic.sent[(to - 1) % 3][to] += size
        call.traffic.sent[(to + 1) % 3][to] += tags
    return call


def _call(name: str, args: Mapping[str, Any]) -> _Call:
    product = name.removesuffix("_add")
    if product in _INNER:
        return _bilinear(name, args)
    if product == "mul" or name == "trunc":
        return _elementwise(name, args)
    if name in ("ltz", "eqz", "a2b"):
        return _bits(name, args)
    if name in ("b2a", "select", "select_keep", "select_kept"):
        return _words_of_bits(name, args)
    if name == "and":
        call = _Call(args["n"] if args["p"] else 0, 1)
        call.gates(args["p"])
        call.due = call.n * args["p"] * _PRODUCT // 64
        return call
    if name == "shuffle":
        return _shuffle(args)
    if name == "randbit":
        return _Call(args["n"])
    if name == "input":
        call = _Call(args["n"], 1)
        owner = args["party"]
        call.traffic.sent[owner][(owner + 1) % 3] += WORD * call.n
        return call
    if name in ("open", "output", "openb", "outputb"):
        return _opening(name, args)
    raise ValueError(f"rep3-mal does not offer the instruction {name!r}")


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction, without proofs.

    Raises ValueError for an instruction that rep3-mal does not offer.
    """
    return _call(name, args).cost()


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


@dataclass
class Verification:
    """The proofs of a run: what waits for one, and what each one costs."""

    setting: Setting
    words: list[int] = field(default_factory=lambda: [0] * 3)
    bits: list[int] = field(default_factory=lambda: [0] * 3)
    inner: int = 0
    due: int = 0

    def statements(self, name: str, args: Mapping[str, Any]) -> tuple[int, ...]:
        """What one execution adds, for `step`."""
        call = _call(name, args)
        return (*call.words, *call.bits, call.inner, call.due)

    def step(self, opening: bool, added: tuple[int, ...]) -> Cost | None:
        """An instruction begins: what is verified first, if anything."""
        waits = any(self.words) or any(self.bits) or self.inner
        proof = self._prove() if (waits if opening else self.due > LIMIT) else None
        for p in range(3):
            self.words[p] += added[p]
            self.bits[p] += added[3 + p]
        self.inner += added[6]
        self.due += added[7]
        return proof

    def _prove(self) -> Cost:
        rings = [
            (max(self.words), self.inner, 1, DEGREE, 4),
            (max(self.bits), 0, 64, 1, 3),
        ]
        self.words, self.bits, self.inner, self.due = [0] * 3, [0] * 3, 0, 0
        shapes = []  # (log2 of the vectors' length, kappa, words of an element)
        for n, inner, each, element, spare in rings:
            kappa = min(max(n.bit_length() - 1 - spare, 0), KAPPA) if n else 0
            tile = LANES << kappa
            length = 2 * each * (n // tile * LANES + min(n % tile, LANES))
            if length + inner:
                shapes.append((_power_of_two(length + inner).bit_length() - 1, kappa, element))
        top = max(log2 for log2, _, _ in shapes)
        sizes = [[(3**kappa - 1, kappa, e) for _, kappa, e in shapes]]
        for left in range(top, 0, -1):
            sizes.append([(2, 1, e) for log2, _, e in shapes if left <= log2])
        sizes.append([(2, 1, e) for _, _, e in shapes])
        proofs = sum(count * e for row in sizes for count, _, e in row)
        challenges = sum(r for row in sizes for _, r, _ in row)
        seals = challenges + 2 * sum(e for _, _, e in shapes)
        t = Traffic(1)
        t.ring(1, 8 + 16 + 8 * proofs + 8)
        t.ring(-1, 8 + 16 + 8 * challenges + 8 * seals + 8)
        rounds = 5 + sum(2 for row in sizes if any(count for count, _, _ in row))
        return t.cost(rounds)
