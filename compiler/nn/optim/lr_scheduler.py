"""Schedules of the learning rate, with PyTorch's names and formulas.

A schedule is a public table of factors of the optimiser's initial rate. `step()`, traced once in a
loop, moves to the next entry; past the end the last entry stays, or the table starts again.

>>> opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
>>> schedule = optim.lr_scheduler.StepLR(opt, step_size=5, gamma=0.1)
>>> for epoch in loop(15):
...     for xb, yb in loop.batches(x, y, batch=128):
...         opt.minimize(nn.cross_entropy(model(xb), yb))
...     schedule.step()
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...lang import Tensor, cint, current, state, where
from ...lang.pytorch import lookup
from ...lang.rates import RATE_BITS, RATE_LIMIT, rate, rate_product
from .optimizer import Optimizer

_LONGEST = 1 << 20  # entries of a table


class LRScheduler:
    """The base of all schedules.

    Args:
        optimizer: whose rate it says, from now on.
        factors: the rate after 0, 1, ... steps, relative to the optimiser's.
        start: where the table goes on after its end; default: the last entry.

    Raises:
        ProgramError: a negative factor or one of 8 or more, or a table of over 2^20 entries.
    """

    def __init__(
        self, optimizer: Optimizer, factors: Sequence[float], start: int | None = None
    ) -> None:
        name = type(self).__name__
        if not 0 < len(factors) <= _LONGEST:
            raise current().error(f"{name} with a table of {len(factors)} rates",
                                  f"at most {_LONGEST}: take steps less often")  # fmt: skip
        if not all(0 <= v < RATE_LIMIT for v in factors):
            raise current().error(
                f"{name} goes to {max(factors, key=abs):g} times the learning rate",
                f"give the optimiser the largest rate; factors are in [0, {RATE_LIMIT:g})",
            )
        self.factors = list(factors)
        self.start = len(factors) - 1 if start is None else start
        self.largest = max(max(factors), 2.0**-RATE_BITS)
        self.optimizer = optimizer
        self._at = state(cint(0), "lr_step")
        self._factor = state(rate(self.factors[0]), "lr_factor")
        optimizer.follow(self)

    def at(self, t: int) -> float:
        """The factor after t steps."""
        n = len(self.factors)
        return self.factors[t if t < n else self.start + (t - self.start) % (n - self.start)]

    @property
    def factor(self) -> Tensor:
        """The factor of this step: a clear rate."""
        return self._factor.read()

    def step(self) -> None:
        """Go to the next entry: once an epoch, or once a batch, as the table is meant."""
        if not self.optimizer.follows(self):
            raise current().error(
                f"this {type(self).__name__} does not say the optimiser's rate: another one does",
                "join schedules by SequentialLR, and step that",
            )
        following = self._at.read() + 1
        index = where(following < len(self.factors), following, self.start)
        self._at.set(index)
        self._factor.set(rate(self.factors)[index])

    def get_last_lr(self) -> Tensor:
        """The learning rate of this step: a clear number, to be printed."""
        return rate_product(self.factor, rate(self.optimizer.lr))


class LambdaLR(LRScheduler):
    """lr * lr_lambda(t) after t steps. What PyTorch has not: the number of `steps` that the table
    is made for, since a Python function cannot run inside of the program."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float], *, steps: int
    ) -> None:
        _positive(steps=steps)
        super().__init__(optimizer, [float(lr_lambda(t)) for t in range(steps + 1)])


class StepLR(LRScheduler):
    """lr * gamma^(t // step_size), 0 < gamma <= 1."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        _positive(step_size=step_size)
        powers = _powers(gamma)
        super().__init__(optimizer, [v for v in powers[:-1] for _ in range(step_size)]
                         + powers[-1:])  # fmt: skip


class MultiStepLR(LRScheduler):
    """lr * gamma^(how many milestones are <= t)."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        places = sorted(milestones)
        last = places[-1] if places else 0
        super().__init__(optimizer, [gamma ** bisect_right(places, t) for t in range(last + 1)])


class ExponentialLR(LRScheduler):
    """lr * gamma^t, 0 < gamma <= 1."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        super().__init__(optimizer, _powers(gamma))


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2 [LoshchilovHutter2017]; goes up again
    after T_max steps, as PyTorch's."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        _positive(T_max=T_max)
        low = eta_min / optimizer.lr
        super().__init__(
            optimizer,
            [low + (1 - low) * (1 + math.cos(math.pi * t / T_max)) / 2 for t in range(2 * T_max)],
            start=0,
        )


class LinearLR(LRScheduler):
    """From lr * start_factor to lr * end_factor within total_iters steps, then constant: a warm-up
    if start_factor < 1."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        _positive(total_iters=total_iters)
        change = (end_factor - start_factor) / total_iters
        super().__init__(optimizer, [start_factor + change * t for t in range(total_iters + 1)])


class SequentialLR(LRScheduler):
    """One schedule after the other: the i-th starts at milestones[i - 1] steps. Its parts are made
    for the same optimiser and not stepped themselves."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
    ) -> None:
        bounds = [0, *milestones]
        if len(schedulers) != len(bounds) or sorted(set(bounds)) != bounds:
            raise current().error(
                f"{len(schedulers)} schedules with the milestones {list(milestones)}",
                "give one rising milestone fewer than schedules",
            )
        factors: list[float] = []
        for part, first, end in zip(schedulers, bounds, bounds[1:], strict=False):
            factors += [part.at(t) for t in range(end - first)]
        last = schedulers[-1]
        super().__init__(optimizer, factors + last.factors, len(factors) + last.start)


def _powers(gamma: float) -> list[float]:
    """1, gamma, gamma^2, ... until a rate is zero."""
    if not 0 < gamma <= 1:
        raise current().error(f"a schedule with gamma={gamma}", "0 < gamma <= 1 is needed")
    count = 1 if gamma == 1 else 2 + math.ceil((RATE_BITS + 1) / -math.log2(gamma))
    return [gamma**n for n in range(min(count, _LONGEST + 1))]


def _positive(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise current().error(f"a schedule with {name}={count!r}", "whole steps, at least one")


if not TYPE_CHECKING:
    __getattr__ = lookup("optim.lr_scheduler", "optim.lr_scheduler", globals())
