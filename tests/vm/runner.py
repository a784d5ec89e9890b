"""The C runner (runtime_c/tests/runner.c): all parties of a program in one process.

`python tests/vm/runner.py FLAVOUR` builds it and prints its path. Flavours: `sanitize`
(AddressSanitizer and UBSan), `test` (optimised), `ctime` (for valgrind: shares are undefined),
`chunks` (`test` with the smallest tasks, of which few
may be under way), `toy` (sanitized, with the protocol of
runtime_c/tests/toy.c in place of the real ones, whose tasks wait for each other).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime_c"
ROOMS = (".", "ring", "bits", "prg", "ot", "lattice", "net", "vm", "protocols")
_COMMON = ["-std=gnu11", "-g", "-fno-strict-overflow", "-pthread", "-DSEQ_TEST"]
_COMMON += ["-Wall", "-Wextra", "-Werror"]
_SANITIZE = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
FLAVOURS = {
    "sanitize": _SANITIZE,
    "toy": [*_SANITIZE, "-DMACHINE_SCRATCH=200", "-DMEMORY_IDLE=300"],
    "test": ["-O2"],
    "ctime": ["-O2", "-DSEQ_CTIME"],
    "chunks": [
        "-O2",
        "-DREP3_CHUNK=1",
        "-DMAL_CHUNK=1",
        "-DREP4_CHUNK=1",
        "-DMACHINE_SCRATCH=20000",
        "-DMEMORY_IDLE=400000",
    ],
}


def build(flavour: str) -> Path:
    """The runner of a flavour; compiles what changed since the last call."""
    flags = _COMMON + FLAVOURS[flavour]
    home = ROOT / "build" / "runner" / flavour
    home.mkdir(parents=True, exist_ok=True)
    rooms = [room for room in ROOMS if flavour != "toy" or room != "protocols"]
    sources = [f for room in rooms for f in sorted((RUNTIME / room).glob("*.c"))]
    sources += [RUNTIME / "tests" / f"{name}.c" for name in ("runner", "tamper", "masks")]
    sources += [RUNTIME / "tests" / "toy.c"] if flavour == "toy" else []
    headers = max(f.stat().st_mtime for f in RUNTIME.rglob("*.h"))
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        objects = [home / (str(f.relative_to(RUNTIME)).replace("/", "_") + ".o") for f in sources]

        def compile_one(source: Path, out: Path) -> None:
            if not out.exists() or out.stat().st_mtime < max(source.stat().st_mtime, headers):
                subprocess.run(["gcc", *flags, "-c", str(source), "-o", str(out)], check=True)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(compile_one, sources, objects))
        target = home / "runner"
        newest = max(o.stat().st_mtime for o in objects)
        if not target.exists() or target.stat().st_mtime < newest:
            link = [
                "gcc",
                *flags,
                *map(str, objects),
                "-lssl",
                "-lcrypto",
                "-lm",
                "-o",
                str(target),
            ]
            subprocess.run(link, check=True)
    return target


@dataclass
class Result:
    """What a run of the runner said. `outputs`: (output, party) -> words."""

    status: int
    stderr: str
    outputs: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    prints: dict[int, list[str]] = field(default_factory=dict)
    totals: dict[int, dict[str, int]] = field(default_factory=dict)
    traces: dict[int, str] = field(default_factory=dict)
    frames: dict[tuple[int, int], int] = field(default_factory=dict)  # sent, from and to


def _parse(result: Result, line: str) -> None:
    if m := re.fullmatch(r"output (\d+) party (\d+):(.*)", line):
        result.outputs[int(m[1]), int(m[2])] = [int(w) for w in m[3].split()]
    elif m := re.fullmatch(r"print (\d+): (.*)", line):
        result.prints.setdefault(int(m[1]), []).append(m[2])
    elif m := re.fullmatch(r"trace (\d+): (\w+)", line):
        result.traces[int(m[1])] = m[2]
    elif m := re.fullmatch(r"frames (\d+) (\d+) (\d+)", line):
        result.frames[int(m[1]), int(m[2])] = int(m[3])
    elif m := re.fullmatch(r"total (\d+): (.*)", line):
        words = m[2].split()
        result.totals[int(m[1])] = dict(zip(words[::2], map(int, words[1::2]), strict=True))


def run(
    runner: Path,
    program: Path,
    protocol: str = "emulate",
    parties: int = 1,
    *options: str,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> Result:
    """Run a file. Fails the test if a sanitizer or a signal ended the runner."""
    done = subprocess.run(
        [runner, program, protocol, str(parties), *options],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )
    assert 0 <= done.returncode <= 8 and "Sanitizer" not in done.stderr, done.stderr
    result = Result(done.returncode, done.stderr)
    for line in done.stdout.splitlines():
        _parse(result, line)
    return result


def load(runner: Path, files: Sequence[Path]) -> list[str]:
    """What the loader says of each file: "accepted", or why it is refused."""
    done = subprocess.run(
        [runner, "--load", *map(str, files)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(files)
    return lines


def rehash(data: bytes) -> bytes:
    """The file with the hash that its content has: so that corruption gets past that check."""
    if len(data) < 64:
        return data
    blank = data[:32] + bytes(32) + data[64:]
    return data[:32] + hashlib.sha256(blank).digest() + data[64:]


if __name__ == "__main__":
    print(build(sys.argv[1]))
