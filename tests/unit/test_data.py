"""Inputs of every format: shapes from headers, elements, conversions, and what is refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequester.vm import data
from sequester.vm.errors import ConfigError


def idx(array: np.ndarray, code: int) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.tobytes()


def only(name: str, path: Path) -> data.Source:
    (source,) = data.sources(name, path)
    return source


def test_npy(tmp_path: Path) -> None:
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "a.npy", array)
    source = only("w", tmp_path / "a.npy")
    assert (source.name, source.shape, source.kind) == ("w", (2, 3), "float")
    np.testing.assert_array_equal(source.read(), array)


def test_npz_members_become_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 2)), y=np.arange(4))
    found = data.parse_inputs([f"2:train={tmp_path / 't.npz'}"])
    assert {k: (s.shape, s.kind) for k, s in found.items()} == {
        (2, "train.x"): ((4, 2), "float"),
        (2, "train.y"): ((4,), "int"),
    }
    np.testing.assert_array_equal(found[2, "train.y"].read(), np.arange(4))


def test_outputs_of_a_run_keep_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "outputs.npz", **{"model.0.weight": np.ones(3), "loss": np.ones(())})
    found = data.parse_inputs([f"0:model={tmp_path / 'outputs.npz'}"])
    assert set(found) == {(0, "model.0.weight"), (0, "model.loss")}
    np.testing.assert_array_equal(found[0, "model.0.weight"].read(), np.ones(3))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_pictures_are_scaled_and_labels_are_not(tmp_path: Path, suffix: str) -> None:
    pictures = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) * 10
    labels = np.array([3, 9], np.uint8)
    pack = gzip.compress if suffix else bytes
    (tmp_path / f"test-images-idx3-ubyte{suffix}").write_bytes(pack(idx(pictures, 8)))
    (tmp_path / f"test-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels, 8)))
    found = data.parse_inputs([f"0:test={tmp_path}"])
    x, y = found[0, "test.x"], found[0, "test.y"]
    assert (x.shape, x.kind, y.shape, y.kind) == ((2, 1, 3, 4), "float", (2,), "int")
    np.testing.assert_allclose(x.read(), pictures[:, None] / 255)
    np.testing.assert_array_equal(y.read(), [3, 9])


def test_shipped_sample() -> None:
    folder = Path(__file__).parents[2] / "programs" / "data"
    found = data.parse_inputs([f"0:train={folder}", f"0:test={folder}"])
    assert found[0, "train.x"].shape == (10000, 1, 28, 28)
    assert found[0, "test.y"].shape == (2000,)
    assert np.bincount(found[0, "test.y"].read()).tolist() == [
        175, 234, 219, 207, 217, 179, 178, 205, 192, 194,
    ]  # fmt: skip


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,weight\n31,70.5\n45,80\n")
    source = only("people", tmp_path / "a.csv")
    assert (source.shape, source.kind) == ((2, 2), "float")
    np.testing.assert_array_equal(source.read(), [[31, 70.5], [45, 80]])
    (tmp_path / "b.csv").write_text("1\n-2\n3\n")
    column = only("c", tmp_path / "b.csv")
    assert (column.shape, column.kind) == ((3,), "int")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"1,2\n3\n", "a.csv:2: 1 fields, 2 above"),
        ("a.csv", b"1,2\n3,x\n", "a.csv:2: not all numbers"),
        ("a.csv", b"3,x\n1,2\n", "a.csv:1: not all numbers"),
        ("a.csv", b"", "no rows"),
        ("a.npy", b"not numpy", "cannot be read"),
        ("a.npz", b"PK\3\4 broken", "cannot be read"),
        ("a.idx", b"\0\0\x08\x09" + bytes(36), "rank 9"),
        ("a.idx", b"\0\0\x08\x02\0\0", "cut short"),
        ("a.bin", b"hello", "not a file of a known kind"),
        ("a.gz", b"\x1f\x8b broken", "cannot be read"),
        ("a.gz", gzip.compress(b"")[:10] + b"\xff" * 40, "cannot be read: Error -3"),
    ],
)
def test_refused_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        data.sources("x", tmp_path / name)


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ConfigError, match="integers or floats"):
        data.sources("x", tmp_path / "o.npy")


@pytest.mark.parametrize("extra", [-1, 1])
def test_idx_of_the_wrong_length(tmp_path: Path, extra: int) -> None:
    content = idx(np.zeros(5, np.uint8), 8)
    (tmp_path / "a").write_bytes(content[:extra] if extra < 0 else content + b"\0")
    with pytest.raises(ConfigError, match="5 bytes of elements announced"):
        only("x", tmp_path / "a").read()


@pytest.mark.parametrize("spec", ["train=x.npy", "a:train=x", "0:=x", "0:train", "0:train="])
def test_wrong_options(spec: str) -> None:
    with pytest.raises(ConfigError, match="write PARTY:NAME=FILE"):
        data.parse_inputs([spec])


def test_shape_options() -> None:
    assert data.parse_shapes(["0:train.x=10,1,28,28", "1:y=7", "0:s="]) == {
        (0, "train.x"): (10, 1, 28, 28),
        (1, "y"): (7,),
        (0, "s"): (),
    }
    for bad in ("0:x", "x=3", "0:x=3,q", "0:x=-3", "0:=3"):
        with pytest.raises(ConfigError, match="write PARTY:NAME=A,B,C"):
            data.parse_shapes([bad])


@pytest.mark.parametrize("value", [16384.0, -16384.0, np.nan, np.inf])
def test_out_of_range(value: float) -> None:
    array = np.array([1.0, value])
    with pytest.raises(ConfigError, match="file: element 1 is"):
        data.to_words(array, f=16, k=31, word_bits=64, what="file")


def test_fraction_for_an_integer() -> None:
    with pytest.raises(ConfigError, match="integers are wanted"):
        data.to_words(np.array([1.0, 2.5]), f=0, k=31, word_bits=64, what="file")


@settings(max_examples=100)
@given(
    st.lists(st.floats(-1000, 1000), min_size=1, max_size=20),
    st.sampled_from([(64, 31, 16), (128, 63, 32), (64, 31, 8)]),
)
def test_words_round_trip(values: list[float], domain: tuple[int, int, int]) -> None:
    ring_bits, k, f = domain
    array = np.array(values)
    words = data.to_words(array, f=f, k=k, word_bits=ring_bits, what="x")
    back = data.from_words(words, f=f, shape=array.shape, word_bits=ring_bits)
    np.testing.assert_array_equal(back, np.rint(array * 2.0**f) / 2.0**f)


@given(st.lists(st.integers(-(2**30) + 1, 2**30 - 1), min_size=1), st.sampled_from([64, 128]))
def test_integers_round_trip(values: list[int], ring_bits: int) -> None:
    array = np.array(values)
    words = data.to_words(array, f=0, k=31, word_bits=ring_bits, what="x")
    back = data.from_words(words, f=0, shape=array.shape, word_bits=ring_bits)
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, array)


@given(st.binary(max_size=64), st.sampled_from(["f.npy", "f.npz", "f.csv", "f.idx", "f.gz"]))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_in_a_clear_error_or_an_array(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(content)
    try:
        for source in data.sources("x", path):
            source.read()
    except ConfigError as e:
        assert str(path) in str(e)
