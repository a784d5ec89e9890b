"""Layers, losses and optimisers with PyTorch's names, written in the language.

Gradients come from the op table's rules; nothing here knows of protocols.
"""

from . import init, optim, transforms, utils
from .bridge import from_torch, save_torch, to_torch
from .layers import (
    AvgPool2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from .losses import (
    binary_cross_entropy_with_logits,
    count_correct,
    cross_entropy,
    evaluate,
    mse_loss,
    one_hot,
)
from .module import Module, Sequential
from .training import accuracy, fit, optimizer_named, schedule_named

__all__ = [
    "AvgPool2d", "Conv2d", "Flatten", "Linear", "MaxPool2d", "Module", "ReLU", "Sequential",
    "Sigmoid", "Softmax", "Tanh", "accuracy", "binary_cross_entropy_with_logits", "count_correct",
    "cross_entropy", "evaluate", "fit", "from_torch", "init", "mse_loss", "one_hot", "optim",
    "optimizer_named", "save_torch", "schedule_named", "to_torch", "transforms", "utils",
]  # fmt: skip
