"""What optimisers have in common: parameters, gradients, and the schedule of the learning rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...lang import Operators, Tensor, Variable, current, grad
from ...lang.pytorch import unknown
from ...lang.rates import rate, rate_product, rated

if TYPE_CHECKING:
    from .lr_scheduler import LRScheduler


@dataclass
class Gradients:
    """`factor` times the gradients of an optimiser's parameters, in their order, unrounded.

    The public factor (the learning rate, or a scale) is part of the truncation that rounds them.
    """

    tensors: list[Tensor]
    factor: float


class Optimizer:
    """The base of all optimisers.

    `minimize(loss)` is PyTorch's `zero_grad`, `backward` and `step` in one. In two, so that
    something may happen to the gradients in between:

    >>> gradients = opt.gradients(loss)
    >>> nn.utils.clip_grad_value_(gradients, 1.0)
    >>> opt.step(gradients)
    """

    def __init__(self, params: Iterable[Variable], lr: float) -> None:
        self.params = list(params)
        if not self.params:
            raise current().error("an optimiser without parameters")
        for p in self.params:
            if not isinstance(p, Variable):
                raise current().error(
                    f"{p!r} is no parameter", "give variables, such as model.parameters()"
                )
        self.lr = lr
        self._schedule: LRScheduler | None = None
        self._used = False

    def minimize(self, loss: Operators) -> None:
        """Take the gradients of a scalar loss for all parameters and make one step.

        Raises ProgramError for a loss that is no scalar or does not depend on a parameter.
        """
        self.step(self.gradients(loss))

    def gradients(self, loss: Operators) -> Gradients:
        """The gradients of a scalar loss, for `step`."""
        raise NotImplementedError

    def step(self, gradients: Gradients | None = None) -> None:
        """Change the parameters by one step of the method, with what `gradients` gave.

        Raises ProgramError for anything else, as PyTorch's `loss.backward(); opt.step()`.
        """
        if not isinstance(gradients, Gradients):
            raise current().error(
                "step without gradients: a backward pass leaves none here",
                "opt.minimize(loss) instead of zero_grad, backward and step; "
                "or gradients = opt.gradients(loss), then opt.step(gradients)",
            )
        self._step(gradients)

    def _step(self, gradients: Gradients) -> None:
        raise NotImplementedError

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise unknown("optimizer", type(self).__name__, name, dir(type(self)))

    def _gradients(self, loss: Operators, factor: float, bound: float | None = None) -> Gradients:
        with current().scope(type(self).__name__):
            return Gradients(grad(loss, self.params, factor=factor, bound=bound), factor)

    def follow(self, schedule: LRScheduler) -> None:
        """Let a schedule say the learning rate; the last one given counts."""
        if self._used:
            raise current().error("a schedule for an optimiser that has made steps already",
                                  "make the schedule before the first step")  # fmt: skip
        self._schedule = schedule

    def follows(self, schedule: LRScheduler) -> bool:
        """Whether this schedule says the learning rate."""
        return self._schedule is schedule

    def _times_lr(self, x: Tensor, included: bool) -> Tensor:
        """x times the learning rate of this step; `included`: x has the initial one in it."""
        self._used = True
        if self._schedule is None:
            return x if included else x * self.lr
        factor, limit = self._schedule.factor, self._schedule.largest
        if included:
            return rated(x, factor, limit)
        return rated(x, rate_product(factor, rate(self.lr)), limit * self.lr)

    def _apply(self, changes: list[Tensor]) -> None:
        """Subtract from each parameter its change; call it when all changes are computed."""
        for p, change in zip(self.params, changes, strict=True):
            p -= change
