"""Making material before a run: a dealer deals, or the parties prepare among themselves.

What material is, and how it is used: `material.py`.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import launch, material, native, party, runs
from .errors import ConfigError
from .results import write_json


def make(
    name: str,
    bytecode: bytes,
    folder: Path,
    protocol: str,
    parties: int,
    seed: int,
    threads: int,
    *,
    tls: bool = True,
    timeout: float = 10.0,
) -> dict[str, Any]:
    """Make material for one run of `bytecode` by `parties` that compute; what preprocessing.json
    says. A dealer deals alone, in this process; other parties do it together, all on this machine.

    Raises ConfigError if the folder is there, if the protocol prepares nothing, or if what would
    be made depends on opened values; else as `launch.run_local` does.
    """
    row = native.protocol(protocol)
    if not (row.deals or row.prepares):
        raise ConfigError(f"{protocol} has nothing to be made before a run")
    try:
        folder.mkdir(parents=True)
    except OSError as e:
        raise ConfigError(f"--out {folder}: cannot be made: {e.strerror}") from e
    program_hash = native.Program(bytecode).hash
    made = material.Material(folder, program_hash, protocol, parties, seed, secrets.token_hex(16))
    began = time.monotonic()
    try:
        for i in range(parties):
            material.key(folder, i, make=True)
        figures = (
            _deal(made, bytecode, threads)
            if row.deals
            else _prepare(made, bytecode, threads, tls, timeout)
        )
    except BaseException:
        shutil.rmtree(folder)
        raise
    return _describe(name, made, figures, time.monotonic() - began)


def make_own(job: party.Job, name: str, seed: int, emit: party.Emit) -> dict[str, Any]:
    """Make one party's material, the others making theirs elsewhere, in `job.material`."""
    folder = Path(job.material)
    bytecode = Path(job.program).read_bytes()
    own = folder / f"party-{job.me}"
    if own.exists():
        raise ConfigError(f"--prepare {folder}: holds material of party {job.me} already")
    material.key(folder, job.me, make=True)
    began = time.monotonic()
    try:
        party.run(replace(job, folder=str(own), material_make=True), emit)
    except BaseException:
        shutil.rmtree(own)
        raise
    program_hash = native.Program(bytecode).hash
    made = material.Material(folder, program_hash, job.protocol, job.parties, seed, "")
    return _describe(name, made, _figures(folder, [job.me]), time.monotonic() - began)


def _describe(
    name: str, made: material.Material, figures: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Write preprocessing.json."""
    files = [made.folder / f"party-{i}" / "material" for i in range(made.parties)]
    table = {
        "program": name,
        "hash": made.hash,
        "protocol": made.protocol,
        "parties": made.parties,
        "seed": made.seed,
        "id": made.id,
        **figures,
        "file_bytes": [f.stat().st_size for f in files if f.exists()],
        "seconds": round(seconds, 3),
        "machine": runs.machine(),
    }
    write_json(made.folder / material.FILE, table)
    return table


def _deal(made: material.Material, bytecode: bytes, threads: int) -> dict[str, Any]:
    options = native.Options(
        protocol=made.protocol,
        me=made.parties,
        parties=made.parties + 1,
        threads=threads,
        channel=native.MEMORY,
        public_seed=runs.public_seed(made.seed),
        material_folder=str(made.folder),
        material_make=True,
        material_id=bytes.fromhex(made.id),
        material_keys=tuple(material.key(made.folder, i) for i in range(made.parties)),
    )
    run = native.Run(native.Program(bytecode), options)
    run.execute(lambda: None)
    return {"dealt_bytes": run.totals().sent[: made.parties]}


def _prepare(
    made: material.Material, bytecode: bytes, threads: int, tls: bool, timeout: float
) -> dict[str, Any]:
    """The name of what was made, rounds, and bytes that each party sent; counters of each stay
    beside its material."""
    with tempfile.TemporaryDirectory(prefix="sequester-") as home:
        path = Path(home) / "program.sqb"
        path.write_bytes(bytecode)
        job = party.Job(
            program=str(path),
            folder=str(made.folder),
            protocol=made.protocol,
            parties=made.parties,
            timeout=timeout,
            threads=max(1, threads // made.parties),
            run_id=secrets.token_hex(16),
            public_seed=runs.public_seed(made.seed).hex(),
            material=str(made.folder),
            material_make=True,
        )
        launch.run_local(job, lambda me, event: None, tls=tls)
    return _figures(made.folder, range(made.parties))


def _figures(folder: Path, parties: Iterable[int]) -> dict[str, Any]:
    counters = [json.loads((folder / f"party-{i}" / "counters.json").read_text()) for i in parties]
    return {
        "id": counters[0]["material"],
        "rounds": max(c["totals"]["rounds"] for c in counters),
        "sent_bytes": [sum(c["totals"]["sent"]) for c in counters],
    }
