"""Costs of `spdz2k-dealt`: spdz2k online, with material from a trusted dealer, the last party.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/spdz2k*.c`
declare, and bytes follow from sizes alone. docs/protocols/spdz2k.md counts the same. Checks before
openings to all are apart (`Verification`), as they depend on what was opened before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Cost, Setting, is_product, result_size
from .masked import Traffic

PARTIES = 3
VERIFIED = True
RING = "128"
LIMIT = 1 << 20  # values that may wait to be checked
NUMBER, MASK = 32, 16  # what is dealt of a number and its MAC, and of a mask
CHECK_ROUNDS = 5
CHECK = 32 + 32 + 24 + 32 + 32  # bytes of a check, from each to each


def _round(t: Traffic, m: int) -> None:
    t.open(8)
    if m:
        t.deal(t.n * (2 * NUMBER + MASK))
        t.open(-(-m // 8))


def _check(t: Traffic) -> None:
    t.deal(MASK)
    for i in range(t.online):
        t.broadcast(i, CHECK)
    t.rounds += CHECK_ROUNDS


def _reveal(t: Traffic, to: int | None) -> None:
    if to is not None:
        t.deal(t.n * MASK)
    t.open(8, to=-1 if to is not None and to < t.online else None)
    _check(t)


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction.

    Raises ValueError for an instruction that the protocol does not offer.
    """
    product = is_product(name)
    t = Traffic(setting, result_size(name, args) if product else args["n"], True)
    if not t.n:
        return t.cost()
    if (product or name == "trunc") and args["m"] and args["mode"]:
        raise ValueError("spdz2k-dealt does not round to nearest")
    match name:
        case "trunc":
            t.deal(t.n * MASK)
            _round(t, args["m"])
        case _ if product:
            t.deal(t.n * (NUMBER if args["m"] else NUMBER + MASK))
            _round(t, args["m"])
        case "input":
            t.deal(t.n * MASK)
            t.broadcast(args["party"], 8 * t.n)
            t.rounds += 1
        case "open" | "output":
            _reveal(t, args.get("party"))
        case _:
            raise ValueError(f"spdz2k-dealt does not offer the instruction {name!r}")
    return t.cost()


class Verification:
    """The checks of a run that are not part of an opening: what waits for one, and its costs."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.due = 0

    def statements(self, name: str, args: Mapping[str, Any]) -> tuple[int, bool]:
        """What one execution adds, for `step`: values; of an opening: those, and whether to all."""
        if name in ("open", "output"):
            return args["n"], args.get("party") is None
        if name == "input":
            return args["n"], False
        if is_product(name):
            return result_size(name, args) * (2 if args["m"] else 1), False
        return 2 * args["n"], False

    def step(self, opening: bool, added: tuple[int, bool]) -> Cost | None:
        """An instruction begins: what is checked first, if anything."""
        values, to_all = added
        checks = self.due > 0 if opening and values and to_all else self.due > LIMIT
        if opening:
            self.due = 0 if values else self.due
            checks = checks and to_all
        else:
            self.due = (0 if checks else self.due) + values
        if not checks:
            return None
        t = Traffic(self.setting, 1, True)
        _check(t)
        return t.cost()
