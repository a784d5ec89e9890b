"""Losses (means over the batch) and what is counted in an evaluation."""

from __future__ import annotations

from .. import lang
from ..lang import Operators, Tensor, Variable, arange, current, loop, sint, stack
from .module import Module


def one_hot(labels: Operators, classes: int) -> Tensor:
    """Integer labels (n,) as rows of zeros and a one (n, classes), of integers.

    Costs an equality test an entry: for labels that are used often, do it once.
    """
    if labels.ndim != 1 or labels.type.f or labels.type.bit:
        raise current().error(f"labels are integers of shape (n,), not {labels.read()!r}")
    return (labels.reshape(-1, 1) == arange(classes)).to(sint)


def cross_entropy(logits: Operators, labels: Operators) -> Tensor:
    """Mean cross-entropy of softmax(logits) (batch, classes).

    Args:
        labels: integers (batch,), or one-hot rows or class probabilities (batch, classes).
    """
    with current().scope("cross_entropy"):
        if labels.ndim == 1:
            labels = one_hot(labels, logits.shape[1])
        return lang.cross_entropy(logits, labels)


def mse_loss(x: Operators, target: Operators) -> Tensor:
    """Mean of (x - target)^2 over all elements of two tensors of one shape."""
    if x.shape != target.shape:
        raise current().error(f"mse_loss of shapes {x.shape} and {target.shape}",
                              "reshape one: a broadcast difference is hardly meant")  # fmt: skip
    with current().scope("mse_loss"):
        difference = x - target
        return (difference * difference).mean()


def binary_cross_entropy_with_logits(logits: Operators, target: Operators) -> Tensor:
    """Mean of -target log(s) - (1 - target) log(1 - s) with s = sigmoid(logits), of one shape.

    It is the cross-entropy of the two classes with the logits 0 and x: no logarithm of a rounded
    probability, and the gradient is s - target.
    """
    if logits.shape != target.shape:
        raise current().error(f"logits of shape {logits.shape}, targets of {target.shape}")
    with current().scope("binary_cross_entropy"):
        x, y = logits.reshape(-1), target.reshape(-1)
        pairs = stack([lang.zeros(x.shape), x], axis=1)
        return lang.cross_entropy(pairs, stack([1 - y, y], axis=1))


def count_correct(logits: Operators, labels: Operators) -> Tensor:
    """How many rows of the logits have their (first) maximum at the label: a secret integer.

    Args:
        labels: integers (batch,) or one-hot rows (batch, classes).
    """
    if labels.ndim == 2:
        labels = (labels * arange(labels.shape[1])).sum(1)
    return (logits.argmax(1) == labels).sum()


def evaluate(model: Module, x: Operators, labels: Operators, batch: int = 500) -> Variable:
    """How many rows of x the model classifies right, a secret integer; in batches.

    The model is in evaluation mode meanwhile.
    """
    correct = loop.accumulator(0)
    before = model.training
    model.eval()
    for xb, yb in loop.batches(x, labels, batch=min(batch, x.shape[0]), shuffle=False,
                               drop_last=False):  # fmt: skip
        correct += count_correct(model(xb), yb)
    model.train(before)
    return correct
