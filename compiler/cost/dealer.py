"""Costs of `dealer`, masked values and a dealer: docs/protocols.md counts the same.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/dealer*.c`
declare, and bytes follow from sizes alone. The dealer is the last party. What it deals goes to the
last computing party; its messages depend on nothing but openings of the program, come ahead of use,
and are no rounds of their own: after an opening that the dealer takes part in there is one more.
A dealer who dealt before the run is no party of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import Cost, Setting, is_product, result_size
from .additions import Addition, carry, sign, total, zero
from .rep3 import blocks

PARTIES = 3
VERIFIED = False
RING = "64"
CHUNK = 512  # blocks of 64 elements in a task
SHUFFLE = 1 << 17  # elements in a task of a shuffle
DIRECT = 3  # computing parties up to which everybody sends to everybody
_ADDER = {"ltz": sign, "eqz": zero, "a2b": total}


class _Traffic:
    """Bytes between parties while an instruction on n elements is added up."""

    def __init__(self, setting: Setting, n: int):
        self.online = setting.parties - (not setting.ahead)
        self.dealer = not setting.ahead  # is a party of the run
        self.word = setting.ring_bits // 8
        self.n = n
        self.rounds = 0
        self.sent = [[0] * setting.parties for _ in range(setting.parties)]

    def deal(self, size: int) -> None:
        if self.dealer:
            self.sent[self.online][self.online - 1] += size

    def _tasks(self) -> Iterator[tuple[int, int, int]]:
        """(how many, elements, blocks) of tasks."""
        full, rest = divmod(blocks(self.n), CHUNK)
        if full:
            yield full - (not rest), CHUNK * 64, CHUNK
        yield 1, self.n - (full - (not rest)) * CHUNK * 64, rest or CHUNK

    def open(self, unit: int, planes: int = 1, to: int | None = -1) -> None:
        """Openings of `unit` bytes an element and plane, or (0) of planes of bits.

        to: a party, None for all, -1 for all that compute.
        """
        for times, elements, words in self._tasks():
            count, size = (planes * elements, unit) if unit else (planes * words, 8)
            self.open_count(times, count, size, to)
        self.opened(to)

    def opened(self, to: int | None = -1) -> None:
        dealer = self.dealer and (to is None or to == self.online)
        kings = self.online > DIRECT and (to is None or to < 0)
        self.rounds += 1 + kings + dealer

    def open_count(self, times: int, count: int, size: int, to: int | None = -1) -> None:
        """Openings of `count` elements of `size` bytes."""
        n = self.online
        receivers = range(n + (self.dealer and to is None)) if to is None or to < 0 else (to,)
        kings = n > DIRECT and len(receivers) > 1
        for i in range(n):
            part = count * (i + 1) // n - count * i // n if kings else count
            for j in receivers:
                if i != j:
                    self.sent[i][j] += times * size * part
            for j in range(n if kings else 0):
                if i != j:
                    part = count * (j + 1) // n - count * j // n
                    self.sent[i][j] += times * size * part

    def broadcast(self, sender: int, size: int) -> None:
        for j in range(self.online):
            if j != sender:
                self.sent[sender][j] += size

    def cost(self) -> Cost:
        return Cost(self.rounds if self.n else 0, tuple(tuple(row) for row in self.sent))


def _add(t: _Traffic, addition: Addition) -> None:
    t.deal(8 * blocks(t.n) * (addition.monomials + addition.gates))
    t.open(0, addition.forms)
    for gates in addition.by_level:
        t.open(0, gates)


def _rounded(t: _Traffic, args: Mapping[str, Any], product: bool) -> None:
    m = args["m"]
    if product:
        t.deal(t.n * t.word)
        t.open(t.word)
    if not m:
        return
    residue = -(-m // 8)
    t.deal(t.n * (t.word + residue))
    if not args["mode"]:
        t.open(residue)
        return
    _add(t, carry(m))
    t.deal(t.n * t.word)
    t.open(t.word)


def _shuffle(t: _Traffic, rows: int, columns: int) -> None:
    """A remasking, whose tasks are ranges of columns, and a hop of each computing party."""
    width = SHUFFLE // rows if rows < SHUFFLE else 1
    full, rest = divmod(columns, width)
    for times, count in ((full, rows * width), (1, rows * rest)):
        t.open_count(times, count, t.word)
    t.opened()
    size = rows * columns * t.word
    for i in range(t.online):
        if t.dealer:
            t.sent[t.online][i] += size
        t.broadcast(i, size)
    t.rounds += t.online


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction.

    Raises ValueError for an instruction that the protocol does not offer.
    """
    planes = args.get("p", 1)
    product = is_product(name)
    t = _Traffic(setting, result_size(name, args) if product else args["n"] if planes else 0)
    if not t.n:
        return t.cost()
    match name:
        case "trunc":
            _rounded(t, args, False)
        case _ if product:
            _rounded(t, args, True)
        case "ltz" | "eqz" | "a2b":
            _add(t, _ADDER[name](args["bits"]))
        case "select" | "select_keep" | "select_kept":
            t.deal(t.n * t.word * (1 if name == "select_kept" else 2))
            t.open(t.word)
        case "b2a":
            t.deal(t.n * t.word * planes)
            t.open(t.word, planes)
        case "and":
            t.deal(8 * blocks(t.n) * planes)
            t.open(0, planes)
        case "randbit":
            pass
        case "open" | "output":
            t.open(t.word, to=args.get("party"))
        case "openb" | "outputb":
            t.open(0, planes, to=args.get("party"))
        case "input":
            t.broadcast(args["party"], t.n * t.word)
            t.rounds += 1
        case "shuffle":
            if not args["len"]:
                return t.cost()
            _shuffle(t, t.n, args["len"])
        case _:
            raise ValueError(f"dealer does not offer the instruction {name!r}")
    return t.cost()
