"""Helpers for tests that run whole programs through the command line, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Sequester = Callable[..., subprocess.CompletedProcess[str]]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "sequester", *map(str, words)]


@pytest.fixture
def sequester(tmp_path: Path) -> Sequester:
    """`sequester(*words, code=0)`: run the command in a folder of its own, check its exit code."""

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*words),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
