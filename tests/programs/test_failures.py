"""What the others see when a party dies, stalls, babbles, or is not who it should be.

Each run must end in time, with a non-zero exit and one line naming the party, and leave no process.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from sequester import source
from sequester.vm import certs

from .conftest import command, environment

LONG = """\
from sequester import Party, loop, output, program, state

@program
def long(steps: int = 1000000000):
    x = Party(0).input("x")
    w = state(x)
    for i in loop(steps):
        w.set(w @ x)
    output("w", w)
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with x.npy, and the program compiled for a very long run, 3 steps and 4."""
    folder = tmp_path_factory.mktemp("compiled")
    np.save(folder / "x.npy", np.eye(16) * 0.5)
    (folder / "long.py").write_text(LONG)
    inputs = (f"0:x={folder / 'x.npy'}",)
    for name, steps in (("long", 10**9), ("short", 3), ("other", 4)):
        flags = source.Flags(("--steps", str(steps)), inputs)
        result = source.compile_file(folder / "long.py", flags, "rep3")
        (folder / f"{name}.sqb").write_bytes(result.data)
    return folder


@pytest.fixture
def folder(tmp_path: Path, compiled: Path) -> Path:
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    return tmp_path


def start(folder: Path, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*words),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(process: subprocess.Popen[str], seconds: float) -> str:
    """What it said on standard error; it must end within `seconds`."""
    try:
        return process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        pytest.fail(f"did not end within {seconds} s")


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, oldest first."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append((int(fields[19]), int(entry.parent.name)))
    return [child for _, child in sorted(found)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def all_gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.05)
    return False


class Running:
    """A long run of three parties that has begun to compute."""

    def __init__(self, folder: Path, *options: object) -> None:
        words = ("run", "long.sqb", "--protocol", "rep3", "--input", "0:x=x.npy", "--out", "r")
        self.process = start(folder, *words, *options)
        deadline = time.monotonic() + 40
        while len(children(self.process.pid)) < 3 or not self.connected():
            assert self.process.poll() is None, finish(self.process, 5)
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        self.parties = children(self.process.pid)

    def connected(self) -> bool:
        """Every party has its threads: it runs."""
        pids = children(self.process.pid)
        return all(len(list(Path(f"/proc/{p}/task").glob("*"))) > 3 for p in pids)


@pytest.fixture
def running(folder: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    run = Running(folder, *getattr(request, "param", ()))
    yield run
    for pid in [*run.parties, run.process.pid]:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    run.process.communicate()


def test_a_killed_party(running: Running) -> None:
    os.kill(running.parties[1], signal.SIGKILL)
    said = finish(running.process, 15)
    assert running.process.returncode == 6
    assert said.strip().splitlines()[-1] == ("sequester: party 1: its process was killed (SIGKILL)")
    assert all_gone(running.parties, 3)


@pytest.mark.parametrize("running", [("--timeout", 2)], indirect=True)
def test_a_stalled_party(running: Running) -> None:
    os.kill(running.parties[1], signal.SIGSTOP)
    begin = time.monotonic()
    said = finish(running.process, 20)
    assert time.monotonic() - begin > 1.5
    assert running.process.returncode == 6
    assert "party 1" in said.strip().splitlines()[-1]
    assert all_gone(running.parties, 3)


def test_a_killed_parent_leaves_no_orphans(running: Running) -> None:
    running.process.kill()
    running.process.wait()
    assert all_gone(running.parties, 3)


def test_ctrl_c(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    said = finish(running.process, 15)
    assert (running.process.returncode, said.strip().splitlines()[-1]) == (
        130,
        "sequester: stopped",
    )
    assert all_gone(running.parties, 3)


# ---- parties of their own ----


def free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def configure(folder: Path, extra: str = "") -> list[int]:
    """parties.toml for three parties with certificates in keys/; their ports."""
    ports = free_ports(3)
    rows = "".join(f'[[party]]\nhost = "127.0.0.1"\nport = {p}\n' for p in ports)
    (folder / "parties.toml").write_text(
        'protocol = "rep3"\ntimeout = 3\nconnect_timeout = 4\n'
        'ca = "keys/ca.pem"\ncert = "keys/party-{i}.pem"\nkey = "keys/party-{i}.key"\n'
        f"{extra}\n{rows}"
    )
    if not (folder / "keys").exists():
        certs.create(folder / "keys", 3)
    return ports


def party(
    folder: Path, me: int, program: str = "short.sqb", *more: object
) -> subprocess.Popen[str]:
    inputs = ("--input", "0:x=x.npy") if me == 0 else ()
    config = ("--id", me, "--config", "parties.toml", "--out", f"out{me}")
    return start(folder, "party", *config, program, *inputs, *more)


def test_three_parties(folder: Path) -> None:
    configure(folder)
    parties = [party(folder, i) for i in range(3)]
    for i, process in enumerate(parties):
        said = finish(process, 20)
        assert process.returncode == 0, said
        outputs = np.load(folder / f"out{i}/party-{i}/outputs.npz")
        np.testing.assert_allclose(outputs["w"], np.eye(16) * 0.5**4, atol=1e-3)


def test_a_missing_party(folder: Path) -> None:
    configure(folder)
    parties = [party(folder, i) for i in (0, 2)]
    for process in parties:
        said = finish(process, 20)
        assert process.returncode == 6
        assert "party 1" in said.strip().splitlines()[-1]


def babble(port: int, ports: list[int], stop: threading.Event) -> None:
    """Send noise to whoever connects, and connect to send noise."""
    rng = random.Random(1)
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0.1)
        while not stop.is_set():
            connections = []
            with contextlib.suppress(TimeoutError):
                connections.append(listener.accept()[0])
            for other in ports:
                with contextlib.suppress(OSError):
                    connections.append(socket.create_connection(("127.0.0.1", other), 0.1))
            for connection in connections:
                with connection, contextlib.suppress(OSError):
                    connection.sendall(rng.randbytes(500))


@pytest.mark.parametrize("channel", [(), ("--plain",)])
def test_a_babbling_party(folder: Path, channel: tuple[str, ...]) -> None:
    ports = configure(folder)
    stop = threading.Event()
    noise = threading.Thread(target=babble, args=(ports[1], [ports[0], ports[2]], stop))
    noise.start()
    try:
        for process in [party(folder, i, "short.sqb", *channel) for i in (0, 2)]:
            said = finish(process, 20)
            assert process.returncode in (5, 6), said  # 5: no TLS, as when it is not set up
            assert "party 1" in said.strip().splitlines()[-1], said
            assert "Traceback" not in said
    finally:
        stop.set()
        noise.join()


def swap(keys: Path) -> None:
    for suffix in ("pem", "key"):
        (keys / f"party-1.{suffix}").write_bytes((keys / f"party-2.{suffix}").read_bytes())


def stranger(keys: Path) -> None:
    other = keys.parent / "other"
    certs.create(other, 3)
    for name in ("party-1.pem", "party-1.key"):
        (keys / name).write_bytes((other / name).read_bytes())


def expire(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Party 1's certificate, as it was made a year ago for ten days."""

    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(timezone.utc) - timedelta(days=365)

    with monkeypatch.context() as patch:
        patch.setattr(certs, "datetime", Past)
        certs.create(keys, 3, days=10, force=True)
    for i in (0, 2):
        certs.make_party(keys, i, force=True)


