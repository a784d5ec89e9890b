"""One run of a program by all its parties on this machine: its folder, its job, its record.

A run's folder holds run.json (what was run, and how it ended), program.sqb, what the program
printed (see `record.py`), and one folder a party with counters.json, ledger.json and, where the
party may see any, outputs.npz; while it runs, also its checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sequester.compiler.isa import codec
from sequester.compiler.isa.program import Program

from . import checkpoint, data, material, native, party
from .config import SECURITY
from .errors import ConfigError, SequesterError
from .launch import OnEvent, Route, run_local
from .party import Emit, Job
from .record import Record
from .results import write_json

CHANNELS = {native.MEMORY: "one process", native.TCP: "plain TCP", native.TLS: "TLS 1.3"}


@dataclass(frozen=True)
class Settings:
    """How to run a program here. `parties` 0: the protocol's least; `threads` 0: a fair part of the
    machine's; `seed` None: a fresh one; `checked` -1: as the bytecode says; `checkpoint_every`: 0
    for never; `route`: see launch; `preprocessing`: a folder of material, which says the seed and
    the parties."""

    protocol: str
    inputs: tuple[str, ...] = ()
    parties: int = 0
    threads: int = 0
    tls: bool = True
    timeout: float = 10.0
    seed: int | None = None
    checked: int = -1
    checkpoint_every: int = 0
    interval: float = 0.02
    route: Route | None = None
    preprocessing: Path | None = None


def run(name: str, bytecode: bytes, folder: Path, settings: Settings, on_event: OnEvent) -> None:
    """Run `bytecode`, leave the results in `folder`. Raises SequesterError as `run_local` does."""
    program = codec.decode(bytecode)
    made = None if settings.preprocessing is None else material.load(settings.preprocessing)
    if made is not None:
        material.check(made, codec.program_hash(bytecode), settings.protocol, settings.parties)
        if settings.seed not in (None, made.seed):
            raise ConfigError(f"{made.folder}: was made for the seed {made.seed}; leave --seed out")
        settings = replace(settings, seed=made.seed)
    parties = _parties(settings, made)
    check_inputs(program, settings.inputs)
    _new_folder(folder, bytecode)
    seed = secrets.randbits(63) if settings.seed is None else settings.seed
    threads = settings.threads or max(1, native.cpus() // parties)
    job = Job(
        program=str(folder / "program.sqb"),
        folder=str(folder),
        protocol=settings.protocol,
        parties=parties,
        timeout=settings.timeout,
        threads=threads,
        inputs=settings.inputs,
        run_id=secrets.token_hex(16),
        public_seed=public_seed(seed).hex(),
        checked=settings.checked,
        checkpoint_every=settings.checkpoint_every,
        interval=settings.interval,
        material="" if made is None else str(made.folder),
        material_id=Job.material_id if made is None else made.id,
    )
    channel = native.MEMORY if parties == 1 else native.TLS if settings.tls else native.TCP
    info = describe(name, bytecode, job, channel) | {"seed": seed}
    _run_all(folder, info, job, settings, on_event)


def resume(folder: Path, settings: Settings, on_event: OnEvent) -> None:
    """Go on with the run in `folder` from the last checkpoint that all its parties have.

    Of `settings` only threads, timeout, interval and route matter: all else is as the run was
    started. Raises ConfigError for a folder without a run that can be resumed, else as
    `run` does.
    """
    info = resumable(folder)
    parties = int(info["parties"])
    job = Job(
        program=str(folder / "program.sqb"),
        folder=str(folder),
        protocol=info["protocol"],
        parties=parties,
        timeout=settings.timeout,
        threads=settings.threads or max(1, native.cpus() // parties),
        run_id=info["run_id"],
        public_seed=public_seed(info["seed"]).hex(),
        checked=info["checked"],
        checkpoint_every=info["checkpoint_every"],
        program_hash=info["hash"],
        resume=True,
        interval=settings.interval,
    )
    tls = info["channel"] != CHANNELS[native.TCP]
    info = _again(info) | {"threads": job.threads}
    _run_all(folder, info, job, replace(settings, tls=tls), on_event)


def _run_all(
    folder: Path, info: dict[str, Any], job: Job, settings: Settings, on_event: OnEvent
) -> None:
    """Run all parties; their checkpoints go when all of them have ended well."""
    record = Record(folder)

    def watch(me: int, event: party.Event) -> None:
        if me == 0:
            record.on_event(event)
        on_event(me, event)

    def body() -> None:
        run_local(job, watch, tls=settings.tls, route=settings.route)
        checkpoint.remove(folder, job.parties)

    _record(folder, info, record, body)


def run_party(job: Job, name: str, emit: Emit) -> None:
    """Run one party of a run spread over several machines; its folder is `job.folder`/party-I.

    With `job.resume` it goes on with the run in that folder. Checkpoints stay, and a run that has
    finished can be resumed from them: another party may not have got its results.
    """
    folder = Path(job.folder)
    bytecode = Path(job.program).read_bytes()
    info = describe(name, bytecode, job, job.channel)
    if job.resume:
        info = _again(resumable(folder))
    else:
        _new_folder(folder, bytecode)
    own = replace(job, folder=str(folder / f"party-{job.me}"))
    record = Record(folder)

    def watch(event: party.Event) -> None:
        record.on_event(event)
        emit(event)

    _record(folder, info, record, lambda: party.run(own, watch))


def resumable(folder: Path) -> dict[str, Any]:
    """run.json of a run that was interrupted and can be resumed; ConfigError for another folder."""
    try:
        info: dict[str, Any] = json.loads((folder / "run.json").read_text())
        status, every = info["status"], info["checkpoint_every"]
    except (OSError, ValueError, KeyError) as e:
        raise ConfigError(f"{folder}: not the folder of a run ({e})") from e
    if status == "finished" and not any(folder.glob("party-*/checkpoints")):
        raise ConfigError(f"{folder}: this run has finished")
    if not every:
        raise ConfigError(f"{folder}: this run was started without --checkpoint-every")
    return info


def _again(info: dict[str, Any]) -> dict[str, Any]:
    """run.json of a run that starts again."""
    starts = [*info.get("resumed", []), time.strftime("%Y-%m-%dT%H:%M:%S%z")]
    return {k: v for k, v in info.items() if k not in ("status", "error")} | {"resumed": starts}


def public_seed(seed: int) -> bytes:
    """The 16 bytes of public randomness that a seed, any integer >= 0, stands for."""
    return hashlib.sha256(b"sequester public seed %d" % seed).digest()[:16]


def run_id(words: str) -> bytes:
    """The 16 bytes that the parties' common name for a run stands for."""
    return hashlib.sha256(f"sequester run id {words}".encode()).digest()[:16]


