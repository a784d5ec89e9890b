"""What travels under protocols with an honest majority looks random, whatever the inputs are.

This is the statistical test of whole instructions, and of programs of all of them; small_views.c
enumerates what a party sees of the primitives. It is no proof: that no mask serves two values is
what test_masks.py counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .machine import FIELD, Script, convolutions, every_instruction, view

SETTINGS = [
    ("rep3", 3, 64),
    ("rep3", 3, 128),
    ("rep3-mal", 3, 64),
    ("rep4", 4, 64),
    ("rep4", 4, 128),
    ("shamir", 3, FIELD),
    ("shamir", 5, FIELD),
    ("shamir-mal", 3, FIELD),
    pytest.param("shamir-mal", 5, FIELD, marks=pytest.mark.slow),
]
LONG = 128  # words, from which on a message is looked at: challenges are shorter, and not uniform


@pytest.mark.parametrize("script", [every_instruction, convolutions])
@pytest.mark.parametrize(("protocol", "parties", "ring"), SETTINGS)
@pytest.mark.parametrize("value", [0, -1])
def test_messages_look_random(
    protocol: str,
    parties: int,
    ring: int,
    value: int,
    script: Callable[[int, int], Script],
    tmp_path: Path,
) -> None:
    """Every bit of the numbers, or of the words of bits, in every long message to every party is 1
    half the time, at 7 sigma (of some millions of bits one exceeds 6 in one run of a hundred); but
    for the top bit of an element of the field."""
    program, *options = script(value, ring).write(tmp_path)
    size = 16 if ring == FIELD else 8
    skipped = [120] if ring == FIELD else []
    for party in range(parties):
        command = [program, protocol, str(parties), *options]
        long = 0
        for message in view(build("test"), command, party):
            m = message.ravel()
            words = m[: len(m) // size * size].reshape(-1, size)
            if len(words) < LONG:
                continue
            long += 1
            off = np.unpackbits(words, axis=1).sum(axis=0) - len(words) / 2
            off = np.abs(np.delete(off, skipped))
            assert (off <= 7 * math.sqrt(len(words)) / 2).all(), (len(words), off.max())
        assert long > 10
