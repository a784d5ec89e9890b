"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

from ...lang import Operators, Tensor, Variable, current, state, zeros
from ...lang.rates import rate, rated
from .optimizer import Gradients, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as PyTorch's.

    With g the gradient plus weight_decay * w, each step is v = momentum * v + (1 - dampening) * g
    (the first: v = g) and w = w - lr * v (with nesterov w - lr * (g + momentum * v)). What is kept
    is u = lr * v with the initial learning rate: that, the mean over the batch and the momentum
    then meet in a single truncation, which happens after all of them:
    u = round(lr * g + momentum * u) [KellerSun2022, section 5].

    Args:
        params: variables, such as `model.parameters()`.
        lr: learning rate, > 0. A schedule that changes it costs a truncation more.
        momentum: in [0, 1).
        dampening: in [0, 1); needs momentum, costs a truncation more.
        weight_decay: >= 0; costs a truncation more.
        nesterov: needs momentum and no dampening; costs a truncation more.

    Raises:
        ProgramError: an option outside of its range.
    """

    def __init__(
        self,
        params: Iterable[Variable],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr)
        if not (lr > 0 and 0 <= momentum < 1 and 0 <= dampening < 1 and weight_decay >= 0):
            raise current().error(
                f"SGD with lr={lr}, momentum={momentum}, dampening={dampening}, "
                f"weight_decay={weight_decay}",
                "lr > 0, 0 <= momentum < 1, 0 <= dampening < 1 and weight_decay >= 0 are needed",
            )
        if nesterov and (not momentum or dampening):
            raise current().error("nesterov without momentum, or with dampening",
                                  "give momentum=0.9 and no dampening")  # fmt: skip
        if dampening and not momentum:
            raise current().error("dampening without momentum", "give momentum=0.9")
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        # |lr * gradient| and |u| are below lr * (what k holds): the room this leaves above takes
        # the bits of the public factors, so that one truncation is enough.
        c = current().config
        self.bound = 2.0 ** (c.k - 1 - c.f) * min(1.0, lr)
        self.steps = [state(zeros(p.shape), "momentum") for p in self.params] if momentum else []
        self._gain = state(rate(1.0), "dampening") if dampening else None

    def gradients(self, loss: Operators) -> Gradients:
        return self._gradients(loss, self.lr, self.bound)

    def _step(self, gradients: Gradients) -> None:
        with current().scope("SGD"):
            # All new values first: an update must not change what a later one is computed from.
            changes = [self._change(i, g) for i, g in enumerate(gradients.tensors)]
            if self._gain is not None:
                self._gain.set(rate(1 - self.dampening))
            for buffer, (u, _) in zip(self.steps, changes, strict=False):
                buffer.set(u)
            self._apply([change for _, change in changes])

    def _change(self, i: int, g: Tensor) -> tuple[Tensor, Tensor]:
        """The new u, and what is subtracted from parameter i; g is lr * gradient."""
        if self.weight_decay:
            g = g + self.params[i] * (self.lr * self.weight_decay)
        if not self.momentum:
            return g, self._times_lr(g, included=True)
        if self._gain is not None:
            g = rated(g, self._gain.read(), 1.0)
        u = g + self.steps[i].bounded(self.bound) * self.momentum
        change = g + u * self.momentum if self.nesterov else u
        return u, self._times_lr(change, included=True)
