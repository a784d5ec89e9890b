"""Fetching MNIST: what a folder brings is checked, and what is wrong with it is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sequester.vm import mnist
from sequester.vm.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no train-images-idx3-ubyte"),
        (gzip.compress(b"other pictures"), "has md5"),
        (gzip.compress(bytes(1000))[:20], "ended before"),
        (gzip.compress(b"")[:10] + b"\xff" * 40, "Error -3"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    if content is not None:
        (source / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        mnist.fetch(tmp_path / "dest", source, print)
    assert not list((tmp_path / "dest").iterdir())


def test_files_of_a_folder_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"pictures and labels"
    monkeypatch.setattr(mnist, "MD5", dict.fromkeys(mnist.MD5, "21fa15fa71427e9a443cabc84e1b0306"))
    for i, name in enumerate(mnist.MD5):
        packed = gzip.compress(content) if i % 2 else content
        (tmp_path / (f"{name}.gz" if i % 2 else name)).write_bytes(packed)
    mnist.fetch(tmp_path / "dest", tmp_path, print)
    for name in mnist.MD5:
        assert gzip.decompress((tmp_path / "dest" / f"{name}.gz").read_bytes()) == content
