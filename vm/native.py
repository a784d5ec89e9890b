"""The C runtime, typed: a thin layer over the cffi module `sequester._runtime`.

Words of the ring are int64 arrays: shape (n,) for 64-bit rings, (n, 2), low half first, for 128-bit
ones. Every failing C call raises through `_raise`. Only `execute` blocks; it runs the C code on a
thread of its own, so that the caller's thread stays free for progress and Ctrl-C.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import (
    AuthorError,
    CheatError,
    ConfigError,
    InternalError,
    OutOfMemory,
    PeerError,
    RefusedError,
    SequesterError,
    Stopped,
)

Words = NDArray[np.int64]
MEMORY, TCP, TLS = 0, 1, 2

_KINDS: dict[int, type[SequesterError]] = {
    1: RefusedError,
    2: AuthorError,
    3: PeerError,
    4: ConfigError,
    5: Stopped,
    6: OutOfMemory,
    7: CheatError,
    8: InternalError,
}


def _module() -> Any:
    try:
        return importlib.import_module("sequester._runtime")
    except ImportError as e:
        raise ConfigError(f"the C runtime is not built ({e}); run scripts/setup.sh") from e


def _raise(ffi: Any, err: Any) -> None:
    """Turn a C status into the exception of its kind."""
    message = ffi.string(err.message).decode("utf-8", "replace")
    kind = _KINDS.get(err.status, InternalError)
    if issubclass(kind, PeerError):
        raise kind(message, err.party if err.party >= 0 else None)
    raise kind(message)


@dataclass(frozen=True)
class Protocol:
    """One row of the runtime's table of protocols."""

    name: str
    title: str
    adversary: str
    parties_min: int
    parties_max: int
    corrupt: str  # who may be
    rings: tuple[int, ...]
    field: bool
    insecure: bool
    deals: bool  # a dealer can do so before a run,
    prepares: bool  # or all parties can prepare one


def protocols() -> list[Protocol]:
    """All protocols the runtime knows."""
    module = _module()
    ffi, lib = module.ffi, module.lib
    info = ffi.new("seq_protocol_info *")
    found: list[Protocol] = []
    while lib.seq_protocol_at(len(found), info):
        a, b = info.threshold_num, info.threshold_den
        corrupt = f"fewer than {a}/{b}" if a else "none"
        text = [ffi.string(s).decode() for s in (info.name, info.title, info.adversary)]
        found.append(
            Protocol(
                name=text[0],
                title=text[1],
                adversary=text[2],
                parties_min=info.parties_min,
                parties_max=info.parties_max,
                corrupt=ffi.string(info.corrupt).decode() if info.corrupt else corrupt,
                rings=tuple(b for b, has in ((64, info.ring64), (128, info.ring128)) if has),
                field=bool(info.field),
                insecure=bool(info.insecure),
                deals=bool(info.deals),
                prepares=bool(info.prepares),
            )
        )
    return found


def protocol(name: str) -> Protocol:
    """The protocol called `name`. Raises ConfigError that lists what exists."""
    known = protocols()
    for row in known:
        if row.name == name:
            return row
    raise ConfigError(f"protocol {name!r}: there are {', '.join(p.name for p in known)}")


def cpus() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0))


class Program:
    """Validated bytecode. Raises RefusedError, with offset and reason, if it is refused."""

    def __init__(self, bytecode: bytes) -> None:
        module = _module()
        err = module.ffi.new("seq_error_info *")
        handle = module.lib.seq_program_load(bytecode, len(bytecode), err)
        if handle == module.ffi.NULL:
            _raise(module.ffi, err)
        self.handle = module.ffi.gc(handle, module.lib.seq_program_free)

    @property
    def hash(self) -> str:
        """The program's hash, 64 hexadecimal digits."""
        module = _module()
        out = module.ffi.new("uint8_t[32]")
        module.lib.seq_program_hash(self.handle, out)
        return bytes(out).hex()


