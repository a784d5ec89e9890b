"""Channels: the C test program alone, as three processes, and against peers that misbehave."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sequester.vm import certs

from . import wire
from .clock import shifted
from .wire import ABORT, DATA, GOODBYE, HEADER, HEARTBEAT, Fake, frame

RUNTIME = Path(__file__).parents[2] / "runtime_c"
# Sanitizers in every test; keys change after a handful of records instead of millions.
FLAGS = "-std=gnu11 -O1 -g -Wall -Wextra -Werror -fsanitize=address,undefined"
DEFINES = "-fno-sanitize-recover=all -DSEQ_TEST -DTLS_REKEY_RECORDS=16"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("net") / "net_test"
    sources = [*sorted((RUNTIME / "net").glob("*.c")), RUNTIME / "error.c"]
    sources.append(RUNTIME / "tests" / "net_test.c")
    command = ["gcc", *FLAGS.split(), *DEFINES.split(), "-o", out, *sources]
    subprocess.run([*command, "-lssl", "-lcrypto", "-lpthread"], check=True)
    return out


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certs.create(folder, 3)
    return folder


def run(program: Path, *words: object, timeout: float = 60) -> str:
    done = subprocess.run(
        [program, *map(str, words)], timeout=timeout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- one process ----


@pytest.mark.parametrize("kind", ["memory", "tcp", "tls"])
def test_storm(program: Path, keys: Path, kind: str) -> None:
    channel = run(program, "storm", kind, keys, 4)
    assert channel.startswith({"memory": "memory", "tcp": "TCP (not", "tls": "TLSv1.3 TLS_"}[kind])


@pytest.mark.parametrize("kind", ["memory", "tcp", "tls"])
def test_small_frames_fill_the_connection(program: Path, keys: Path, kind: str) -> None:
    run(program, "fill-up", kind, keys)


@pytest.mark.parametrize(
    "command", ["pause", "flood", "ahead", "busy", "linger", "tamper", "refuse"]
)
def test_alone(program: Path, command: str) -> None:
    run(program, command)


@pytest.mark.parametrize("kind", ["memory", "tcp", "tls"])
def test_stop_flag(program: Path, keys: Path, kind: str) -> None:
    run(program, "stop", kind, keys)


@pytest.mark.parametrize("seed", range(3))
def test_parser_takes_noise(program: Path, seed: int) -> None:
    run(program, "headers", seed, 100_000)
    run(program, "babble", seed, 100)


# ---- three processes ----


class Party:
    """A process of the C test program that plays one party."""

    def __init__(
        self,
        program: Path,
        me: int,
        ports: list[int],
        keys: Path | None,
        rounds: int = 0,
        timeout: float = 10,
        connect_timeout: float = 20,
    ) -> None:
        kind = "tls" if keys else "tcp"
        words = ["party", me, kind, keys or "-", rounds, timeout, connect_timeout, *ports]
        self.process = subprocess.Popen(
            [program, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_open(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "open\n", line

    def end(self, timeout: float = 30) -> tuple[int, str]:
        """Exit code and last line."""
        text, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, text.strip().splitlines()[-1] if text.strip() else ""


Start = Callable[..., Party]


@pytest.fixture
def start(program: Path) -> Iterator[Start]:
    parties: list[Party] = []

    def begin(me: int, ports: list[int], keys: Path | None = None, **options: float) -> Party:
        parties.append(Party(program, me, ports, keys, **options))  # type: ignore[arg-type]
        return parties[-1]

    yield begin
    for p in parties:
        if p.process.poll() is None:
            p.process.kill()
        p.process.communicate()


TLS = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


@TLS
def test_three_processes(start: Start, keys: Path, tls: bool) -> None:
    ports = wire.free_ports(3)
    parties = [start(i, ports, keys if tls else None, rounds=5) for i in range(3)]
    for p in parties:
        p.wait_open()
    assert [p.end()[0] for p in parties] == [0, 0, 0]


@TLS
def test_killed_peer(start: Start, keys: Path, tls: bool) -> None:
    ports = wire.free_ports(3)
    parties = [start(i, ports, keys if tls else None) for i in range(3)]
    for p in parties:
        p.wait_open()
    time.sleep(0.3)
    parties[1].process.kill()
    killed = time.monotonic()
    for i in (0, 2):
        code, line = parties[i].end()
        assert code == 1 and re.search("party 1 closed the connection", line), line
    assert time.monotonic() - killed < 2.0  # a second, and leaving under load


@TLS
def test_stalled_peer(start: Start, keys: Path, tls: bool) -> None:
    ports = wire.free_ports(3)
    parties = [start(i, ports, keys if tls else None, timeout=1) for i in range(3)]
    for p in parties:
        p.wait_open()
    os.kill(parties[1].process.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    for i in (0, 2):
        code, line = parties[i].end()
        assert code == 1 and "party 1 sent nothing for 1 s" in line, line
    assert 0.8 < time.monotonic() - stopped < 4.0
    os.kill(parties[1].process.pid, signal.SIGCONT)
    assert parties[1].end()[0] == 1


def test_idle_parties_use_no_time(start: Start) -> None:
    """While one party is stopped, those that wait for it cost next to nothing."""
    ports = wire.free_ports(3)
    parties = [start(i, ports) for i in range(3)]
    for p in parties:
        p.wait_open()
    os.kill(parties[1].process.pid, signal.SIGSTOP)
    time.sleep(0.5)
    before = cpu_seconds(parties[0].process.pid)
    time.sleep(2)
    assert cpu_seconds(parties[0].process.pid) - before <= 0.1
    os.kill(parties[1].process.pid, signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- strangers at the door ----

STRANGERS = {
    "noise": random.Random(7).randbytes(200),
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: party\r\n\r\n",
    "other version": wire.preamble(1, 0, version=99),
    "other count": wire.preamble(1, 0, parties=4),
    "other party": wire.preamble(1, 2),
    "ourselves": wire.preamble(0, 0),
    "index 4294967295": wire.preamble(2**32 - 1, 0),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(30),
}


@TLS
def test_strangers_do_not_end_a_run(start: Start, keys: Path, tls: bool) -> None:
    ports = wire.free_ports(3)
    folder = keys if tls else None
    first = start(0, ports, folder, rounds=2)
    open_sockets = []
    for hello in STRANGERS.values():
        connection = connect(ports[0])
        connection.sendall(hello)
        open_sockets.append(connection)
    parties = [first, start(1, ports, folder, rounds=2), start(2, ports, folder, rounds=2)]
    assert [p.end()[0] for p in parties] == [0, 0, 0]
    for connection in open_sockets:
        connection.close()


def connect(port: int) -> socket.socket:
    for _ in range(200):
        try:
            return socket.create_connection((wire.HOST, port), timeout=10)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise ConnectionRefusedError(port)


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        ("noise", "does not speak this protocol"),
        ("TLS", "it speaks TLS, this party does not"),
        ("other version", "version 99"),
        ("other count", "expects 4 parties, not 3"),
        ("other party", "wants to reach party 2"),
    ],
)
def test_refusals_are_told_when_time_is_up(start: Start, hello: str, reason: str) -> None:
    ports = wire.free_ports(3)
    party = start(0, ports, connect_timeout=1)
    with connect(ports[0]) as connection:
        connection.sendall(STRANGERS[hello])
        code, line = party.end()
    assert code == 1 and "party 1 could not be reached" in line and reason in line, line


def test_tls_on_one_side_only(start: Start, keys: Path) -> None:
    ports = wire.free_ports(3)
    plain, secure = start(0, ports, connect_timeout=1), start(1, ports, keys, connect_timeout=1)
    assert "it speaks TLS, this party does not" in plain.end()[1]
    line = secure.end()[1]
    assert "it does not speak TLS" in line or "party 0 could not be reached" in line


def test_a_crowd_at_the_door(start: Start) -> None:
    """More silent connections than are kept at a time."""
    ports = wire.free_ports(3)
    first = start(0, ports, rounds=1)
    crowd = [connect(ports[0]) for _ in range(40)]
    parties = [first, start(1, ports, rounds=1), start(2, ports, rounds=1)]
    assert [p.end()[0] for p in parties] == [0, 0, 0]
    for connection in crowd:
        connection.close()


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (1, "speaks version 1 of the wire protocol"),
        (2, "expects another number of parties than 3"),
        (3, "another party listens at 127.0.0.1"),
        (4, "our certificate does not name party-0"),
        (99, "refused us for an unknown reason"),
    ],
)
def test_verdicts(start: Start, verdict: int, reason: str) -> None:
    ports = wire.free_ports(3)
    fake = Fake(1, 0, ports)
    party = start(0, ports)
    connection = fake.accept()
    wire.receive(connection, wire.PREAMBLE.size)
    connection.sendall(wire.ANSWER.pack(b"SEQ-WELC", 1, verdict))
    code, line = party.end(timeout=5)
    assert code == 1 and " party 1: " in line and reason in line, line
    fake.close()


def test_another_service_listens(start: Start) -> None:
    ports = wire.free_ports(3)
    fake = Fake(1, 0, ports)
    party = start(0, ports, connect_timeout=1)
    fake.accept().sendall(b"220 mail.example.org ESMTP")
    code, line = party.end(timeout=5)
    assert code == 1 and "party 1 could not be reached" in line
    assert "what listens there is not a party" in line, line
    fake.close()


def test_a_party_that_is_only_dialled(start: Start) -> None:
    ports = wire.free_ports(3)
    fake = Fake(1, 0, ports)
    party = start(0, ports, connect_timeout=1)
    connection = fake.accept()
    wire.receive(connection, wire.PREAMBLE.size)
    connection.sendall(wire.ANSWER.pack(b"SEQ-WELC", 1, 0))
    code, line = party.end(timeout=5)
    assert code == 1 and "party 1 did not connect to us within 1 s" in line, line
    fake.close()


def test_nobody_comes(start: Start) -> None:
    ports = wire.free_ports(3)
    code, line = start(0, ports, connect_timeout=0.5).end()
    assert code == 1
    assert f"party 1 could not be reached at 127.0.0.1:{ports[1]} (Connection refused)" in line


def test_port_taken(start: Start) -> None:
    with socket.create_server((wire.HOST, 0)) as taken:
        ports = [taken.getsockname()[1], *wire.free_ports(2)]
        code, line = start(0, ports).end()
    assert code == 1 and "cannot listen on 127.0.0.1" in line and "in use" in line


# ---- peers that misbehave ----

LONG = 2**63
MISDEEDS = {
    "noise": (random.Random(3).randbytes(4000), "malformed frame"),
    "huge length": (HEADER.pack(0, 0, DATA, LONG), f"data frame of {LONG} bytes where at most"),
    "bad kind": (HEADER.pack(0, 0, 77, 0), "unknown kind 77"),
    "long heartbeat": (HEADER.pack(0, 0, HEARTBEAT, 1), "heartbeat frame of 1 bytes"),
    "tagged goodbye": (HEADER.pack(9, 0, GOODBYE, 0), "goodbye frame with a tag"),
    "long abort": (HEADER.pack(0, 0, ABORT, 257), "abort frame of 257 bytes"),
    "twice": (2 * frame(DATA, b"abc", 1 << 40, 3), r"step 3\) twice"),
    "wrong length": (frame(DATA, b"abc"), "sent 3 bytes for instruction 0 .* expected 0"),
    "early goodbye": (frame(GOODBYE), "ended its run before sending instruction 0"),
    "cut frame": (HEADER.pack(0, 0, DATA, 500) + b"x", "closed the connection"),
    "abort": (frame(ABORT, b"out of \x1b[31mmemory\n\xff"), r"gave up: out of \?\[31mmemory\?\?"),
}


@TLS
@pytest.mark.parametrize("deed", MISDEEDS)
def test_babbling_peer(start: Start, keys: Path, tls: bool, deed: str) -> None:
    """Parties 1 and 2 are played here; party 1, properly connected, sends nonsense."""
    data, reason = MISDEEDS[deed]
    ports = wire.free_ports(3)
    folder = keys if tls else None
    fakes = [Fake(i, 0, ports, folder) for i in (1, 2)]
    party = start(0, ports, folder)
    for fake in fakes:
        fake.join()
    party.wait_open()
    fakes[0].send(data)
    if deed == "cut frame":
        fakes[0].close()
    code, line = party.end(timeout=8)
    assert code == 1 and line.startswith("status 3 party 1: party 1"), line
    assert re.search(reason, line), line
    for fake in fakes:
        fake.close()


def test_leaving_while_others_connect(start: Start) -> None:
    """A party that connects and goes may come again; one that says why it goes ends the attempt."""
    ports = wire.free_ports(3)
    party = start(0, ports)
    for _ in range(2):
        fake = Fake(1, 0, ports)
        fake.join()
        fake.close()
    fake = Fake(1, 0, ports)
    fake.join()
    fake.send(frame(ABORT, b"party 1: no certificate"))
    fake.close()
    code, line = party.end(timeout=5)
    assert code == 1 and line == "status 3 party 1: party 1 gave up: party 1: no certificate", line


def test_a_party_that_had_started_does_not_come_again(start: Start) -> None:
    ports = wire.free_ports(3)
    party = start(0, ports)
    fake = Fake(1, 0, ports)
    fake.join()
    fake.send(frame(DATA, b"hello"))
    fake.close()
    code, line = party.end(timeout=5)
    assert code == 1 and "party 1 closed the connection while others" in line, line


def test_broken_tls_record(start: Start, keys: Path) -> None:
    ports = wire.free_ports(3)
    fakes = [Fake(i, 0, ports, keys) for i in (1, 2)]
    party = start(0, ports, keys)
    for fake in fakes:
        fake.join()
    party.wait_open()
    assert fakes[0].outgoing is not None
    os.write(fakes[0].outgoing.fileno(), b"\x17\x03\x03\x00\x40" + bytes(64))
    code, line = party.end(timeout=5)
    assert code == 1 and "party 1 cannot be read from: TLS failed" in line, line
    for fake in fakes:
        fake.close()


def test_a_party_that_cannot_go_on_tells_those_it_reached(start: Start) -> None:
    ports = wire.free_ports(3)
    fakes = [Fake(i, 0, ports) for i in (1, 2)]
    party = start(0, ports)
    fakes[0].join()
    connection = fakes[1].accept()
    wire.receive(connection, wire.PREAMBLE.size)
    connection.sendall(wire.ANSWER.pack(b"SEQ-WELC", 1, 3))  # "I am not the party you want"
    code, line = party.end(timeout=5)
    assert code == 1 and "another party listens at 127.0.0.1" in line, line
    assert fakes[0].incoming is not None
    assert b"another party listens" in fakes[0].incoming.recv(1000)
    for fake in fakes:
        fake.close()


def test_abort_carries_the_reason(start: Start) -> None:
    """Party 0 learns of party 1's misdeed and tells party 2."""
    ports = wire.free_ports(3)
    fakes = [Fake(i, 0, ports) for i in (1, 2)]
    party = start(0, ports)
    for fake in fakes:
        fake.join()
    party.wait_open()
    fakes[0].send(HEADER.pack(0, 0, 77, 0))
    assert party.end()[0] == 1
    other = fakes[1].incoming
    assert other is not None
    heard = b""
    while part := other.recv(1 << 16):
        heard = (heard + part)[-1000:]
    assert b"party 1 sent a malformed frame: unknown kind 77" in heard
    for fake in fakes:
        fake.close()


