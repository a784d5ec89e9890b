"""Batch and layer normalisation."""

from __future__ import annotations

import copy
import inspect
import math
from typing import Any

from .. import lang
from ..lang import Operators, Tensor, Variable, current, ones, state, zeros
from .layers import Conv2d, Linear
from .module import Identity, Module, Sequential


class _BatchNorm(Module):
    """Each channel less its mean, over its deviation; then a factor and a summand of its own.

    In training the statistics are those of the batch, and the running ones move towards them by
    `momentum`; in evaluation they are the running ones, as constants. An eps below 2^-f counts as
    2^-f. Running statistics are buffers: saved with the model. (PyTorch's `num_batches_tracked`
    is not kept: only momentum=None would need it.)
    """

    _ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        if momentum is None:
            raise current().error(
                "a batch norm with momentum=None", "a cumulative mean is not there: give a number"
            )
        if not eps > 0 or not 0 <= momentum <= 1:
            raise current().error(f"a batch norm with eps={eps}, momentum={momentum}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight: Variable | None = None
        self.bias: Variable | None = None
        self.running_mean: Variable | None = None
        self.running_var: Variable | None = None
        name = type(self).__name__
        if affine:
            self.weight = state(ones(num_features), f"{name}.weight")
            if bias:
                self.bias = state(zeros(num_features), f"{name}.bias")
        if track_running_stats:
            self.register_buffer("running_mean", state(zeros(num_features), f"{name}.running_mean"))
            self.register_buffer("running_var", state(ones(num_features), f"{name}.running_var"))

    def forward(self, x: Operators) -> Tensor:
        if x.ndim not in self._ranks or x.shape[1] != self.num_features:
            raise current().error(
                f"{type(self).__name__}({self.num_features}) meets shape {x.shape}",
                f"the axes are batch, channels and {self._ranks[-1] - 2} more",
            )
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        if not self.training and self.running_mean is not None:
            factor, summand = self.moments()
            y = (x - self.running_mean.reshape(shape)) * factor.reshape(shape)
            return y if summand is None else y + summand.reshape(shape)
        axes = (0, *range(2, x.ndim))
        if math.prod(x.shape[i] for i in axes) < 2 and self.training:
            raise current().error(
                f"{type(self).__name__} in training with one value a channel, shape {x.shape}",
                "give batches of two or more",
            )
        if self.running_mean is not None:
            self._track(x, axes)
        y = lang.standardize(x, axes, self.eps)
        y = y if self.weight is None else y * self.weight.reshape(shape)
        return y if self.bias is None else y + self.bias.reshape(shape)

    def _track(self, x: Operators, axes: tuple[int, ...]) -> None:
        """Move the running statistics towards the batch's."""
        assert self.running_mean is not None and self.running_var is not None
        count = math.prod(x.shape[i] for i in axes)
        # The very expressions of the standardisation's lowering, which then are computed once.
        mean = x.mean(axes, keepdims=True)
        d = x - mean
        variance = (d * d).mean(axes, keepdims=True)
        unbiased = variance.reshape(-1) * (count / (count - 1))
        for running, now in ((self.running_mean, mean.reshape(-1)), (self.running_var, unbiased)):
            running += (now - running) * self.momentum

    def moments(self) -> tuple[Tensor, Tensor | None]:
        """weight / sqrt(running_var + eps), by which x - running_mean is multiplied, and the
        summand."""
        if self.running_mean is None or self.running_var is None:
            raise current().error("a batch norm without running statistics")
        inverse = lang.rsqrt(self.running_var + max(self.eps, 2.0 ** -current().config.f))
        factor = inverse if self.weight is None else inverse * self.weight
        return factor, None if self.bias is None else self.bias.read()


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (batch, channels) or (batch, channels, length)."""

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (batch, channels, height, width)."""

    _ranks = (4,)


class LayerNorm(Module):
    """Each sample less its mean, over its deviation, both over the last axes (normalized_shape);
    then factors and summands of that shape."""

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape, self.eps = tuple(shape), eps
        if not eps > 0:
            raise current().error(f"LayerNorm with eps={eps}", "eps is positive")
        self.weight: Variable | None = None
        self.bias: Variable | None = None
        if elementwise_affine:
            self.weight = state(ones(self.normalized_shape), "LayerNorm.weight")
            if bias:
                self.bias = state(zeros(self.normalized_shape), "LayerNorm.bias")

    def forward(self, x: Operators) -> Tensor:
        count = len(self.normalized_shape)
        if not count or x.shape[-count:] != self.normalized_shape:
            raise current().error(
                f"LayerNorm({self.normalized_shape}) meets shape {x.shape}",
                "the last axes have the normalized_shape",
            )
        y = lang.standardize(x, tuple(range(x.ndim - count, x.ndim)), self.eps)
        y = y if self.weight is None else y * self.weight
        return y if self.bias is None else y + self.bias


def fuse_bn_eval(layer: Linear | Conv2d, norm: _BatchNorm) -> Linear | Conv2d:
    """A layer that does what `layer` and the trained batch norm after it do in evaluation.

    The new weights are computed here, once: outside of a loop over batches they cost nothing in it.
    """
    factor, summand = norm.moments()
    assert norm.running_mean is not None
    outputs = layer.weight.shape[0]
    if norm.num_features != outputs:
        raise current().error(
            f"a batch norm of {norm.num_features} channels after a layer with {outputs}"
        )
    shape = (-1, *(1 for _ in layer.weight.shape[1:]))
    before = norm.running_mean * -1.0 if layer.bias is None else layer.bias - norm.running_mean
    bias = before * factor
    made: Linear | Conv2d = type(layer).__new__(type(layer))
    vars(made).update(vars(layer))
    options = inspect.signature(type(layer)).bind(*layer.made_with[0], **layer.made_with[1])
    made.made_with = ((), {**options.arguments, "bias": True})
    made.weight = state(layer.weight * factor.reshape(shape), "folded.weight")
    made.bias = state(bias if summand is None else bias + summand, "folded.bias")
    return made


class FoldedLinear(Module):
    """A Linear and the batch norm after it, in evaluation: folded for rows of features. Of inputs
    of more axes batch norm takes the second axis, which is not the one that a Linear makes."""

    def __init__(self, layer: Linear, norm: _BatchNorm) -> None:
        self.layer, self.norm = layer, norm
        self.folded = fuse_bn_eval(layer, norm)

    def forward(self, x: Operators) -> Tensor:
        y: Tensor = self.folded(x) if x.ndim == 2 else self.norm(self.layer(x))
        return y


def fold_batch_norm(model: Module) -> Module:
    """A model for evaluation in which the batch norms that follow a Linear or Conv2d directly, in
    any Sequential, are folded into it; the others stay. The given model does not change.

    Layers keep their names: `Identity` stands where a batch norm was.
    """
    return _folded(model).eval() if _foldable(model) else model


def _pairs(model: Module) -> list[int]:
    """Places in a Sequential of layers that a batch norm follows."""
    if not isinstance(model, Sequential) or type(model).forward is not Sequential.forward:
        return []
    parts = list(model)
    return [i for i, (a, b) in enumerate(zip(parts, parts[1:], strict=False))
            if isinstance(a, Linear | Conv2d) and isinstance(b, _BatchNorm)
            and b.running_mean is not None and b.num_features == a.weight.shape[0]]  # fmt: skip


def _foldable(model: Module) -> bool:
    return any(_pairs(m) for m in model.modules())


def _folded(module: Module) -> Module:
    """A copy of a module and all inside of it, batch norms folded; variables are shared."""
    made = copy.copy(module)
    for key, value in vars(module).items():
        if key != "made_with":
            setattr(made, key, _folded_inside(value))
    if isinstance(made, Sequential) and isinstance(module, Sequential):
        names = [name for name, _ in module.named_children()]
        for i in _pairs(module):
            layer, norm = made[i], made[i + 1]  # copies: their mode is their own
            assert isinstance(layer, Linear | Conv2d) and isinstance(norm, _BatchNorm)
            with current().scope(f"{names[i + 1]}.{type(norm).__name__}"):
                made[i] = (
                    FoldedLinear(layer, norm)
                    if isinstance(layer, Linear)
                    else fuse_bn_eval(layer, norm)
                )
                made[i + 1] = Identity()
    return made


def _folded_inside(value: Any) -> Any:
    """Modules in lists, tuples and dictionaries."""
    if isinstance(value, Module):
        return _folded(value)
    if type(value) is dict:
        return {key: _folded_inside(part) for key, part in value.items()}
    return type(value)(map(_folded_inside, value)) if type(value) in (list, tuple) else value
