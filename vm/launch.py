"""All parties of a run on this machine: one child process each, and an eye on all of them.

The parent binds the listening sockets and hands each to its child, so no two runs race for a port;
certificates are made for the run and deleted after it. A child speaks one JSON object a line on its
standard output (see `party.py`). Children die with the parent, whatever kills it; when one fails,
the others get `GRACE` seconds to notice by themselves before they are ended, none if they have not
found each other yet.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import certs, checkpoint, native
from .errors import CheatError, InternalError, PeerError, SequesterError, Stopped
from .party import ERRORS, Event, Job

GRACE = 3.0
COMING_UP = 86400.0  # seconds: the launcher sees who dies; who reads much data may take its time

OnEvent = Callable[[int, Event], None]
Addresses = tuple[tuple[str, int], ...]
Route = Callable[[int, Addresses], Addresses]


def run_local(job: Job, on_event: OnEvent, *, tls: bool, route: Route | None = None) -> None:
    """Run `job` at all its parties here; `me`, addresses and certificates are filled in.

    `route(i, addresses)`: what party i dials to reach the others, who listen at `addresses`; for
    something in between that forwards bytes.
    The results lie in `job.folder`/party-I. Raises the error that explains a failure best, naming
    the party; Stopped on Ctrl-C. No child is left in any case.
    """
    folder = Path(job.folder)
    if job.parties == 1:
        key = str(checkpoint.default_key(folder, 0))
        own = replace(job, channel=native.MEMORY, folder=str(folder / "party-0"))
        return _watch([replace(own, checkpoint_key=key)], [], on_event)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_listener()) for _ in range(job.parties)]
        addresses: Addresses = tuple(s.getsockname()[:2] for s in sockets)
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sequester-")))
        if tls:
            certs.create(keys, job.parties, days=1)
        jobs = [
            replace(
                job,
                me=i,
                folder=str(folder / f"party-{i}"),
                checkpoint_key=str(checkpoint.default_key(folder, i)),
                channel=native.TLS if tls else native.TCP,
                addresses=route(i, addresses) if route else addresses,
                connect_timeout=COMING_UP,
                listen_fd=s.fileno(),
                ca=str(keys / "ca.pem") if tls else "",
                cert=str(keys / f"party-{i}.pem") if tls else "",
                key=str(keys / f"party-{i}.key") if tls else "",
            )
            for i, s in enumerate(sockets)
        ]
        _watch(jobs, sockets, on_event)


def _listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    return listener


class _Child:
    """One party's process, the pipe it reports through, and how it ended."""

    def __init__(self, job: Job, listener: socket.socket | None) -> None:
        self.me = job.me
        self.error: SequesterError | None = None
        self.running = False  # past connecting
        self.ended = False  # by us
        self.rest = b""
        self.log = Path(job.folder) / "log.txt"
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sequester.vm.party", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[listener.fileno()] if listener else [],
                start_new_session=True,  # Ctrl-C goes to the parent, which passes it on
            )
        assert self.process.stdin is not None
        with self.process.stdin as stdin:
            stdin.write(job.to_json().encode())

    def events(self, data: bytes) -> Iterator[Event]:
        """Whole lines of what has been read so far, parsed."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def finish(self) -> None:
        """Reap the process; a death without a word of its own becomes an error that names it."""
        code = self.process.wait()
        if self.error is None and (self.ended or code == Stopped.exit_code):
            self.error = Stopped("stopped")
        elif self.error is None and code < 0:
            name = signal.Signals(-code).name
            self.error = PeerError(f"party {self.me}: its process was killed ({name})", self.me)
        elif self.error is None and code > 0:
            lines = self.log.read_text(errors="replace").strip().splitlines() or ["no message"]
            self.error = InternalError(f"party {self.me}: its process failed: {lines[-1]}")
        elif not self.log.stat().st_size:
            self.log.unlink()


def _watch(jobs: list[Job], sockets: list[socket.socket], on_event: OnEvent) -> None:
    children: list[_Child] = []
    try:
        for i, job in enumerate(jobs):
            children.append(_Child(job, sockets[i] if sockets else None))
        for listener in sockets:
            listener.close()
        _pump(children, on_event)
        for child in children:
            child.finish()
    except BaseException as e:
        _end(children)
        if isinstance(e, KeyboardInterrupt):
            raise Stopped("stopped") from None
        raise
    errors = [child.error for child in children if child.error is not None]
    if errors:
        raise _cause(errors)


def _pump(children: list[_Child], on_event: OnEvent) -> None:
    """Deliver events until all pipes are closed; end stragglers `GRACE` after the first failure.

    What a child wrote before it ended is still read then: it says why.
    """
    deadline = None
    ended = False
    with selectors.DefaultSelector() as selector:
        for child in children:
            assert child.process.stdout is not None
            selector.register(child.process.stdout, selectors.EVENT_READ, child)
        while selector.get_map():
            for key, _ in selector.select(0.2):
                child = key.data
                data = os.read(key.fd, 1 << 16)
                for event in child.events(data):
                    _deliver(child, event, on_event)
                if not data:
                    selector.unregister(key.fileobj)
            failed = any(c.error is not None or c.process.poll() not in (None, 0) for c in children)
            if failed and deadline is None:
                deadline = time.monotonic() + (GRACE if any(c.running for c in children) else 0.0)
            if deadline is not None and time.monotonic() > deadline and not ended:
                _end(children)
                ended = True


def _deliver(child: _Child, event: Event, on_event: OnEvent) -> None:
    if event["event"] == "error":
        kind = ERRORS[event["kind"]]
        message = f"party {child.me}: {event['message']}"
        named: Any = {"party": event["party"]} if issubclass(kind, PeerError) else {}
        child.error = kind(message, **named)
    else:
        child.running |= event["event"] == "progress" and event["phase"] >= 2
        on_event(child.me, event)


def _end(children: list[_Child]) -> None:
    """Ask (SIGINT), then insist (SIGKILL)."""
    for sign, patience in ((signal.SIGINT, 2.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        for child in children:
            if child.process.poll() is None:
                child.process.send_signal(sign)
                child.ended = True
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))


def _cause(errors: list[SequesterError]) -> SequesterError:
    """The error that explains the others: not of a peer, else a failed check, else a death."""

    def rank(e: SequesterError) -> int:
        if isinstance(e, Stopped):
            return 4
        if isinstance(e, CheatError):
            return 1
        if isinstance(e, PeerError):
            return 2 if "was killed" in str(e) else 3
        return 0

    return min(errors, key=rank)
