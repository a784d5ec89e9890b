"""The C part of oblivious transfer (runtime_c/ot) through ctypes: for tests and benchmarks."""

from __future__ import annotations

import ctypes as ct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .kernels import FLAGS, RUNTIME, Array, pointer

P = ct.c_void_p
N = ct.c_size_t
U = ct.c_uint


class Error(ct.Structure):
    _fields_ = [("status", ct.c_int), ("party", ct.c_int), ("instr", ct.c_int64)]
    _fields_ += [("message", ct.c_char * 512)]


class Key(ct.Structure):
    _fields_ = [("round_keys", ct.c_uint8 * 176)]


class Seeds(ct.Structure):
    _fields_ = [("trees", U), ("leaves", U), ("depth", U * 128), ("sends", ct.c_int)]
    _fields_ += [("delta", ct.c_uint64 * 2), ("leaf", P)]


class Check(ct.Structure):
    _fields_ = [("choice", ct.c_uint64), ("column", ct.c_uint64 * 128)]


class Stream(ct.Structure):
    _fields_ = [("seeds", ct.POINTER(Seeds)), ("leaf", P), ("hash", Key), ("bits", P)]


def build(directory: Path, *more: Path) -> Any:
    """Compile it, and other sources; the loaded library."""
    out = directory / "ot.so"
    sources = [RUNTIME / "cpu.c", RUNTIME / "error.c", *more]
    sources += [f for room in ("bits", "prg", "ot") for f in sorted((RUNTIME / room).glob("*.c"))]
    subprocess.run(["gcc", *FLAGS, "-o", str(out), *map(str, sources), "-lcrypto"], check=True)
    return load(str(out))


def load(path: str) -> Any:
    lib = ct.CDLL(path)
    lib.bits_by_name.restype = lib.bits_select.restype = P
    lib.prg_init.argtypes = [P, ct.c_char_p]
    lib.prg_words.argtypes = [P, ct.c_uint32, ct.c_uint64, P, N]
    lib.ot_pair_new.restype = P
    lib.ot_pair_new.argtypes = [U, P, P, U, U]
    lib.ot_pair_free.argtypes = [P]
    lib.ot_pair_bytes.restype = N
    lib.ot_pair_meet.argtypes = [P, U, P, P, P]
    lib.ot_pair_sends.restype = lib.ot_pair_receives.restype = ct.POINTER(Seeds)
    lib.ot_pair_sends.argtypes = lib.ot_pair_receives.argtypes = [P]
    lib.ot_stream_make.argtypes = [P, P, P, P, ct.c_uint64, ct.c_uint32, P]
    lib.ot_receive_rows.argtypes = [P, ct.c_uint32, N, P, N, P, P]
    lib.ot_send_rows.argtypes = [P, ct.c_uint32, N, P, N, P]
    lib.ot_check_add.argtypes = [P, P, ct.c_uint64, P, P, N]
    lib.ot_check_mask.argtypes = lib.ot_check_fits.argtypes = [P, P, P]
    lib.ot_receive_pads.argtypes = [P, ct.c_uint32, N, P, N, P, P]
    lib.ot_send_pads.argtypes = [P, ct.c_uint32, N, P, N, P, P]
    lib.ot_receive_block.argtypes = [P, U, U, ct.c_uint32, N, P, N, N, P, P]
    lib.ot_send_block.argtypes = [P, U, U, ct.c_uint32, N, P, N, P]
    return lib


def key(lib: Any, seed: int) -> Key:
    out = Key()
    lib.prg_init(ct.byref(out), seed.to_bytes(16, "little"))
    return out


class Pair:
    """Two parties after their setup."""

    def __init__(
        self, lib: Any, depth: int, seed: int = 1, deltas: tuple[Array, Array] | None = None
    ) -> None:
        self.lib = lib
        own = [key(lib, 2 * seed), key(lib, 2 * seed + 1)]
        given = [None if deltas is None else pointer(d) for d in deltas or (None, None)]
        self.made = [lib.ot_pair_new(depth, ct.byref(own[i]), given[i], i, 1 - i) for i in range(2)]
        assert all(self.made)
        self.sent: list[list[bytes]] = [[], []]

    def meet(self, i: int, exchange: int, theirs: bytes | None) -> tuple[int, bytes, Error]:
        mine = ct.create_string_buffer(self.lib.ot_pair_bytes(min(exchange, 2)))
        error = Error(party=-1)
        status = self.lib.ot_pair_meet(self.made[i], exchange, theirs, mine, ct.byref(error))
        return status, mine.raw, error

    def set_up(self) -> Pair:
        came: Sequence[bytes | None] = (None, None)
        for exchange in range(4):
            found = [self.meet(i, exchange, came[i]) for i in range(2)]
            assert [status for status, _, _ in found] == [0, 0]
            came = (found[1][1], found[0][1])
            for i in range(2):
                self.sent[i].append(found[i][1])
        return self

    def seeds(self, party: int, sends: bool) -> Any:
        found = self.lib.ot_pair_sends if sends else self.lib.ot_pair_receives
        return found(self.made[party])

    def stream(
        self, party: int, sends: bool, level: str | None = "portable", instance: int = 7
    ) -> Any:
        """A party's sending or receiving stream of an instance. level: None for the best."""
        seeds, shared, out = self.seeds(party, sends), key(self.lib, 99), Stream()
        out.room = np.zeros(seeds.contents.leaves * 176 + 64, np.uint8)
        at = -(-pointer(out.room) // 64) * 64
        bits = self.lib.bits_by_name(level.encode()) if level else self.lib.bits_select()
        self.lib.ot_stream_make(ct.byref(out), seeds, at, ct.byref(shared), instance, 3, bits)
        return out

    def message(self, party: int, words: int, planes: int = 1) -> Array:
        return np.zeros(planes * self.seeds(party, False).contents.trees * words, np.uint64)

    def free(self) -> None:
        for made in self.made:
            self.lib.ot_pair_free(made)


def bits_of(words: Array) -> Array:
    """(…, words) to (…, 64 words) bits."""
    return np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")
