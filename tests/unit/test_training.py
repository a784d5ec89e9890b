"""`nn.fit` and the choices that programs leave to options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lang_tools import result_of

from sequester.compiler.lang import Program, ProgramError, Tensor, sfix
from sequester.compiler.nn import Linear, Module, fit, optim, training

X = np.round(np.random.default_rng(7).normal(size=(24, 3)) * 64) / 64
Y = (X @ [1.0, -2.0, 0.5] > 0).astype(np.int64)


class Negated(Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


def lines(x: Any = X, y: Any = Y, **options: Any) -> list[str]:
    def main(samples: Tensor, labels: Tensor) -> None:
        model = Linear(3, 2)
        sgd = optim.SGD(model.parameters(), lr=0.5)
        fit(model, (samples, labels), sgd, epochs=2, batch=8, test=(samples, labels), test_batch=7,
            **options)  # fmt: skip

    return result_of(main, x, y, mode="float").lines


def numbers(found: list[str], what: str) -> list[float]:
    return [float(v) for line in found for v in re.findall(rf"{what} ([\d.]+)", line)]


def losses(found: list[str]) -> list[float]:
    return numbers(found, "loss")


def test_labels_as_integers_and_as_one_hot_rows() -> None:
    rows = np.eye(2, dtype=np.int64)[Y]
    assert lines(classes=2) == lines(y=rows, classes=2) == lines(y=rows) == lines()


@pytest.mark.parametrize("shuffle", ["public", "secret", "none"])
def test_orders_of_rows(shuffle: str) -> None:
    first, second = losses(lines(shuffle=shuffle))
    assert second < first
    assert (lines(shuffle=shuffle) == lines()) == (shuffle == "public")


def test_an_augmentation_is_of_training_only() -> None:
    """What is learnt from negated samples is wrong for those that are tested."""
    negated = lines(augment=Negated())
    assert losses(negated) == losses(lines(x=-X))
    assert numbers(negated, "accuracy")[-1] < 50 < numbers(lines(), "accuracy")[-1]


def test_augmentations_by_name() -> None:
    def main() -> None:
        assert training.augmentation_named("none", 32) is None
        for name in ("public", "secret"):
            made = training.augmentation_named(name, 32)
            assert made is not None
            assert made(sfix(np.zeros((2, 3, 32, 32)))).shape == (2, 3, 32, 32)

    Program(main).trace()


@pytest.mark.parametrize(
    "mistake,found",
    [
        (lambda: training.augmentation_named("some", 32), "none, public, secret"),
        (lambda: lines(y=np.eye(2, dtype=np.int64)[Y], classes=3), r"one-hot rows \(n, 3\)"),
        (lambda: lines(shuffle="yes"), 'write "public"'),
    ],
)
def test_mistakes(mistake: Callable[[], Any], found: str) -> None:
    with pytest.raises(ProgramError, match=found):
        Program(mistake).trace()
