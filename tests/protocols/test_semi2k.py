"""semi2k: what travels looks random, whatever the inputs are; shuffles of many rows."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sequester.compiler.cost.transfers import network

from .conftest import Build
from .machine import Script, every_instruction, view
from .test_conformance import Case, conform
from .test_dealer import runner

__all__ = ["runner"]  # a fixture

HANDSHAKE = 6  # messages, those that prepare oblivious transfer among them


@pytest.mark.parametrize("value", [0, -1])
def test_messages_look_random(value: int, runner: Path, tmp_path: Path) -> None:
    """Every bit of the eight in a byte of every message is 1 half the time, at 6 sigma."""
    program, *options = every_instruction(value, 64, parties=2).write(tmp_path)
    for party in range(2):
        words = [program, "semi2k", "2", *options]
        messages = list(view(runner, words, party, HANDSHAKE, 1))
        assert len(messages) > 60
        for message in messages:
            assert len(message) >= 40
            off = np.abs(np.unpackbits(message, axis=1).sum(axis=0) - len(message) / 2)
            assert (off <= 6 * math.sqrt(len(message)) / 2).all(), (off.max(), len(message))


def test_ten_parties(runner: Path, tmp_path: Path) -> None:
    """The most there are; only what is quick."""
    conform(("semi2k", 10, 64), 65, runner, tmp_path, [Case.bits])


@pytest.mark.parametrize("parties", [2, 3])
def test_shuffle_in_three_layers(parties: int, runner: Path, tmp_path: Path) -> None:
    conform(("semi2k", parties, 64), 2050, runner, tmp_path, [Case.shuffles])


SHAPES = [(1, 1), (2, 3), (3, 1), (64, 5), (512, 2), (513, 3), (1000, 1), (1025, 600)]


def test_orders_in_layers(build: Build) -> None:
    """Layers make the order drawn, and shares of rows in it; depths are the cost rule's."""
    sources = ("tests/semi2k_order.c", "protocols/semi2k_trees.c")
    program = build("semi2k_order", *sources, kernels=("prg/*.c", "cpu.c", "error.c"))
    for rows, length in SHAPES:
        done = subprocess.run(
            [program, str(rows), str(length)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == max(network(rows)[1])


def test_too_many_rows(runner: Path, tmp_path: Path) -> None:
    script = Script(64, owners=2)
    n = (1 << 20) + 1
    a, d, order = script.reg("s", n), script.reg("s", n), script.reg("c", 1)
    script.code += [f"sfill d={a} imm=7 n={n}", f"cfill d={order} imm=1 n=1"]
    script.start(f"shuffle d={d} a={a} order={order} n={n} len=1")
    path, *options = script.write(tmp_path)
    done = subprocess.run(
        [runner, path, "semi2k", "2", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "shuffles at most 1048576 rows" in done.stderr
