"""Checkpoints on disk, as far as Python sees them: their folder, and the key they are written with.

The files themselves are made and read by `runtime_c/vm/checkpoint.c`; what is in them is never in
Python's hands.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from .errors import ConfigError
from .results import write_private

_KEY_BYTES = 32


def folder(party: Path, *, make: bool) -> Path:
    """The folder of checkpoints in a party's folder of a run.

    Raises ConfigError if it cannot be made, or is not there to resume from.
    """
    path = party / "checkpoints"
    try:
        if make:
            path.mkdir(parents=True, mode=0o700)
    except OSError as e:
        raise ConfigError(f"{path}: cannot be made: {e.strerror}") from e
    if not path.is_dir():
        raise ConfigError(f"{path}: is not there, so the run cannot be resumed")
    return path


def default_key(run: Path, party: int) -> Path:
    """Where a run of all parties on one machine keeps a party's key."""
    return run / f"party-{party}" / "checkpoint.key"


def key(path: Path, *, make: bool, of: str = "checkpoints") -> bytes:
    """The 32 bytes in a key file, 64 hexadecimal digits; a new file, mode 0600, if there is none.

    Raises ConfigError for a file that others may read, that holds something else, or that is not
    there although `make` is False; `of`: what it is the key of.
    """
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            write_private(new, secrets.token_bytes(_KEY_BYTES).hex().encode() + b"\n")
            with contextlib.suppress(FileExistsError):  # another run of this party was faster
                os.link(new, path)
            new.unlink()
        mode, text = path.stat().st_mode, path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path}: the key of {of} cannot be read: {e.strerror}") from e
    if mode & 0o077:
        raise ConfigError(f"{path}: others than its owner may use this key; chmod 600 {path}")
    try:
        found = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        found = b""
    if len(found) != _KEY_BYTES:
        raise ConfigError(f"{path}: no key of {of}: 64 hexadecimal digits are wanted")
    return found


def remove(run: Path, parties: int) -> None:
    """Delete all checkpoints of a run that has ended well, and the keys kept beside them."""
    for party in range(parties):
        shutil.rmtree(run / f"party-{party}" / "checkpoints", ignore_errors=True)
        default_key(run, party).unlink(missing_ok=True)
