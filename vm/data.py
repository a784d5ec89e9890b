"""Inputs of a party: arrays in `.npy`, `.npz`, IDX (`.gz` too) and CSV files; sets of pictures.

Each array is a `Source`: name, shape and kind are read from the file's header, the elements only by
`read`. Conversions, all of them here (and for other sets of pictures in `pictures.py`):

* IDX files of unsigned bytes with rank 3 are pictures: they become floats in [0, 1] (byte / 255) of
  shape (n, 1, height, width). Every other array keeps its values and shape.
* An array goes to an input of `f` fractional bits as round(value * 2^f), ties to even.
"""

from __future__ import annotations

import csv
import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from . import pictures
from .errors import ConfigError

Array = NDArray[Any]
Words = NDArray[np.int64]
Load = Callable[[tuple[int, ...]], Iterator[Array]]

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_ELEMENTS = 1 << 40
_UNREADABLE = (
    OSError, EOFError, ValueError, KeyError, RuntimeError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
_BLOCK = 1 << 20  # elements converted at a time


@dataclass(frozen=True)
class Source:
    """One array in a file or folder: what an input named `name` is read from.

    `kind` is "int" or "float"; `load`, given `shape`, reads the elements, many in pieces.
    """

    name: str
    path: Path
    shape: tuple[int, ...]
    kind: str
    load: Load

    def read(self) -> Array:
        """The elements: int64 or float64, of `shape`. Raises ConfigError naming the file."""
        array = np.empty(math.prod(self.shape), np.int64 if self.kind == "int" else np.float64)
        at = 0
        for block in self.blocks():
            array[at : at + block.shape[0]] = block
            at += block.shape[0]
        return array.reshape(self.shape)

    def blocks(self) -> Iterator[Array]:
        """The elements of `read` in order, flat and piece by piece: at least one, perhaps empty."""
        dtype = np.int64 if self.kind == "int" else np.float64
        try:
            for block in self.load(self.shape):
                if block.dtype == np.uint64 and (block >> np.uint64(63)).any():
                    raise ConfigError(f"{self.path}: holds integers of 2^63 or more")
                yield block.reshape(-1).astype(dtype, copy=False)
        except _UNREADABLE as e:
            if isinstance(e, ConfigError):
                raise
            raise ConfigError(f"{self.path}: cannot be read: {e}") from e


def parse_inputs(specs: Sequence[str]) -> dict[tuple[int, str], Source]:
    """`PARTY:NAME=FILE` options -> the arrays they bring, by (party, input name).

    FILE may be an `.npz`, whose array K becomes NAME.K (and one already called NAME.K stays so: the
    outputs of a run are inputs of the next), or a folder with IDX files
    `NAME-images*` and `NAME-labels*` (for `test` also `t10k-…`), with the batches of CIFAR-10, or
    with a folder of image files for each class, which become NAME.x and NAME.y.
    """
    found: dict[tuple[int, str], Source] = {}
    for spec in specs:
        head, eq, file = spec.partition("=")
        party, colon, name = head.partition(":")
        if not eq or not colon or not party.isdigit() or not name or not file:
            raise ConfigError(f"--input {spec}: write PARTY:NAME=FILE, such as 0:train=train.npz")
        for source in sources(name, Path(file)):
            key = (int(party), source.name)
            if key in found:
                raise ConfigError(f"--input {spec}: party {party} already has {source.name!r}")
            found[key] = source
    return found


def parse_shapes(specs: Sequence[str]) -> dict[tuple[int, str], tuple[int, ...]]:
    """`PARTY:NAME=3,4,5` options -> shape by (party, input name); nothing after `=` is a scalar."""
    shapes: dict[tuple[int, str], tuple[int, ...]] = {}
    for spec in specs:
        head, eq, dims = spec.partition("=")
        party, colon, name = head.partition(":")
        parts = dims.split(",") if dims else []
        if not (eq and colon and party.isdigit() and name and all(d.isdigit() for d in parts)):
            raise ConfigError(
                f"--shape {spec}: write PARTY:NAME=A,B,C, such as 0:train.x=10000,1,28,28"
            )
        shapes[int(party), name] = tuple(map(int, parts))
    return shapes


def sources(name: str, path: Path) -> list[Source]:
    """The arrays that `path` brings for an input called `name`; headers only are read."""
    if not path.exists():
        raise ConfigError(f"{path}: no such file")
    try:
        if path.is_dir():
            return _folder(name, path)
        if path.suffix == ".npz":
            return list(_npz(name, path))
        if path.suffix == ".npy":
            with path.open("rb") as file:
                return [_source(name, path, *_npy_header(file)[:2], partial(_read_npy, path))]
        if path.suffix == ".csv":
            return [_csv(name, path)]
        shape, dtype = _idx_header(path)
        return [_idx_source(name, path, shape, dtype)]
    except _UNREADABLE as e:
        if isinstance(e, ConfigError):
            raise
        raise ConfigError(f"{path}: cannot be read: {e}") from e


def to_words(array: Array, *, f: int, k: int, word_bits: int, what: str, first: int = 0) -> Words:
    """Signed words of an input: int64, shape (n,) if words have 64 bits and (n, 2) if 128.

    Raises ConfigError, naming `what` and the place (counted from `first`), for values outside
    |x * 2^f| < 2^(k-1), infinities, NaN, and fractions where integers (f = 0) are wanted.
    """
    flat = array.reshape(-1)
    words = np.empty((flat.shape[0], word_bits // 64), np.int64)
    for at in range(0, flat.shape[0], _BLOCK):  # what lies between is as large as the data itself
        block = _block_words(flat[at : at + _BLOCK], first + at, f=f, k=k, what=what)
        words[at : at + _BLOCK, 0] = block
        if word_bits == 128:
            words[at : at + _BLOCK, 1] = block >> 63
    return words[:, 0] if word_bits == 64 else words


def _block_words(flat: Array, at: int, *, f: int, k: int, what: str) -> Words:
    """The low words of elements `at` and those that follow it."""
    scaled: Array
    bits = min(k - 1, 63)
    if flat.dtype.kind == "f":
        scaled = flat.astype(np.float64) * 2.0**f
        if f == 0 and not np.array_equal(scaled, np.rint(scaled), equal_nan=True):
            bad = int(np.argmax(scaled != np.rint(scaled)))
            raise ConfigError(f"{what}: element {at + bad} is {flat[bad]}, but integers are wanted")
        good = np.abs(np.rint(scaled)) < 2.0**bits
    else:
        limit = 2 ** max(bits - f, 0)
        good = (flat < limit) & (flat > -limit)
        scaled = np.where(good, flat, 0).astype(np.int64) << f
    if not good.all():
        bad = int(np.argmin(good))
        raise ConfigError(
            f"{what}: element {at + bad} is {flat[bad]}, outside ±{2.0 ** (bits - f):g} "
            f"(k = {k}, f = {f}); scale the data, or compile with a larger -k"
        )
    return np.rint(scaled).astype(np.int64)


def from_words(words: Words, *, f: int, shape: tuple[int, ...], word_bits: int) -> Array:
    """The reverse: signed integers (f = 0) or floats of `shape`."""
    if word_bits == 64:
        value: Array = words.reshape(shape)
        return value if f == 0 else value / 2.0**f
    low, high = words[:, 0].astype(np.uint64), words[:, 1]
    if f == 0 and np.array_equal(high, words[:, 0] >> 63):
        return words[:, 0].reshape(shape)
    wide = (high.astype(np.float64) * 2.0**64 + low.astype(np.float64)) / 2.0**f
    narrow = words[:, 0] / 2.0**f
    return np.where(high == words[:, 0] >> 63, narrow, wide).reshape(shape)


# ---- readers, one format each ----


def _read_npy(path: Path, expected: tuple[int, ...]) -> Iterator[Array]:
    with path.open("rb") as file:
        yield from _npy_blocks(path, expected, file)


def _read_npz(path: Path, member: str, expected: tuple[int, ...]) -> Iterator[Array]:
    with zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as file:
        yield from _npy_blocks(path, expected, file)


def _read_idx(path: Path, expected: tuple[int, ...]) -> Iterator[Array]:
    shape, dtype = _idx_header(path)
    found = (shape[0], 1, *shape[1:]) if _pictures(shape, dtype) else shape
    _unchanged(path, found, expected)
    with _open(path) as file:
        file.seek(4 + 4 * len(shape))
        for block in _elements(path, shape, dtype, file):
            yield block / 255.0 if _pictures(shape, dtype) else block


def _read_csv(path: Path, expected: tuple[int, ...]) -> Iterator[Array]:
    rows = np.array([[float(x) for x in row] for row in _csv_rows(path)])
    _unchanged(path, rows.shape if len(expected) == 2 else rows.shape[:1], expected)
    yield rows


def _read_folder(
    path: Path, read: Callable[[], Array], expected: tuple[int, ...]
) -> Iterator[Array]:
    array = read()
    _unchanged(path, array.shape, expected)
    yield array


def _npy_blocks(path: Path, expected: tuple[int, ...], file: IO[bytes]) -> Iterator[Array]:
    shape, dtype, fortran = _npy_header(file)
    _unchanged(path, shape, expected)
    if not fortran:
        yield from _elements(path, shape, dtype, file)
        return
    whole = np.concatenate(list(_elements(path, shape, dtype, file)))
    yield whole.reshape(shape, order="F")


def _elements(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], file: IO[bytes]
) -> Iterator[Array]:
    """All elements from here to the end of the file, which must be as many as announced."""
    size = math.prod(shape) * dtype.itemsize
    for at in range(0, max(size, 1), _BLOCK * dtype.itemsize):
        wanted = min(_BLOCK * dtype.itemsize, size - at)
        raw = file.read(wanted)
        if len(raw) != wanted:
            there = at + len(raw)
            raise ConfigError(f"{path}: {size} bytes of elements announced, {there} there")
        yield np.frombuffer(raw, dtype)
    if file.read(1):
        raise ConfigError(f"{path}: {size} bytes of elements announced, more there")


def _unchanged(path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if shape != expected:
        raise ConfigError(f"{path}: has shape {shape} now, had {expected} when it was looked at")


def _source(
    name: str,
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    load: Load,
) -> Source:
    if dtype.kind not in "iufb":
        raise ConfigError(f"{path}: elements are {dtype}; integers or floats are wanted")
    if math.prod(shape) >= _MAX_ELEMENTS:
        raise ConfigError(f"{path}: shape {shape} is too large")
    return Source(name, path, tuple(shape), "float" if dtype.kind == "f" else "int", load)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type, and whether the elements lie in Fortran's order."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"npy format {version} is not known")
    return tuple(shape), dtype, fortran


def _npz(name: str, path: Path) -> Iterator[Source]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.namelist():
            member = info.removesuffix(".npy")
            with archive.open(info) as file:
                called = member if member.startswith(f"{name}.") else f"{name}.{member}"
                load = partial(_read_npz, path, member)
                yield _source(called, path, *_npy_header(file)[:2], load)


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _idx_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with _open(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES:
            raise ConfigError(
                f"{path}: not a file of a known kind (.npy, .npz, .csv, or IDX, perhaps .gz)"
            )
        rank = magic[3]
        dims = file.read(4 * rank)
        if rank > 6 or len(dims) < 4 * rank:
            raise ConfigError(f"{path}: the IDX header is cut short or has rank {rank} > 6")
        return struct.unpack(f">{rank}I", dims), np.dtype(_IDX_TYPES[magic[2]])


def _pictures(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return dtype == np.uint8 and len(shape) == 3


def _idx_source(name: str, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Source:
    if _pictures(shape, dtype):
        shape, dtype = (shape[0], 1, *shape[1:]), np.dtype(np.float64)
    return _source(name, path, shape, dtype, partial(_read_idx, path))


def _folder(name: str, path: Path) -> list[Source]:
    stems = [name] if name != "test" else ["test", "t10k"]
    parts = [_idx_part(path, stems, what) for what in ("images", "labels")]
    if not any(parts):
        found = pictures.find(name, path)
        if found is None:
            raise ConfigError(
                f"{path}: no file {name}-images* in this folder, no batches of CIFAR-10, and no "
                "folders of image files, one a class"
            )
        floats, integers = np.dtype(np.float64), np.dtype(np.int64)
        return [
            _source(
                f"{name}.x", path, found.shape, floats, partial(_read_folder, path, found.pictures)
            ),
            _source(
                f"{name}.y",
                path,
                found.shape[:1],
                integers,
                partial(_read_folder, path, found.labels),
            ),
        ]
    sources = []
    for file, part, what in zip(parts, "xy", ("images", "labels"), strict=True):
        if file is None:
            raise ConfigError(f"{path}: no file {name}-{what}* in this folder")
        sources.append(_idx_source(f"{name}.{part}", file, *_idx_header(file)))
    return sources


def _idx_part(path: Path, stems: list[str], what: str) -> Path | None:
    files = (p for stem in stems for p in sorted(path.glob(f"{stem}-{what}*")) if p.is_file())
    return next(files, None)


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """Rows of fields; a first row without any number is a heading. Raises ConfigError (line)."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        width = None
        for number, row in enumerate(csv.reader(file), 1):
            if not row:
                continue
            try:
                [float(x) for x in row]
            except ValueError:
                if number == 1 and not any(_is_number(x) for x in row):
                    continue
                raise ConfigError(f"{path}:{number}: not all numbers: {','.join(row)}") from None
            width = len(row) if width is None else width
            if len(row) != width:
                raise ConfigError(f"{path}:{number}: {len(row)} fields, {width} above")
            yield row


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def _csv(name: str, path: Path) -> Source:
    count, width, integral = 0, 0, True
    for row in _csv_rows(path):
        count, width = count + 1, len(row)
        integral = integral and all(x.strip().lstrip("+-").isdigit() for x in row)
    if not count:
        raise ConfigError(f"{path}: no rows of numbers")
    shape = (count,) if width == 1 else (count, width)
    return Source(name, path, shape, "int" if integral else "float", partial(_read_csv, path))
