"""Constant time: scripts/ctime.sh, and that its program has every instruction on shares."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode
from sequester.compiler.isa.table import INSTRUCTIONS

from ..protocols.machine import FIELD, PARTIES, RINGS, WIDE
from .runner import ROOT, build, run

PROTOCOLS = (
    *("rep3", "rep3-mal", "rep4", "shamir", "shamir-mal"),
    *("dealer", "semi2k", "spdz2k-dealt"),
)
PROGRAM = ROOT / "tests" / "vm" / "every.asm"
SETTINGS = [
    ("emulate", 1, 64),
    *((p, PARTIES[p][0], ring) for p in PROTOCOLS for ring in RINGS[p]),
    ("semi2k", 3, 64),  # other machines than for two
]


def test_program_has_every_instruction_on_shares() -> None:
    used = set(re.findall(r"^ +(\w+)", PROGRAM.read_text(), re.M))
    wanted = {i.name for i in INSTRUCTIONS if i.group in ("share", "bit", "interactive")}
    assert wanted <= used


@pytest.mark.parametrize(("protocol", "parties", "ring"), SETTINGS)
def test_program_runs_under_sanitizers(
    protocol: str, parties: int, ring: int, tmp_path: Path
) -> None:
    text = PROGRAM.read_text()
    if ring == FIELD:
        text = text.replace("domain=0", "domain=1")
    elif ring == WIDE:
        text = text.replace("domain=0", "domain=2")
    else:
        text = text.replace("ring_bits=64 k=31", f"ring_bits={ring} k={ring // 2 - 1}")
    if parties == 2:
        text = text.replace("party=2", "party=1")
    path = tmp_path / "every.sqb"
    path.write_bytes(encode(assemble(text)))
    result = run(build("sanitize"), path, protocol, parties)
    assert result.status == 0, result.stderr
    assert {key for key in result.outputs if key[0] > 0} == (
        {(1, 1), (2, min(parties, 3) - 1)} if parties > 1 else {(1, 0), (2, 0)}
    )


def test_the_script_checks_every_protocol() -> None:
    text = (ROOT / "scripts" / "ctime.sh").read_text()
    found = {(p, int(n), int(r)) for r, p, n in re.findall(r"(\d+),([\w-]+),(\d+)", text)}
    assert found == set(SETTINGS[1:])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_constant_time() -> None:
    done = subprocess.run(
        ["sh", "scripts/ctime.sh"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
