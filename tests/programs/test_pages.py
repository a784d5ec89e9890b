"""The commands that pages show: run as written, and every line they promise looked for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, environment

PAGES = ["docs/journey.md", "docs/debugging.md", "docs/data.md", "docs/from_pytorch.md"]
BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path) -> None:
    if page == "docs/from_pytorch.md":
        pytest.importorskip("torch")
    shutil.copytree(ROOT / "programs", tmp_path / "programs", ignore=shutil.ignore_patterns("data"))
    sequester = f'sequester() {{ "{sys.executable}" -m sequester "$@"; }}\nset -e\n'
    sequester += f'python() {{ "{sys.executable}" "$@"; }}\n'
    said, of = "", ""
    blocks = BLOCK.findall((ROOT / page).read_text())
    assert blocks
    for kind, text in blocks:
        if kind == "sh":
            done = subprocess.run(
                ["bash", "-c", sequester + text],
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
            )
            said = words(done.stdout)
            assert done.returncode == 0, f"{text}\n{done.stdout}"
        elif kind == "text" and of == "sh":
            for line in text.splitlines():
                assert words(line) in said, f"{line!r} is not in: {said}"
        of = of if kind == "text" else kind