@dataclass(frozen=True)
class Options:
    """What a run needs beside the program; see seq_options in runtime_c/include/sequester.h."""

    protocol: str
    me: int
    parties: int
    threads: int = 1
    channel: int = TLS
    addresses: tuple[tuple[str, int], ...] = ()
    listen_fd: int = -1
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout: float = 10.0
    connect_timeout: float = 60.0
    run_id: bytes = bytes(16)
    public_seed: bytes = bytes(16)
    checked: int = -1
    agree: str = ""
    checkpoint_folder: str = ""
    checkpoint_every: int = 0
    checkpoint_key: bytes = bytes(32)
    material_folder: str = ""
    material_make: bool = False
    material_id: bytes = bytes(16)
    material_keys: tuple[bytes, ...] = ()
    resume: bool = False


@dataclass(frozen=True)
class Progress:
    """Where a run is. `loops`: (iteration, trips, source line) of each loop, outermost first.
    `checkpoint`: the last one saved; `resumed_from`: the one this start began with, after
    `resumed_lines` printed lines (0: none)."""

    phase: int
    instructions: int
    rounds: int
    bytes_sent: int
    seconds: float
    loops: tuple[tuple[int, int, int], ...]
    checkpoint: int = 0
    resumed_from: int = 0
    resumed_lines: int = 0


@dataclass(frozen=True)
class Totals:
    """Sums over a run. Bytes are payload by peer; `wire_sent` adds framing. `awaited_ns`: while at
    least one message was awaited, whether the party computed meanwhile or not. `saving_ns`,
    `saved_bytes`: for checkpoints, since the run was last started."""

    rounds: int
    peak_bytes: int
    predicted_peak_bytes: int
    sent: list[int]
    received: list[int]
    wire_sent: list[int]
    setup_ns: int
    run_ns: int
    awaited_ns: int
    saving_ns: int
    saved_bytes: int
    kernels: str
    prg: str
    tls: str


@dataclass(frozen=True)
class Counter:
    """What one instruction did, over all its executions."""

    executed: int
    compute_ns: int
    wait_ns: int
    rounds: int
    sent: list[int]


