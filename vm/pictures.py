"""Sets of pictures that are more than one file: CIFAR-10's batches and folders of image files.

Pictures become float64 arrays (n, channels, height, width) of byte / 255, labels integers (n,).

CIFAR-10's Python batches are pickles, which can run any code when they are unpickled. Here a pickle
may name nothing but the four functions that those files need, and what it gets instead of them are
stand-ins of this file: no function of NumPy's is reached, and the bytes of an array are looked at
only when its shape and type are what they must be.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bytes = NDArray[np.uint8]

_SHAPE = (3, 32, 32)  # of CIFAR-10's pictures
_RECORD = 1 + 3 * 32 * 32
_CLASSES = 10
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "GIF", "WEBP")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".gif", ".webp"}
_CHANNELS = {"L": 1, "RGB": 3}


@dataclass(frozen=True)
class Pictures:
    """A set: shape of its pictures, and what reads them and their labels."""

    shape: tuple[int, int, int, int]
    pictures: Callable[[], Array]
    labels: Callable[[], Array]


def find(name: str, folder: Path) -> Pictures | None:
    """The set `name` of a folder, or None if it holds none.

    * CIFAR-10, binary or Python version, as unpacked: `train` is data_batch_1 ... (`.bin`), `test`
      is test_batch.
    * A folder of image files for each class, in FOLDER/NAME or else in FOLDER itself; classes are
      numbered in the order of their names. Needs Pillow.

    Raises ValueError with what is wrong with a file, and OSError.
    """
    stem = {"train": "data_batch_*", "test": "test_batch*"}.get(name)
    files = sorted(p for p in folder.glob(stem) if p.is_file()) if stem else []
    binary = [p for p in files if p.suffix == ".bin"]
    if binary:
        return _cifar(binary, _binary_count, _binary)
    if files:
        return _cifar(files, lambda path: len(_pickled(path)[1]), _pickled)
    inner = folder / name
    return _image_folder(inner if inner.is_dir() else folder)


def _scaled(array: Bytes) -> Array:
    out = array.astype(np.float64)
    out /= 255.0
    return out


# ---- CIFAR-10 ----

_Batch = Callable[[Path], tuple[Bytes, Array]]


def _cifar(files: list[Path], count: Callable[[Path], int], read: _Batch) -> Pictures:
    rows = sum(count(path) for path in files)
    return Pictures((rows, *_SHAPE), partial(_join, files, read, 0), partial(_join, files, read, 1))


def _join(files: list[Path], read: _Batch, part: int) -> Array:
    whole = np.concatenate([read(path)[part] for path in files])
    return _scaled(whole.reshape(-1, *_SHAPE)) if part == 0 else whole


def _labels(found: Any, path: Path) -> Array:
    labels = np.asarray(found)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{path.name}: labels that are no integers")
    if labels.size and not (labels.min() >= 0 and labels.max() < _CLASSES):
        raise ValueError(f"{path.name}: a label outside of 0..{_CLASSES - 1}")
    return labels.astype(np.int64)


def _binary_count(path: Path) -> int:
    size = path.stat().st_size
    if not size or size % _RECORD:
        raise ValueError(f"{path.name}: {size} bytes are no whole number of {_RECORD} byte records")
    return size // _RECORD


def _binary(path: Path) -> tuple[Bytes, Array]:
    _binary_count(path)
    records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, _RECORD)
    return records[:, 1:], _labels(records[:, 0], path)


class _Dtype:
    """What a pickle gets for numpy.dtype: only its name is kept."""

    def __init__(self, name: Any, *_: Any) -> None:
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        pass  # byte order and alignment: a byte has neither


class _NdArray:
    """What a pickle gets for an array: the fields of its state, not looked at yet."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _reconstruct(*_: Any) -> _NdArray:
    return _NdArray()


def _encode(text: Any, encoding: Any) -> bytes:
    """_codecs.encode, by which Python 3 writes bytes in an old protocol."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("a text that is no latin1")
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _NdArray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    """Reads plain types and what `_KNOWN` lists, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None


def _pickled(path: Path) -> tuple[Bytes, Array]:
    """Pictures (n, 3072) and labels of a Python batch."""
    try:
        batch = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        found = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        pictures, labels = _bytes_of(found["data"]), _labels(found["labels"], path)
    except OSError:
        raise
    except Exception as e:  # whatever a damaged or hostile pickle brings about
        raise ValueError(f"{path.name} is no batch of CIFAR-10: {type(e).__name__}: {e}") from e
    if len(pictures) != len(labels):
        raise ValueError(f"{path.name}: {len(pictures)} pictures, {len(labels)} labels")
    return pictures, labels


def _bytes_of(array: Any) -> Bytes:
    """The elements of a stand-in for an array of bytes (n, 3072)."""
    if not isinstance(array, _NdArray):
        raise ValueError("the data are no array")
    _, shape, dtype, transposed, raw = array.state
    if not isinstance(dtype, _Dtype) or dtype.name not in ("u1", "|u1") or transposed:
        raise ValueError("the data are no rows of bytes")
    if not isinstance(raw, bytes) or len(shape) != 2 or shape[1] != _RECORD - 1:
        raise ValueError(f"the data have the shape {shape}")
    rows: Bytes = np.frombuffer(raw, np.uint8).reshape(shape)
    return rows


# ---- folders of image files ----


def _image_folder(folder: Path) -> Pictures | None:
    classes = sorted(p for p in folder.iterdir() if p.is_dir())
    files = [
        (path, label)
        for label, sub in enumerate(classes)
        for path in sorted(sub.iterdir())
        if path.suffix.lower() in _SUFFIXES
    ]
    if not files:
        return None
    first = _open(files[0][0])
    shape = (_channels(first, files[0][0]), first.height, first.width)
    labels = np.array([label for _, label in files], dtype=np.int64)
    paths = [path for path, _ in files]
    return Pictures((len(files), *shape), partial(_images, paths, shape), labels.copy)


def _open(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ValueError("image files need Pillow: pip install 'sequester[images]'") from None
    try:
        return Image.open(path, formats=_FORMATS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise ValueError(f"{path}: {e}") from e


def _channels(image: Any, path: Path) -> int:
    try:
        return _CHANNELS[image.mode]
    except KeyError:
        raise ValueError(
            f"{path} has the mode {image.mode}; grey (L) and colour (RGB) pictures are read"
        ) from None


def _images(paths: list[Path], shape: tuple[int, int, int]) -> Array:
    out = np.empty((len(paths), *shape), np.uint8)
    for i, path in enumerate(paths):
        image = _open(path)
        found = (_channels(image, path), image.height, image.width)
        if found != shape:
            raise ValueError(f"{path} is {found}, but {paths[0]} is {shape} (channels, rows, "
                             "columns): pictures of a set have one size")  # fmt: skip
        try:
            pixels = np.asarray(image, np.uint8).reshape(*shape[1:], shape[0])
        except (OSError, ValueError, SyntaxError) as e:
            raise ValueError(f"{path}: {e}") from e
        out[i] = pixels.transpose(2, 0, 1)
    return _scaled(out)
