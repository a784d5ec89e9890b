"""Augmentation and standardisation of pictures on shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lang_tools import outputs, result_of, traced, value

from sequester.compiler.lang import (
    Program,
    ProgramError,
    Tensor,
    concat,
    loop,
    output,
    sfix,
    state,
    zeros,
)
from sequester.compiler.lang.randomness import secret_randint
from sequester.compiler.nn import Sequential, transforms

X = np.round(np.random.default_rng(2).normal(size=(30, 2, 5, 7)) * 64) / 64
T = np.random.default_rng(3).normal(size=(40, 3)) * [0.5, 1.0, 2.0] + [1.0, 0.0, -1.0]
SECRET = pytest.mark.parametrize("secret", [False, True])


def test_normalize() -> None:
    mean, std = [0.5, -0.25], [0.2, 2.0]
    found = value(transforms.Normalize(mean, std), X)
    expected = (X - np.reshape(mean, (1, 2, 1, 1))) / np.reshape(std, (1, 2, 1, 1))
    np.testing.assert_allclose(found, expected, atol=2.0**-12)


def test_normalize_columns_of_a_table() -> None:
    found = value(transforms.Normalize([1.0, 0.0, -1.0], [0.5, 1.0, 2.0]), T)
    np.testing.assert_allclose(found, (T - [1, 0, -1]) / [0.5, 1, 2], atol=2.0**-12)


@pytest.mark.parametrize("x", [X, T], ids=["pictures", "table"])
def test_normalize_with_statistics_of_shares(x: Any) -> None:
    """Those of one tensor for another, too, and nothing is opened for it."""
    axes = tuple(i for i in range(x.ndim) if i != 1)
    mean, std = x.mean(axes, keepdims=True), x.std(axes, keepdims=True)

    def main(x: Tensor) -> list[Tensor]:
        norm = transforms.Normalize.measured(x)
        return [norm(x), norm(x * 0.5 + 1.0)]

    result = result_of(main, x, lowered=True)
    assert len(result.openings) == 2  # the outputs
    first, second = (result.outputs[name] for name in "01")
    np.testing.assert_allclose(first, (x - mean) / std, atol=2.0**-9)
    np.testing.assert_allclose(second, (x * 0.5 + 1.0 - mean) / std, atol=2.0**-9)


def test_a_constant_column_stays_finite() -> None:
    found = value(lambda x: transforms.Normalize.measured(x)(x), np.full((6, 2), 0.75))
    assert np.abs(found).max() < 0.1


@SECRET
def test_flips(secret: bool) -> None:
    """Each picture as it is or mirrored, both often."""
    found = value(transforms.RandomHorizontalFlip(secret=secret), X, lowered=True)
    same = (found == X).all((1, 2, 3))
    mirrored = (found == X[:, :, :, ::-1]).all((1, 2, 3))
    assert (same | mirrored).all() and 5 < same.sum() < 25


@SECRET
@pytest.mark.parametrize("size,padding", [((5, 7), (2, 1)), (4, 0), ((5, 3), 0), ((5, 7), (4, 4))])
def test_crops(secret: bool, size: Any, padding: Any) -> None:
    """Each picture's window is one of the padded picture; pictures have places of their own."""
    found = value(transforms.RandomCrop(size, padding, secret=secret), X, lowered=True)
    h, w = (size, size) if isinstance(size, int) else size
    p, q = (padding, padding) if isinstance(padding, int) else padding
    padded = np.pad(X, ((0, 0), (0, 0), (p, p), (q, q)))
    assert found.shape == (30, 2, h, w)
    places = set()
    for picture, window in zip(padded, found, strict=True):
        hits = [
            (i, j)
            for i in range(5 + 2 * p - h + 1)
            for j in range(7 + 2 * q - w + 1)
            if (picture[:, i : i + h, j : j + w] == window).all()
        ]
        assert hits
        places.add(hits[0])
    assert len(places) > (1 if padding == 0 else 5)


def test_secret_crops_in_real_numbers() -> None:
    """As the training in the clear beside one on shares makes them: three places, not two."""
    crop = transforms.RandomCrop((3, 7), secret=True)
    found = value(crop, X, mode="float")
    places = {tuple((found[i] == X[i, :, p : p + 3]).all() for p in range(3)) for i in range(30)}
    assert places == {(True, False, False), (False, True, False), (False, False, True)}


def test_public_places_cost_nothing() -> None:
    def main(x: Tensor) -> Tensor:
        return Sequential(transforms.RandomCrop((5, 7), 2), transforms.RandomHorizontalFlip())(x)

    graph, _ = traced(main, X)
    secret = {n.op for n in graph.walk() if any(i.t.secret for i in n.inputs)}
    assert not secret & {"select", "trunc", "b2a", "ltz"}


@SECRET
def test_evaluation_is_not_random(secret: bool) -> None:
    def main(x: Tensor) -> Tensor:
        model = Sequential(
            transforms.RandomCrop(3, 1, secret=secret),
            transforms.RandomHorizontalFlip(secret=secret),
        )
        return model.eval()(x)

    np.testing.assert_array_equal(value(main, X), X[:, :, 1:4, 2:5])


def test_each_iteration_draws_anew() -> None:
    def main() -> None:
        x = sfix(X[:2])
        seen = state(zeros((8, 2)), "seen")
        for _ in loop(8):
            y = transforms.RandomHorizontalFlip()(x)
            seen.set(concat([seen.read()[1:], (y - x).sum((1, 2)).max(1).reshape(1, -1)]))
        output("seen", seen)

    changed = result_of(main).outputs["seen"] != 0
    assert 1 < changed.sum() < 15


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
def test_secret_integers(n: int) -> None:
    """Uniform in 0..n-1: each as often as the others, within 5 standard errors."""

    def main() -> Tensor:
        bits = secret_randint(n, (4000,))
        total = sum((b.to(sfix) * float(1 << i) for i, b in enumerate(bits)), sfix(np.zeros(4000)))
        assert isinstance(total, Tensor)
        return total

    (found,) = outputs(main)
    counts = np.bincount(found.astype(int), minlength=n)
    assert len(counts) == n
    assert np.abs(counts - 4000 / n).max() < 5 * np.sqrt(4000 / n)


@pytest.mark.parametrize(
    "mistake,found",
    [
        (lambda: transforms.Normalize([0.0], [0.0]), "positive std"),
        (lambda: transforms.Normalize([0.0], [1.0])(sfix(X)), "channels"),
        (lambda: transforms.RandomCrop(9)(sfix(X)), "smaller size"),
        (lambda: transforms.RandomCrop(9, -1), "RandomCrop"),
        (lambda: transforms.RandomHorizontalFlip()(sfix([1.0])), "pictures are"),
    ],
)
def test_mistakes(mistake: Callable[[], Any], found: str) -> None:
    with pytest.raises(ProgramError, match=found):
        Program(mistake).trace()
