"""A party played by Python over plain sockets: for peers that do what ours never would."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from pathlib import Path

PREAMBLE = struct.Struct("<8sIIII")  # magic, version, parties, from, to
ANSWER = struct.Struct("<8sII")  # magic, version, verdict
HEADER = struct.Struct("<QIIQ")  # instance, step, kind, bytes
DATA, HEARTBEAT, GOODBYE, ABORT = range(4)
HOST = "127.0.0.1"


def frame(kind: int, payload: bytes = b"", instance: int = 0, step: int = 0) -> bytes:
    return HEADER.pack(instance, step, kind, len(payload)) + payload


def preamble(me: int, to: int, version: int = 1, parties: int = 3) -> bytes:
    return PREAMBLE.pack(b"SEQ-HELO", version, parties, me, to)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += part
    return data


class Fake:
    """Party `me` of three: listens on its port, dials party `to`, and then says what it is told."""

    def __init__(self, me: int, to: int, ports: list[int], certs: Path | None = None) -> None:
        self.me, self.to, self.ports = me, to, ports
        self.certs = certs  # a folder with its files: TLS
        self.server = socket.create_server((HOST, ports[me]))
        self.server.settimeout(10)
        self.incoming: socket.socket | None = None
        self.outgoing: socket.socket | None = None

    def _context(self, server: bool) -> ssl.SSLContext:
        assert self.certs is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certs / "ca.pem")
        name = self.certs / f"party-{self.me}"
        context.load_cert_chain(name.with_suffix(".pem"), name.with_suffix(".key"))
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def dial(self) -> socket.socket:
        for _ in range(100):
            try:
                raw = socket.create_connection((HOST, self.ports[self.to]), timeout=10)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        else:
            raise ConnectionRefusedError
        self.outgoing = self._context(False).wrap_socket(raw) if self.certs else raw
        return self.outgoing

    def accept(self) -> socket.socket:
        raw, _ = self.server.accept()
        raw.settimeout(10)
        self.incoming = (
            self._context(True).wrap_socket(raw, server_side=True) if self.certs else raw
        )
        return self.incoming

    def join(self) -> None:
        """Do what a party does: be dialled by `to`, dial it."""
        connection = self.accept()
        magic, _, _, sender, _ = PREAMBLE.unpack(receive(connection, PREAMBLE.size))
        assert (magic, sender) == (b"SEQ-HELO", self.to)
        connection.sendall(ANSWER.pack(b"SEQ-WELC", 1, 0))
        self.dial().sendall(preamble(self.me, self.to))
        assert self.outgoing is not None
        assert ANSWER.unpack(receive(self.outgoing, ANSWER.size)) == (b"SEQ-WELC", 1, 0)

    def send(self, data: bytes) -> None:
        assert self.outgoing is not None
        self.outgoing.sendall(data)

    def close(self) -> None:
        for s in (self.outgoing, self.incoming, self.server):
            if s is not None:
                s.close()
