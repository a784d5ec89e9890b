"""spdz2k's online phase, with dealt material: what it offers, costs, and attacks on it.

Numbers are mod 2^64 in words of 128 bits, rounding is probabilistic: the conformance suite, which
takes all instructions and the whole word, follows when these are offered.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .attacks import Attack, Target
from .machine import Run, Script, Words, signed
from .test_conformance import fair, random_words

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


def check(
    s: Script, want: list[tuple[int, Words, int]], runner: Path, folder: Path, computing: int
) -> Run:
    """Outputs, by how many bits they are rounded, and costs are what they should be."""
    done = s.run(runner, folder, PROTOCOL, computing + 1)
    for place, z, m in want:
        got = done.outputs[place]
        if m:
            near(got, z, m)
        else:
            assert (signed(got, BITS) == signed(z, BITS)).all(), place
    assert done.rounds == {done.predicted.rounds}
    for i, entry in enumerate(done.predicted.entries):
        assert [list(row) for row in entry.sent] == done.sent[i], s.code[i]
    return done


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
        s.start(f"trunc d={d} a={swide} n={n} m={m} mode=1")
        out((wide + (1 << (m - 1))) >> m)
        s.start(f"mul d={d} a={sx} b={sy} n={n} m={min(m, 61)} mode=1")
        out((x * y + (1 << (min(m, 61) - 1))) >> min(m, 61))
    s.code += [f"sadd d={d} a={sfull} b={swide} n={n}", f"smuli d={d} a={d} imm=-3 n={n}"]
    s.code += [f"saddi d={d} a={d} imm=5 n={n}"]
    out(5 - 3 * (full + wide), 0, "2")
    c = s.reg("c", n)
    s.start(f"open d={c} a={sfull} n={n}")
    s.code += [f"saddc d={d} a={sx} b={c} n={n}", f"smulc d={d} a={d} b={c} n={n}"]
    out((x + full) * full)
    shown = s.output_clear(c, n)
    done = check(s, want, runner, tmp_path, computing)
    assert (done.outputs[shown] == full).all()


@pytest.mark.parametrize("computing", COMPUTING)
def test_matrices_and_convolutions(computing: int, runner: Path, tmp_path: Path) -> None:
    s = Script(RING, owners=3, k=31)
    x, w = numbers(2 * 2 * 4 * 4, 30, 5), numbers(54, 20, 6)
    g, e = numbers(2 * 3 * 4 * 4, 30, 7), numbers(96, 60, 8)
    sx, sw, sg, se = (s.secret(v) for v in (x, w, g, e))
    d = s.reg("s", 96)
    want: list[tuple[int, Words, int]] = []

    def product(code: str, size: int, z: Words) -> None:
        for m in (0, 12):
            s.start(f"{code} m={m} mode=0")
            want.append((s.output(d, size, to="all"), z.ravel(), m))
            name = code.split()[0]
            s.start(f"{code.replace(name, name + '_add', 1)} m={m} mode=0 e={se}")
            want.append((s.output(d, size, to="1"), z.ravel() + e[:size], m))

    z = (x[:35].reshape(7, 5) @ w[:15].reshape(5, 3)).ravel()
    s.start(f"matmul d={d} a={sx} b={sw} M=7 K=5 N=3 ta=0 tb=0 m=11 mode=1")
    want.append((s.output(d, 21), (z + 1024) >> 11, 0))
    for ta, tb in ((0, 0), (1, 1)):
        a, b = x[:35].reshape((5, 7) if ta else (7, 5)), w[:15].reshape((3, 5) if tb else (5, 3))
        z = (a.T if ta else a) @ (b.T if tb else b)
        product(f"matmul d={d} a={sx} b={sw} M=7 K=5 N=3 ta={ta} tb={tb}", 21, z)
    images, kernels = x.reshape(2, 2, 4, 4), w.reshape(3, 2, 3, 3)
    gradients = g.reshape(2, 3, 4, 4)
    padded = np.zeros((2, 2, 6, 6), dtype=object)
    padded[:, :, 1:5, 1:5] = images
    z, dx, dw = np.zeros_like(gradients), np.zeros_like(padded), np.zeros_like(kernels)
    for i, j in np.ndindex(3, 3):
        part = padded[:, :, i : i + 4, j : j + 4]
        z += np.einsum("bchw,oc->bohw", part, kernels[:, :, i, j])
        dx[:, :, i : i + 4, j : j + 4] += np.einsum("bohw,oc->bchw", gradients, kernels[:, :, i, j])
        dw[:, :, i, j] = np.einsum("bohw,bchw->oc", gradients, part)
    sizes = "B=2 C=2 H=4 W=4 O=3 KH=3 KW=3 OH=4 OW=4 SH=1 SW=1 PH=1 PW=1"
    product(f"conv2d d={d} x={sx} w={sw} {sizes}", 96, z)
    product(f"conv2d_dx d={d} g={sg} w={sw} {sizes}", 64, dx[:, :, 1:5, 1:5])
    product(f"conv2d_dw d={d} g={sg} x={sx} {sizes}", 54, dw)
    check(s, want, runner, tmp_path, computing)


@pytest.mark.parametrize("computing", COMPUTING)
@pytest.mark.parametrize("n", [1, 65, 1000])
def test_bits(computing: int, n: int, runner: Path, tmp_path: Path) -> None:
    s = Script(RING, owners=3, k=31)
    x, y = numbers(n, BITS, 10), numbers(n, BITS, 11)
    sx, sy = s.secret(x), s.secret(y)
    zeros = s.secret(x * (x % 3 == 0))
    a, b, d, bit = (s.reg("b", n, 3) for _ in range(4))
    c = s.reg("c", n)
    want: list[tuple[int, Words, int]] = []
    s.start(f"a2b d={a} a={sx} n={n} bits=3")
    s.start(f"a2b d={b} a={sy} n={n} bits=3")
    s.start(f"and d={d} a={a} b={b} p=3 n={n}")
    want.append((s.output_bits(d, 3, n, to="1"), x & y & 7, 0))
    s.code += [f"bxor d={d} a={a} b={b} p=3 n={n}", f"bnot d={d} a={d} p=3 n={n}"]
    want.append((s.output_bits(d, 3, n, to="all"), ~(x ^ y) & 7, 0))
    s.start(f"openb d={c} a={a} p=3 n={n}")
    want.append((s.output_clear(c, n), x & 7, 0))
    s.code += [f"bandc d={d} a={b} b={c} p=3 n={n}"]
    want.append((s.output_bits(d, 3, n, to="2"), x & y & 7, 0))
    s.start(f"randbit d={d} p=3 n={n}")
    drawn = s.output_bits(d, 3, n)
    for bits in (1, 2, 5, 6, 17, 32, 63, 64):
        s.start(f"ltz d={bit} a={sx} n={n} bits={bits}")
        want.append((s.output_bits(bit, 1, n), x >> (bits - 1) & 1, 0))
        s.start(f"eqz d={bit} a={zeros} n={n} bits={bits}")
        low = (x * (x % 3 == 0)) % (1 << bits)
        want.append((s.output_bits(bit, 1, n), (low == 0).astype(object) * 1, 0))
    for bits in (1, 4, 5, 9, 64):
        planes = s.reg("b", n, bits)
        s.start(f"a2b d={planes} a={sx} n={n} bits={bits}")
        want.append((s.output_bits(planes, bits, n, to="all"), x % (1 << bits), 0))
    words, k = s.reg("s", 3 * n), s.reg("s", n)
    s.start(f"b2a d={words} a={a} p=3 n={n}")
    want.append((s.output(words, 3 * n), np.concatenate([x >> i & 1 for i in range(3)]), 0))
    s.start(f"select d={words} b={a} a={sy} n={n}")
    want.append((s.output(words, n, to="1"), y * (x & 1), 0))
    s.start(f"select_keep d={words} k={k} b={b} a={sy} n={n}")
    want.append((s.output(words, n), y * (y & 1), 0))
    s.start(f"select_kept d={words} k={k} b={b} a={sx} n={n}")
    want.append((s.output(words, n), x * (y & 1), 0))
    done = check(s, want, runner, tmp_path, computing)
    fair(done.outputs[drawn])


def program() -> Script:
    """What is offered, with roundings that leave nothing over: there is one right result."""
    s, n, rng = Script(RING, owners=2, k=31), 130, np.random.default_rng(9)
    x, y, z = (signed(random_words(rng, n, 20, RING) << 8, RING) for _ in range(3))
    a, b, e = s.secret(x), s.secret(y), s.secret(z)
    d, f, c = s.reg("s", n), s.reg("s", n), s.reg("c", n)
    s.start(f"mul_add d={d} a={a} b={b} n={n} m=8 mode=0 e={e}")
    s.output(d, n, to="0")
    s.start(f"mul d={f} a={d} b={b} n={n} m=0 mode=0")
    s.start(f"open d={c} a={f} n={n}")
    s.code += [f"saddc d={f} a={f} b={c} n={n}"]
    s.output(f, n, to="1")
    s.start(f"trunc d={f} a={e} n={n} m=8 mode=0")
    s.code += [f"sadd d={d} a={d} b={f} n={n}"]
    s.output(d, n, to="1")
    s.start(f"matmul d={d} a={a} b={b} M=10 K=13 N=10 ta=0 tb=1 m=16 mode=0")
    s.output(d, 100, to="all")
    return s


@pytest.mark.parametrize("computing", [2, 3, 4])
def test_attacks(computing: int, runner: Path, tmp_path: Path) -> None:
    """Nothing that a party sends, or goes on with, makes an honest one's results wrong."""
    parties = computing + 1
    target = Target(runner, tmp_path, PROTOCOL, parties, RING, program(), trusted=computing)
    report = target.run(40, computing, 1)
    assert not report.bad, report.bad
    assert report.outcomes["detected"] > 10, report.outcomes


