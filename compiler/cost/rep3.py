"""Costs of `rep3`, replicated sharing among three parties: docs/protocols/rep3.md counts the same.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/rep3*.c`
declare, and bytes follow from sizes alone. Where parties have different roles, roles rotate over
thirds of the vector: a third is a range of blocks of 64 elements, and in third r party r plays P1,
r + 1 plays P2 and r + 2 plays P3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import Cost, Setting, is_product, result_size
from .additions import Addition, carry, sign, total, zero

PARTIES = 3
VERIFIED = False
RING = "64"
P1, P2, P3 = range(3)


def blocks(n: int) -> int:
    return -(-n // 64)


@dataclass
class Traffic:
    """Bytes between parties while an instruction on n elements is added up."""

    n: int
    sent: list[list[int]] = field(default_factory=lambda: [[0] * 3 for _ in range(3)])

    def thirds(self) -> list[tuple[int, int]]:
        """(blocks, elements) of each third."""
        nb = blocks(self.n)
        cuts = [nb * r // 3 for r in range(4)]
        return [
            (hi - lo, min(64 * hi, self.n) - min(64 * lo, self.n))
            for lo, hi in zip(cuts[:-1], cuts[1:], strict=True)
        ]

    def role(self, sender: int, receiver: int, element: int = 0, planes: int = 0) -> None:
        """Role to role: bytes an element, planes of bits."""
        for r, (words, elements) in enumerate(self.thirds()):
            frame = element * elements + 8 * planes * words
            self.sent[(r + sender) % 3][(r + receiver) % 3] += frame

    def ring(self, step: int, size: int) -> None:
        """Every party to the one `step` places further."""
        for i in range(3):
            self.sent[i][(i + step) % 3] += size

    def cost(self, rounds: int) -> Cost:
        total = tuple(tuple(row) for row in self.sent)
        return Cost(rounds if self.n else 0, total)


def _send(addition: Addition, t: Traffic) -> None:
    t.role(P1, P2, planes=addition.monomials)
    t.role(P2, P1, planes=addition.forms)
    t.role(P3, P1, planes=addition.forms)
    t.ring(-1, 8 * addition.gates * blocks(t.n))


def _adder(make: Callable[[int], Addition], args: Mapping[str, Any]) -> Cost:
    t = Traffic(args["n"])
    addition = make(args["bits"])
    _send(addition, t)
    return t.cost(addition.rounds)


def _bits_to_words(t: Traffic, word: int, dealt: int, planes: int = 1) -> None:
    t.role(P1, P2, dealt * word * planes)
    t.role(P2, P1, word * planes)
    t.role(P3, P1, word * planes)


def _rounded(n: int, args: Mapping[str, Any], word: int, replicated: bool = False) -> Cost:
    """Truncation of n words by m bits; m = 0: resharing of a product."""
    t = Traffic(n)
    m, nearest = args["m"], args["mode"]
    if m == 0:
        t.ring(-1, n * word)
        return t.cost(1)
    residue = -(-m // 8)
    t.role(P2, P1, word + residue)
    t.role(P3, P1, residue + (0 if replicated else word))
    t.role(P1, P2, word + residue)
    t.role(P1, P3, residue)
    if not nearest:
        return t.cost(2)
    borrow = carry(m)
    _send(borrow, t)
    _bits_to_words(t, word, 1)
    return t.cost(2 + 1 + borrow.levels + 2)


_DEALT = {"select": 2, "select_keep": 2, "select_kept": 1}  # words from P1: u, unless kept, and h
_ADDER: dict[str, Callable[[int], Addition]] = {"ltz": sign, "eqz": zero, "a2b": total}


def _opening(n: int, size: int, party: int | None) -> Cost:
    """The party before each receiver sends it `size` bytes."""
    t = Traffic(n)
    for to in range(3) if party is None else (party,):
        t.sent[(to - 1) % 3][to] += size
    return t.cost(1)


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction.

    Raises ValueError for an instruction that rep3 does not offer.
    """
    word = setting.ring_bits // 8
    if is_product(name):
        return _rounded(result_size(name, args), args, word)
    n = args["n"] if args.get("p", 1) else 0
    planes = 8 * args.get("p", 1) * blocks(n)
    t = Traffic(n)
    if name in _ADDER:
        return _adder(_ADDER[name], args)
    if name == "trunc":
        return _rounded(n, args, word, replicated=True)
    if name in _DEALT:
        _bits_to_words(t, word, _DEALT[name])
        return t.cost(2)
    if name == "b2a":
        _bits_to_words(t, word, 1, args["p"])
        return t.cost(2)
    if name == "and":
        t.ring(-1, planes)
        return t.cost(1)
    if name == "randbit":
        return t.cost(0)
    if name == "shuffle":
        for step in (1, 2):
            t.ring(step, n * args["len"] * word)
        return t.cost(3 if args["len"] else 0)
    if name == "input":
        owner = args["party"]
        t.sent[owner][(owner + 1) % 3] += n * word
        return t.cost(1)
    if name in ("open", "output"):
        return _opening(n, n * word, args.get("party"))
    if name in ("openb", "outputb"):
        return _opening(n, planes, args.get("party"))
    raise ValueError(f"rep3 does not offer the instruction {name!r}")
