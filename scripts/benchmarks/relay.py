"""A wide area network on one machine: a TCP relay that delays and paces what parties send.

Each party has one uplink of `mbit` megabits a second (10^6 bits) that all its connections share,
behind a buffer of 50 ms; every byte arrives half a round trip after it has passed the uplink. The
relay only forwards bytes, so TLS runs from end to end through it. Queueing and loss on the way, and
what TCP makes of them, are not modelled.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Sequence

BUFFER = 0.05  # seconds of sending that an uplink takes in before it pushes back
_PIECE = 1 << 16


class _Uplink:
    """When what a party sends has left it."""

    def __init__(self, mbit: float) -> None:
        self.seconds_per_byte = 8 / (mbit * 1e6) if mbit else 0.0
        self.lock = threading.Lock()
        self.free_at = 0.0

    def pass_(self, count: int) -> float:
        """Take `count` bytes in, waiting while the buffer is full; when they have left."""
        with self.lock:
            begin = max(time.monotonic(), self.free_at)
            self.free_at = end = begin + count * self.seconds_per_byte
        time.sleep(max(0.0, end - BUFFER - time.monotonic()))
        return end


class Relay:
    """Use as a context, and `route` as that of `runs.Settings`."""

    def __init__(self, rtt_ms: float, mbit: float) -> None:
        self.delay, self.mbit = rtt_ms / 2e3, mbit
        self.uplinks: dict[int, _Uplink] = {}
        self.sockets: list[socket.socket] = []

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        for s in self.sockets:
            _end(s, socket.SHUT_RDWR)
            s.close()

    def route(self, me: int, addresses: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
        """Addresses of the relay that lead party `me` to those of the others."""
        for i in range(len(addresses)):
            self.uplinks.setdefault(i, _Uplink(self.mbit))
        return tuple(a if i == me else self._listen(me, i, a) for i, a in enumerate(addresses))

    def _listen(self, source: int, to: int, target: tuple[str, int]) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        self.sockets.append(listener)
        _start(self._accept, listener, source, to, target)
        host, port = listener.getsockname()[:2]
        return host, port

    def _accept(
        self, listener: socket.socket, source: int, to: int, target: tuple[str, int]
    ) -> None:
        with contextlib.suppress(OSError):  # closed: the run is over
            while True:
                near, _ = listener.accept()
                self.sockets.append(near)
                far = socket.create_connection(target)
                self.sockets.append(far)
                for s in (near, far):
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pump(near, far, self.uplinks[source])
                self._pump(far, near, self.uplinks[to])

    def _pump(self, source: socket.socket, to: socket.socket, uplink: _Uplink) -> None:
        pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        _start(self._take, source, uplink, pieces)
        _start(self._give, to, pieces)

    def _take(
        self, source: socket.socket, uplink: _Uplink, pieces: queue.SimpleQueue[tuple[float, bytes]]
    ) -> None:
        data = b"."
        while data:
            try:
                data = source.recv(_PIECE)
            except OSError:
                data = b""
            pieces.put((uplink.pass_(len(data)) + self.delay, data))

    def _give(self, to: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        while True:
            due, data = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                to.sendall(data)
            except OSError:
                return
            if not data:
                return _end(to, socket.SHUT_WR)


def _end(s: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        s.shutdown(how)


def _start(body: object, *args: object) -> None:
    threading.Thread(target=body, args=args, daemon=True).start()  # type: ignore[arg-type]
