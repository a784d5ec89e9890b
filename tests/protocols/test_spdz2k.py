"""spdz2k's online phase, with dealt material: what it offers, costs, and attacks on it.

Numbers are mod 2^64 in words of 128 bits, rounding is probabilistic: the conformance suite, which
takes all instructions and the whole word, follows when these are offered.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .machine import Script, Words, signed
from .test_conformance import random_words

PROTOCOL = "spdz2k-dealt"
RING, BITS = 128, 64
COMPUTING = (2, 3, 4)  # and the dealer; from four on there are kings


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("test")


def near(got: Words, z: Words, m: int) -> None:
    low = z >> m
    assert (((got == low) | (got == low + 1)) & ((got == low) | (z % (1 << m) != 0))).all()


def numbers(n: int, bits: int, seed: int) -> Words:
    return random_words(np.random.default_rng(seed), n, bits, RING)


@pytest.mark.parametrize("computing", COMPUTING)
@pytest.mark.parametrize("n", [1, 2, 65, 1000])
def test_instructions(computing: int, n: int, runner: Path, tmp_path: Path) -> None:
    s = Script(RING, owners=3, k=31)
    x, y, wide = numbers(n, 30, 1), numbers(n, 30, 2), numbers(n, 62, 3)
    full = numbers(n, BITS, 4)
    sx, sy, swide, sfull = (s.secret(v) for v in (x, y, wide, full))
    d, e = s.reg("s", n), s.secret(wide >> 2)
    want: list[tuple[int, Words, int]] = []

    def out(z: Words, m: int = 0, to: str = "all") -> None:
        want.append((s.output(d, n, to=to), z, m))

    for m in (0, 1, 16, 40):
        s.start(f"mul d={d} a={sx} b={sy} n={n} m={m} mode=0")
        out(x * y, m, str(m % 3))
        s.start(f"mul_add d={d} a={sx} b={sy} n={n} m={m} mode=0 e={e}")
        out(x * y + (wide >> 2), m)
    s.start(f"mul d={d} a={sfull} b={swide} n={n} m=0 mode=0")
    out(full * wide, 0, "1")
    for m in (1, 7, 16, 62):
        s.start(f"trunc d={d} a={swide} n={n} m={m} mode=0")
        out(wide, m)
    s.code += [f"sadd d={d} a={sfull} b={swide} n={n}", f"smuli d={d} a={d} imm=-3 n={n}"]
    s.code += [f"saddi d={d} a={d} imm=5 n={n}"]
    out(5 - 3 * (full + wide), 0, "2")
    c = s.reg("c", n)
    s.start(f"open d={c} a={sfull} n={n}")
    s.code += [f"saddc d={d} a={sx} b={c} n={n}", f"smulc d={d} a={d} b={c} n={n}"]
    out((x + full) * full)
    shown = s.output_clear(c, n)
    done = s.run(runner, tmp_path, PROTOCOL, computing + 1)
    assert (done.outputs[shown] == full).all()
    for place, z, m in want:
        got = done.outputs[place]
        if m:
            near(got, z, m)
        else:
            assert (got == signed(z, BITS)).all(), place
    assert done.rounds == {done.predicted.rounds}
    for i, entry in enumerate(done.predicted.entries):
        assert [list(row) for row in entry.sent] == done.sent[i], s.code[i]
