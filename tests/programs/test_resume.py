"""Runs that are killed, spoilt or refused space, and go on: the whole road over real sockets."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import time
from pathlib import Path
from types import ModuleType

import pytest

from sequester.vm import checkpoint, record
from sequester.vm.errors import ConfigError

from ..vm.wire import free_ports
from .conftest import ROOT, Sequester, command, environment

EPOCHS = 30


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "kill_and_resume", ROOT / "scripts" / "kill_and_resume.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kill_and_resume = _script()


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training and its run `killed`, which has a few checkpoints."""
    folder = tmp_path_factory.mktemp("training")
    training = kill_and_resume.Training(folder, EPOCHS, 2, True)
    kill_and_resume.stopped(training, folder / "killed", 4)
    return folder


@pytest.fixture
def run(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted run."""
    shutil.copytree(interrupted / "killed", tmp_path / "run")
    return tmp_path / "run"


def test_two_kills_leave_the_weights_of_an_undisturbed_run(tmp_path: Path) -> None:
    found = kill_and_resume.compare(tmp_path / "runs", 2, EPOCHS, 3, True, 4)
    assert found == []


def test_a_dealer_goes_on(tmp_path: Path) -> None:
    """Its part of the masks, and the secret bits that the program draws, are those from before."""
    found = kill_and_resume.compare(tmp_path / "runs", 1, 3, 2, True, 4, protocol="dealer")
    assert found == []


def test_a_resumed_run_leaves_what_a_run_leaves(run: Path, sequester: Sequester) -> None:
    held = kill_and_resume.checkpoints(run)
    for name in ("printed.txt", "metrics.csv"):  # as if killed before any line arrived there
        (run / name).unlink(missing_ok=True)
    done = sequester("run", "--resume", run)
    info = json.loads((run / "run.json").read_text())
    assert info["status"] == "finished" and len(info["resumed"]) == 1
    assert min(held) > 0 and not list(run.glob("party-*/checkpoint*")), "secrets are gone"
    lines = (run / "printed.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == [f"epoch {i}" for i in range(EPOCHS)]
    printed = [line for line in done.stdout.splitlines() if line.startswith("epoch")]
    assert printed == lines[len(lines) - len(printed) :]
    table = (run / "metrics.csv").read_text().splitlines()
    assert table[0] == "epoch,mean loss" and len(table) == EPOCHS + 1
    assert (run / "curves.png").read_bytes()[:4] == b"\x89PNG"
    counters = json.loads((run / "party-0" / "counters.json").read_text())
    code = json.loads(sequester("report", run, "--json").stdout)
    assert code["measured"]["rounds"] == code["predicted"]["rounds"], "of both parts together"
    assert max(counters["executed"]) == EPOCHS * 8
    sequester("run", "--resume", run, code=5)


def test_a_full_disk_ends_the_run_and_spoils_nothing(run: Path, sequester: Sequester) -> None:
    for half in run.glob("party-*/checkpoints/*.new"):
        half.unlink()  # the party was stopped while it wrote
    before = {p.name: p.read_bytes() for p in run.glob("party-*/checkpoints/*")}
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 16; exec "$@"', "bash", *command("run", "--resume", run)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert f"sequester run --resume {run}" in done.stderr
    after = {p.name: p.read_bytes() for p in run.glob("party-*/checkpoints/*")}
    assert after == before, "no half files, nothing removed"
    sequester("run", "--resume", run)


def test_one_party_lacks_the_last_checkpoint(run: Path, sequester: Sequester) -> None:
    folder = run / "party-1" / "checkpoints"
    numbers = sorted(int(p.name[6:]) for p in folder.glob("state-*[0-9]"))
    assert len(numbers) >= 2
    (folder / f"state-{numbers[-1]}").unlink()
    sequester("run", "--resume", run)


def test_files_of_another_party(run: Path, sequester: Sequester) -> None:
    one, two = (run / f"party-{i}" / "checkpoints" for i in (1, 2))
    last = max((p.name for p in one.glob("state-*[0-9]")), key=lambda name: int(name[6:]))
    shutil.copy(one / last, two / last)
    shutil.copy(run / "party-1" / "checkpoint.key", run / "party-2" / "checkpoint.key")
    done = sequester("run", "--resume", run, code=5)
    assert "party 2" in done.stderr and "belongs to another party" in done.stderr
    assert not done.stdout


def test_another_program_in_the_folder(run: Path, interrupted: Path, sequester: Sequester) -> None:
    other = kill_and_resume.Training(run.parent, EPOCHS + 1, 2, True)
    shutil.copy(other.program, run / "program.sqb")
    assert "its hash is" in sequester("run", "--resume", run, code=4).stderr


def test_what_cannot_be_resumed(run: Path, tmp_path: Path, sequester: Sequester) -> None:
    assert "not the folder" in sequester("run", "--resume", tmp_path, code=5).stderr
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"checkpoint_every": 0}))
    assert "--checkpoint-every" in sequester("run", "--resume", run, code=5).stderr
    (run / "run.json").write_text(json.dumps(info | {"status": "finished"}))
    for party in range(3):
        shutil.rmtree(run / f"party-{party}" / "checkpoints")
    assert "has finished" in sequester("run", "--resume", run, code=5).stderr


def test_options_that_a_resumed_run_has_already(run: Path, sequester: Sequester) -> None:
    for words in (("--seed", "3"), ("--protocol", "rep3"), ("--plain",), ("--out", "x"), ("p.py",)):
        assert "leave" in sequester("run", "--resume", run, *words, code=2).stderr


def test_a_lost_or_open_key(run: Path, sequester: Sequester) -> None:
    key = run / "party-0" / "checkpoint.key"
    key.chmod(0o644)
    assert "chmod 600" in sequester("run", "--resume", run, code=5).stderr
    key.unlink()
    assert "checkpoint.key" in sequester("run", "--resume", run, code=5).stderr
    assert not key.exists(), "a new key would open nothing"


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    made = checkpoint.key(path, make=True)
    assert len(made) == 32 and path.stat().st_mode & 0o777 == 0o600
    assert checkpoint.key(path, make=True) == made == checkpoint.key(path, make=False)
    for text in ("", "abc", "zz" * 32, "00" * 31):
        path.write_text(text)
        with pytest.raises(ConfigError, match="64 hexadecimal"):
            checkpoint.key(path, make=False)


def test_parties_on_hosts_of_their_own(interrupted: Path, tmp_path: Path) -> None:
    """`sequester party --resume`, each with its own folder, key beside its certificate."""
    keys = tmp_path / "keys"
    subprocess.run(command("keys", "--parties", "3", "--dest", keys), check=True, env=environment())
    ports = free_ports(3)
    hosts = "".join(f'[[party]]\nhost = "127.0.0.1"\nport = {p}\n' for p in ports)
    config = tmp_path / "parties.toml"
    config.write_text(
        'protocol = "rep3"\nseed = 3\nca = "keys/ca.pem"\ncert = "keys/party-{i}.pem"\n'
        'key = "keys/party-{i}.key"\n' + hosts
    )
    inputs = {0: "x", 1: "y", 2: "late"}

    def start(resumed: bool) -> list[subprocess.Popen[str]]:
        found = []
        for i, name in inputs.items():
            words: list[object] = ["party", "--id", i, "--config", config]
            if resumed:
                words += ["--resume", tmp_path / f"out-{i}"]
            else:
                file = interrupted / f"{name}.npy"
                words += [interrupted / "train.sqb", "--input", f"{i}:{name}={file}"]
                words += ["--out", tmp_path / f"out-{i}", "--checkpoint-every", "2"]
                words += ["--run-id", "a name"]
            found.append(
                subprocess.Popen(
                    command(*words), env=environment(), text=True, stderr=subprocess.PIPE
                )
            )
        return found

    first = start(False)
    folders = [tmp_path / f"out-{i}" / f"party-{i}" / "checkpoints" for i in range(3)]
    until = time.monotonic() + 60
    while not all(list(f.glob("state-*[0-9]")) for f in folders):
        assert time.monotonic() < until and all(p.poll() is None for p in first)
        time.sleep(0.02)
    first[1].kill()
    for process in first:
        process.communicate(timeout=60)
    assert [p.returncode for p in first] == [6, -9, 6]
    again = start(True)
    for process in again:
        _, words = process.communicate(timeout=100)
        assert process.returncode == 0, words
    assert (keys / "party-1.checkpoint.key").stat().st_mode & 0o777 == 0o600
    outputs = [tmp_path / f"out-{i}" / f"party-{i}" / "outputs.npz" for i in range(3)]
    wanted = [path.read_bytes() for path in outputs]
    outputs[2].unlink()  # as if it had died before it wrote them
    for process in start(True):
        _, words = process.communicate(timeout=100)
        assert process.returncode == 0, words
    assert [path.read_bytes() for path in outputs] == wanted


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("epoch 3: mean loss 0.0412, test accuracy 98.91 %",
         {"epoch": 3, "mean loss": 0.0412, "test accuracy": 98.91}),
        ("step 10: loss -1.5e-3", {"step": 10, "loss": -0.0015}),
        ("epoch 3: mean loss 0.0412, all is well", None),
        ("test accuracy 95.00 %", {"test accuracy": 95}),
        ("loss 0.5, mean squared error 2", {"loss": 0.5, "mean squared error": 2}),
        ("epoch 3 mean loss 0.1", None),
        ("party 1 is the richest", None),
        ("[1 2 3]", None),
    ],
)  # fmt: skip
def test_numbers_in_a_printed_line(line: str, row: dict[str, float] | None) -> None:
    assert record.parse(line) == row


def test_a_resumed_record_has_the_lines_before_the_checkpoint_and_those_after(
    tmp_path: Path,
) -> None:
    def take(before: list[str], lines: list[str]) -> None:
        kept = record.Record(tmp_path)
        kept.on_event({"event": "progress", "phase": 1})
        kept.on_event({"event": "printed", "lines": before})
        for line in lines:
            kept.on_event({"event": "print", "line": line})
        kept.close()

    lines = ["hello", "epoch 0: loss 3.5", "epoch 1: loss 2.5"]  # of which one never arrived
    take([], [*lines[:2], "epoch 2: loss 9.0"])
    take(lines, ["epoch 2: loss 2.0, accuracy 50.0 %"])
    printed = (tmp_path / "printed.txt").read_text().splitlines()
    assert printed[2:] == ["epoch 1: loss 2.5", "epoch 2: loss 2.0, accuracy 50.0 %"]
    table = (tmp_path / "metrics.csv").read_text().splitlines()
    assert table == ["epoch,loss,accuracy", "0,3.5,", "1,2.5,", "2,2,50"]


def test_batches_of_an_epoch_are_spread_over_it() -> None:
    rows = [{"epoch": 0.0, "loss": 3.0}, {"epoch": 0.0, "loss": 2.0}, {"epoch": 1.0, "loss": 1.0}]
    last = {"print": 1.0, "accuracy": 90.0}
    assert record.curves([*rows, last]) == {("loss", "epoch"): ([0.0, 0.5, 1.0], [3.0, 2.0, 1.0])}
    assert record.curves([last]) == {("accuracy", "print"): ([1.0], [90.0])}


def test_lines_that_say_no_place_are_counted(tmp_path: Path) -> None:
    kept = record.Record(tmp_path)
    kept.on_event({"event": "printed", "lines": []})
    for line in ["loss 0.5", "hello", "loss 0.25", "accuracy 90 %"]:
        kept.on_event({"event": "print", "line": line})
    kept.close()
    table = (tmp_path / "metrics.csv").read_text().splitlines()
    assert table == ["print,loss,accuracy", "1,0.5,", "2,0.25,", "1,,90"]
    assert (tmp_path / "curves.png").stat().st_size > 1000
