"""CIFAR-10's batches and folders of image files, made here in small; hostile pickles."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequester.vm import data, pictures
from sequester.vm.errors import ConfigError

RNG = np.random.default_rng(7)


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, 256, (n, 3072), dtype=np.uint8), RNG.integers(0, 10, n)


def pair(name: str, folder: Path) -> tuple[data.Source, data.Source]:
    x, y = data.sources(name, folder)
    assert (x.name, y.name, x.kind, y.kind) == (f"{name}.x", f"{name}.y", "float", "int")
    return x, y


def check(name: str, folder: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    x, y = pair(name, folder)
    assert x.shape == (len(labels), 3, 32, 32) and y.shape == (len(labels),)
    np.testing.assert_array_equal(x.read(), pixels.reshape(-1, 3, 32, 32) / 255)
    np.testing.assert_array_equal(y.read(), labels)


def binary(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    return np.concatenate([labels[:, None].astype(np.uint8), pixels], 1).tobytes()


def python2(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    """A pickle as Python 2 wrote the batches: byte strings, names of an older NumPy."""
    n, raw = len(labels), pixels.tobytes()
    return b"".join([
        b"\x80\x02}q\x00(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n",
        b"K\x00\x85U\x01b\x87R(K\x01K", bytes([n]), b"M\x00\x0c\x86cnumpy\ndtype\n",
        b"U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",
        struct.pack("<I", len(raw)), raw, b"tbU\x06labels](",
        *(b"K" + bytes([label]) for label in labels), b"eu.",
    ])  # fmt: skip


def test_binary_batches(tmp_path: Path) -> None:
    first, second, test = rows(3), rows(2), rows(4)
    (tmp_path / "data_batch_1.bin").write_bytes(binary(*first))
    (tmp_path / "data_batch_2.bin").write_bytes(binary(*second))
    (tmp_path / "test_batch.bin").write_bytes(binary(*test))
    (tmp_path / "batches.meta.txt").write_text("airplane\n")
    joined = [np.concatenate(parts) for parts in zip(first, second, strict=True)]
    check("train", tmp_path, *joined)
    check("test", tmp_path, *test)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_python_batches(tmp_path: Path, protocol: int) -> None:
    first, second, test = rows(3), rows(2), rows(4)
    (tmp_path / "data_batch_1").write_bytes(python2(*first))
    again = {b"data": second[0], b"labels": second[1].tolist(), b"batch_label": b"two"}
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(again, protocol=protocol))
    (tmp_path / "test_batch").write_bytes(python2(*test))
    joined = [np.concatenate(parts) for parts in zip(first, second, strict=True)]
    check("train", tmp_path, *joined)
    check("test", tmp_path, *test)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


HOSTILE = {
    "code": pickle.dumps({b"data": Evil(), b"labels": [1]}),
    "eval": b"\x80\x02}U\x04datacbuiltins\neval\nU\x031+1\x85Rs.",
    "objects": pickle.dumps({b"data": np.array([[None] * 3072]), b"labels": [1]}),
    "no array": pickle.dumps({b"data": [1, 2, 3], b"labels": [1]}),
    "wide": pickle.dumps({b"data": np.zeros((1, 3072)), b"labels": [1]}),
    "short": python2(*rows(2)).replace(b"K\x01K\x02M", b"K\x01K\x03M"),
    "labels": pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]}),
    "texts": pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": ["a"]}),
    "fewer": pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}),
    "a list": pickle.dumps([1, 2]),
    "empty": b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_batch").write_bytes(HOSTILE[kind])
    with pytest.raises(ConfigError, match="test_batch"):
        data.sources("test", tmp_path)
    assert not (tmp_path / "pwned").exists()


@given(st.binary(max_size=200), st.integers(0, 300))
@settings(max_examples=200, deadline=None)
def test_any_pickle_ends_in_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "test_batch").write_bytes(python2(*rows(1))[:cut] + tail)
    with pytest.raises(ConfigError, match="test_batch"):
        data.sources("test", folder)


def test_binary_batches_of_a_wrong_size(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes(3074))
    with pytest.raises(ConfigError, match="no whole number of 3073 byte records"):
        data.sources("test", tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(b"\x0b" + bytes(3072))
    with pytest.raises(ConfigError, match="a label outside"):
        data.sources("test", tmp_path)[1].read()


@pytest.mark.parametrize("channels", [1, 3])
def test_image_folders(tmp_path: Path, channels: int) -> None:
    """Classes by name; the folder of the set, or the only one."""
    image = pytest.importorskip("PIL.Image")
    pixels = RNG.integers(0, 256, (3, 4, 5, channels), dtype=np.uint8)
    places = ["cat/1.png", "cat/2.png", "ant/7.PNG"]
    for array, place in zip(pixels, places, strict=True):
        path = tmp_path / "train" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(array.squeeze()).save(path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not a picture")
    order = [2, 0, 1]
    for folder in (tmp_path, tmp_path / "train"):
        x, y = pair("train", folder)
        assert x.shape == (3, channels, 4, 5)
        np.testing.assert_array_equal(x.read(), pixels[order].transpose(0, 3, 1, 2) / 255)
        assert y.read().tolist() == [0, 1, 1]


def test_refused_image_folders(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    with pytest.raises(ConfigError, match="no folders of image files"):
        data.sources("train", tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match="1.png"):
        data.sources("train", tmp_path)
    image.new("RGB", (4, 4)).save(tmp_path / "a" / "1.png")
    image.new("RGB", (4, 5)).save(tmp_path / "a" / "2.png")
    with pytest.raises(ConfigError, match="one size"):
        data.sources("train", tmp_path)[0].read()
    image.new("RGBA", (4, 4)).save(tmp_path / "a" / "2.png")
    with pytest.raises(ConfigError, match="the mode RGBA"):
        data.sources("train", tmp_path)[0].read()
    whole = (tmp_path / "a" / "1.png").read_bytes()
    (tmp_path / "a" / "2.png").write_bytes(whole[:45])
    with pytest.raises(ConfigError, match="2.png"):
        data.sources("train", tmp_path)[0].read()


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"pip install 'sequester\[images\]'"):
        data.sources("train", tmp_path)


def test_other_names_are_no_batches(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(binary(*rows(1)))
    assert pictures.find("validation", tmp_path) is None
