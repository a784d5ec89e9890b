"""Training of a model from start to end: epochs, batches, and what is told about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..lang import Operators, Tensor, current, loop, print_
from .losses import cross_entropy, evaluate, one_hot
from .module import Module

Rows = tuple[Operators, Operators]
Loss = Callable[[Tensor, Operators], Tensor]


class Optimizer(Protocol):
    """What `fit` asks of an optimiser (`optim.SGD` and the others)."""

    def minimize(self, loss: Operators) -> None: ...


def fit(
    model: Module,
    train: Rows,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch: int,
    classes: int | None = None,
    loss: Loss = cross_entropy,
    test: Rows | None = None,
    test_batch: int = 100,
    watch: bool = False,
) -> None:
    """Train a model, and print after each epoch "epoch E: mean loss L, test accuracy P %".

    The mean loss and, with `test`, the accuracy are opened to all, and with `watch` the loss of
    each batch; nothing else is. Each epoch goes over all whole batches in a fresh public
    permutation. No epochs: only the accuracy is measured and printed.

    Args:
        train: samples (n, ...) and labels or targets (n, ...).
        optimizer: of the model's parameters.
        classes: turn integer labels (n,) of `train` into one-hot rows once, before the first epoch,
            rather than in every batch of every epoch.
        loss: function of the model's output and the labels of a batch; a scalar.
        test: samples and integer labels or one-hot rows, for the accuracy.
        test_batch: rows of `test` that go through the model together.

    Raises:
        ProgramError: rows that do not go together, batches larger than the data.
    """
    x, y = train
    if classes is not None:
        y = one_hot(y, classes)
    for epoch in loop(epochs):
        total = loop.accumulator(0.0)
        batches = loop.batches(x, y, batch=batch)
        for xb, yb in batches:
            value = loss(model(xb), yb)
            optimizer.minimize(value)
            total += value
            if watch:
                print_("epoch {}: loss {:.4f}", epoch, value.reveal())
        mean = (total / len(batches)).reveal()
        if test is None:
            print_("epoch {}: mean loss {:.4f}", epoch, mean)
        else:
            found = accuracy(model, *test, batch=test_batch)
            print_("epoch {}: mean loss {:.4f}, test accuracy {:.2f} %", epoch, mean, found)
    if not epochs and test is not None:
        print_("test accuracy {:.2f} %", accuracy(model, *test, batch=test_batch))


def accuracy(model: Module, x: Operators, labels: Operators, batch: int = 100) -> Tensor:
    """Percentage of the rows of x that the model classifies right: clear, opened to all."""
    with current().scope("evaluation"):
        return evaluate(model, x, labels, batch).reveal() * (100.0 / x.shape[0])
