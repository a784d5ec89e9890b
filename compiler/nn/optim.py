"""Optimisers: from a loss to new parameters."""

from __future__ import annotations

from collections.abc import Iterable

from ..lang import Operators, Tensor, Variable, current, grad, state, zeros


class SGD:
    """Stochastic gradient descent with momentum, as PyTorch's, for a constant learning rate.

    With g the gradient plus weight_decay * w, each step is v = momentum * v + g and
    w = w - lr * v (with nesterov w - lr * (g + momentum * v)). What is kept is u = lr * v: the
    learning rate, the mean over the batch and the momentum then meet in a single truncation, which
    happens after all of them: u = round(lr * g + momentum * u) [KellerSun2022, section 5].

    Args:
        params: variables, such as `model.parameters()`.
        lr: learning rate, > 0.
        momentum: in [0, 1).
        weight_decay: >= 0; costs a truncation more.
        nesterov: needs momentum; costs a truncation more.
    """

    def __init__(
        self,
        params: Iterable[Variable],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.params = list(params)
        if not self.params:
            raise current().error("an optimiser without parameters")
        if not (lr > 0 and 0 <= momentum < 1 and weight_decay >= 0):
            raise current().error(
                f"SGD with lr={lr}, momentum={momentum}, weight_decay={weight_decay}",
                "lr > 0, 0 <= momentum < 1 and weight_decay >= 0 are needed",
            )
        if nesterov and not momentum:
            raise current().error("nesterov without momentum", "give momentum=0.9")
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        # |lr * gradient| and |u| are below lr * (what k holds): the room this leaves above takes
        # the bits of the public factors, so that one truncation is enough.
        c = current().config
        self.bound = 2.0 ** (c.k - 1 - c.f) * min(1.0, lr)
        self.steps = [state(zeros(p.shape), "momentum") for p in self.params] if momentum else []

    def minimize(self, loss: Operators) -> None:
        """Take the loss's gradients for all parameters and make one step."""
        with current().scope("SGD"):
            gradients = grad(loss, self.params, factor=self.lr, bound=self.bound)
            # All new values first: an update must not change what a later one is computed from.
            changes = [self._change(i, g) for i, g in enumerate(gradients)]
            for i, (p, (u, change)) in enumerate(zip(self.params, changes, strict=True)):
                if self.momentum:
                    self.steps[i].set(u)
                p -= change

    def _change(self, i: int, g: Tensor) -> tuple[Tensor, Tensor]:
        """The new u, and what is subtracted from parameter i; g is lr * gradient."""
        if self.weight_decay:
            g = g + self.params[i] * (self.lr * self.weight_decay)
        if not self.momentum:
            return g, g
        u = g + self.steps[i].bounded(self.bound) * self.momentum
        return u, g + u * self.momentum if self.nesterov else u
