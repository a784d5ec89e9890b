"""Material made before a run, at the C side: marks that all parties have heard of come first."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from .machine import PREPARE, Script
from .test_dealer import runner

__all__ = ["runner"]  # a fixture

GREETINGS = 3  # messages of the handshake from one party to another
SAYING = 32  # bytes of what is said of material
PEER, CONFIG = 3, 4  # of runtime_c/error.h


@pytest.fixture(params=[2, 3])
def parties(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def command(parties: int, runner: Path, tmp_path: Path) -> list[str]:
    """A run of products of what party 0 brings, with material made for it."""
    s = Script(64, owners=1)
    x = s.secret(np.arange(100, dtype=object))
    d = s.reg("s", 100)
    s.start(f"mul d={d} a={x} b={x} n=100 m=0 mode=0")
    s.output(d, 100)
    s.run(runner, tmp_path, "semi2k", parties, PREPARE)
    program, *options = s.write(tmp_path)
    return [str(runner), program, "semi2k", str(parties), *options, "--material", str(tmp_path)]


def execute(command: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=120, check=False
    )


def sent(done: subprocess.CompletedProcess[str], sender: int) -> list[bytes]:
    """Messages of a party to the one that --view names, behind the greetings."""
    found = re.findall(rf"^view {sender}: (.*)$", done.stdout, re.M)
    return [bytes.fromhex(text) for text in found[GREETINGS:]]


def statuses(done: subprocess.CompletedProcess[str]) -> list[int]:
    return [int(s) for s in re.findall(r"^status \d+ (\d+)$", done.stdout, re.M)]


def test_what_is_said_before_inputs_leave(command: list[str], tmp_path: Path) -> None:
    name = (tmp_path / "id").read_bytes()
    for i in range(2):
        (tmp_path / f"party-{i}" / "material.key").write_text("secret\n")
    done = execute(command, "--view", "1")
    assert done.returncode == 0, done.stderr
    messages = sent(done, 0)
    assert messages[0] == b"verified".ljust(16, b"\0") + name
    assert messages[1] == b"marked as used".ljust(16, b"\0") + name
    assert len(messages) > 2 and any(len(m) == 800 for m in messages[2:])  # the masked input
    for folder in tmp_path.glob("party-*"):
        assert [path.name for path in folder.iterdir()] == ["material.used"]


def test_one_mark_is_enough(
    command: list[str], parties: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All folders but the last party's are brought back from a copy."""
    copy = tmp_path_factory.mktemp("copy") / "all"
    shutil.copytree(tmp_path, copy)
    assert execute(command).returncode == 0
    for i in range(parties - 1):
        shutil.rmtree(tmp_path / f"party-{i}")
        shutil.copytree(copy / f"party-{i}", tmp_path / f"party-{i}")
    last = parties - 1
    done = execute(command, "--view", str(last))
    assert done.returncode == CONFIG and statuses(done) == [PEER] * last + [CONFIG]
    assert f"party-{last}/material.used is there: this material was used" in done.stderr
    assert f"party {last} gave up" in done.stderr, done.stderr
    assert all(m.startswith(b"verified") for m in sent(done, 0))
    assert not (tmp_path / "party-0" / "material.used").exists()


@pytest.mark.parametrize(("said", "what"), [(0, "verified"), (1, "marked as used")])
@pytest.mark.parametrize("action", ["flip:200", "noise:1", "replay:1", "drop"])
def test_who_does_not_say_so_is_named(
    action: str, said: int, what: str, command: list[str], tmp_path: Path
) -> None:
    rule = f"0:1:{GREETINGS + said}:{action}"
    done = execute(command, "--tamper", rule, "--view", "0", "--connect", "2")
    assert statuses(done)[1] == PEER
    if action == "drop":  # who is awaited may be tired of waiting first
        assert "did not finish the handshake in time" in done.stderr
    else:
        message = f"party 1: party 0 does not say that its material, the same as here, is {what}"
        assert message in done.stderr
    messages = sent(done, 1)
    assert len(messages) == said + 1 and {len(m) for m in messages} == {SAYING}
    assert (tmp_path / "party-1" / "material.used").exists() == (said == 1)


def test_another_file_is_no_material(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "party-1" / "material"
    path.write_bytes(b"PK" + path.read_bytes()[2:])
    done = execute(command)
    assert done.returncode == CONFIG and f"{path}: is not material" in done.stderr
    assert not (tmp_path / "party-0" / "material.used").exists()
