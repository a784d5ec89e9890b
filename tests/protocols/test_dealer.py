"""dealer: what travels looks random, whatever the inputs are, and rounding has its own coins."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .machine import Script, every_instruction, view


@pytest.fixture(scope="session")
def runner() -> Path:
    return build("test")


@pytest.mark.parametrize("parties", [3, 4, 5])
@pytest.mark.parametrize("value", [0, -1])
def test_messages_look_random(parties: int, value: int, runner: Path, tmp_path: Path) -> None:
    """Every bit of the 64 in a word of every message is 1 half the time, at 6 sigma."""
    # With kings openings are in two steps, and the second one has what is opened.
    program, *options = every_instruction(value, 64, opens=parties < 5).write(tmp_path)
    for party in range(parties - 1):
        messages = list(view(runner, [program, "dealer", str(parties), *options], party))
        assert len(messages) > 30
        for words in messages:
            assert len(words) >= 40 // parties
            off = np.abs(np.unpackbits(words, axis=1).sum(axis=0) - len(words) / 2)
            assert (off <= 6 * math.sqrt(len(words)) / 2).all(), (off.max(), len(words))


def test_coins_do_not_come_from_masks(runner: Path, tmp_path: Path) -> None:
    """16 y + 8 has a mask whose low bits are zero; it rounds up half the time all the same."""
    n = 20_000
    s = Script(64)
    y, d = s.secret(np.full(n, 5, dtype=object)), s.reg("s", n)
    s.code += [f"smuli d={d} a={y} imm=16 n={n}", f"saddi d={d} a={d} imm=8 n={n}"]
    rounded = s.reg("s", n)
    s.start(f"trunc d={rounded} a={d} n={n} m=4 mode=0")
    out = s.output(rounded, n)
    got = s.run(runner, tmp_path, "dealer").outputs[out]
    assert set(got) == {5, 6}
    assert abs((got == 6).sum() - n / 2) <= 5 * math.sqrt(n) / 2
