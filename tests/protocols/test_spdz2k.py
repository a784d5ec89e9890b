"""spdz2k's online phase, with dealt material: attacks on it, and what travels.

The dealer, who is trusted, neither cheats nor is protected.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build, run
from .attacks import Attack, Target, shuffle
from .machine import WIDE, Script, every_instruction, signed, view
from .test_conformance import random_words

PROTOCOL = "spdz2k-dealt"


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("test")


def program() -> Script:
    """What is offered, with roundings that leave nothing over: there is one right result."""
    s, n, rng = Script(WIDE, owners=2), 130, np.random.default_rng(9)
    x, y, z = (signed(random_words(rng, n, 20, WIDE) << 8, WIDE) for _ in range(3))
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
    s.start(f"matmul d={d} a={a} b={b} M=10 K=13 N=10 ta=0 tb=1 m=16 mode=1")
    s.output(d, 100, to="all")
    bit, low = s.reg("b", n), s.reg("b", n, 6)
    s.start(f"ltz d={bit} a={a} n={n} bits=31")
    s.start(f"select d={d} b={bit} a={b} n={n}")
    s.output(d, n, to="0")
    s.start(f"a2b d={low} a={b} n={n} bits=6")
    both = s.reg("b", n)
    s.start(f"and d={both} a={low} b={bit} p=1 n={n}")
    s.output_bits(both, 1, n, to="1")
    s.start(f"b2a d={d} a={low} p=1 n={n}")
    s.output(d, n, to="1")
    s.output_bits(low, 6, n, to="0")
    shuffle(s, a, d)
    return s


@pytest.mark.parametrize("computing", [2, 3, 4])
def test_attacks(computing: int, runner: Path, tmp_path: Path) -> None:
    """Nothing that a party sends, or goes on with, makes an honest one's results wrong."""
    parties = computing + 1
    target = Target(runner, tmp_path, PROTOCOL, parties, WIDE, program(), trusted=computing)
    report = target.run(40, computing, 1)
    assert not report.bad, report.bad
    assert report.outcomes["detected"] > 10, report.outcomes


KINDS = ["opening", "mac", "planes", "planemac", "hop", "stage", "check", "share", "bits"]


