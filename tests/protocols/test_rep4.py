"""rep4's check: what a cheater learns from it, and what belongs to which."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path

import numpy as np

from ..vm.runner import build
from .machine import Script

N = 256  # a block for each quarter; in quarter q party 2 plays role 2 - q
CHEATER = 2
WORD = 1 << 128


def view(folder: Path, y: int, seed: int) -> tuple[list[tuple[int, str]], str]:
    """Frames that party 2 is sent while z = x w, u = z y is opened, and what all parties say.

    It adds 2^63 to its own message of z in quarter 0, to party 0, of which party 1 is the verifier.
    Then whether party 0's message of u is right depends on the lowest bit of the share of y that
    party 2 lacks, and with party 3 as y's owner this bit is y's, but for masks of the seed.
    """
    s = Script(64)
    x, w = (s.secret(np.full(N, v, dtype=object)) for v in (3, 5))
    s.heads.append(f'.input party=3 name="x" f=0 shape=[{N}]')
    s.inputs.append(np.full(N, y, dtype=object))
    right = s.reg("s", N)
    s.start(f"input d={right} in=2 n={N}")
    z, u = s.reg("s", N), s.reg("s", N)
    s.start(f"mul d={z} a={x} b={w} n={N} m=0 mode=0")
    s.start(f"mul d={u} a={z} b={right} n={N} m=0 mode=0")
    s.output(u, N, to="all")
    path, *options = s.write(folder)
    command = [str(build("test")), path, "rep4", "4", *options, "--seed", f"{seed:032x}"]
    # the first cross term that party 2 makes, as role 2, is the one that it sends to party 0
    command += ["--cheat", f"{CHEATER}:product:0:5:{1 << 63}", "--view", str(CHEATER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 7, done.stderr
    frames = [(int(p), data) for p, data in re.findall(r"^view (\d+): (\w*)$", done.stdout, re.M)]
    return frames, done.stderr


def test_what_starts_during_a_check_belongs_to_the_next(tmp_path: Path) -> None:
    s = Script(64)
    x = s.secret(np.arange(N, dtype=object))
    d, e = s.reg("s", N), s.reg("s", N)
    s.output(x, N)
    s.code[-1] = f"mul h=1 d={d} a={x} b={x} n={N} m=0 mode=0"  # in place of the join
    s.code += ["join h=1", f"mul h=1 d={e} a={d} b={x} n={N} m=0 mode=0", "join h=0", "join h=1"]
    s.output(e, N)
    s.handles = 2
    result = s.run(build("test"), tmp_path, "rep4")
    assert (result.outputs[1] == np.arange(N, dtype=object) ** 3).all()


def relations(frames: list[tuple[int, str]]) -> set[tuple[int, ...]]:
    """Sums with signs of the words of a check, one from each other party, that are zero."""
    words = [int.from_bytes(bytes.fromhex(data), "little") for _, data in frames if len(data) == 32]
    signs = itertools.product((-1, 0, 1), repeat=len(words))
    return {s for s in signs if any(s) and sum(map(int.__mul__, s, words)) % WORD == 0}


def test_the_check_tells_a_cheater_nothing(tmp_path: Path) -> None:
    """Whether two honest parties agree depends on a secret: party 2 must not see it."""
    seen = set()
    for seed in range(4):
        for y in (6, 7):
            frames, said = view(tmp_path, y, seed)
            shape = tuple(sorted((p, len(data)) for p, data in frames))
            assert sum(size == 32 for _, size in shape) == 3, "the check's words, and none after"
            assert not relations(frames)
            causes = set(re.findall(r"cheating detected: [^\[\n]*", said))
            assert len(causes) == 1, "parties say the same, whatever it was that differed"
            seen.add((shape, *causes))
    assert len(seen) == 1