@pytest.mark.parametrize("kind", ["opening", "mac", "check", "share"])
def test_consistent_errors_are_found(kind: str, runner: Path, tmp_path: Path) -> None:
    """A cheater that goes on with what it sent."""
    target = Target(runner, tmp_path, PROTOCOL, 3, RING, program(), trusted=2)
    made = target.made[0, kind]
    for number in range(0, made, max(1, made // 6)):
        for value in (1 << 62, 1 << 63):  # roundings open the top bits
            outcome, said = target.outcome(Attack(0, (), (f"0:{kind}:{number}:4:{value}",)))
            allowed = {"detected", "told", "right"} if kind == "share" else {"detected", "told"}
            assert outcome in allowed, (number, value, outcome, said)


@pytest.mark.slow
@pytest.mark.parametrize(("stat", "runs"), [(3, 300), (6, 600)])
def test_an_error_passes_as_often_as_it_should(
    stat: int, runs: int, runner: Path, tmp_path: Path
) -> None:
    """With s lowered to `stat`: 2^63 is added to what is opened, and all else is done as it should
    be. That is not noticed iff 2^(s + 1) divides alpha times the weight: 2^-s (1 + s / 4)."""
    s = Script(RING, owners=2, k=31, stat=stat)
    a, b = (s.secret(np.arange(65, dtype=object) + i) for i in range(2))
    d = s.reg("s", 65)
    s.start(f"mul d={d} a={a} b={b} n=65 m=0 mode=0")
    s.output(d, 65, to="1")
    target = Target(runner, tmp_path, PROTOCOL, 3, RING, s, trusted=2)
    outcomes = Counter(
        target.outcome(Attack(0, (), (f"0:opening:0:6:{1 << 63}",)))[0] for _ in range(runs)
    )
    assert set(outcomes) <= {"WRONG", "detected", "told"}
    p = 2**-stat * (1 + stat / 4)
    assert abs(outcomes["WRONG"] - runs * p) <= 5 * math.sqrt(runs * p * (1 - p))
    assert p <= (stat + 1) / 2**stat  # the theorem's bound
