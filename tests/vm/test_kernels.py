"""Every kernel on every instruction-set path against NumPy, and AES against published vectors."""

from __future__ import annotations

import ctypes as ct
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .kernels import (
    LEVELS,
    Array,
    BitsOps,
    Conv,
    Gemm,
    Kernels,
    RingOps,
    Walk,
    build,
    pointer,
    terms,
)

SIZES = (0, 1, 2, 7, 8, 9, 63, 64, 65, 200)
FIELD = 127  # in place of a width
PRIME = 2**127 - 1
SHARED = {(128, "avx2"): "portable", (FIELD, "avx512"): "avx2"}  # tables that serve two levels


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(scope="session")
def kernels(library: Path) -> Kernels:
    return Kernels.load(library)


@pytest.fixture(scope="session")
def pool(kernels: Kernels) -> Iterator[int]:
    made = kernels.lib.par_create(3)
    assert made
    yield made
    kernels.lib.par_destroy(made)


class Ring:
    """One table, of a ring or the field, with arrays of object integers in and out."""

    def __init__(self, ops: RingOps) -> None:
        self.ops, self.width = ops, 8 * int(ops.word)
        self.mod = PRIME if ops.bits == FIELD else 1 << self.width

    def pack(self, values: Array) -> Array:
        """Unsigned integers -> words as an array of (..., words of 64 bits)."""
        flat = np.asarray(values, dtype=object).reshape(-1) % self.mod
        raw = b"".join(int(v).to_bytes(self.width // 8, "little") for v in flat)
        return np.frombuffer(raw, np.uint64).copy().reshape(-1, self.width // 64)

    def unpack(self, words: Array) -> Array:
        out = words[:, 0].astype(object)
        return out + (words[:, 1].astype(object) << 64) if self.width == 128 else out

    def signed(self, values: Array) -> Array:
        half = self.mod // 2
        return (values + half) % self.mod - half

    def random(self, n: int, seed: int) -> Array:
        """Uniform words among which every edge value of the ring occurs."""
        rng = np.random.default_rng(seed)
        words = rng.integers(0, 2**64, (n, self.width // 64), dtype=np.uint64)
        values = self.unpack(words) % self.mod
        half = self.mod // 2
        edges = [0, 1, self.mod - 1, half, half - 1, half + 1, 2**63, 2**32 - 1, 2**32, 2**64 - 1]
        edges += [self.mod - 2**32, 0x5555555555555555, int("10" * (self.width // 2), 2)]
        for i, edge in enumerate(edges):
            values[(i * 5 + seed) % n : (i * 5 + seed) % n + 1] = edge % self.mod
        return values


@pytest.fixture(
    params=list(itertools.product((64, 128, FIELD), LEVELS)), ids=lambda p: f"{p[0]}-{p[1]}"
)
def ring(request: pytest.FixtureRequest, kernels: Kernels) -> Ring:
    width, level = request.param
    ops = kernels.ring(width, level)
    if ops is None:
        pytest.skip(f"this CPU has no {level}")
    name = SHARED.get((width, level), level)
    assert (ops.name.decode(), ops.bits, ops.word) == (name, width, -(-width // 64) * 8)
    return Ring(ops)


@pytest.mark.parametrize("n", SIZES)
def test_elementwise(ring: Ring, n: int) -> None:
    a, b = (ring.random(max(n, 1), s)[:n] for s in (1, 2))
    cases = {"add": a + b, "sub": a - b, "mul": a * b, "muladd": 9 + a * b}
    for name, want in cases.items():
        for alias in range(3):  # d separate, d is a, d is b
            pa, pb = ring.pack(a), ring.pack(b)
            d = (ring.pack(np.full(n + 1, 9)), pa, pb)[alias]
            if name == "muladd":
                want = (9, a, b)[alias] + a * b
            getattr(ring.ops, name)(pointer(d), pointer(pa), pointer(pb), n)
            assert (ring.unpack(d)[:n] == want % ring.mod).all(), (name, alias)
            assert alias or ring.unpack(d)[n] == 9


@pytest.mark.parametrize("imm", [0, 1, -1, 3, -(2**63), 2**63 - 1, 1 << 32])
def test_immediates(ring: Ring, imm: int) -> None:
    for n in SIZES:
        a = ring.random(max(n, 1), 3)[:n]
        for name, want in (("muli", a * imm), ("addi", a + imm)):
            pa, d = ring.pack(a), ring.pack(np.zeros(n + 1))
            getattr(ring.ops, name)(pointer(d), pointer(pa), imm, n)
            assert (ring.unpack(d)[:n] == want % ring.mod).all() and ring.unpack(d)[n] == 0
            getattr(ring.ops, name)(pointer(pa), pointer(pa), imm, n)
            assert (pa == d[:n]).all()
        ring.ops.fill(pointer(d), imm, n)
        assert (ring.unpack(d)[:n] == imm % ring.mod).all() and ring.unpack(d)[n] == 0


def test_shifts(ring: Ring) -> None:
    a = ring.random(77, 4)
    for m in (0, 1, 2, 16, 31, 32, 33, 62, 63, ring.width - 2, ring.width - 1):
        half = 1 << m >> 1
        cases = {"sar": ring.signed(a) >> m, "shr": a >> m}
        if m:
            up = ring.signed(a) + half
            cases["shr_nearest"] = (up if ring.mod == PRIME else ring.signed(up % ring.mod)) >> m
        for name, want in cases.items():
            pa, d = ring.pack(a), ring.pack(a)
            getattr(ring.ops, name)(pointer(d), pointer(pa), m, 77)
            assert (ring.unpack(d) == want % ring.mod).all(), (name, m)
            getattr(ring.ops, name)(pointer(pa), pointer(pa), m, 77)
            assert (pa == d).all()


def test_signed_numbers(ring: Ring) -> None:
    a, mask = ring.random(99, 5), (1 << ring.width) - 1
    pa, d = ring.pack(a), ring.pack(a)
    ring.ops.to_signed(pointer(d), pointer(pa), 99)
    assert (ring.unpack(d) == ring.signed(a) & mask).all()
    ring.ops.from_signed(pointer(d), pointer(d), 99)
    assert (d == pa).all()
    wide = np.frombuffer(np.random.default_rng(6).bytes(99 * ring.width // 8), np.uint64).copy()
    wide[:8] = 2**64 - 1, 2**64 - 1, 0, 2**63, 2**64 - 1, 2**63 - 1, 1, 2**63
    wide = wide.reshape(99, -1)
    number = ring.unpack(wide)
    number = number - ((number >> ring.width - 1) << ring.width)
    ring.ops.from_signed(pointer(d), pointer(wide), 99)
    assert (ring.unpack(d) == number % ring.mod).all()


WALKS: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]] = {
    # shape, strides of d, strides of a, offsets of d and a
    "element": ((), (), (), 0, 0),
    "ones": ((1, 1), (7, 9), (3, 5), 2, 3),
    "empty": ((3, 0, 2), (2, 1, 1), (2, 1, 1), 0, 0),
    "line": ((50,), (1,), (1,), 1, 2),
    "merged": ((3, 4, 5), (20, 5, 1), (20, 5, 1), 0, 0),
    "broadcast": ((9, 11), (11, 1), (0, 1), 0, 0),
    "column": ((9, 11), (11, 1), (1, 0), 0, 0),
    "constant": ((4, 16), (16, 1), (0, 0), 0, 5),
    "transpose": ((12, 17), (1, 12), (17, 1), 0, 0),
    "reverse": ((40,), (1,), (-1,), 0, 39),
    "backwards": ((6, 7), (-7, -1), (7, 1), 41, 0),
    "pool": ((2, 2, 2, 6, 6), (144, 72, 36, 6, 1), (12, 1, 144, 24, 2), 0, 0),
    "strided": ((5, 9), (20, 2), (30, 3), 1, 2),
    "rank6": ((2, 1, 3, 2, 2, 3), (36, 36, 1, 18, 9, 3), (36, 5, 12, 6, 3, 1), 0, 0),
}
SUMS: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]] = {
    "all": ((123,), (0,), (1,), 3, 0),
    "rows": ((9, 11), (1, 0), (11, 1), 0, 0),
    "columns": ((9, 11), (0, 1), (11, 1), 0, 0),
    "windows": ((4, 6, 2, 2), (6, 1, 0, 0), (24, 2, 12, 1), 0, 0),
    "same": ((10,), (0,), (0,), 0, 4),
}


@pytest.mark.parametrize("name", [*WALKS, *SUMS])
def test_walks(ring: Ring, name: str) -> None:
    shape, dstr, sstr, doff, aoff = {**WALKS, **SUMS}[name]
    walk = Walk(len(shape))
    walk.shape[: len(shape)], walk.dstr[: len(shape)], walk.sstr[: len(shape)] = shape, dstr, sstr
    a, start = ring.random(300, 5), ring.random(300, 6)
    word = ring.width // 8
    for op in ("copy", "acc") if name in WALKS else ("acc",):
        pa, d, want = ring.pack(a), ring.pack(start), start.copy()
        for index in np.ndindex(*shape):
            i = doff + int(np.dot(index, dstr))
            want[i] = (a[aoff + int(np.dot(index, sstr))] + want[i] * (op == "acc")) % ring.mod
        getattr(ring.ops, op)(
            pointer(d) + doff * word, pointer(pa) + aoff * word, ct.addressof(walk)
        )
        assert (ring.unpack(d) == want).all(), op


def limbs(ring: Ring, values: Array) -> Array:
    """Values as 16-bit limbs in float64, first axis new, so that NumPy multiplies exactly."""
    return np.stack([(values >> s & 0xFFFF).astype(np.float64) for s in range(0, ring.width, 16)])


def product(ring: Ring, a: Array, b: Array) -> Array:
    """a @ b modulo the ring: products of limbs are exact in float64 for fewer than 2^21 terms."""
    la, lb = limbs(ring, a), limbs(ring, b)
    out = np.zeros((a.shape[0], b.shape[1]), dtype=object)
    for i, j in itertools.product(range(len(la)), range(len(lb))):
        if i + j < len(la) or ring.mod == PRIME:
            out = out + ((la[i] @ lb[j]).astype(np.int64).astype(object) << 16 * (i + j))
    return out % ring.mod


def check_gemm(
    ring: Ring, m: int, k: int, n: int, ta: int, tb: int, pool: int | None, count: int = 2
) -> None:
    """Sums of one and of `count` terms."""
    c, products, pairs = ring.random(max(m * n, 1), 3)[: m * n], [], []
    for t in range(count):
        a, b = (ring.random(max(r, 1), 7 * t + s)[:r] for s, r in ((1, m * k), (2, k * n)))
        left = a.reshape(k, m).T if ta else a.reshape(m, k)
        right = b.reshape(n, k).T if tb else b.reshape(k, n)
        products.append(product(ring, left, right).reshape(-1))
        pairs.append((ring.pack(a), ring.pack(b)))
    start, sizes = ring.pack(np.append(c, 77)), Gemm(m, k, n, ta, tb)
    for used, accumulate in itertools.product((1, count), (0, 1)):
        d = start.copy()
        made = terms(pairs[:used])
        ring.ops.gemm(pointer(d), made, used, ct.addressof(sizes), accumulate, pool)
        want, got = sum(products[:used]) + (c if accumulate else 0), ring.unpack(d)
        assert (got[:-1] == want % ring.mod).all(), (m, k, n, ta, tb, used, accumulate)
        assert got[-1] == 77


@pytest.mark.parametrize(("ta", "tb"), list(itertools.product((0, 1), repeat=2)))
def test_gemm(ring: Ring, ta: int, tb: int, pool: int) -> None:
    shapes = [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 9, 1), (7, 5, 3), (8, 16, 24)]
    shapes += [(9, 17, 25), (13, 130, 26), (2, 300, 50), (17, 3, 49), (23, 31, 8), (5, 129, 33)]
    for m, k, n in shapes:
        check_gemm(ring, m, k, n, ta, tb, None)
    check_gemm(ring, 19, 50, 9, ta, tb, None, count=4)  # a packed block ends within a term
    large = [(65, 140, 70), (260, 33, 75), (12, 4000, 11), (270, 300, 9), (16, 260, 70)]
    for m, k, n in large:  # beyond one packed block; worth several threads
        check_gemm(ring, m, k, n, ta, tb, pool)


def test_every_tile_size(ring: Ring) -> None:
    """All remainders of rows and columns of a register tile."""
    for m, n in itertools.product(range(1, 10), range(1, 26)):
        check_gemm(ring, m, 3, n, 0, 0, None)


def geometry(
    batch: int, cin: int, hw: tuple[int, int], cout: int, kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1), pad: tuple[int, int] = (0, 0),
) -> Conv:  # fmt: skip
    oh, ow = ((hw[i] + 2 * pad[i] - kernel[i]) // stride[i] + 1 for i in range(2))
    return Conv(batch, cin, *hw, cout, *kernel, oh, ow, *stride, *pad)


CONVS = [
    geometry(1, 1, (1, 1), 1, (1, 1)),
    geometry(2, 3, (5, 6), 4, (3, 2)),
    geometry(3, 2, (8, 8), 5, (3, 3), pad=(1, 1)),
    geometry(2, 2, (9, 7), 3, (3, 3), (2, 2), (1, 1)),
    geometry(2, 1, (10, 11), 9, (2, 4), (3, 2), (0, 3)),
    geometry(2, 2, (3, 3), 2, (5, 5), (1, 1), (2, 2)),
    geometry(5, 3, (4, 4), 10, (4, 4)),
    geometry(1, 2, (7, 30), 3, (3, 3), (1, 1), (2, 0)),
    geometry(2, 2, (2, 2), 3, (2, 2), (2, 2), (3, 3)),
    geometry(4, 2, (12, 12), 50, (5, 5)),
    geometry(0, 2, (4, 4), 3, (3, 3)),
    geometry(2, 0, (4, 4), 3, (3, 3)),
    geometry(9, 7, (12, 11), 21, (5, 5), (1, 1), (2, 2)),
    geometry(17, 9, (12, 12), 13, (5, 5)),
    geometry(3, 5, (9, 16), 6, (3, 2), (2, 1)),
    geometry(2, 6, (30, 26), 4, (3, 3)),
    geometry(2, 1, (28, 28), 20, (5, 5)),
]


def columns(c: Conv, x: Array) -> tuple[Array, Array]:
    """Index of x that each (filter tap, output) reads, and whether it is one (else padding)."""
    taps = np.array(list(np.ndindex(c.cin, c.kh, c.kw)), dtype=int).reshape(-1, 3)
    outs = np.array(list(np.ndindex(c.batch, c.oh, c.ow)), dtype=int).reshape(-1, 3)
    y = outs[None, :, 1] * c.sh + taps[:, 1, None] - c.ph
    z = outs[None, :, 2] * c.sw + taps[:, 2, None] - c.pw
    inside = (y >= 0) & (y < c.h) & (z >= 0) & (z < c.w)
    at = ((outs[None, :, 0] * c.cin + taps[:, 0, None]) * c.h + y) * c.w + z
    return np.where(inside, at, 0), inside


def by_filter(c: Conv, g: Array) -> Array:
    """B, O, OH*OW -> O, B*OH*OW."""
    return g.reshape(c.batch, c.cout, c.oh * c.ow).transpose(1, 0, 2).reshape(c.cout, -1)


CALLS = ((1, 0), (1, 1), (2, 0), (2, 1))  # terms; whether they are added to what is there


@pytest.mark.parametrize("c", CONVS, ids=lambda c: "-".join(str(getattr(c, n)) for n in c.names))
def test_convolutions(ring: Ring, c: Conv, pool: int) -> None:
    sizes = {
        "x": c.batch * c.cin * c.h * c.w,
        "w": c.cout * c.cin * c.kh * c.kw,
        "g": c.batch * c.cout * c.oh * c.ow,
    }
    at, inside = columns(c, np.zeros(sizes["x"]))
    operands = {"conv": ("x", "w"), "conv_dx": ("g", "w"), "conv_dw": ("g", "x")}
    products: dict[str, list[Array]] = {name: [] for name in operands}
    pairs: dict[str, list[tuple[Array, Array]]] = {name: [] for name in operands}
    for t in range(2):
        v = {s: ring.random(max(n, 1), 7 * t + i)[:n] for i, (s, n) in enumerate(sizes.items())}
        cols = np.where(inside, v["x"][at] if v["x"].size else 0, 0)
        w, g = v["w"].reshape(c.cout, -1), by_filter(c, v["g"])
        forward = product(ring, w, cols).reshape(c.cout, c.batch, c.oh * c.ow)
        products["conv"].append(forward.transpose(1, 0, 2).reshape(-1))
        dx = np.zeros(sizes["x"], dtype=object)
        np.add.at(dx, at[inside], product(ring, w.T, g)[inside])
        products["conv_dx"].append(dx)
        products["conv_dw"].append(product(ring, g, cols.T).reshape(-1))
        for name, (p, q) in operands.items():
            pairs[name].append((ring.pack(v[p]), ring.pack(v[q])))
    for name in operands:
        first = ring.random(products[name][0].size + 1, 9)
        start = ring.pack(first)
        for (count, accumulate), used in itertools.product(CALLS, (None, pool)):
            d, made = start.copy(), terms(pairs[name][:count])
            getattr(ring.ops, name)(pointer(d), made, count, ct.addressof(c), accumulate, used)
            want = sum(products[name][:count]) + (first[:-1] if accumulate else 0)
            got = ring.unpack(d)
            assert (got[:-1] == want % ring.mod).all() and got[-1] == first[-1], name


# ---- bits ----


@pytest.fixture(params=LEVELS)
def bits(request: pytest.FixtureRequest, kernels: Kernels) -> BitsOps:
    ops = kernels.bits(request.param)
    if ops is None:
        pytest.skip(f"this CPU has no {request.param}")
    assert ops.name.decode() == request.param
    return ops


def words(n: int, seed: int) -> Array:
    out = np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)
    out[::7], out[3::11] = 0, 2**64 - 1
    return out


def bit_array(a: Array, n: int) -> Array:
    return np.unpackbits(a.view(np.uint8), bitorder="little")[:n]


@pytest.mark.parametrize("n", SIZES)
def test_bitwise(bits: BitsOps, n: int) -> None:
    a, b, d = words(n, 1), words(n, 2), words(n + 1, 3)
    cases: dict[str, Any] = {"xor_": a ^ b, "and_": a & b, "not_": ~a, "xorand": d[:n] ^ (a & b)}
    for name, want in cases.items():
        out = d.copy()
        operands = [pointer(x) for x in ((a, b) if name != "not_" else (a,))]
        getattr(bits, name)(pointer(out), *operands, n)
        assert (out[:n] == want).all() and out[n] == d[n], name
        if name != "xorand":
            out = a.copy()
            getattr(bits, name)(pointer(out), pointer(out), *operands[1:], n)
            assert (out == want).all(), name


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("n", [0, 1, 5, 63, 64, 65, 128, 700])
def test_slices(bits: BitsOps, width: int, n: int) -> None:
    x = words(max(n, 1) * width // 64, 4)[: n * width // 64]
    every = bit_array(x, n * width).reshape(n, width)
    ranges = [(0, width), (0, 1), (width - 1, 1), (3, 32), (0, 17), (5, 0), (1, width - 1)]
    ranges += [(40, 24), (31, 33)] + ([(60, 8), (2, 65), (64, 64)] if width == 128 else [])
    stride, used = (n + 511) // 512 * 8 + 8, (n + 63) // 64
    for lo, p in ranges:
        planes = np.full((p + 1) * stride, 0xABCD, np.uint64)
        bits.slice(pointer(planes), stride, pointer(x), width, n, lo, p)
        rows = planes.reshape(p + 1, stride)
        assert (rows[:, used:] == 0xABCD).all() and (rows[p] == 0xABCD).all()
        padded = np.zeros((p, used * 64), np.uint8)
        padded[:, :n] = every[:, lo : lo + p].T
        got = bit_array(np.ascontiguousarray(rows[:p, :used]), p * used * 64).reshape(p, used * 64)
        assert (got == padded).all(), (lo, p)
        if used:
            rows[:p, used - 1] |= np.uint64((2**64 - 1) << (n - 1) % 64 << 1 & (2**64 - 1))
        back = np.full(x.size + 1, 5, np.uint64)
        bits.unslice(pointer(back), width, pointer(planes), stride, n, lo, p)
        kept = np.zeros_like(every)
        kept[:, lo : lo + p] = every[:, lo : lo + p]
        assert (bit_array(back[:-1], n * width).reshape(n, width) == kept).all() and back[-1] == 5


@pytest.mark.parametrize("name", WALKS)
def test_bits_copy(kernels: Kernels, name: str) -> None:
    shape, dstr, sstr, doff, aoff = WALKS[name]
    for shift in (0, 1, 63, 64, 100):
        a, d = words(10, 5), words(9, 6)
        dn, an = 300 + shift, 500
        assert dn <= 576
        want = np.zeros(dn, np.uint8)
        source = bit_array(a, an)
        for index in np.ndindex(*shape):
            want[doff + shift + int(np.dot(index, dstr))] = source[aoff + int(np.dot(index, sstr))]
        arrays = [np.array(v, dtype=np.int64) for v in (shape, dstr, sstr)]
        kernels.lib.bits_copy(
            pointer(d), dn, doff + shift, pointer(a), an, aoff, len(shape), *map(pointer, arrays)
        )
        assert (bit_array(d, dn) == want).all(), shift


# ---- prg ----

FIPS_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # FIPS 197, appendix A.1


def expanded(kernels: Kernels, key: bytes) -> Any:
    out = (ct.c_uint8 * 176)()
    kernels.lib.prg_init(out, key)
    return out


def test_key_expansion(kernels: Kernels) -> None:
    got = bytes(expanded(kernels, FIPS_KEY))
    assert got[:16] == FIPS_KEY
    assert got[16:32].hex() == "a0fafe1788542cb123a339392a6c7605"
    assert got[160:].hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"


def aes_function(kernels: Kernels, name: str) -> Any:
    level = dict(zip(("portable", "aesni", "vaes"), LEVELS, strict=True))[name]
    if kernels.bits(level) is None:
        pytest.skip(f"this CPU has no {level}")
    return getattr(kernels.lib, f"aes_blocks_{name}")


@pytest.mark.parametrize("name", ["portable", "aesni", "vaes"])
def test_aes_vectors(kernels: Kernels, name: str) -> None:
    """FIPS 197, appendices B and C.1."""
    blocks = aes_function(kernels, name)
    for key, plain, cipher in (
        (FIPS_KEY.hex(), "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"),
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "69c4e0d86a7b0430d8cdb78070b4c55a",
        ),
    ):
        low, high = np.frombuffer(bytes.fromhex(plain), np.uint64)
        out = np.zeros(2, np.uint64)
        blocks(expanded(kernels, bytes.fromhex(key)), int(low), int(high), pointer(out), 1)
        assert out.tobytes().hex() == cipher


@pytest.mark.parametrize("name", ["portable", "aesni", "vaes"])
def test_aes_blocks(kernels: Kernels, name: str) -> None:
    blocks = aes_function(kernels, name)
    key, high = bytes(range(100, 116)), 0x0123456789ABCDEF
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    sizes = (0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 200)
    for n, first in itertools.product(sizes, (0, -3, 2**40)):
        counters = [(first + i) % 2**64 for i in range(n)]
        plain = b"".join(c.to_bytes(8, "little") + high.to_bytes(8, "little") for c in counters)
        out = np.full(2 * n + 1, 7, np.uint64)
        blocks(expanded(kernels, key), first % 2**64, high, pointer(out), n)
        assert out[:-1].tobytes() == encrypt.update(plain) and out[-1] == 7


@pytest.mark.parametrize("name", ["portable", "aesni", "vaes"])
def test_aes_permutation(kernels: Kernels, name: str) -> None:
    aes_function(kernels, name)
    key = bytes(range(50, 66))
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 200):
        blocks = np.random.default_rng(n).integers(0, 2**64, 2 * n + 1, dtype=np.uint64)
        want, last = encrypt.update(blocks[:-1].tobytes()), blocks[-1]
        getattr(kernels.lib, f"aes_permute_{name}")(expanded(kernels, key), pointer(blocks), n)
        assert blocks[:-1].tobytes() == want and blocks[-1] == last


@pytest.mark.parametrize("name", ["portable", "aesni"])
def test_aes_expansion(kernels: Kernels, name: str) -> None:
    """Every round key, whatever computes it."""
    aes_function(kernels, name)
    for seed in range(20):
        key, got = np.random.default_rng(seed).bytes(16), (ct.c_uint8 * 176)()
        getattr(kernels.lib, f"aes_expand_{name}")(got, key)
        want = (ct.c_uint8 * 176)()
        kernels.lib.aes_expand_portable(want, key)
        assert bytes(got) == bytes(want)
        out = np.zeros(2, np.uint64)
        kernels.lib.aes_blocks_portable(got, 5, 6, pointer(out), 1)
        plain = (5).to_bytes(8, "little") + (6).to_bytes(8, "little")
        encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        assert out.tobytes() == encrypt.update(plain)


def test_prg_addresses(kernels: Kernels) -> None:
    key, purpose = bytes(range(16)), 0xCAFEF00D
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    round_keys = expanded(kernels, key)
    tail = purpose.to_bytes(4, "little") + bytes(4)
    plain = b"".join(i.to_bytes(8, "little") + tail for i in range(60))
    stream = np.frombuffer(encrypt.update(plain), np.uint64)
    for first, n in itertools.product((0, 1, 2, 5, 17), (0, 1, 2, 3, 64, 65)):
        out = np.full(n + 1, 7, np.uint64)
        kernels.lib.prg_words(round_keys, purpose, first, pointer(out), n)
        assert (out[:-1] == stream[first : first + n]).all() and out[-1] == 7
    child = (ct.c_uint8 * 176)()
    kernels.lib.prg_derive(child, round_keys, 0x1122334455667788, 0x99AABBCC)
    counter = (0x1122334455667788).to_bytes(8, "little") + (0x99AABBCC).to_bytes(4, "little")
    assert bytes(child) == bytes(expanded(kernels, encrypt.update(counter + b"\xff" * 4)))


def test_system_randomness_and_wipe(kernels: Kernels) -> None:
    a, b = np.zeros(1000, np.uint8), np.zeros(1000, np.uint8)
    assert kernels.lib.prg_system(pointer(a), 1000) == kernels.lib.prg_system(pointer(b), 1000) == 0
    assert (a != b).any() and len(set(a.tolist())) > 200
    kernels.lib.prg_wipe(pointer(a), 999)
    assert not a[:999].any()


# ---- choice and threads ----

CHOICE = """
import ctypes, sys
lib = ctypes.CDLL(sys.argv[1])
lib.prg_name.restype = ctypes.c_char_p
for f in (lib.ring_select, lib.bits_select):
    f.restype = ctypes.POINTER(ctypes.c_char_p)
tables = [*map(lib.ring_select, (64, 128, 127)), lib.bits_select()]
print(*[t[0].decode() if t else None for t in tables], lib.prg_name().decode())
assert not lib.ring_select(32) and not lib.ring_select(0)
"""


def test_choice(kernels: Kernels, library: Path) -> None:
    available = [level for level in LEVELS if kernels.bits(level)]
    prg = dict(zip(LEVELS, ("portable", "aesni", "vaes"), strict=True))
    for forced in ("", *LEVELS, "mmx"):
        env = {**os.environ, "SEQUESTER_KERNELS": forced}
        done = subprocess.run(
            [sys.executable, "-c", CHOICE, str(library)],
            env=env, check=True, capture_output=True, text=True,
        )  # fmt: skip
        level = forced or available[-1]
        wide = "portable" if level == "avx2" else level  # some levels share their code
        field = "avx2" if level == "avx512" else level
        tables = [level, wide, field, level]
        want = " ".join([*tables, prg[level]]) if level in available else None
        assert done.stdout.strip() == (want or "None None None None portable")
    assert kernels.bits("mmx") is None and kernels.ring(64, "") is None


LOOP = ct.CFUNCTYPE(None, ct.c_void_p, ct.c_size_t, ct.c_size_t)


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
def test_par_for(kernels: Kernels, threads: int) -> None:
    lib = kernels.lib
    made = lib.par_create(threads) if threads else None
    assert lib.par_threads(made) == max(threads, 1)
    for n, grain in itertools.product((0, 1, 5, 64, 1000), (0, 1, 7, 64, 5000)):
        seen: list[tuple[int, int]] = []
        lock = threading.Lock()

        def body(_: Any, begin: int, end: int, seen: Any = seen, lock: Any = lock) -> None:
            with lock:
                seen.append((begin, end))

        lib.par_for(made, n, grain, LOOP(body), None)
        seen.sort()
        assert [b for b, _ in seen] + [n] == [0] * (n > 0) + [e for _, e in seen] + [n] * (n == 0)
        assert all(b % max(grain, 1) == 0 for b, _ in seen)
    lib.par_destroy(made)
