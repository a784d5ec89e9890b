"""Losses, as functions and as modules."""

from __future__ import annotations

import math
from typing import Any

from .. import lang
from ..lang import Operators, Tensor, current, stack
from .layers import one_hot
from .module import Module, only

_REDUCTIONS = ("mean", "sum", "none")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    """Mean or sum of all losses, or each of them."""
    if reduction == "none":
        return losses
    return losses.mean() if _known(reduction) == "mean" else losses.sum()


def _known(reduction: str) -> str:
    if reduction not in _REDUCTIONS:
        raise current().error(
            f"reduction={reduction!r}", f"write {', '.join(map(repr, _REDUCTIONS))}"
        )
    return reduction


def cross_entropy(
    input: Operators,
    target: Operators,
    weight: None = None,
    *,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of softmax(input), for input (batch, classes) or (batch, classes, ...).

    Args:
        input: logits.
        target: integers 0 ... classes - 1 of shape (batch, ...), or one-hot rows or class
            probabilities, of the input's shape. Integers become one-hot rows here: for labels that
            are used often, do that once (`one_hot`).
        reduction: "mean" or "sum" over the batch, where rows of targets sum to 1; "none": of shape
            (batch, ...), for rows of any sum.
        label_smoothing: in [0, 1]: so much of each target is spread evenly over the classes.
    """
    only("cross_entropy", weight=(weight, None))
    _known(reduction)
    if input.ndim < 2 or not 0 <= label_smoothing <= 1:
        raise current().error(
            f"cross_entropy of shape {input.shape} with label_smoothing={label_smoothing}",
            "logits are (batch, classes), smoothing is from 0 to 1",
        )
    with current().scope("cross_entropy"):
        classes = input.shape[1]
        places = (*input.shape[:1], *input.shape[2:])
        if target.shape == places:
            rows: Operators = one_hot(target.reshape(-1), classes)
        elif target.shape == input.shape:
            rows = _rows(target)
        else:
            raise current().error(
                f"targets of shape {target.shape} for logits of {input.shape}",
                f"give integers of shape {places}, or one-hot rows of the logits' shape",
            )
        if label_smoothing:
            rows = rows * (1.0 - label_smoothing) + label_smoothing / classes
        if reduction == "none":
            return -(lang.log_softmax(_rows(input), 1) * rows).sum(1).reshape(places)
        mean = lang.cross_entropy(_rows(input), rows)
        return mean if reduction == "mean" else mean * math.prod(places)


def _rows(x: Operators) -> Tensor:
    """(batch, classes, ...) as rows of classes."""
    if x.ndim == 2:
        return x.read()
    return x.permute(0, *range(2, x.ndim), 1).reshape(-1, x.shape[1])


def _same_shape(name: str, input: Operators, target: Operators) -> None:
    if input.shape != target.shape:
        raise current().error(f"{name} of shapes {input.shape} and {target.shape}",
                              "reshape one: broadcasting is hardly meant")  # fmt: skip


def mse_loss(input: Operators, target: Operators, *, reduction: str = "mean") -> Tensor:
    """(input - target)^2 for two tensors of one shape: mean or sum over all elements, or each."""
    _same_shape("mse_loss", input, target)
    with current().scope("mse_loss"):
        difference = input - target
        return _reduced(difference * difference, reduction)


def binary_cross_entropy(
    input: Operators, target: Operators, weight: None = None, *, reduction: str = "mean"
) -> Tensor:
    """-target log(p) - (1 - target) log(1 - p) for probabilities p, of one shape.

    Logarithms of less than 2^-f are those of 2^-f, with no gradient (PyTorch stops at -100); with
    logits at hand, `binary_cross_entropy_with_logits` is cheaper and more accurate.
    """
    only("binary_cross_entropy", weight=(weight, None))
    _same_shape("binary_cross_entropy", input, target)
    with current().scope("binary_cross_entropy"):
        least = 2.0 ** -current().config.f
        one, zero = (lang.log(lang.maximum(p, least)) for p in (input, 1 - input))
        return _reduced((zero - one) * target - zero, reduction)


def binary_cross_entropy_with_logits(
    input: Operators,
    target: Operators,
    weight: None = None,
    *,
    reduction: str = "mean",
    pos_weight: None = None,
) -> Tensor:
    """-target log(s) - (1 - target) log(1 - s) with s = sigmoid(input), of one shape.

    It is the cross-entropy of the two classes with the logits 0 and x: no logarithm of a rounded
    probability, and the gradient is s - target.
    """
    name = "binary_cross_entropy_with_logits"
    only(name, weight=(weight, None), pos_weight=(pos_weight, None))
    _same_shape(name, input, target)
    with current().scope("binary_cross_entropy"):
        x, y = input.reshape(-1), target.reshape(-1)
        logits = stack([lang.zeros(x.shape), x], axis=1)
        loss = cross_entropy(logits, stack([1 - y, y], axis=1), reduction=reduction)
        return loss.reshape(input.shape) if reduction == "none" else loss


class _Loss(Module):
    """A loss as a module: its options are given when it is made."""

    _function: Any = None

    def __init__(self, weight: None = None, *, reduction: str = "mean", **options: Any) -> None:
        only(type(self).__name__, weight=(weight, None))
        self.reduction, self._options = _known(reduction), options

    def forward(self, input: Operators, target: Operators) -> Tensor:
        result: Tensor = type(self)._function(
            input, target, reduction=self.reduction, **self._options
        )
        return result


class CrossEntropyLoss(_Loss):
    """`cross_entropy` as a module."""

    _function = staticmethod(cross_entropy)

    def __init__(
        self, weight: None = None, *, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(weight, reduction=reduction, label_smoothing=label_smoothing)


class MSELoss(_Loss):
    """`mse_loss` as a module."""

    _function = staticmethod(mse_loss)

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)


class BCELoss(_Loss):
    """`binary_cross_entropy` as a module."""

    _function = staticmethod(binary_cross_entropy)

    def __init__(self, weight: None = None, *, reduction: str = "mean") -> None:
        super().__init__(weight, reduction=reduction)


class BCEWithLogitsLoss(_Loss):
    """`binary_cross_entropy_with_logits` as a module."""

    _function = staticmethod(binary_cross_entropy_with_logits)

    def __init__(
        self, weight: None = None, *, reduction: str = "mean", pos_weight: None = None
    ) -> None:
        only("BCEWithLogitsLoss", pos_weight=(pos_weight, None))
        super().__init__(weight, reduction=reduction)
