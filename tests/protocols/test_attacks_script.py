"""scripts/attacks.py: what is saved, and runs that go on from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..vm.runner import build

ROOT = Path(__file__).parents[2]
COUNT, FIRST = 8, 3


def attack(folder: Path, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "attacks.py"), "--protocol", "rep3"]
    command += ["--workers", "2", "--out", str(folder), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == code, done.stderr
    return done


def table(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "attacks-rep3-64.json").read_text())
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The table of one run of all attacks."""
    build("test")
    folder = tmp_path_factory.mktemp("attacks")
    said = attack(folder, "--count", COUNT, "--save").stdout
    assert json.loads(said) == table(folder)
    return table(folder)


def test_a_run_that_goes_on_makes_the_same_attacks(whole: dict[str, Any], tmp_path: Path) -> None:
    assert whole["attacks"] == COUNT == sum(whole["outcomes"].values())
    folder = tmp_path / "parts" / "of it"
    attack(folder, "--count", FIRST, "--save")
    assert table(folder)["attacks"] == FIRST
    for _ in range(2):  # then nothing is left to do
        assert json.loads(attack(folder, "--count", COUNT, "--resume").stdout) == table(folder)
        assert table(folder) == whole
    assert not list(folder.glob("*.new"))


@pytest.mark.parametrize(
    ("key", "value"), [("commit", "0123456789ab"), ("seed", 2), ("parties", 4), ("ring_bits", 128)]
)
def test_a_file_of_another_run_is_refused(
    key: str, value: object, whole: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "attacks-rep3-64.json"
    kept = json.dumps(whole | {key: value})
    path.write_text(kept)
    said = attack(tmp_path, "--count", COUNT + 1, "--resume", code=2).stderr
    assert f"has the {key} {value}" in said
    assert path.read_text() == kept


def test_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert "there is no attacks-rep3-64.json" in attack(tmp_path, "--resume", code=2).stderr