@pytest.mark.parametrize("fault", ["swapped", "stranger", "expired"])
def test_wrong_certificates(folder: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(folder)
    keys = folder / "keys"
    if fault == "expired":
        expire(keys, monkeypatch)
    else:
        {"swapped": swap, "stranger": stranger}[fault](keys)
    parties = {i: party(folder, i) for i in range(3)}
    said = {i: finish(p, 20).strip().splitlines()[-1] for i, p in parties.items()}
    assert parties[1].returncode == 5, said[1]
    word = {
        "swapped": "names `party-2`, but this is party 1",
        "stranger": "is not signed by the authority",
        "expired": "expired",
    }[fault]
    assert word in said[1]
    for i in (0, 2):
        assert parties[i].returncode == 6 and "party 1" in said[i], said[i]


def test_another_program(folder: Path) -> None:
    configure(folder)
    parties = [party(folder, i, "other.sqb" if i == 1 else "short.sqb") for i in range(3)]
    for process in parties:
        said = finish(process, 20)
        assert process.returncode != 0
        assert "program" in said and "Traceback" not in said


def test_another_run(folder: Path) -> None:
    configure(folder)
    parties = [party(folder, i, "short.sqb", "--run-id", f"ward {i == 2}") for i in range(3)]
    for process in parties:
        said = finish(process, 20)
        assert process.returncode == 6
        assert "another run id" in said and "Traceback" not in said


def test_a_pinned_hash(folder: Path) -> None:
    configure(folder, f'program_hash = "{"ab" * 32}"')
    process = party(folder, 1)
    said = finish(process, 15)
    assert process.returncode == 4
    assert "parties.toml pins abab" in said


def test_security_below_what_is_accepted(folder: Path) -> None:
    configure(folder, 'security = "malicious"')
    process = party(folder, 1)
    said = finish(process, 15)
    assert process.returncode == 5
    assert "asks for malicious" in said
