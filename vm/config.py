"""`parties.toml`: what one party needs to know to take part in a run.

    protocol = "rep3"
    timeout = 10.0                     # seconds of silence after which a peer is given up
    connect_timeout = 60.0             # seconds to wait for the others to come up
    seed = 0                           # public randomness (shuffles, initial weights); all alike
    program_hash = "9f3c…"             # optional: refuse every other program
    security = "semi-honest"           # the least accepted: "semi-honest", "malicious"
    ca = "keys/ca.pem"                 # paths are relative to this file
    cert = "keys/party-0.pem"          # {i} stands for the party's index
    key = "keys/party-0.key"

    [[party]]                          # one for each, in the order of their indices
    host = "10.0.0.1"
    port = 7700

Unknown keys are errors; a mistake is reported with the name of its key.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

# From weakest to strongest; a protocol's adversary begins with one of these words.
SECURITY = ("none", "semi-honest", "malicious")


@dataclass(frozen=True)
class Address:
    """Where a party listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Tls:
    """Paths of one party's certificate files."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True)
class Config:
    """The contents of a parties.toml, checked. `tls` is None when no certificates are named."""

    protocol: str
    parties: tuple[Address, ...]
    tls: Tls | None
    timeout: float
    connect_timeout: float
    seed: int
    program_hash: str | None
    security: str


def _in_range(low: float, high: float) -> Callable[[Any], bool]:
    return lambda v: low < v <= high


def load(path: Path, me: int) -> Config:
    """Read and check `path` for party `me`. Raises ConfigError naming file and key."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ConfigError(f"{path}: no such file") from e
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(f"{path}: {e}") from e
    keys = _Keys(path, table)
    parties = _parties(path, keys)
    if not 0 <= me < len(parties):
        raise ConfigError(f"{path}: [[party]]: {len(parties)} of them, so there is no party {me}")
    config = Config(
        protocol=keys.take("protocol", str, None),
        parties=parties,
        tls=_tls(path, keys, me),
        timeout=float(keys.take("timeout", (int, float), 10.0, _in_range(0, 86400))),
        connect_timeout=float(
            keys.take("connect_timeout", (int, float), 60.0, _in_range(0, 86400))
        ),
        seed=keys.take("seed", int, 0, lambda v: v >= 0),
        program_hash=keys.take("program_hash", str, "", _is_hash, "64 hex digits") or None,
        security=keys.take(
            "security", str, "semi-honest", lambda v: v in SECURITY, " or ".join(SECURITY)
        ),
    )
    keys.finish()
    return config


def _is_hash(text: str) -> bool:
    return text == "" or (len(text) == 64 and all(c in "0123456789abcdef" for c in text))


class _Keys:
    """A table whose keys are taken one by one; what is left over is an error."""

    def __init__(self, path: Path, table: dict[str, Any], where: str = "") -> None:
        self.path, self.table, self.where = path, dict(table), where

    def take(
        self,
        name: str,
        kind: type[T] | tuple[type[T], ...],
        default: T | None,
        valid: Callable[[T], bool] = lambda v: True,
        wanted: str = "",
    ) -> T:
        value = self.table.pop(name, default)
        if value is None:
            raise ConfigError(f"{self.path}: {self.where}{name}: is missing")
        if not isinstance(value, kind) or isinstance(value, bool) or not valid(value):
            wanted = wanted and f"; wanted: {wanted}"
            raise ConfigError(
                f"{self.path}: {self.where}{name}: {value!r} is not allowed here{wanted}"
            )
        return value

    def finish(self) -> None:
        for name in self.table:
            raise ConfigError(f"{self.path}: {self.where}{name}: no such key")


def _parties(path: Path, keys: _Keys) -> tuple[Address, ...]:
    rows: list[Any] = keys.take("party", list, None, lambda v: 0 < len(v) <= 10)
    parties = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ConfigError(
                f"{path}: party: write [[party]] with host and port, {len(rows)} times"
            )
        party = _Keys(path, row, f"[[party]] {index}: ")
        host = party.take("host", str, None, lambda v: 0 < len(v) < 256)
        port = party.take("port", int, None, _in_range(0, 65535))
        party.finish()
        parties.append(Address(host, port))
    return tuple(parties)


def _tls(path: Path, keys: _Keys, me: int) -> Tls | None:
    named = [name for name in ("ca", "cert", "key") if name in keys.table]
    if not named:
        return None
    files = {}
    for name in ("ca", "cert", "key"):
        file = path.parent / keys.take(name, str, None).replace("{i}", str(me))
        if not file.is_file():
            raise ConfigError(f"{path}: {name}: no file {file}")
        files[name] = file
    return Tls(files["ca"], files["cert"], files["key"])
