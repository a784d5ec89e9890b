"""Adam, AdamW and AMSGrad in fixed point."""

from __future__ import annotations

from collections.abc import Iterable

from ... import lang
from ...lang import Operators, Tensor, Variable, current, maximum, state, zeros
from ...lang.rates import rate, rate_product, rate_quotient, rated
from ..utils import clipped
from .optimizer import Gradients, Optimizer

_ROOTS = {"exact": "none", "fast": "quartic"}
_RATIO = 256.0  # a bound on |mean / root of the mean square|, with room for what rounding does


class Adam(Optimizer):
    """Adam [KingmaBa2015], and AMSGrad [ReddiKaleKumar2018] with `amsgrad`, as PyTorch's.

    With g the gradient plus weight_decay * w, m and v moving averages of g and g^2 without the
    start's bias (PyTorch's exp_avg and exp_avg_sq over their bias corrections), each step is
    w = w - lr * m / sqrt(v + eps^2); under `amsgrad` v is the largest exp_avg_sq so far over the
    bias correction.

    What fixed point asks for:

    * Gradients are scaled by the public number that brings `bound` to the root of the largest value
      that k holds: at f = 16, k = 31 the root of v has 15 bits, bound * 2^-15 to bound, where
      eps is at least the former. Gradients beyond the bound are clipped to it. Most accurate is a
      bound of a few times the largest gradient.
    * The averages are kept unbiased: what is added to them is (1 - beta) / (1 - beta^t) of a
      difference, a public rate of 28 fractional bits that the program computes as it runs.
    * Small averages live by probabilistic rounding, which is right on average. Under nearest
      rounding an average stops to decay when (1 - beta) of it is below half a unit.
    * An inverse square root instead of a root and a division [KellerSun2022, section 5.2].

    Args:
        params: variables, such as `model.parameters()`.
        lr: learning rate, > 0.
        betas: weights of the moving averages of g and g^2, in [0, 1).
        eps: >= 0; inside the root, which differs from PyTorch's place only for tiny gradients.
        weight_decay: >= 0.
        amsgrad: never let the denominator forget a larger v.
        bound: of a gradient's elements in magnitude; see above.
        rsqrt: "exact", or "fast" for an inverse square root of relative error below 2^-7 at about
            half the messages: steps are off by so little, but none in another direction.

    Raises:
        ProgramError: an option outside of its range.
    """

    decoupled = False  # whether the weights decay by themselves, not by the gradient

    def __init__(
        self,
        params: Iterable[Variable],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        bound: float = 1.0,
        rsqrt: str = "exact",
    ) -> None:
        super().__init__(params, lr)
        if not (lr > 0 and all(0 <= b < 1 for b in betas) and len(betas) == 2):
            raise current().error(f"{type(self).__name__} with lr={lr}, betas={betas}",
                                  "lr > 0 and two betas in [0, 1) are needed")  # fmt: skip
        if not (eps >= 0 and weight_decay >= 0 and bound > 0):
            raise current().error(
                f"{type(self).__name__} with eps={eps}, weight_decay={weight_decay}, bound={bound}",
                "eps >= 0, weight_decay >= 0 and bound > 0 are needed",
            )
        if rsqrt not in _ROOTS:
            raise current().error(f"rsqrt={rsqrt!r}", 'write rsqrt="exact" or rsqrt="fast"')
        self.weight_decay, self.amsgrad = weight_decay, amsgrad
        self._approximate = _ROOTS[rsqrt]
        c = current().config
        self._top = 2.0 ** ((c.k - 1 - c.f) // 2)
        self._unit = 2.0**-c.f
        self.scale = self._top / bound
        self._eps = max((eps * self.scale) ** 2, self._unit)
        self._mean = _Average(betas[0], self.params, "exp_avg")
        self._square = _Average(betas[1], self.params, "exp_avg_sq")
        self._largest = _states(self.params, "max_exp_avg_sq") if amsgrad else []

    def gradients(self, loss: Operators) -> Gradients:
        return self._gradients(loss, self.scale)

    def _step(self, gradients: Gradients) -> None:
        mean, square = self._mean, self._square
        with current().scope(type(self).__name__):
            before = square.power.read()
            mean.advance()
            square.advance()
            changes = [self._change(i, g, before) for i, g in enumerate(gradients.tensors)]
            self._apply(changes)

    def _change(self, i: int, g: Tensor, before: Tensor) -> Tensor:
        """What is subtracted from parameter i; g is scale * gradient, `before` the power of beta
        before this step."""
        p = self.params[i]
        if self.weight_decay and not self.decoupled:
            g = g + p * (self.scale * self.weight_decay)
        g = clipped(g, self._top - self._unit)
        m, v = self._mean.add(i, g), self._square.add(i, g * g)
        if self.amsgrad:
            # The largest exp_avg_sq so far, over the bias correction of this step.
            kept = 1.0 - rate_product(self._square.weight.read(), before)
            v = maximum(rated(self._largest[i], kept, 1.0), v)
            self._largest[i].set(v)
        change = (m * lang.rsqrt(v + self._eps, self._approximate)).bounded(_RATIO)
        if self.weight_decay and self.decoupled:
            change = change + p * self.weight_decay
        return self._times_lr(change, included=False)


class AdamW(Adam):
    """Adam with decoupled weight decay [LoshchilovHutter2019]: w = w - lr * weight_decay * w
    besides the step; see `Adam`."""

    decoupled = True

    def __init__(
        self,
        params: Iterable[Variable],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        bound: float = 1.0,
        rsqrt: str = "exact",
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, bound=bound, rsqrt=rsqrt)


class _Average:
    """A moving average for each parameter, without the bias of its start at zero.

    `weight` is (1 - beta) / (1 - beta^t) in step t, `power` beta^t.
    """

    def __init__(self, beta: float, params: list[Variable], name: str) -> None:
        self.beta = beta
        self.values = _states(params, name)
        self.power = state(rate(1.0), f"{name}_power")
        self.weight = state(rate(1.0), f"{name}_weight")

    def advance(self) -> None:
        """Begin the next step."""
        beta = rate(self.beta)
        power = rate_product(self.power.read(), beta)
        self.power.set(power)
        self.weight.set(rate_quotient(1.0 - beta, 1.0 - power))

    def add(self, i: int, x: Tensor) -> Tensor:
        """Take x into the average of parameter i; its new value."""
        old = self.values[i].read()
        new = old + rated(x - old, self.weight.read(), 1.0)
        self.values[i].set(new)
        return new


def _states(params: list[Variable], name: str) -> list[Variable]:
    return [state(zeros(p.shape), name) for p in params]
