"""`scripts/reproduce.py`: goes on where it was killed, and its page has nothing but its records."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequester.compiler.isa.program import FIELD

from .conftest import ROOT, environment

pytest.importorskip("torch")
sys.path.insert(1, str(ROOT / "scripts"))
from reproduction import cells, clear, tables
from reproduction.secret import compiled, inputs


def start(folder: Path) -> subprocess.Popen[str]:
    words = ["mnist", "--net", "A", "--optim", "sgd", "--protocol", "rep3", "--quick"]
    words += ["--work", str(folder / "work"), "--out", str(folder)]
    script = [sys.executable, str(ROOT / "scripts" / "reproduce.py")]
    return subprocess.Popen([*script, *words], env=environment(), stderr=subprocess.PIPE, text=True)


def test_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    first = start(tmp_path)
    until = time.monotonic() + 200
    while not list(tmp_path.glob("work/*/run-0/party-*/checkpoints/state-*[0-9]")):
        assert first.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    first.kill()
    first.communicate()
    again = start(tmp_path)
    _, words = again.communicate(timeout=300)
    assert again.returncode == 0, words
    (record,) = json.loads((tmp_path / "mnist.json").read_text())
    assert record["done"] and record["epochs"] == len(record["clear"]) == 2
    for secret, twin in zip(record["secret"], record["clear"], strict=True):
        assert secret["epoch"] == twin["epoch"]
        assert abs(secret["loss"] - twin["loss"]) < 0.01
        assert abs(secret["accuracy"] - twin["accuracy"]) < 1
        assert secret["rounds"] > 0 and secret["mb"] > 0
    table = (tmp_path / "mnist.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * 2
    assert (tmp_path / "mnist.png").read_bytes()[:4] == b"\x89PNG"


def train_twin(cell: cells.Cell, work: Path) -> str:
    """The curve of a twin, but for the seconds it took."""
    clear.train(cell, ROOT / "programs" / "data", work, 1, lambda line: None)
    return re.sub(r'"seconds": [0-9.]+', "", (work / "clear.jsonl").read_text())


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The losses of the epochs that a twin was trained."""
    found: list[float] = []
    epoch = clear._epoch

    def counted(*args: Any) -> float:
        found.append(epoch(*args))
        return found[-1]

    monkeypatch.setattr(clear, "_epoch", counted)
    return found


def test_the_twin_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[float]
) -> None:
    """With the same numbers, the moments of Adam and the schedule included."""
    cell = next(c for c in cells.PLANS["mnist"] if c.optimizer == "amsgrad")
    cell = cells.quick(cell)
    undisturbed = train_twin(cell, tmp_path / "a" / "cell")
    save = clear._save

    def stop(*args: Any) -> None:
        save(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(clear, "_save", stop)
    work = tmp_path / "b" / "cell"
    with pytest.raises(KeyboardInterrupt):
        train_twin(cell, work)
    assert (work / "clear.jsonl").read_text().count("\n") == 1
    monkeypatch.setattr(clear, "_save", save)
    begun.clear()
    assert train_twin(cell, work) == undisturbed
    assert len(begun) == 1
    assert not list(work.glob("clear.pt"))


def test_a_twin_is_trained_once_for_all_protocols(tmp_path: Path, begun: list[float]) -> None:
    """And again for other settings, and for other data."""
    first, second, third = (cells.quick(c) for c in cells.PLANS["protocols"][:3])
    curve = train_twin(first, tmp_path / first.name)
    assert len(begun) == 2
    assert train_twin(second, tmp_path / second.name) == curve
    assert len(begun) == 2
    assert (tmp_path / second.name / "clear.json").exists()
    slower = dataclasses.replace(second, lr=0.05)
    assert train_twin(slower, tmp_path / slower.name) != curve
    assert len(begun) == 4
    (tmp_path / third.name).mkdir()
    for name in ("train", "test"):
        drawn = np.load(tmp_path / first.name / f"{name}.npz")
        np.savez(tmp_path / third.name / f"{name}.npz", x=drawn["x"][::-1], y=drawn["y"][::-1])
    assert train_twin(third, tmp_path / third.name) != curve
    assert len(begun) == 6


@pytest.mark.parametrize("protocol", ["rep4", "shamir"])
def test_a_training_is_compiled_for_its_protocol(protocol: str, tmp_path: Path) -> None:
    (cell,) = [cells.quick(c) for c in cells.PLANS["protocols"] if c.protocol == protocol]
    made = compiled(cell, inputs(cell, ROOT / "programs" / "data", tmp_path))
    assert (made.program.meta.domain == FIELD) == (protocol == "shamir")


RESULTS = ROOT / "docs" / "results"
TRAINED = [name for name in sorted(tables.TITLES) if (RESULTS / f"{name}.json").exists()]


@pytest.mark.parametrize("name", TRAINED)
def test_the_page_follows_from_the_records(name: str, tmp_path: Path) -> None:
    """Nothing in a committed table comes from anywhere but a run."""
    page = RESULTS / f"{name}.md"
    text = page.read_text()
    records = json.loads(page.with_suffix(".json").read_text())
    note = text.split("\n\n")[2]
    tables.write(name, records, tmp_path, "" if note.startswith("![") else note)
    for suffix in (".md", ".csv", ".json"):
        made = (tmp_path / name).with_suffix(suffix)
        assert made.read_text() == page.with_suffix(suffix).read_text()
