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

from .runner import ROOT, build, run

PROGRAM = ROOT / "tests" / "vm" / "every.asm"


def test_program_has_every_instruction_on_shares() -> None:
    used = set(re.findall(r"^ +(\w+)", PROGRAM.read_text(), re.M))
    wanted = {i.name for i in INSTRUCTIONS if i.group in ("share", "bit", "interactive")}
    assert wanted <= used


def test_program_runs_under_sanitizers(tmp_path: Path) -> None:
    path = tmp_path / "every.sqb"
    path.write_bytes(encode(assemble(PROGRAM.read_text())))
    for protocol, parties in (("emulate", 1), ("rep3", 3)):
        result = run(build("sanitize"), path, protocol, parties)
        assert result.status == 0, result.stderr
    assert {key for key in result.outputs if key[0] > 0} == {(1, 1), (2, 2)}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_constant_time() -> None:
    done = subprocess.run(
        ["sh", "scripts/ctime.sh"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
