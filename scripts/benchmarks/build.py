"""What has to be compiled for a benchmark, kept in build/bench until a source is newer."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RUNTIME = ROOT / "runtime_c"
FLAGS = ("-std=gnu11", "-O3", "-fno-strict-overflow", "-pthread")  # those of the runtime
KERNELS = ("ring/*.c", "bits/*.c", "prg/*.c", "cpu.c", "par.c", "error.c")


def executable(name: str, sources: Iterable[Path], patterns: Iterable[str], *words: str) -> Path:
    """An executable of `sources` and of the files of runtime_c that match `patterns`; or, with
    `words` for gcc that say so, a library."""
    out = ROOT / "build" / "bench" / name
    files = [*sources, *(f for p in patterns for f in sorted(RUNTIME.glob(p)))]
    everything = [*RUNTIME.rglob("*.[ch]"), *HERE.glob("*.c")]
    if not out.exists() or out.stat().st_mtime < max(f.stat().st_mtime for f in everything):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            made = Path(folder) / name
            subprocess.run(["gcc", *FLAGS, "-o", str(made), *map(str, files), *words], check=True)
            made.replace(out)
    return out
