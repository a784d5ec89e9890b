"""dealer: what travels looks random, whatever the inputs are, and rounding has its own coins."""

from __future__ import annotations

import math
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .machine import Script

N = 64 * 40  # whole words of bits: those past the last element are zeros
HANDSHAKE = 3  # messages


@pytest.fixture(scope="session")
def runner() -> Path:
    return build("test")


def every_instruction(value: int, *, opens: bool, parties: int = 3) -> Script:
    """All inputs are `value`; without shuffles for two parties."""
    s = Script(64, owners=parties)
    same = np.full(N, value, dtype=object)
    x, y = s.secret(same), s.secret(same)
    d, k = s.reg("s", 3 * N), s.reg("s", N)
    for m, mode in ((0, 0), (16, 0), (16, 1)):
        s.start(f"mul d={d} a={x} b={y} n={N} m={m} mode={mode}")
        s.start(f"matmul d={d} a={x} b={y} M={N // 8} K=8 N=8 ta=0 tb=1 m={m} mode={mode}")
    for mode in (0, 1):
        s.start(f"trunc d={d} a={x} n={N} m=16 mode={mode}")
    b, c = s.reg("b", N, 32), s.reg("c", N)
    for name in ("ltz", "eqz", "a2b"):
        s.start(f"{name} d={b} a={x} n={N} bits=32")
    s.start(f"and d={s.reg('b', N, 3)} a={b} b={b} p=3 n={N}")
    s.start(f"b2a d={d} a={b} p=3 n={N}")
    s.start(f"select d={d} b={b} a={x} n={N}")
    s.start(f"select_keep d={d} k={k} b={b} a={x} n={N}")
    s.start(f"select_kept d={d} k={k} b={b} a={y} n={N}")
    if parties > 2:
        s.code.append(f"cfill d={c} imm=7 n=1")
        s.start(f"shuffle d={d} a={x} order={c} n={N} len=1")
    if opens:
        s.start(f"openb d={c} a={b} p=32 n={N}")
        s.start(f"open d={c} a={x} n={N}")
    s.output(x, N)
    return s


def view(
    runner: Path, words: list[str], party: int, handshake: int = HANDSHAKE, size: int = 8
) -> Iterator[np.ndarray]:
    """Every message to a party as `size` bytes a row, but for those of the handshake."""
    command = [str(runner), *words, "--view", str(party)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    greetings: dict[str, int] = defaultdict(int)
    for line in done.stdout.splitlines():
        if line.startswith("view "):
            _, sender, data = line.split(" ")
            greetings[sender] += 1
            if greetings[sender] > handshake:
                yield np.frombuffer(bytes.fromhex(data), np.uint8).reshape(-1, size)


@pytest.mark.parametrize("parties", [3, 4, 5])
@pytest.mark.parametrize("value", [0, -1])
def test_messages_look_random(parties: int, value: int, runner: Path, tmp_path: Path) -> None:
    """Every bit of the 64 in a word of every message is 1 half the time, at 6 sigma."""
    # With kings openings are in two steps, and the second one has what is opened.
    program, *options = every_instruction(value, opens=parties < 5).write(tmp_path)
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
