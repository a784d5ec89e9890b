"""Layers, losses and optimisers with PyTorch's names, written in the language.

Gradients come from the op table's rules; nothing here knows of protocols.
"""

from typing import TYPE_CHECKING

from ..lang.pytorch import lookup
from . import init, optim, transforms, utils
from .activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .bridge import from_torch, save_torch, to_torch
from .containers import ModuleDict, ModuleList
from .dropout import Dropout
from .layers import Conv2d, Embedding, Flatten, Linear, one_hot
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    MSELoss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
)
from .module import Identity, Lambda, Module, Sequential
from .normalization import BatchNorm1d, BatchNorm2d, LayerNorm, fold_batch_norm, fuse_bn_eval
from .pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from .recurrent import GRU, LSTM
from .training import (
    accuracy,
    augmentation_named,
    count_correct,
    evaluate,
    fit,
    optimizer_named,
    schedule_named,
)

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d",
    "BatchNorm2d", "Conv2d", "CrossEntropyLoss", "Dropout", "Embedding", "Flatten", "GELU",
    "GRU", "Identity", "LSTM", "Lambda", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax",
    "MSELoss", "MaxPool2d", "Module", "ModuleDict", "ModuleList", "ReLU", "Sequential",
    "Sigmoid", "Softmax", "Softplus", "Tanh", "accuracy", "augmentation_named",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "count_correct",
    "cross_entropy", "evaluate", "fit", "fold_batch_norm", "from_torch", "fuse_bn_eval", "init",
    "mse_loss", "one_hot", "optim", "optimizer_named", "save_torch", "schedule_named",
    "to_torch", "transforms", "utils",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__ = lookup("nn", "nn", __all__)
