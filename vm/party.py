"""One party's part in a run: read inputs, run the program, keep what the party may keep.

`run` does it in this process. Run as a module it is the child of `launch.py`: a `Job` comes as JSON
on standard input, events go as one JSON object a line to standard output:

    {"event": "progress", "phase", "seconds", "rounds", "bytes_sent", "loops": [[i, trips, line]…],
     "checkpoint", "resumed_from", "resumed_lines"}
    {"event": "printed", "lines"}    once, as the program begins: what the run printed before the
                                     checkpoint that it goes on from
    {"event": "print", "line"}
    {"event": "error", "kind", "message", "party"}
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sequester.compiler.isa import codec
from sequester.compiler.isa.program import Program

from . import VERSION, checkpoint, data, errors, material, native, results
from .errors import ConfigError, PeerError, RefusedError, SequesterError, Stopped

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4  # linux/prctl.h

Event = dict[str, Any]
Emit = Callable[[Event], None]

ERRORS: dict[str, type[SequesterError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, SequesterError)
}


@dataclass(frozen=True)
class Job:
    """What a party's process is to do. `inputs` are `PARTY:NAME=FILE` options, this party's only
    matter; `run_id` and `public_seed` are 16 bytes in hexadecimal; no program but that with
    `program_hash` is run if that is given. `checkpoint_every`: see docs/running.md; 0: none is
    saved; `checkpoint_key`: the file with this party's key; `resume`: go on from a checkpoint;
    `material`: the folder of what was made before the run, named by `material_id`, or
    (`material_make`) is to be made now, without inputs and results."""

    program: str
    folder: str
    protocol: str
    parties: int
    me: int = 0
    channel: int = native.TLS
    addresses: tuple[tuple[str, int], ...] = ()
    listen_fd: int = -1
    ca: str = ""
    cert: str = ""
    key: str = ""
    timeout: float = 10.0
    connect_timeout: float = 60.0
    threads: int = 1
    inputs: tuple[str, ...] = ()
    run_id: str = "00" * 16
    public_seed: str = "00" * 16
    checked: int = -1
    interval: float = 0.02
    program_hash: str = ""
    checkpoint_every: int = 0
    checkpoint_key: str = ""
    resume: bool = False
    material: str = ""
    material_id: str = "00" * 16
    material_make: bool = False

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        table = json.loads(text)
        table["addresses"] = tuple((host, port) for host, port in table["addresses"])
        table["inputs"] = tuple(table["inputs"])
        return Job(**table)

    def options(self) -> native.Options:
        """What the runtime is told. Makes the folder and the key of checkpoints if need be."""
        folder, key = "", bytes(32)
        if self.checkpoint_every:
            folder = str(checkpoint.folder(Path(self.folder), make=not self.resume))
            key = checkpoint.key(Path(self.checkpoint_key), make=not self.resume)
        keys = [bytes(32)] * self.parties
        if self.material:
            keys[self.me] = material.key(Path(self.material), self.me)
        return native.Options(
            material_folder=self.material,
            material_make=self.material_make,
            material_id=bytes.fromhex(self.material_id),
            material_keys=tuple(keys),
            checkpoint_folder=folder,
            checkpoint_every=self.checkpoint_every,
            checkpoint_key=key,
            resume=self.resume,
            protocol=self.protocol,
            me=self.me,
            parties=self.parties,
            threads=self.threads,
            channel=self.channel,
            addresses=self.addresses,
            listen_fd=self.listen_fd,
            ca_file=self.ca,
            cert_file=self.cert,
            key_file=self.key,
            timeout=self.timeout,
            connect_timeout=self.connect_timeout,
            run_id=bytes.fromhex(self.run_id),
            public_seed=bytes.fromhex(self.public_seed),
            checked=self.checked,
            agree=f"sequester {VERSION}, material {self.material_id} {self.material_make}",
        )


def run(job: Job, emit: Emit) -> None:
    """Take part in a run as party `job.me`; results go to `job.folder`. Raises SequesterError."""
    bytecode = Path(job.program).read_bytes()
    program = native.Program(bytecode)
    if job.program_hash and job.program_hash != program.hash:
        raise RefusedError(f"{job.program}: its hash is {program.hash}, not {job.program_hash}")
    _prctl(_PR_SET_DUMPABLE, 0)  # no core dumps from here on: inputs are secret
    code = codec.decode(bytecode)
    sources = {} if job.resume or job.material_make else _inputs(job, code)
    native_run = native.Run(program, job.options())
    for index, source in sources.items():
        _give(native_run, code, index, source)
    watcher = _Watcher(native_run, _progress(emit) if job.material_make else emit)
    try:
        native_run.execute(watcher.poll, job.interval)
    except KeyboardInterrupt:
        raise Stopped("stopped") from None
    counters = results.write_counters(Path(job.folder), native_run, peak_rss())
    if not job.material_make:
        results.write(Path(job.folder), code, native_run, counters)


def peak_rss() -> int:
    """The most memory this program has held, in bytes (getrusage would count its parent's too)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _progress(emit: Emit) -> Emit:
    """Without what a program prints, which means nothing before the run."""

    def emit_progress(event: Event) -> None:
        if event["event"] not in ("print", "printed"):
            emit(event)

    return emit_progress


class _Watcher:
    """Passes on prints at once, progress when a loop moves or a quarter of a second has passed."""

    def __init__(self, native_run: native.Run, emit: Emit) -> None:
        self.run, self.emit = native_run, emit
        self.last: tuple[Any, ...] = ()
        self.time = 0.0
        self.begun = False

    def poll(self) -> None:
        progress = self.run.progress()
        lines = self.run.prints() if progress.phase >= 2 else []
        if not self.begun and progress.phase >= 2:
            self.begun, before = True, progress.resumed_lines
            self.emit({"event": "printed", "lines": lines[:before]})
            lines = lines[before:]
        for line in lines:
            self.emit({"event": "print", "line": line})
        now = time.monotonic()
        if (progress.phase, progress.loops) != self.last or now - self.time > 0.25:
            self.last, self.time = (progress.phase, progress.loops), now
            self.emit({"event": "progress", **dataclasses.asdict(progress)})


def _give(native_run: native.Run, code: Program, index: int, source: data.Source) -> None:
    """Hand an input over piece by piece: a data set is not to be held several times."""
    meta, first = code.meta, 0
    for block in source.blocks():
        words = data.to_words(
            block, f=code.inputs[index].f, k=meta.k, word_bits=meta.word_bits,
            what=str(source.path), first=first,
        )  # fmt: skip
        native_run.input(index, first, words)
        first += block.shape[0]
        words.fill(0)


def _inputs(job: Job, code: Program) -> dict[int, data.Source]:
    """The inputs this party brings; all inputs when it is the only process."""
    sources = data.parse_inputs(job.inputs)
    found = {}
    for index, declared in enumerate(code.inputs):
        if job.parties > 1 and declared.party != job.me:
            continue
        name = code.strings[declared.name]
        source = sources.get((declared.party, name))
        size = "x".join(map(str, declared.shape)) or "one value"
        if source is None:
            raise ConfigError(
                f"input {name!r} of party {declared.party} ({size}) is missing: "
                f"give --input {declared.party}:{name}=FILE"
            )
        if source.shape != tuple(declared.shape):
            raise ConfigError(
                f"{source.path}: has shape {source.shape}, input {name!r} of the program "
                f"has {tuple(declared.shape)}"
            )
        found[index] = source
    return found


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _main() -> int:
    _die_with(int(sys.argv[1]))
    job = Job.from_json(sys.stdin.read())

    def emit(event: Event) -> None:
        print(json.dumps(event), flush=True)

    try:
        run(job, emit)
    except SequesterError as e:
        party = e.party if isinstance(e, PeerError) else None
        emit({"event": "error", "kind": type(e).__name__, "message": str(e), "party": party})
        return e.exit_code
    except KeyboardInterrupt:
        return Stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main())
