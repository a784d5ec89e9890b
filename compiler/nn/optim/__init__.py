"""Optimisers and schedules of the learning rate, with PyTorch's names."""

from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Gradients, Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Gradients", "Optimizer", "lr_scheduler"]