@pytest.mark.parametrize("kind", KINDS)
def test_consistent_errors_are_found(kind: str, runner: Path, tmp_path: Path) -> None:
    """A cheater that goes on with what it sent."""
    target = Target(runner, tmp_path, PROTOCOL, 3, WIDE, program(), trusted=2)
    made = target.made[0, kind]
    for number in range(0, made, max(1, made // 6)):
        for value in (1 << 62, 1 << 63):  # roundings open the top bits
            outcome, said = target.outcome(Attack(0, (), (f"0:{kind}:{number}:4:{value}",)))
            allowed = (
                {"detected", "told", "right"} if kind in ("share", "bits") else {"detected", "told"}
            )
            assert outcome in allowed, (number, value, outcome, said)


@pytest.mark.parametrize("cheater", range(2))
def test_errors_that_cancel_in_a_shuffle_are_errors(
    cheater: int, runner: Path, tmp_path: Path
) -> None:
    """Of one row, whose place is no secret: with many, passing would tell a place."""
    s = Script(WIDE)
    a, d, order = s.secret(np.array([41], dtype=object)), s.reg("s", 1), s.reg("c", 1)
    s.code += [f"cfill d={order} imm=5 n=1"]
    s.start(f"shuffle d={d} a={a} order={order} n=1 len=1")
    s.output(d, 1, to="all")
    path, *options = s.write(tmp_path)
    for rules, found in (((), False), ((f"{cheater}:hop:0:0:5", f"{cheater}:hop:1:0:-5"), True)):
        cheats = [x for rule in rules for x in ("--cheat", rule.replace("-5", str(2**64 - 5)))]
        result = run(runner, Path(path), PROTOCOL, 3, *options, *cheats)
        assert ("cheating detected" in result.stderr) == found
        assert found or result.outputs == {(0, p): [41] for p in range(3)}


@pytest.mark.parametrize("bits", [False, True])
def test_who_gets_an_output_sees_it_after_a_check(bits: bool, runner: Path, tmp_path: Path) -> None:
    """An error of the receiver's is found before anything is opened to it."""
    s = Script(WIDE, owners=2)
    a, b = (s.secret(np.arange(65, dtype=object) + i) for i in range(2))
    d, bit = s.reg("s", 65), s.reg("b", 65)
    s.start(f"mul d={d} a={a} b={b} n=65 m=0 mode=0")
    if bits:
        s.start(f"ltz d={bit} a={d} n=65 bits=31")
        s.output_bits(bit, 1, 65, to="0")
    else:
        s.output(d, 65, to="0")
    path, *options = s.write(tmp_path)
    result = run(runner, Path(path), PROTOCOL, 3, *options, "--cheat", "0:opening:0:6:1")
    assert "cheating detected" in result.stderr
    assert (0, 0) not in result.outputs


def test_a_check_by_itself(runner: Path, tmp_path: Path) -> None:
    """Before the third product, when more than 2^20 values wait; the dealer is far ahead."""
    n = (1 << 19) + 1
    s = Script(WIDE)
    x = np.arange(n).astype(object)
    a, d = s.secret(x), s.reg("s", n)
    for _ in range(3):
        s.start(f"mul d={d} a={a} b={a} n={n} m=0 mode=0")
    out = s.output(d, n)
    done = s.run(runner, tmp_path, PROTOCOL)
    assert (done.outputs[out] == x * x).all()
    assert done.rounds == {done.predicted.rounds}


def test_an_error_that_is_taken_away_after_a_hop_is_an_error(runner: Path, tmp_path: Path) -> None:
    """Party 0 adds to the masked MAC that party 1 gets, and takes that away behind party 1's order:
    of one row, whose place it need not guess."""
    s = Script(WIDE)
    a, d, order = s.secret(np.array([41], dtype=object)), s.reg("s", 1), s.reg("c", 1)
    s.code += [f"cfill d={order} imm=5 n=1"]
    s.start(f"shuffle d={d} a={a} order={order} n=1 len=1")
    s.output(d, 1, to="all")
    target = Target(runner, tmp_path, PROTOCOL, 3, WIDE, s, trusted=2)
    assert target.made[0, "stage"] == 3
    for frame in range(3, target.frames[0, 1]):  # one of them is the hop's
        attack = Attack(0, (f"0:1:{frame}:add:3:5",), (f"0:stage:2:0:{2**64 - 5}",))
        outcome, said = target.outcome(attack)
        assert outcome in ("detected", "told", "ended"), (frame, outcome, said)


def test_what_checks_cannot_give_is_refused(runner: Path, tmp_path: Path) -> None:
    s = Script(WIDE, stat=58)
    s.output(s.secret(np.array([41], dtype=object)), 1)
    path, *options = s.write(tmp_path)
    result = run(runner, Path(path), PROTOCOL, 3, *options)
    assert "a statistical parameter of 58, above 57" in result.stderr and not result.outputs


def test_what_begins_beside_an_opening_is_checked(runner: Path, tmp_path: Path) -> None:
    """Of the next opening. The first one is put off where much waits to leave: at the dealer."""
    n = 1 << 15
    s = Script(WIDE, handles=2)
    x = np.arange(n).astype(object)
    a, c, d, bits = s.secret(x), s.reg("c", 1), s.reg("s", 64), s.reg("b", n, 32)
    s.start(f"a2b d={bits} a={a} n={n} bits=32")
    s.code += [f"open h=0 d={c} a={a} n=1", f"mul h=1 d={d} a={a} b={a} n=64 m=0 mode=0"]
    s.code += ["join h=0", "join h=1"]
    s.start(f"open d={c} a={d} n=1")
    s.output_clear(c, 1)
    done = s.run(runner, tmp_path, PROTOCOL)
    assert done.outputs[0] == 0
    assert done.rounds == {done.predicted.rounds}


@pytest.mark.parametrize("parties", [3, 4, 5])
@pytest.mark.parametrize("value", [0, -1])
def test_messages_look_random(parties: int, value: int, runner: Path, tmp_path: Path) -> None:
    """Every bit of the 64 in a word of every message is 1 half the time, at 6 sigma."""
    # With kings openings are in two steps, and the second one has what is opened.
    program, *options = every_instruction(value, WIDE, opens=parties < 5).write(tmp_path)
    for party in range(parties - 1):
        found = view(runner, [program, PROTOCOL, str(parties), *options], party)
        messages = [m for m in found if len(m) > 5]  # those of checks are shorter
        assert len(messages) > 30
        for words in messages:
            assert len(words) >= 40 // parties
            off = np.abs(np.unpackbits(words, axis=1).sum(axis=0) - len(words) / 2)
            assert (off <= 6 * math.sqrt(len(words)) / 2).all(), (off.max(), len(words))


@pytest.mark.slow
@pytest.mark.parametrize(("stat", "runs"), [(3, 300), (6, 600)])
def test_an_error_passes_as_often_as_it_should(
    stat: int, runs: int, runner: Path, tmp_path: Path
) -> None:
    """With s lowered to `stat`: 2^63 is added to what is opened, and all else is done as it should
    be. That is not noticed iff 2^(s + 1) divides alpha times the weight: 2^-s (1 + s / 4)."""
    s = Script(WIDE, owners=2, stat=stat)
    a, b = (s.secret(np.arange(65, dtype=object) + i) for i in range(2))
    d = s.reg("s", 65)
    s.start(f"mul d={d} a={a} b={b} n=65 m=0 mode=0")
    s.output(d, 65, to="1")
    target = Target(runner, tmp_path, PROTOCOL, 3, WIDE, s, trusted=2)
    outcomes = Counter(
        target.outcome(Attack(0, (), (f"0:opening:0:6:{1 << 63}",)))[0] for _ in range(runs)
    )
    assert set(outcomes) <= {"WRONG", "detected", "told"}
    p = 2**-stat * (1 + stat / 4)
    assert abs(outcomes["WRONG"] - runs * p) <= 5 * math.sqrt(runs * p * (1 - p))
    assert p <= (stat + 1) / 2**stat  # the theorem's bound
