"""The tests of rep3 in C: built once a session, with the kernels, from runtime_c."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"
FLAGS = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
KERNELS = ("ring/*.c", "bits/*.c", "prg/*.c", "cpu.c", "par.c", "error.c")

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """build(name, *patterns, defines=(), kernels=...): an executable from sources in runtime_c."""
    folder = tmp_path_factory.mktemp("rep3")

    def run(
        name: str,
        *patterns: str,
        defines: tuple[str, ...] = (),
        kernels: tuple[str, ...] = KERNELS,
    ) -> Path:
        out = folder / name
        sources = [str(f) for p in (*patterns, *kernels) for f in sorted(RUNTIME.glob(p))]
        command = ["gcc", *FLAGS, *(f"-D{d}" for d in defines), *sources, "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return out

    return run
