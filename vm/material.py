"""Material made before a run: what a dealer deals, in a folder that serves one run.

The folder holds preprocessing.json (for what it was made) and one folder a party, party-I, with
`material`, sealed by the key beside it. A party gets its own folder and preprocessing.json, and
nothing else. Files are made and read by runtime_c/vm/material.c; what is in them is never in
Python's hands.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sequester.compiler.isa import ahead, codec

from . import checkpoint, native
from .errors import ConfigError
from .results import write_json

_FILE = "preprocessing.json"


@dataclass(frozen=True)
class Material:
    """For what material was made; `seed`: of the public randomness; `id`: names it."""

    folder: Path
    hash: str
    protocol: str
    parties: int
    seed: int
    id: str


def _key(folder: Path, party: int) -> Path:
    return folder / f"party-{party}" / "material.key"


def key(folder: Path, party: int) -> bytes:
    """The key of a party's material. Raises ConfigError if it is not there, or not well kept."""
    return checkpoint.key(_key(folder, party), make=False)


def load(folder: Path) -> Material:
    """What a folder was made for; ConfigError for another folder."""
    try:
        table: dict[str, Any] = json.loads((folder / _FILE).read_text())
        return Material(
            folder=folder,
            hash=str(table["hash"]),
            protocol=str(table["protocol"]),
            parties=int(table["parties"]),
            seed=int(table["seed"]),
            id=bytes.fromhex(table["id"]).hex(),
        )
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{folder}: no material: {_FILE} cannot be read ({e})") from e


def check(found: Material, program_hash: str, protocol: str, parties: int) -> None:
    """Raise ConfigError if material was made for something else; parties 0: as it was made for."""
    if found.hash != program_hash:
        raise ConfigError(f"{found.folder}: was made for another program (hash {found.hash})")
    if found.protocol != protocol:
        raise ConfigError(f"{found.folder}: was made for protocol {found.protocol}, not {protocol}")
    if parties not in (0, found.parties):
        raise ConfigError(f"{found.folder}: was made for {found.parties} parties, not {parties}")


def make(
    name: str, bytecode: bytes, folder: Path, protocol: str, parties: int, seed: int, threads: int
) -> dict[str, Any]:
    """Deal for one run of `bytecode` by `parties` that compute; what preprocessing.json says.

    Raises ConfigError if the folder is there, or if what is dealt depends on opened values.
    """
    from . import runs

    program = native.Program(bytecode)
    code = codec.decode(bytecode)
    at = ahead.needs_opened(code)
    if at is not None:
        where = code.lines[at]
        raise ConfigError(
            f"{code.strings[where.file]}:{where.line}: what is dealt here depends on an opened "
            f"value ({code.code[at].instr.name}); run {name} without --preprocessing"
        )
    try:
        folder.mkdir(parents=True)
    except OSError as e:
        raise ConfigError(f"--out {folder}: cannot be made: {e.strerror}") from e
    keys = [checkpoint.key(_key(folder, i), make=True) for i in range(parties)]
    name_id = secrets.token_hex(16)
    options = native.Options(
        protocol=protocol,
        me=parties,
        parties=parties + 1,
        threads=threads,
        channel=native.MEMORY,
        public_seed=runs.public_seed(seed),
        material_folder=str(folder),
        material_make=True,
        material_id=bytes.fromhex(name_id),
        material_keys=tuple(keys),
    )
    began = time.monotonic()
    try:
        native_run = native.Run(program, options)
        native_run.execute(lambda: None)
    except BaseException:
        shutil.rmtree(folder)
        raise
    sizes = [(folder / f"party-{i}" / "material").stat().st_size for i in range(parties)]
    table = {
        "program": name,
        "hash": program.hash,
        "protocol": protocol,
        "parties": parties,
        "seed": seed,
        "id": name_id,
        "dealt_bytes": native_run.totals().sent[:parties],
        "file_bytes": sizes,
        "seconds": round(time.monotonic() - began, 3),
        "machine": runs.machine(),
    }
    write_json(folder / _FILE, table)
    return table
