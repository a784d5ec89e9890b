"""Cheating parties: caught under malicious protocols, and not under semi-honest ones."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from sequester import _runtime
from sequester.compiler.cost import cost_module

from ..vm.runner import build, run
from .attacks import Attack, Target
from .machine import FIELD, PARTIES, RINGS, TRUSTED, Script, Words

MALICIOUS = [
    (p, n, ring)
    for p, counts in PARTIES.items()
    if cost_module(p).VERIFIED and p not in TRUSTED
    for n in counts
    for ring in RINGS[p]
]


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("test")


def words(values: list[int]) -> Words:
    return np.array(values, dtype=object)


SEMI_HONEST = [("rep3", 64), ("shamir", FIELD)]


@pytest.mark.parametrize(("protocol", "ring"), SEMI_HONEST)
def test_a_semi_honest_protocol_is_fooled(
    protocol: str, ring: int, runner: Path, tmp_path: Path
) -> None:
    """One changed bit in one late message is enough: so these attacks are real ones."""
    target = Target(runner, tmp_path, protocol, 3, ring)
    last = {pair: count - 1 for pair, count in target.frames.items()}
    outcomes = [
        target.outcome(Attack(p, (f"{p}:{q}:{frame}:flip:3",)))[0] for (p, q), frame in last.items()
    ]
    assert "WRONG" in outcomes and "detected" not in outcomes


OWN = {"share", "bits"}  # registers: not all words of them matter


@pytest.mark.parametrize(("protocol", "parties", "ring"), MALICIOUS)
def test_a_cheater_goes_on_with_what_it_sent(
    protocol: str, parties: int, ring: int, runner: Path, tmp_path: Path
) -> None:
    """An error of every kind of message, in the cheater's own shares too; and two that are meant
    to cancel. Errors in registers are found or do not matter. ("told": the cheater, which checks
    as all do, was the first to say so.)"""
    target = Target(runner, tmp_path, protocol, parties, ring)
    rng = random.Random(ring)
    kinds = sorted({kind for _, kind in target.made} - {"input"})
    dealt = {"dealt", "carries"} if protocol != "shamir-mal" else set()
    assert {"product", "gates", "hop"} | dealt <= set(kinds)
    for i, kind in enumerate(kinds):
        party = next(p for p in (*range(i % parties, parties), 0) if (p, kind) in target.made)
        value = rng.choice([1, (1 << 64) - 1])
        first = target.cheat(rng, party, kind, value)
        second = target.cheat(rng, party, kind, (1 << 64) - value)
        for cheats in ((first,), (first, second)):
            outcome, said = target.outcome(Attack(party, (), cheats))
            right = {"detected", "told", "right"} if kind in OWN else {"detected", "told"}
            assert outcome in right, (cheats, outcome, said)


@pytest.mark.parametrize(("protocol", "ring"), SEMI_HONEST)
def test_a_semi_honest_cheater_that_goes_on_is_not_found(
    protocol: str, ring: int, runner: Path, tmp_path: Path
) -> None:
    """Consistent errors are those that nobody can see without a check."""
    target = Target(runner, tmp_path, protocol, 3, ring)
    for kind in ("product", "gates", "hop", "share", "bits"):
        count = target.made[0, kind]
        numbers = range(0, count, max(1, count // 8))
        attacks = [Attack(0, (), (f"0:{kind}:{n}:0:1",)) for n in numbers]
        outcomes = {target.outcome(attack)[0] for attack in attacks}
        assert "WRONG" in outcomes and outcomes <= {"WRONG", "right"}, (kind, outcomes)


@pytest.mark.parametrize("cheater", range(3))
@pytest.mark.parametrize(
    ("protocol", "ring", "outcome"),
    [
        ("rep3", 64, "WRONG"),
        ("rep3-mal", 64, "detected"),
        ("shamir", FIELD, "WRONG"),
        ("shamir-mal", FIELD, "detected"),
    ],
)
def test_errors_of_one_shuffle_do_not_cancel(
    protocol: str, ring: int, outcome: str, cheater: int, runner: Path, tmp_path: Path
) -> None:
    """A party that moves rows in two hops adds to a row in one, takes away from it in the other."""
    target = Target(runner, tmp_path, protocol, 3, ring)
    assert target.made[cheater, "hop"] == 2
    pair = (f"{cheater}:hop:0:17:12345", f"{cheater}:hop:1:17:{2**64 - 12345}")
    assert target.outcome(Attack(cheater, (), pair))[0] == outcome


@pytest.mark.parametrize("cheater", range(3))
@pytest.mark.parametrize(("protocol", "caught"), [("shamir", False), ("shamir-mal", True)])
def test_errors_that_cancel_in_a_shuffle_are_errors(
    protocol: str, caught: bool, cheater: int, runner: Path, tmp_path: Path
) -> None:
    """A row comes where it was meant to, twice changed: if that passed with many rows, the cheater
    knew where the row went in the hop between, whose order it does not know."""
    s = Script(FIELD)
    a, d, order = s.secret(words([41])), s.reg("s", 1), s.reg("c", 1)
    s.code += [f"cfill d={order} imm=5 n=1"]
    s.start(f"shuffle d={d} a={a} order={order} n=1 len=1")
    s.output(d, 1, to="all")
    path, *options = s.write(tmp_path)
    rules = [f"{cheater}:hop:0:0:5", f"{cheater}:hop:1:0:{2**64 - 5}"]
    options += [x for rule in rules for x in ("--cheat", rule)]
    result = run(runner, Path(path), protocol, 3, *options)
    assert ("cheating detected" in result.stderr) == caught
    assert caught or result.outputs == {(0, p): [41] for p in range(3)}


@pytest.mark.parametrize(("protocol", "parties", "ring"), [m for m in MALICIOUS if m[1] <= 4])
def test_what_begins_beside_a_check_is_checked(
    protocol: str, parties: int, ring: int, runner: Path, tmp_path: Path
) -> None:
    """A long product begins while the check of a short one, before an opening, is under way."""
    n = 1000
    s = Script(ring, handles=2)
    x = np.arange(n).astype(object)
    a, c, d = s.secret(x), s.reg("c", n), s.reg("s", n)
    s.start(f"mul d={d} a={a} b={a} n=1 m=0 mode=0")
    s.code += [
        f"open h=0 d={c} a={a} n=1",
        f"mul h=1 d={d} a={a} b={a} n={n} m=0 mode=0",
        "join h=0",
        "join h=1",
    ]
    out = s.output(d, n, to="all")
    done = s.run(runner, tmp_path, protocol, parties)
    assert (done.outputs[out] == x * x).all()
    assert done.rounds == {done.predicted.rounds}
    path, *options = s.write(tmp_path)
    found = 0
    for number in range(6):  # products, of checks too
        rule = f"1:product:{number}:8:1"
        result = run(runner, Path(path), protocol, parties, *options, "--cheat", rule)
        found += "cheating detected" in result.stderr
        right = {(out, p): list(x * x) for p in range(parties)}
        assert "cheating detected" in result.stderr or result.outputs == right, number
    assert found


@pytest.mark.parametrize(("protocol", "parties", "ring"), MALICIOUS)
def test_a_changed_input_is_another_input(
    protocol: str, parties: int, ring: int, runner: Path, tmp_path: Path
) -> None:
    """Whoever changes its input's share in what it sends and in its own has given that input."""
    outputs = []
    for value, rules in ((41, ("--cheat", "0:input:0:0:1")), (42, ())):
        s = Script(ring)
        a, b = s.secret(words([value, 5])), s.secret(words([7, 9]))
        d = s.reg("s", 2)
        s.start(f"mul d={d} a={a} b={b} n=2 m=0 mode=0")
        s.output(d, 2, to="all")
        path, *options = s.write(tmp_path)
        result = run(runner, Path(path), protocol, parties, *options, *rules)
        outputs.append((result.status, result.outputs))
    assert outputs[0] == outputs[1] == (0, {(0, p): [294, 45] for p in range(parties)})


@pytest.mark.parametrize(("protocol", "parties", "ring"), MALICIOUS)
def test_random_attacks(
    protocol: str, parties: int, ring: int, runner: Path, tmp_path: Path
) -> None:
    count = 60 if parties <= 4 else 16  # which take longer
    report = Target(runner, tmp_path, protocol, parties, ring).run(count, seed=ring, workers=4)
    assert not report.bad, report.bad[:5]
    assert report.outcomes["detected"] > count // 4, report.outcomes


def test_parties_give_up_beside_one_that_has_finished(runner: Path, tmp_path: Path) -> None:
    """The last agreement to an opening is missing at one party, when another needs nothing more."""
    target = Target(runner, tmp_path, "rep4", 4, 64)
    frame = target.frames[0, 2] - 2
    assert target.outcome(Attack(0, (f"0:2:{frame}:drop",)))[0] == "ended"


def test_the_product_cannot_tamper() -> None:
    """What is installed has no trace of the channel that test builds have."""
    assert _runtime.__file__ is not None
    binary = Path(_runtime.__file__).read_bytes()
    assert b"net_send" in binary and b"tamper" not in binary
