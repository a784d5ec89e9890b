"""The lattice room: products of tensors against NumPy, its kernels, and the noise of results."""

from __future__ import annotations

import math
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from sequester.compiler.cost.lattice import N, Shape, plan

from .conftest import Build


class Case(NamedTuple):
    """Images, kernels, channels; rows and columns of images, kernels, outputs; steps."""

    p: int
    q: int
    r: int
    h: int = 1
    w: int = 1
    kh: int = 1
    kw: int = 1
    oh: int = 1
    ow: int = 1
    sy: int = 1
    sx: int = 1

    @property
    def terms(self) -> int:
        return self.r * self.kh * self.kw


class Done(NamedTuple):
    d: np.ndarray
    sent: tuple[int, int]  # bytes of request and reply
    noise: float  # in units of q / 2^128
    refused: int


# Products of matrices, with one and more blocks of each size; convolutions, with steps.
CASES = [
    Case(1, 1, 1),
    Case(3, 2, 5),
    Case(9000, 1, 1),
    Case(1, 1, 9000),
    Case(33, 40, 70),
    Case(2, 300, 64),
    Case(2, 3, 2, 6, 6, 3, 3, 4, 4),
    Case(2, 3, 2, 7, 8, 3, 2, 3, 3, 2, 3),
    Case(3, 30, 12, 14, 14, 5, 5, 10, 10),
    Case(2, 3, 40, 28, 28, 24, 24, 5, 5),
    Case(1, 2, 1, 90, 91, 3, 3, 88, 89),
]


@pytest.fixture(scope="module")
def program(build: Build) -> Path:
    return build("lattice_test", "tests/lattice_test.c", "lattice/*.c", defines=("SEQ_TEST",))


def tensors(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Uniform words, with the edges of the ring among them."""
    image = rng.integers(0, 2**64, (case.p, case.r, case.h, case.w), dtype=np.uint64)
    kernel = rng.integers(0, 2**64, (case.q, case.r, case.kh, case.kw), dtype=np.uint64)
    for x in (image, kernel):
        edges = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64)[: x.size]
        x.reshape(-1)[: len(edges)] = edges
    return image, kernel


def correlation(case: Case, image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    d = np.zeros((case.p, case.q, case.oh, case.ow), dtype=np.uint64)
    for i, j in np.ndindex(case.kh, case.kw):
        rows = slice(i, i + (case.oh - 1) * case.sy + 1, case.sy)
        columns = slice(j, j + (case.ow - 1) * case.sx + 1, case.sx)
        d += np.einsum("pryx,qr->pqyx", image[:, :, rows, columns], kernel[:, :, i, j])
    return d


def run(
    program: Path,
    case: Case,
    image: np.ndarray,
    kernel: np.ndarray,
    kernels: str = "",
    wire: Path | None = None,
) -> Done:
    env = {**os.environ, "SEQUESTER_KERNELS": kernels, "SPY": "1"}
    if wire is not None:
        env["WIRE"] = str(wire)
    done = subprocess.run(
        [str(program), *map(str, case), "7"],
        input=image.tobytes() + kernel.tobytes(),
        env=env,
        capture_output=True,
        check=True,
    )
    words = done.stderr.split()
    d = np.frombuffer(done.stdout, dtype=np.uint64).reshape(case.p, case.q, case.oh, case.ow)
    return Done(d, (int(words[0]), int(words[1])), float(words[2]), int(words[3]))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products_are_those_of_integers(program: Path, case: Case) -> None:
    """Every element; bytes are those of the cost rule; what is no ciphertext is refused."""
    image, kernel = tensors(case, np.random.default_rng(case.p + case.r))
    done = run(program, case, image, kernel)
    assert (done.d == correlation(case, image, kernel)).all()
    shape = Shape(case.p, case.q, case.r, case.h, case.w, case.oh * case.ow)
    assert done.sent == plan(shape)
    assert done.refused == -2


@pytest.mark.parametrize("case", [CASES[4], CASES[7]], ids=str)
def test_all_kernels_agree(program: Path, case: Case) -> None:
    image, kernel = tensors(case, np.random.default_rng(3))
    plain, best = (run(program, case, image, kernel, k) for k in ("portable", ""))
    assert (plain.d == best.d).all()
    assert plain.noise == best.noise


def noise_bound(terms: int) -> float:
    """What docs/protocols/semi2k.md bounds the noise by, at 9.2 standard deviations."""
    product = (9.2 * math.sqrt(10.5 * terms) + terms / 2) * 2**63 / 2**72
    fresh = (21 * N + 21 * N + 21) / 2**72
    return product + fresh + 16


@pytest.mark.parametrize(
    "case", [Case(1, 1, 1), Case(1, 1, 1000), Case(1, 1, 60_000), CASES[9]], ids=str
)
def test_noise_is_below_its_bound(program: Path, case: Case) -> None:
    """With factors of the largest magnitude, which uniform ones stay far below."""
    image = np.full((case.p, case.r, case.h, case.w), 2**63, dtype=np.uint64)
    kernel = np.full((case.q, case.r, case.kh, case.kw), 2**64 - 1, dtype=np.uint64)
    done = run(program, case, image, kernel)
    assert (done.d == correlation(case, image, kernel)).all()
    assert done.noise <= noise_bound(case.terms)
    if case.terms == 60_000:  # and the bound is not idle
        assert done.noise >= noise_bound(case.terms) / 8


@pytest.mark.parametrize("image", [0, 1, 2**64 - 1])
@pytest.mark.parametrize("kernel", [0, 2**63])
def test_ciphertexts_look_random(program: Path, image: int, kernel: int, tmp_path: Path) -> None:
    """Each bit of coefficients, of 50 bits in requests, of 74 and 68 in replies, is 1 half the time
    at 6 sigma, whatever the factors are: as if uniform, which the primes next to 2^50 let be."""
    case = Case(90, 90, 1)  # one polynomial each way, and an encryption of zero
    factors = (
        np.full((case.p, case.r, 1, 1), image, dtype=np.uint64),
        np.full((case.q, case.r, 1, 1), kernel, dtype=np.uint64),
    )
    path = tmp_path / "wire"
    done = run(program, case, *factors, wire=path)
    bits = np.unpackbits(np.fromfile(path, np.uint8), bitorder="little")
    widths = (50, 74, 68)
    counts = (2 * 4 * N, N, case.p * case.q)
    sizes = [count * width for count, width in zip(counts, widths, strict=True)]
    assert done.sent == (sizes[0] // 8, (sizes[1] + sizes[2]) // 8) and len(bits) == sum(sizes)
    parts = np.split(bits, np.cumsum(sizes)[:2])
    for part, count, width in zip(parts, counts, widths, strict=True):
        off = np.abs(part.reshape(-1, width).sum(axis=0, dtype=np.int64) - count / 2)
        assert (off <= 6 * math.sqrt(count) / 2).all(), (width, off.max())
