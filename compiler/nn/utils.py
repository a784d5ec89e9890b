"""What may be done to gradients between `opt.gradients(loss)` and `opt.step(gradients)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lang import Tensor, current, relu

if TYPE_CHECKING:
    from .optim import Gradients


def clip_grad_value_(gradients: Gradients, clip_value: float) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value], in place.

    Costs two comparisons and two selections an element, at the same time, and three truncations.
    What is clipped carries the learning rate: under rounding to nearest a clip_value times lr of
    less than 2^-f counts as 0 or 2^-f.

    Raises:
        ProgramError: a clip_value that is not positive.
    """
    if not clip_value > 0:
        raise current().error(f"gradients clipped to {clip_value}", "give a positive number")
    limit = clip_value * abs(gradients.factor)
    with current().scope("clip_grad_value_"):
        gradients.tensors = [clipped(g, limit) for g in gradients.tensors]


def clipped(x: Tensor, limit: float) -> Tensor:
    """min(max(x, -limit), limit), in the mean also where the limit is below 2^-f."""
    over, under = relu(x - limit), relu(-x - limit)  # before x is rounded
    return x - over + under
