"""Checks with lowered statistical parameters: one error passes as often as it should.

With the parameter s, in test builds only, random elements of checks are drawn from 2^s ones. An
error passes if one of `chances` independent elements is a certain one, by a cheater that else does
what it should: its weights, and in shamir-mal the challenges of each halving, where 0 hides an
error. (rep3-mal's challenges are never 0.) Theorems allow a cheater that goes on cheating in the
check itself twice as much for each challenge, and the pages of the protocols count that.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .machine import FIELD, PARTIES, RINGS, Script

TOP = 1 << 63  # is zero times an even weight


def numbers(n: int) -> np.ndarray:
    return np.arange(n).astype(object)


def product(s: Script, n: int, to: int) -> None:
    a, b, d = s.secret(numbers(n)), s.secret(numbers(n) + 1), s.reg("s", n)
    s.start(f"mul d={d} a={a} b={b} n={n} m=0 mode=0")
    s.output(d, n, to=str(to))


def matrix(s: Script, n: int, to: int) -> None:
    a, b, d = s.secret(numbers(n * n)), s.secret(numbers(n * n) + 1), s.reg("s", n * n)
    s.start(f"matmul d={d} a={a} b={b} M={n} K={n} N={n} ta=0 tb=0 m=0 mode=0")
    s.output(d, n * n, to=str(to))


def gates(s: Script, n: int, to: int) -> None:
    """A bit AND itself is the bit."""
    a, d = s.reg("b", n), s.reg("b", n)
    s.start(f"randbit d={a} p=1 n={n}")
    s.start(f"and d={d} a={a} b={a} p=1 n={n}")
    s.code += [f"bxor d={d} a={d} b={a} p=1 n={n}"]
    s.output_bits(d, 1, n, to=str(to))


def rows(s: Script, n: int, to: int) -> None:
    a, d, order = s.secret(numbers(n)), s.reg("s", n), s.reg("c", 1)
    s.code += [f"cfill d={order} imm=5 n=1"]
    s.start(f"shuffle d={d} a={a} order={order} n={n} len=1")
    s.output(d, n, to=str(to))


def opening(s: Script, n: int, to: int) -> None:
    s.output(s.secret(numbers(n)), n, to=str(to))


@dataclass(frozen=True)
class Error:
    """A program whose output goes to party `to`, and a cheater's rule; LAST: its last frame."""

    protocol: str
    program: Callable[[Script, int, int], None]
    n: int
    to: int
    rule: str
    chances: int

    def __str__(self) -> str:
        return f"{self.protocol} {self.program.__name__}"


ERRORS = [
    # two row variables, and a weight for each column
    Error("rep3-mal", product, 65, 2, f"0:product:0:3:{TOP}", 3),
    Error("rep3-mal", gates, 64 * 65, 2, "0:gates:0:3:1", 4),
    Error("rep3-mal", matrix, 5, 2, f"0:matrix:0:3:{TOP}", 2),
    Error("rep3-mal", rows, 5, 2, f"0:hop:0:0:{TOP}", 2),
    Error("rep3-mal", opening, 5, 1, "0:1:LAST:add:2:1", 1),  # its tag
    # sums of which 63 + s bits are compared
    Error("rep4", product, 256, 1, f"0:product:1:3:{TOP}", 1),
    Error("rep4", gates, 256, 1, f"0:gates:1:0:{TOP}", 1),
    Error("rep4", rows, 5, 1, f"0:hop:1:0:{TOP}", 1),
    Error("rep4", opening, 5, 1, f"2:1:LAST:add:2:{TOP}", 1),
    # 2, 6, 1 and 4 halvings, and the random product behind them; weights
    Error("shamir-mal", product, 3, 2, "0:product:0:0:1", 1 + 2 + 1),
    Error("shamir-mal", gates, 64, 0, "2:gates:0:0:1", 1 + 6 + 1),
    Error("shamir-mal", matrix, 2, 2, "0:product:0:0:1", 2 + 1 + 1),
    Error("shamir-mal", rows, 3, 2, "0:hop:0:0:1", 2 + 4 + 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("stat", "runs"), [(4, 300), (8, 1200)])
@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_an_error_passes_as_often_as_it_should(
    error: Error, stat: int, runs: int, tmp_path: Path
) -> None:
    s = Script(RINGS[error.protocol][0], stat=stat)
    error.program(s, error.n, error.to)
    path, *options = s.write(tmp_path)
    command = [str(build("test")), path, error.protocol, str(PARTIES[error.protocol][0]), *options]
    command += ["--timeout", "20"]

    def run(*rules: str) -> str:
        return subprocess.run(
            [*command, *rules], capture_output=True, text=True, timeout=300, check=False
        ).stdout

    def opened(text: str) -> list[str] | None:
        found = re.search(rf"^output 0 party {error.to}:(.*)$", text, re.M)
        return sorted(found[1].split()) if found else None

    honest = run("--tamper", "0:0:0:drop")  # nobody sends to itself
    right = opened(honest)
    assert right is not None
    option, rule = "--cheat", error.rule
    if "LAST" in rule:
        cheater, peer = rule.split(":")[:2]
        frames = re.search(rf"^frames {cheater} {peer} (\d+)$", honest, re.M)
        assert frames
        option, rule = "--tamper", rule.replace("LAST", str(int(frames[1]) - 1))

    def passes(_: int) -> bool:
        out = opened(run(option, rule))
        assert out != right
        return out is not None

    with ThreadPoolExecutor(4) as pool:  # most of a run is waiting
        count = sum(pool.map(passes, range(runs)))
    p = 1 - (1 - 2**-stat) ** error.chances
    assert abs(count - runs * p) <= 5 * math.sqrt(runs * p * (1 - p)), (count, runs * p)


def test_every_verified_protocol_is_here() -> None:
    assert {e.protocol for e in ERRORS} == {"rep3-mal", "rep4", "shamir-mal"}
    assert RINGS["shamir-mal"] == (FIELD,)