# ---- certificates ----


def copy_of(keys: Path, folder: Path) -> Path:
    folder.mkdir()
    for f in keys.iterdir():
        (folder / f.name).write_bytes(f.read_bytes())
    return folder


@pytest.fixture
def bad_keys(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], Path]:
    """A folder in which one party's certificate has the named fault."""

    def make(fault: str, who: int) -> Path:
        folder = copy_of(keys, tmp_path / f"{fault}")
        if fault == "swapped":
            for end in ("pem", "key"):
                source = keys / f"party-{(who + 1) % 3}.{end}"
                (folder / f"party-{who}.{end}").write_bytes(source.read_bytes())
            return folder
        if fault == "other authority":
            certs.make_authority(folder, force=True)
        days = {"expired": -40, "not yet valid": 40}.get(fault, 0)
        with monkeypatch.context() as patch:
            patch.setattr(certs, "datetime", shifted(days))
            certs.make_party(folder, who, days=30, force=True)
        if fault == "other authority":
            (folder / "ca.pem").write_bytes((keys / "ca.pem").read_bytes())
        return folder

    return make


FAULTS = {
    "expired": "expired on",
    "not yet valid": "is valid only from",
    "other authority": "is not signed by the authority in",
    "swapped": "names `party-1`, but this is party 0",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_own_certificate_is_checked_first(
    start: Start, bad_keys: Callable[[str, int], Path], fault: str
) -> None:
    folder = bad_keys(fault, 0)
    code, line = start(0, wire.free_ports(3), folder).end(timeout=5)
    assert code == 1 and line.startswith("status 4 party 0"), line
    assert str(folder / "party-0.pem") in line and FAULTS[fault] in line, line


@pytest.mark.parametrize("fault", FAULTS)
def test_peer_with_bad_certificate_listens(
    start: Start, keys: Path, bad_keys: Callable[[str, int], Path], fault: str
) -> None:
    """Party 0 dials party 1, which shows a bad certificate."""
    ports = wire.free_ports(3)
    fake = Fake(1, 0, ports, bad_keys(fault, 1))
    party = start(0, ports, keys)
    try:
        connection = fake.accept()
        wire.receive(connection, wire.PREAMBLE.size)
        connection.sendall(wire.ANSWER.pack(b"SEQ-WELC", 1, 0))
    except OSError:
        assert fault != "swapped"
    code, line = party.end(timeout=5)
    reason = "shows the certificate of `party-2`" if fault == "swapped" else FAULTS[fault]
    assert code == 1 and line.startswith("status 4 party 1") and reason in line, line
    fake.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_peer_with_bad_certificate_dials(
    start: Start, keys: Path, bad_keys: Callable[[str, int], Path], fault: str
) -> None:
    """A bad certificate at the listening port is turned away and told when time is up."""
    ports = wire.free_ports(3)
    fake = Fake(1, 0, ports, bad_keys(fault, 1))
    fake.server.close()
    party = start(0, ports, keys, connect_timeout=1)
    try:
        connection = fake.dial()
        connection.sendall(wire.preamble(1, 0))
        answer = wire.ANSWER.unpack(wire.receive(connection, wire.ANSWER.size))
        assert fault == "swapped" and answer[2] == 4  # the name is not the one claimed
    except OSError:
        assert fault != "swapped"
    code, line = party.end(timeout=8)
    reason = "says it is party 1 but shows the certificate of `party-2`"
    assert code == 1 and "connections refused" in line, line
    assert (reason if fault == "swapped" else FAULTS[fault]) in line, line
    fake.close()


def test_peer_that_knows_another_authority(start: Start, keys: Path, tmp_path: Path) -> None:
    """Its certificate is good, ours is not to its taste: it says so."""
    folder = copy_of(keys, tmp_path / "theirs")
    certs.make_authority(folder, force=True)
    ports = wire.free_ports(3)
    fake = Fake(1, 0, ports, folder)
    party = start(0, ports, keys)
    with pytest.raises(OSError):
        wire.receive(fake.accept(), wire.PREAMBLE.size)
    code, line = party.end(timeout=5)
    assert code == 1 and line.startswith("status 4 party 1"), line
    assert "party 1: it does not know the authority of our certificate" in line, line
    fake.close()


def test_files_are_named(start: Start, keys: Path, tmp_path: Path) -> None:
    ports = wire.free_ports(3)
    for name, reason in {
        "ca.pem": "cannot read the authority's certificate",
        "party-0.pem": "cannot read the certificate of party 0",
        "party-0.key": "cannot read the private key",
    }.items():
        folder = copy_of(keys, tmp_path / name.replace(".", "-"))
        (folder / name).unlink()
        code, line = start(0, ports, folder).end(timeout=5)
        assert code == 1 and reason in line and str(folder / name) in line, line
    folder = copy_of(keys, tmp_path / "mixed")
    (folder / "party-0.key").write_bytes((keys / "party-1.key").read_bytes())
    code, line = start(0, ports, folder).end(timeout=5)
    assert code == 1 and "does not belong to" in line, line
