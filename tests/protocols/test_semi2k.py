"""semi2k: what travels looks random, whatever the inputs are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from .machine import every_instruction, view
from .test_conformance import Case, conform
from .test_dealer import runner

__all__ = ["runner"]  # a fixture

HANDSHAKE = 6  # messages, those that prepare oblivious transfer among them


@pytest.mark.parametrize("value", [0, -1])
def test_messages_look_random(value: int, runner: Path, tmp_path: Path) -> None:
    """Every bit of the eight in a byte of every message is 1 half the time, at 6 sigma."""
    program, *options = every_instruction(value, 64, parties=2).write(tmp_path)
    for party in range(2):
        words = [program, "semi2k", "2", *options]
        messages = list(view(runner, words, party, HANDSHAKE, 1))
        assert len(messages) > 60
        for message in messages:
            assert len(message) >= 40
            off = np.abs(np.unpackbits(message, axis=1).sum(axis=0) - len(message) / 2)
            assert (off <= 6 * math.sqrt(len(message)) / 2).all(), (off.max(), len(message))


def test_ten_parties(runner: Path, tmp_path: Path) -> None:
    """The most there are; only what is quick."""
    conform(("semi2k", 10, 64), 65, runner, tmp_path, [Case.bits])
