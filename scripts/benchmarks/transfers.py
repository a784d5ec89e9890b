"""Oblivious transfers a second: two processes, one a sender and one a receiver, over loopback."""

from __future__ import annotations

import ctypes as ct
import multiprocessing as mp
import socket
import statistics
import time
from typing import Any

import numpy as np

from tests.vm.kernels import pointer
from tests.vm.transfers import Pair, load

from .build import executable

DEPTHS = (4, 7, 8)
KINDS = ("correlated", "random")
_WORDS = 1 << 12  # 64 transfers each, of a batch
_SOURCES = ("ot/*.c", "bits/*.c", "prg/*.c", "cpu.c", "error.c")


def measure(repetitions: int, millions: int) -> dict[str, Any]:
    """Millions a second by the bits of a tree (`k` of SoftSpoken), and bytes a transfer.

    `correlated`: rows of 128 bits that differ by choice times Delta; `random`: two pads of 16
    bytes, of which the receiver has the chosen one. Setup is not counted.
    """
    library = str(executable("ot.so", [], _SOURCES, "-fPIC", "-shared", "-lcrypto"))
    batches = max(1, (millions << 20) // (64 * _WORDS))
    found: dict[str, Any] = {}
    for depth in DEPTHS:
        row = {"bytes": -(-128 // depth) / 8}
        for kind in KINDS:
            samples = [_sample(library, depth, kind, batches) for _ in range(repetitions)]
            row[kind] = round(statistics.median(samples) / 1e6, 1)
        found[f"k = {depth}"] = row
    return {"transfers": batches * 64 * _WORDS, "millions_per_second": found}


def _sample(library: str, depth: int, kind: str, batches: int) -> float:
    """Transfers a second until the sender has the last."""
    ends = socket.create_server(("127.0.0.1", 0))
    arguments = (library, depth, kind, batches, ends.getsockname())
    child = mp.get_context("spawn").Process(target=_receive, args=arguments)
    child.start()
    peer, _ = ends.accept()
    lib = load(library)
    stream = Pair(lib, depth).set_up().stream(0, True, None)
    message = np.zeros(stream.seeds.contents.trees * _WORDS, np.uint64)
    rows = np.zeros((2, 128 * _WORDS), np.uint64)
    peer.recv(1)  # the receiver is ready
    began = time.perf_counter()
    peer.sendall(b"!")
    for batch in range(batches):
        peer.recv_into(message, message.nbytes, socket.MSG_WAITALL)
        at = (ct.byref(stream), 0, batch * _WORDS, pointer(message), _WORDS)
        if kind == "random":
            lib.ot_send_pads(*at, pointer(rows[0]), pointer(rows[1]))
        else:
            lib.ot_send_rows(*at, pointer(rows[0]))
    seconds = time.perf_counter() - began
    child.join()
    peer.close()
    ends.close()
    return batches * 64 * _WORDS / seconds


def _receive(library: str, depth: int, kind: str, batches: int, address: tuple[str, int]) -> None:
    peer = socket.create_connection(address)
    lib = load(library)
    stream = Pair(lib, depth).set_up().stream(1, False, None)
    message = np.zeros(stream.seeds.contents.trees * _WORDS, np.uint64)
    choice = np.random.default_rng(1).integers(0, 1 << 63, _WORDS, dtype=np.uint64)
    rows = np.zeros(128 * _WORDS, np.uint64)
    run = lib.ot_receive_pads if kind == "random" else lib.ot_receive_rows
    peer.sendall(b"?")
    peer.recv(1)
    for batch in range(batches):
        at = (ct.byref(stream), 0, batch * _WORDS, pointer(choice), _WORDS)
        run(*at, pointer(message), pointer(rows))
        peer.sendall(message)