class Run:
    """One party's part in one run of a program."""

    def __init__(self, program: Program, options: Options) -> None:
        module = _module()
        self._ffi, self._lib = module.ffi, module.lib
        self._parties = options.parties
        self._program = program
        self._hub: Any = None
        c_options = self._options(options)
        err = self._ffi.new("seq_error_info *")
        handle = self._lib.seq_run_new(program.handle, c_options, err)
        if handle == self._ffi.NULL:
            _raise(self._ffi, err)
        self._handle = self._ffi.gc(handle, self._lib.seq_run_free)
        self._line = self._ffi.new("char[]", 65536)
        self._progress = self._ffi.new("seq_progress *")

    def _options(self, o: Options) -> Any:
        ffi = self._ffi
        c = ffi.new("seq_options *")
        keep = [c]

        def text(value: str) -> Any:
            keep.append(ffi.new("char[]", value.encode()))
            return keep[-1]

        c.protocol, c.options = text(o.protocol), text(o.agree)
        c.me, c.parties, c.threads, c.channel = o.me, o.parties, o.threads, o.channel
        for i, (host, port) in enumerate(o.addresses):
            c.hosts[i], c.ports[i] = text(host), port
        c.listen_fd, c.checked = o.listen_fd, o.checked
        if o.channel == MEMORY:
            alone = 1 if o.material_make else o.parties
            self._hub = ffi.gc(self._lib.seq_hub_create(alone), self._lib.seq_hub_free)
            c.hub = self._hub
        if o.channel == TLS:
            c.ca_file, c.cert_file, c.key_file = map(text, (o.ca_file, o.cert_file, o.key_file))
        c.timeout_s, c.connect_timeout_s = o.timeout, o.connect_timeout
        ffi.memmove(c.run_id, o.run_id, 16)
        ffi.memmove(c.public_seed, o.public_seed, 16)
        if o.checkpoint_folder:
            c.checkpoint_folder = text(o.checkpoint_folder)
            c.checkpoint_every, c.resume = o.checkpoint_every, o.resume
            ffi.memmove(c.checkpoint_key, o.checkpoint_key, 32)
        if o.material_folder:
            c.material_folder, c.material_make = text(o.material_folder), o.material_make
            ffi.memmove(c.material_id, o.material_id, 16)
            for i, key in enumerate(o.material_keys):
                ffi.memmove(c.material_key[i], key, 32)
        self._keep = keep
        return c

    def input(self, index: int, first: int, words: Words) -> None:
        """Give elements of input `index`, which is mine: `first` and those after it, in order."""
        words = np.ascontiguousarray(words)
        err = self._ffi.new("seq_error_info *")
        buffer = self._ffi.from_buffer(words)
        if self._lib.seq_run_input(self._handle, index, first, buffer, words.shape[0], err):
            _raise(self._ffi, err)

    def execute(self, poll: Callable[[], None], interval: float = 0.005) -> None:
        """Run to the end, calling `poll` every `interval` seconds and once after.

        Raises the error of the run; KeyboardInterrupt stops the run, tells the peers, and leaves.
        """
        err = self._ffi.new("seq_error_info *")
        status: list[int] = []
        ended = threading.Event()

        def body() -> None:
            status.append(self._lib.seq_run_execute(self._handle, err))
            ended.set()

        thread = threading.Thread(target=body, name="sequester-run")
        thread.start()
        try:
            while not ended.wait(interval):
                poll()
        except BaseException:
            self.stop()
            raise
        finally:
            thread.join()
        poll()
        if status[0]:
            _raise(self._ffi, err)

    def stop(self) -> None:
        """Ask the run to end as soon as it can."""
        self._lib.seq_run_stop(self._handle)

    def progress(self) -> Progress:
        p = self._progress
        self._lib.seq_run_progress(self._handle, p)
        loops = tuple((p.iteration[i], p.trips[i], p.line[i]) for i in range(min(p.depth, 8)))
        done = (p.phase, p.instructions, p.rounds, p.bytes_sent, p.seconds)
        return Progress(*done, loops, p.checkpoint, p.resumed_from, p.resumed_lines)

    def prints(self) -> list[str]:
        """Lines printed since the last call."""
        lines = []
        while self._lib.seq_run_print(self._handle, self._line, len(self._line)):
            lines.append(self._ffi.string(self._line).decode("utf-8", "replace"))
        return lines

    def output(self, index: int, word_bits: int) -> Words | None:
        """The words of output `index`, or None if it is not mine to see."""
        words = self._ffi.new("const void **")
        elements = self._ffi.new("size_t *")
        if not self._lib.seq_run_output(self._handle, index, words, elements):
            return None
        raw = self._ffi.buffer(words[0], elements[0] * (word_bits // 8))
        array = np.frombuffer(bytes(raw), np.int64)
        return array if word_bits == 64 else array.reshape(-1, 2)

    def counters(self) -> list[Counter]:
        """By instruction, in the order of the code."""
        c = self._ffi.new("seq_counter *")
        found: list[Counter] = []
        while self._lib.seq_run_counter(self._handle, len(found), c):
            sent = list(c.sent)[: self._parties]
            found.append(Counter(c.executed, c.compute_ns, c.wait_ns, c.rounds, sent))
        return found

    def material_id(self) -> str:
        """The name of the material that was made or used, 32 hexadecimal digits."""
        out = self._ffi.new("uint8_t[16]")
        self._lib.seq_run_material(self._handle, out)
        return bytes(out).hex()

    def totals(self) -> Totals:
        t = self._ffi.new("seq_totals *")
        self._lib.seq_run_totals(self._handle, t)
        n, text = self._parties, self._ffi.string
        return Totals(
            rounds=t.rounds,
            peak_bytes=t.peak_bytes,
            predicted_peak_bytes=t.predicted_peak_bytes,
            sent=list(t.sent)[:n],
            received=list(t.received)[:n],
            wire_sent=list(t.wire_sent)[:n],
            setup_ns=t.setup_ns,
            run_ns=t.run_ns,
            awaited_ns=t.awaited_ns,
            saving_ns=t.saving_ns,
            saved_bytes=t.saved_bytes,
            kernels=text(t.kernels).decode(),
            prg=text(t.prg).decode(),
            tls=text(t.tls).decode(),
        )
