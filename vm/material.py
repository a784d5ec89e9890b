"""Material made before a run: what a dealer deals, or what parties prepare among themselves, in a
folder that serves one run.

The folder holds preprocessing.json (for what it was made) and one folder a party, party-I, with
`material`, sealed by the key beside it. A run leaves `material.used` in place of both. A party gets
its own folder and preprocessing.json, and nothing else. Files are made and read by
runtime_c/vm/material.c; what is in them is never in Python's hands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import checkpoint
from .errors import ConfigError

FILE = "preprocessing.json"


@dataclass(frozen=True)
class Material:
    """For what material was made; `seed`: of the public randomness; `id`: names it."""

    folder: Path
    hash: str
    protocol: str
    parties: int
    seed: int
    id: str


def key(folder: Path, party: int, *, make: bool = False) -> bytes:
    """The key of a party's material, or a new one. Zeros if a run has used the material, whose key
    is then gone: the VM refuses it, so that the other parties hear why. Raises ConfigError if it is
    not there, or not well kept."""
    own = folder / f"party-{party}"
    if (own / "material.used").exists():
        return bytes(32)
    return checkpoint.key(own / "material.key", make=make, of="material")


def load(folder: Path) -> Material:
    """What a folder was made for; ConfigError for another folder."""
    try:
        table: dict[str, Any] = json.loads((folder / FILE).read_text())
        return Material(
            folder=folder,
            hash=str(table["hash"]),
            protocol=str(table["protocol"]),
            parties=int(table["parties"]),
            seed=int(table["seed"]),
            id=bytes.fromhex(table["id"]).hex(),
        )
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{folder}: no material: {FILE} cannot be read ({e})") from e


def check(found: Material, program_hash: str, protocol: str, parties: int) -> None:
    """Raise ConfigError if material was made for something else; parties 0: as it was made for."""
    if found.hash != program_hash:
        raise ConfigError(f"{found.folder}: was made for another program (hash {found.hash})")
    if found.protocol != protocol:
        raise ConfigError(f"{found.folder}: was made for protocol {found.protocol}, not {protocol}")
    if parties not in (0, found.parties):
        raise ConfigError(f"{found.folder}: was made for {found.parties} parties, not {parties}")
