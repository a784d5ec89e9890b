"""One run of a program by all its parties on this machine: its folder, its job, its record.

A run's folder holds run.json (what was run, and how it ended), program.sqb, and one folder a party
with counters.json, ledger.json and, where the party may see any, outputs.npz.
"""

from __future__ import annotations

import hashlib
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sequester.compiler.isa import codec
from sequester.compiler.isa.program import Program

from . import data, native, party
from .config import SECURITY
from .errors import ConfigError, SequesterError
from .launch import OnEvent, Route, run_local
from .party import Emit, Job
from .results import write_json

CHANNELS = {native.MEMORY: "one process", native.TCP: "plain TCP", native.TLS: "TLS 1.3"}


@dataclass(frozen=True)
class Settings:
    """How to run a program here. `parties` 0: the protocol's least; `threads` 0: a fair part of the
    machine's; `seed` None: a fresh one; `checked` -1: as the bytecode says; `route`: see launch."""

    protocol: str
    inputs: tuple[str, ...] = ()
    parties: int = 0
    threads: int = 0
    tls: bool = True
    timeout: float = 10.0
    seed: int | None = None
    checked: int = -1
    interval: float = 0.02
    route: Route | None = None


def run(name: str, bytecode: bytes, folder: Path, settings: Settings, on_event: OnEvent) -> None:
    """Run `bytecode`, leave the results in `folder`. Raises SequesterError as `run_local` does."""
    program = codec.decode(bytecode)
    parties = _parties(settings)
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
        interval=settings.interval,
    )
    channel = native.MEMORY if parties == 1 else native.TLS if settings.tls else native.TCP
    info = describe(name, bytecode, job, channel) | {"seed": seed}
    _record(folder, info, lambda: run_local(job, on_event, tls=settings.tls, route=settings.route))


def run_party(job: Job, name: str, emit: Emit) -> None:
    """Run one party of a run spread over several machines; its folder is `job.folder`/party-I."""
    folder = Path(job.folder)
    bytecode = Path(job.program).read_bytes()
    _new_folder(folder, bytecode)
    own = replace(job, folder=str(folder / f"party-{job.me}"))
    info = describe(name, bytecode, job, job.channel)
    _record(folder, info, lambda: party.run(own, emit))


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
        raise ConfigError(f"--out {folder}: holds a run already")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "program.sqb").write_bytes(bytecode)
    except OSError as e:
        raise ConfigError(f"--out {folder}: cannot be written: {e}") from e


def _parties(settings: Settings) -> int:
    row = native.protocol(settings.protocol)
    parties = settings.parties or row.parties_min
    if not row.parties_min <= parties <= row.parties_max:
        allowed = f"{row.parties_min}"
        if row.parties_max != row.parties_min:
            allowed += f" to {row.parties_max}"
        raise ConfigError(f"--parties {parties}: {row.name} runs with {allowed} parties")
    return parties


def _record(folder: Path, info: dict[str, Any], body: Callable[[], None]) -> None:
    """Run `body` with run.json written before and after."""
    write_json(folder / "run.json", info | {"status": "running"})
    begin = time.monotonic()
    try:
        body()
    except SequesterError as e:
        write_json(folder / "run.json", info | {"status": "failed", "error": str(e)})
        raise
    seconds = round(time.monotonic() - begin, 3)
    write_json(folder / "run.json", info | {"status": "finished", "seconds": seconds})
