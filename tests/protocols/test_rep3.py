"""rep3's step functions in full rings, in lockstep without a VM: results, rounds and bytes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sequester.compiler.cost import Setting
from sequester.compiler.cost.rep3 import cost
from sequester.compiler.isa.table import BY_NAME

SOURCES = ("tests/rep3_test.c", "tests/engine.c", "protocols/rep3*.c", "protocols/bilinear.c")


@pytest.fixture(scope="session")
def rep3_test(build: Any) -> Path:
    path: Path = build("rep3_test", *SOURCES)
    return path


@pytest.mark.parametrize("kernels", ["", "portable", "avx2"])
def test_operations_on_random_and_edge_values(rep3_test: Path, kernels: str) -> None:
    env = {"SEQUESTER_KERNELS": kernels} if kernels else {}
    done = subprocess.run([rep3_test], capture_output=True, text=True, env=env, check=False)
    if done.returncode == 2:
        pytest.skip(f"no {kernels} kernels on this CPU")
    assert done.returncode == 0, done.stdout + done.stderr


def test_operations_without_newer_instructions(build: Any) -> None:
    path = build("rep3_plain", *SOURCES, defines=("REP3_PLAIN",))
    done = subprocess.run([path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_mask_serves_twice(build: Any) -> None:
    """Over all calls, cut into many chunks, two parties draw each mask, and each of them once."""
    path = build("rep3_masks", *SOURCES, defines=("SEQ_TEST", "REP3_CHUNK=2"))
    done = subprocess.run([path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_costs_are_exact(rep3_test: Path) -> None:
    """Each call of the C test: rounds and bytes of every ordered pair, predicted and measured."""
    done = subprocess.run([rep3_test, "costs"], capture_output=True, text=True, check=True)
    calls = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(calls) > 1000
    for call in calls:
        instr = BY_NAME[call["name"]]
        args = {o.name: v for o, v in zip(instr.operands, call["args"], strict=False)}
        if call["name"] == "input":
            args["party"] = call["owner"]
        if call["name"] in ("output", "outputb"):
            args["party"] = None if call["party"] < 0 else call["party"]
        predicted = cost(call["name"], args, Setting(3, call["ring"], 31, 16, 40))
        assert predicted.rounds == call["rounds"], call
        assert [list(row) for row in predicted.sent] == call["sent"], call


def test_sizes_of_the_flagship_operations() -> None:
    """Bits and bytes an element over all parties, as docs/protocols/rep3.md states them."""
    n = 64 * 300
    setting = Setting(3, 64, 31, 16, 40)

    def bits(name: str, **args: int) -> tuple[int, float]:
        c = cost(name, {"n": n, **args}, setting)
        sides = [sum(row) for row in c.sent]
        assert max(sides) == min(sides), name  # roles rotate
        return c.rounds, 8 * sum(sides) / n

    assert bits("mul", m=16, mode=0) == (2, 8 * 32)
    assert bits("mul", m=0, mode=0) == (1, 8 * 24)
    assert bits("trunc", m=16, mode=0) == (2, 8 * 24)
    assert bits("ltz", bits=32) == (5, 175)
    assert bits("eqz", bits=32) == (5, 157)
    assert bits("select") == (2, 8 * 32)
    assert bits("select_keep") == (2, 8 * 32)
    assert bits("select_kept") == (2, 8 * 24)
    assert bits("b2a", p=1) == (2, 8 * 24)
    assert bits("and", p=1) == (1, 3)
