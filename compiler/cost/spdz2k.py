"""Costs of `spdz2k-dealt`: spdz2k online, with material from a trusted dealer, the last party.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/spdz2k*.c`
declare, and bytes follow from sizes alone. docs/protocols/spdz2k.md counts the same. Checks before
openings are apart (`Verification`), as they depend on what was opened before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import ONLINE, Cost, Setting, is_product, result_size
from .additions import Addition, carry, sign, total, zero
from .masked import Traffic
from .rep3 import blocks

PARTIES = 3
PREPARES = True
DEALERS = 1  # of these
VERIFIED = True
RING = "wide"
LIMIT = 1 << 20  # values that may wait to be checked
NUMBER, MASK = 32, 16  # what is dealt of a number and its MAC, and of a mask
BITS, BIT_MASK = 8 * 65, 8 * 64  # of 64 bits
WORD_VALUES = 16  # values whose room 64 bits take
CHECK_ROUNDS = 5
_ADDER = {"ltz": sign, "eqz": zero, "a2b": total}
CHECK = 32 + 40 + 32 + 32 + 40  # bytes of a check, from each to each


def _add(t: Traffic, a: Addition) -> None:
    words = blocks(t.n)
    t.deal(words * (BITS * (a.monomials + a.gates) + BIT_MASK * (a.forms + a.gates)))
    t.open(0, a.forms)
    for gates in a.by_level:
        t.open(0, gates)


def _round(t: Traffic, args: Mapping[str, Any]) -> None:
    m = args["m"]
    t.open(8)
    if m:
        t.deal(t.n * (2 * NUMBER + MASK))
    if m and args["mode"]:
        _add(t, carry(m))
        t.deal(t.n * NUMBER)
        t.open(8)
    elif m:
        t.open(-(-m // 8))


def _check(t: Traffic) -> None:
    t.deal(MASK)
    for i in range(t.online):
        t.broadcast(i, CHECK)
    t.rounds += CHECK_ROUNDS


def _reveal(t: Traffic, to: int | None, planes: int = 0) -> None:
    """planes: of bits; 0: numbers."""
    if to is not None:
        t.deal(BIT_MASK * planes * blocks(t.n) if planes else t.n * MASK)
    t.open(0 if planes else 8, planes or 1, -1 if to is not None and to < t.online else None)
    _check(t)


def _shuffle(t: Traffic, elements: int) -> None:
    """A masking for party 0, and a hop of each party; values and MACs, of 16 bytes each, go to who
    hops next, the low halves of values to all."""
    with t.prepares():
        for i in range(t.online if t.dealer else 0):
            t.sent[t.online][i] += 32 * elements
    t.deal(MASK * (t.online + 1) * elements)
    for i in range(t.online):
        t.sent[i][0] += 32 * elements if i else 0
        for j in range(t.online):
            size = (32 if j == i + 1 else 8) + (0 if i else 8)
            t.sent[i][j] += size * elements if i != j else 0
    t.rounds += t.online + 1 if elements else 0


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction.

    Raises ValueError for an instruction that the protocol does not offer.
    """
    product, planes = is_product(name), args.get("p", 1)
    t = Traffic(setting, result_size(name, args) if product else args["n"] if planes else 0, True)
    if not t.n:
        return t.cost()
    match name:
        case "trunc":
            t.deal(t.n * MASK)
            _round(t, args)
        case _ if product:
            t.deal(t.n * (NUMBER if args["m"] else NUMBER + MASK))
            _round(t, args)
        case "input":
            t.deal(t.n * MASK)
            t.broadcast(args["party"], 8 * t.n)
            t.rounds += 1
        case "open" | "output":
            _reveal(t, args.get("party"))
        case "openb" | "outputb":
            _reveal(t, args.get("party"), planes)
        case "ltz" | "eqz" | "a2b":
            _add(t, _ADDER[name](args["bits"]))
        case "select" | "select_keep" | "select_kept":
            t.deal(t.n * (MASK + NUMBER * (1 if name == "select_kept" else 2)))
            t.open(8)
        case "b2a":
            t.deal(t.n * planes * (MASK + NUMBER))
            t.open(8, planes)
        case "shuffle":
            _shuffle(t, t.n * args["len"])
        case "randbit":
            t.deal(BIT_MASK * planes * blocks(t.n))
        case "and":
            t.deal((BIT_MASK + BITS) * planes * blocks(t.n))
            t.open(0, planes)
        case _:
            raise ValueError(f"spdz2k-dealt does not offer the instruction {name!r}")
    return t.cost()


class Verification:
    """The checks of a run that are not part of an opening: what waits for one, and its costs."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.online = setting.parties - (setting.phase != ONLINE)
        self.due = 0

    def statements(self, name: str, args: Mapping[str, Any]) -> int:
        """What one execution adds, for `step`: values; of an opening: those that it opens."""
        if name in ("open", "output", "openb", "outputb"):
            return int(args["n"] * args.get("p", 1))
        if name == "randbit":
            return 0
        if name in _ADDER:
            addition = _ADDER[name](args["bits"])
            planes = addition.forms + addition.gates
            return WORD_VALUES * planes * blocks(args["n"])
        if name == "and":
            return int(WORD_VALUES * args["p"] * blocks(args["n"]))
        if name == "input":
            return int(args["n"])
        if name == "shuffle":
            return int((self.online + 1) * args["n"] * args["len"])
        if name.startswith("select"):
            return int(args["n"])
        if name == "b2a":
            return int(args["n"] * args["p"])
        n, m = result_size(name, args), args["m"]
        planes = 0
        if m and args["mode"]:
            addition = carry(m)
            planes = addition.forms + addition.gates
        return (2 if m else 1) * n + WORD_VALUES * planes * blocks(n)

    def step(self, opening: bool, values: int) -> Cost | None:
        """An instruction begins: what is checked first, if anything."""
        checks = values > 0 and self.due > 0 if opening else self.due > LIMIT
        self.due = (0 if checks else self.due) + (0 if opening else values)
        if not checks:
            return None
        t = Traffic(self.setting, 1, True)
        _check(t)
        return t.cost()
