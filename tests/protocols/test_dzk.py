"""The arithmetic of rep3-mal's proofs: all kernels make the same of the same arrays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .conftest import Build

PROOFS = ("ring", "gf", "gr")


@pytest.fixture(scope="module")
def program(build: Build) -> Path:
    return build("dzk_test", "tests/dzk_test.c", *(f"protocols/dzk_{name}.c" for name in PROOFS))


def _output(program: Path, kernels: str) -> str:
    env = {**os.environ, "SEQUESTER_KERNELS": kernels}
    done = subprocess.run([str(program)], env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_all_kernels_agree(program: Path) -> None:
    """Halves, products, rows and weights, with those the CPU is best at and those of plain C."""
    found = _output(program, "portable")
    assert len(found.splitlines()) > 100
    assert _output(program, "") == found
