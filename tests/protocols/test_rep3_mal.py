"""rep3-mal's checks with lowered parameters: a cheater succeeds as often as it should."""

from __future__ import annotations

import math
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ..vm.runner import build
from .machine import Script

N = 65  # statements of a prover: two variables are bound in the first round


def product(folder: Path, stat: int) -> list[str]:
    """A program that opens one product to party 2: arguments of the runner."""
    s = Script(64, stat=stat)
    a, b = (s.secret(np.arange(N, dtype=object) + i) for i in range(2))
    d = s.reg("s", N)
    s.start(f"mul d={d} a={a} b={b} n={N} m=0 mode=0")
    s.output(d, N, to="2")
    path, *options = s.write(folder)
    return [path, "PROTOCOL", "3", *options, "--timeout", "20"]


def run(runner: Path, program: list[str], protocol: str, *rules: str) -> str:
    command = [str(runner), *(protocol if w == "PROTOCOL" else w for w in program)]
    command += [x for rule in rules for x in ("--tamper", rule)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout


def opened(text: str) -> str | None:
    found = re.search(r"^output 0 party 2:(.*)$", text, re.M)
    return found[1] if found else None


@pytest.mark.slow
@pytest.mark.parametrize(("stat", "runs"), [(4, 300), (8, 1200)])
def test_a_wrong_product_passes_as_often_as_it_should(stat: int, runs: int, tmp_path: Path) -> None:
    """2^63 is added to a word of a product's message, and everything else is done as it should be:
    that is not noticed iff the statement's weight is zero mod 2, which is a product of three
    random elements of the field of 2^stat elements."""
    runner = build("test")
    program = product(tmp_path, stat)
    right = opened(run(runner, program, "rep3"))
    rule = next(
        rule
        for frame in range(20)
        for rule in [f"0:2:{frame}:add:3:{1 << 63}"]
        if opened(run(runner, program, "rep3", rule)) not in (None, right)
    )

    def passes(_: int) -> bool:
        out = opened(run(runner, program, "rep3-mal", rule))
        assert out != right
        return out is not None

    with ThreadPoolExecutor(2) as pool:
        count = sum(pool.map(passes, range(runs)))
    p = 1 - (1 - 2**-stat) ** 3
    assert abs(count - runs * p) <= 5 * math.sqrt(runs * p * (1 - p))
    assert p <= 3 / 2**stat  # what the page says of weights: 1 + kappa
