"""Costs of `rep4`, replicated sharing among four parties: docs/protocols/rep4.md counts the same.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/rep4*.c`
declare, and bytes follow from sizes alone. Roles rotate over quarters of the vector: a quarter is a
range of blocks of 64 elements, and in quarter q party p plays role p - q mod 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import Cost, Setting, is_product, result_size
from .additions import Addition, carry, total, zero

PARTIES = 4
VERIFIED = True
RING = "64"
CHUNK = 4 * 64 * 384  # elements in a task
DIGEST = 16
TERMS = ((2, 0, 1), (2, 1, 3), (3, 0, 2), (3, 1, 0), (0, 1, 2), (2, 3, 0))  # x, y, sender


def _blocks(n: int) -> int:
    return -(-n // 64)


@dataclass
class _Traffic:
    """Bytes between parties while an instruction on n elements is added up."""

    n: int
    sent: list[list[int]] = field(default_factory=lambda: [[0] * 4 for _ in range(4)])

    def _quarters(self) -> list[tuple[int, int]]:
        """(blocks, elements) of each quarter."""
        nb = _blocks(self.n)
        cuts = [nb * q // 4 for q in range(5)]
        return [
            (hi - lo, min(64 * hi, self.n) - min(64 * lo, self.n))
            for lo, hi in zip(cuts[:-1], cuts[1:], strict=True)
        ]

    def role(self, sender: int, receiver: int, element: int = 0, planes: int = 0) -> None:
        """Role to role: bytes an element (padded to words), planes of bits."""
        for q, (blocks, elements) in enumerate(self._quarters()):
            frame = -(-element * elements // 8) * 8 + 8 * planes * blocks
            self.sent[(q + sender) % 4][(q + receiver) % 4] += frame

    def terms(self, count: int, element: int = 0, planes: int = 0) -> None:
        """The first `count` cross terms of two sharings."""
        for _, receiver, sender in TERMS[:count]:
            self.role(sender, receiver, element, planes)

    def add(self, addition: Addition, dealt: int) -> None:
        """An addition of bits, of which both sides deal `dealt` planes."""
        self.role(0, 3, planes=dealt)
        self.role(2, 0, planes=dealt)
        self.terms(4, planes=addition.forms)
        self.terms(6, planes=addition.gates)

    def words(self, word: int, fresh: bool, select: bool) -> None:
        """A word from a bit."""
        if fresh:
            self.role(0, 3, word)
            self.role(2, 0, word)
        if select:
            self.role(1, 3, word)
            self.role(3, 0, word)
        self.terms(4, word)

    def cost(self, rounds: int) -> Cost:
        return Cost(rounds if self.n else 0, tuple(tuple(row) for row in self.sent))


def _sign(bits: int) -> Addition:
    """Bit `bits` - 1 of a sum: a carry, and both top bits are dealt."""
    below = carry(bits - 1)
    return Addition(below.monomials + 1, below.forms, below.by_level)


def _rounded(n: int, args: Mapping[str, Any], word: int, replicated: bool = False) -> Cost:
    """Truncation of n words by m bits; m = 0: a product shared again."""
    t = _Traffic(n)
    m, nearest = args["m"], args["mode"]
    if m == 0:
        t.terms(6, word)
        return t.cost(1)
    residue = -(-m // 8)
    for sender, receiver, size in (
        (2, 0, word), (3, 1, word), (2, 1, word), (3, 1, residue),
        (3, 0, residue), (3, 1, residue), (2, 0, residue), (2, 1, residue),
        (0, 2, residue), (1, 3, residue), (1, 2, word),
    ):  # fmt: skip
        t.role(sender, receiver, size)
    if not replicated:
        for sender, receiver in ((1, 0), (1, 0), (0, 1), (0, 1)):
            t.role(sender, receiver, word)
    if not nearest:
        return t.cost(2)
    borrow = carry(m)
    t.add(borrow, borrow.monomials)
    t.words(word, fresh=True, select=False)
    return t.cost(2 + 1 + borrow.levels + 2)


_ADDER: dict[str, Callable[[int], Addition]] = {"ltz": _sign, "eqz": zero, "a2b": total}


def _opening(n: int, size: int, party: int | None) -> Cost:
    """A word from everyone to everyone; then words from one, hashes from another."""
    t = _Traffic(n)
    for i in range(4):
        for j in range(4):
            t.sent[i][j] += DIGEST if n and i != j else 0
    for to in range(4) if party is None else (party,):
        t.sent[(to + 1) % 4][to] += size
        t.sent[(to + 2) % 4][to] += DIGEST * -(-n // CHUNK)
    return t.cost(2)


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction.

    Raises ValueError for an instruction that rep4 does not offer.
    """
    word = setting.ring_bits // 8
    if is_product(name):
        return _rounded(result_size(name, args), args, word)
    n = args["n"] if args.get("p", 1) else 0
    planes = 8 * args.get("p", 1) * _blocks(n)
    t = _Traffic(n)
    if name in _ADDER:
        addition = _ADDER[name](args["bits"])
        t.add(addition, addition.monomials)
        return t.cost(addition.rounds)
    if name == "trunc":
        return _rounded(n, args, word, replicated=True)
    if name in ("select", "select_keep", "select_kept"):
        t.words(word, fresh=name != "select_kept", select=True)
        return t.cost(2)
    if name == "b2a":
        t.words(word * args["p"], fresh=True, select=False)
        return t.cost(2)
    if name == "and":
        t.terms(6, planes=args["p"])
        return t.cost(1)
    if name == "randbit":
        return t.cost(0)
    if name == "shuffle":
        for hop in range(4):
            for role in (1, 2, 3):
                t.sent[(role + hop) % 4][hop] += n * args["len"] * word
        return t.cost(4 if args["len"] else 0)
    if name == "input":
        owner = args["party"]
        for step in (1, 2):
            t.sent[owner][(owner + step) % 4] += n * word
        return t.cost(1)
    if name in ("open", "output"):
        return _opening(n, n * word, args.get("party"))
    if name in ("openb", "outputb"):
        return _opening(n, planes, args.get("party"))
    raise ValueError(f"rep4 does not offer the instruction {name!r}")
