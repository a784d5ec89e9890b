"""Costs of `dealer`, masked values and a dealer: docs/protocols/dealer.md counts the same.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/dealer*.c`
declare, and bytes follow from sizes alone. The dealer is the last party. What it deals goes to the
last computing party; its messages depend on nothing but openings of the program, come ahead of use,
and are no rounds of their own: after an opening that the dealer takes part in there is one more.
A dealer who dealt before the run is no party of it, and what it deals is what prepares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Cost, Setting, is_product, result_size
from .additions import Addition, carry, sign, total, zero
from .masked import Traffic
from .rep3 import blocks

PARTIES = 3
PREPARES = True
DEALERS = 1  # of these
VERIFIED = False
RING = "64"
SHUFFLE = 1 << 17  # elements in a task of a shuffle
_ADDER = {"ltz": sign, "eqz": zero, "a2b": total}


def _add(t: Traffic, addition: Addition) -> None:
    t.deal(8 * blocks(t.n) * (addition.monomials + addition.gates))
    t.open(0, addition.forms)
    for gates in addition.by_level:
        t.open(0, gates)


def _rounded(t: Traffic, args: Mapping[str, Any], product: bool) -> None:
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


def _shuffle(t: Traffic, rows: int, columns: int) -> None:
    """A remasking, whose tasks are ranges of columns, and a hop of each computing party."""
    width = SHUFFLE // rows if rows < SHUFFLE else 1
    full, rest = divmod(columns, width)
    for times, count in ((full, rows * width), (1, rows * rest)):
        t.open_count(times, count, t.word)
    t.opened()
    size = rows * columns * t.word
    for i in range(t.online):
        with t.prepares():
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
    t = Traffic(setting, result_size(name, args) if product else args["n"] if planes else 0, True)
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
        case "shuffle":
            if not args["len"]:
                return t.cost()
            _shuffle(t, t.n, args["len"])
        case _:
            t.same("dealer", name, args)
    return t.cost()
