"""Costs of `semi2k`, masked values among parties of whom all but one may be corrupt.

What prepares and what is online is counted apart. Every number here is exact: rounds are those that
the machines of `runtime_c/protocols/semi2k*.c` declare, and bytes follow from sizes alone.
docs/protocols/semi2k.md counts the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Cost, Setting, is_product, lattice, result_size
from .transfers import Transfers

PARTIES = 2
PREPARES = True
VERIFIED = False
RING = "64"


def _rounded(t: Transfers, args: Mapping[str, Any], summands: bool) -> None:
    """From summands or a register to a result: rounding by m bits, and an opening of the masked
    result; before that of masked summands, where what they depend on beside masks matters."""
    if args["m"]:
        if summands and (args["mode"] or t.online > 2):
            t.open(t.word)
        t.round(args["m"], bool(args["mode"]))
    if not args["m"] or t.online == 2:
        t.open(t.word)


def _product(t: Transfers, name: str, args: Mapping[str, Any]) -> None:
    """All encrypt a factor's masks for all, and get products back."""
    shape = lattice.shape(name, args)
    if shape is not None:
        with t.prepares():
            for size in lattice.plan(shape):
                for i in range(t.online):
                    t.broadcast(i, size)
                t.rounds += 1
    _rounded(t, args, True)


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """Exact rounds and payload bytes of one interactive instruction.

    Raises ValueError for an instruction that the protocol does not offer.
    """
    planes = args.get("p", 1)
    product = is_product(name)
    n = result_size(name, args) if product else args["n"] if planes else 0
    t = Transfers(setting, n)
    if not t.n:
        return t.cost()
    match name:
        case "trunc":
            _rounded(t, args, False)
        case _ if product and name.removesuffix("_add") != "mul":
            _product(t, name.removesuffix("_add"), args)
        case "mul" | "mul_add":
            t.multiply()
            _rounded(t, args, True)
        case "ltz" | "eqz" | "a2b":
            t.add(name, args["bits"])
        case "select" | "select_keep" | "select_kept":
            t.select(name == "select_kept")
            t.open(t.word)
        case "b2a":
            t.numbers(planes)
            t.open(t.word, planes)
        case "and":
            t.both(planes)
            t.open(0, planes)
        case "shuffle":
            if args["len"]:
                t.shuffle(args["len"])
        case _:
            t.same("semi2k", name, args)
    return t.cost()
