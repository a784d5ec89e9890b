"""Cheating parties: caught under malicious protocols, and not under semi-honest ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequester import _runtime
from sequester.compiler.cost import cost_module

from ..vm.runner import build
from .attacks import Attack, Target
from .machine import PARTIES, RINGS

MALICIOUS = [
    (p, n, ring)
    for p, counts in PARTIES.items()
    if cost_module(p).VERIFIED
    for n in counts
    for ring in RINGS[p]
]


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("test")


def test_a_semi_honest_protocol_is_fooled(runner: Path, tmp_path: Path) -> None:
    """One changed bit in one late message is enough: so these attacks are real ones."""
    target = Target(runner, tmp_path, "rep3", 3, 64)
    last = {pair: count - 1 for pair, count in target.frames.items()}
    outcomes = [
        target.outcome(Attack(p, (f"{p}:{q}:{frame}:flip:3",)))[0] for (p, q), frame in last.items()
    ]
    assert "WRONG" in outcomes and "detected" not in outcomes


@pytest.mark.parametrize(("protocol", "parties", "ring"), MALICIOUS)
def test_random_attacks(
    protocol: str, parties: int, ring: int, runner: Path, tmp_path: Path
) -> None:
    report = Target(runner, tmp_path, protocol, parties, ring).run(60, seed=ring, workers=2)
    assert not report.bad, report.bad[:5]
    assert report.outcomes["detected"] > 20, report.outcomes


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
