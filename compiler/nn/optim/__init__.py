"""Optimisers and schedules of the learning rate, with PyTorch's names."""

from typing import TYPE_CHECKING

from ...lang.pytorch import lookup
from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Gradients, Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Gradients", "Optimizer", "lr_scheduler"]

if not TYPE_CHECKING:
    __getattr__ = lookup("optim", "optim", __all__)