def describe(name: str, bytecode: bytes, job: Job, channel: int) -> dict[str, Any]:
    """What run.json says before the run."""
    return {
        "program": name,
        "hash": codec.program_hash(bytecode),
        "protocol": job.protocol,
        "parties": job.parties,
        "channel": CHANNELS[channel],
        "threads": job.threads,
        "inputs": list(job.inputs),
        "run_id": job.run_id,
        "checked": job.checked,
        "checkpoint_every": job.checkpoint_every,
        "preprocessing": job.material,
        "machine": machine(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def machine() -> str:
    """The machine in words: processor, cores, system."""
    cpu = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{cpu}, {native.cpus()} cores, {platform.system()} {platform.release()}"


def check_inputs(program: Program, specs: Sequence[str]) -> None:
    """Raise ConfigError for an `--input` that brings nothing the program asks for."""
    wanted = [(row.party, program.strings[row.name]) for row in program.inputs]
    for spec in specs:
        brought = data.parse_inputs([spec])
        if not set(brought) & set(wanted):
            names = ", ".join(f"{party}:{name}" for party, name in wanted) or "none"
            what = ", ".join(f"{party}:{name}" for party, name in brought)
            raise ConfigError(
                f"--input {spec}: brings {what}, but the program's inputs are: {names}"
            )


def check_security(protocol: native.Protocol, least: str) -> None:
    """Raise ConfigError if `protocol` offers less than `least`, a word of SECURITY."""
    offered = next(i for i, word in enumerate(SECURITY) if protocol.adversary.startswith(word))
    if offered < SECURITY.index(least):
        raise ConfigError(
            f"protocol {protocol.name} is secure against: {protocol.adversary}; "
            f"the configuration's key security asks for {least}"
        )


def _new_folder(folder: Path, bytecode: bytes) -> None:
    if (folder / "run.json").exists():
        raise ConfigError(f"--out {folder}: holds a run already; remove it, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "program.sqb").write_bytes(bytecode)
    except OSError as e:
        raise ConfigError(f"--out {folder}: cannot be written: {e}") from e


def _parties(settings: Settings, made: material.Material | None) -> int:
    row = native.protocol(settings.protocol)
    if made is not None:
        return made.parties
    parties = settings.parties or row.parties_min
    if not row.parties_min <= parties <= row.parties_max:
        allowed = f"{row.parties_min}"
        if row.parties_max != row.parties_min:
            allowed += f" to {row.parties_max}"
        raise ConfigError(f"--parties {parties}: {row.name} runs with {allowed} parties")
    return parties


def _record(folder: Path, info: dict[str, Any], record: Record, body: Callable[[], None]) -> None:
    """Run `body` with run.json written before and after, and the curves drawn at the end."""
    write_json(folder / "run.json", info | {"status": "running"})
    begin = time.monotonic()
    try:
        body()
    except SequesterError as e:
        write_json(folder / "run.json", info | {"status": "failed", "error": str(e)})
        record.close()
        raise
    seconds = round(time.monotonic() - begin, 3)
    write_json(folder / "run.json", info | {"status": "finished", "seconds": seconds})
    record.close()
