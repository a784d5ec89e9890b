"""What instructions cost: rounds and payload bytes, by protocol.

A protocol's costs are one module with `PARTIES` (the default number of parties), `RING` (what it
computes in unless told otherwise: "64", "128" or "field"), `VERIFIED` (whether openings start only
when every call in front of them has finished), where it is so `MASKED = True` (`masking.py`) and
`PREPARES = True` (it has phases; `DEALERS`: how many parties are none of a prepared run), and
`cost(name, args, setting) -> Cost`, listed in `MODULES`. `args` maps the operand names of the
instruction's row to their values; for `input`, `output` and `outputb` also `party`: the owner, or
the receiver (None: all). Interactive instructions only; everything else is local and free.
`report.py` turns these into the costs of a whole program, which must equal what a run measures.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from ..isa.table import BY_NAME


@dataclass(frozen=True)
class Cost:
    """rounds: links in the longest chain of dependent messages. sent[i][j]: bytes from i to j."""

    rounds: int
    sent: tuple[tuple[int, ...], ...]


WHOLE, PREPARE, ONLINE = "whole", "prepare", "online"  # phases, as SEQ_ALL .. of machine.h


@dataclass(frozen=True)
class Setting:
    """The public parameters a cost may depend on; all but `parties` and `phase` are in the
    bytecode's META. In phase ONLINE a dealer is none of the parties."""

    parties: int
    ring_bits: int
    k: int
    f: int
    stat: int
    phase: str = WHOLE  # what is counted; PREPARE: messages that do not depend on values


PRODUCTS = ("mul", "matmul", "conv2d", "conv2d_dx", "conv2d_dw")  # each with a row `_add`, too


def is_product(name: str) -> bool:
    """Whether the instruction `name` is a product, or one with a sum."""
    return name.removesuffix("_add") in PRODUCTS


def result_size(name: str, args: Mapping[str, Any]) -> int:
    """How many elements the instruction `name` writes to `d`."""
    return BY_NAME[name].operand("d").elements(args)


class CostModule(Protocol):
    """The interface of one protocol's module."""

    PARTIES: int
    VERIFIED: bool
    RING: str

    def cost(self, name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
        """The cost of one execution of the interactive instruction `name`.

        Raises ValueError if the protocol does not offer the instruction.
        """


MODULES: dict[str, str] = {
    "emulate": "emulate",
    "rep3": "rep3",
    "rep3-mal": "rep3_mal",
    "rep4": "rep4",
    "shamir": "shamir",
    "dealer": "dealer",
    "semi2k": "semi2k",
    "shamir-mal": "shamir_mal",
    "spdz2k-dealt": "spdz2k",
}


def cost_module(protocol: str) -> CostModule:
    """The costs of a protocol by name; ValueError with the known names if there is none."""
    if protocol not in MODULES:
        raise ValueError(f"no costs for protocol {protocol!r}: known are {', '.join(MODULES)}")
    name = f"{__package__}.{MODULES[protocol]}"
    return cast(CostModule, importlib.import_module(name))
