"""Training of a model from start to end: epochs, batches, what is told about them, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..lang import Operators, Tensor, Variable, arange, checkpoint, current, loop, print_
from .layers import one_hot
from .losses import cross_entropy
from .module import Module, Sequential
from .normalization import fold_batch_norm
from .optim import SGD, Adam, AdamW, Optimizer
from .optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR
from .transforms import RandomCrop, RandomHorizontalFlip

Rows = tuple[Operators, Operators]
Loss = Callable[[Tensor, Operators], Tensor]

OPTIMIZERS = ("sgd", "adam", "adamw", "amsgrad")
SCHEDULES = ("constant", "cosine", "step")
AUGMENTATIONS = ("none", "public", "secret")


def optimizer_named(
    name: str, parameters: Iterable[Variable], lr: float, momentum: float = 0.9
) -> Optimizer:
    """An optimiser by a word of OPTIMIZERS, for programs that leave the choice to an option.

    Args:
        momentum: of SGD; the others have none.

    Raises:
        ProgramError: any other word.
    """
    if name == "sgd":
        return SGD(parameters, lr=lr, momentum=momentum)
    if name not in OPTIMIZERS:
        raise current().error(f"no optimiser {name!r}", f"there are {', '.join(OPTIMIZERS)}")
    if name == "adamw":
        return AdamW(parameters, lr=lr)
    return Adam(parameters, lr=lr, amsgrad=name == "amsgrad")


def schedule_named(name: str, optimizer: Optimizer, epochs: int) -> LRScheduler | None:
    """A schedule over so many epochs by a word of SCHEDULES; None for "constant".

    "cosine" falls from the optimiser's rate towards 0, "step" divides it by 10 after half of the
    epochs and again after three quarters.

    Raises:
        ProgramError: any other word.
    """
    if name not in SCHEDULES:
        raise current().error(f"no schedule {name!r}", f"there are {', '.join(SCHEDULES)}")
    if name == "constant" or epochs < 1:
        return None
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=epochs)
    return MultiStepLR(optimizer, milestones=[max(1, epochs // 2), max(1, epochs * 3 // 4)])


def augmentation_named(name: str, size: int, padding: int = 4) -> Module | None:
    """Mirrored pictures and windows at random places by a word of AUGMENTATIONS; None for "none".

    Args:
        size: height and width of the pictures.
        padding: by how much a picture is moved at most.

    Raises:
        ProgramError: any other word.
    """
    if name not in AUGMENTATIONS:
        raise current().error(f"no augmentation {name!r}", f"there are {', '.join(AUGMENTATIONS)}")
    if name == "none":
        return None
    secret = name == "secret"
    return Sequential(RandomHorizontalFlip(secret=secret), RandomCrop(size, padding, secret=secret))


def fit(
    model: Module,
    train: Rows,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch: int,
    schedule: str = "constant",
    classes: int | None = None,
    loss: Loss = cross_entropy,
    shuffle: str = "public",
    augment: Module | None = None,
    test: Rows | None = None,
    test_batch: int = 100,
    watch: bool = False,
) -> None:
    """Train a model, and print after each epoch "epoch E: mean loss L, test accuracy P %".

    After each epoch there is a `checkpoint()`.

    The mean loss and, with `test`, the accuracy are opened to all, and with `watch` the loss of
    each batch; nothing else is. Each epoch goes over all whole batches in a fresh order. No epochs:
    only the accuracy is measured and printed.

    Args:
        train: samples (n, ...) and labels or targets (n, ...).
        optimizer: of the model's parameters.
        schedule: of its learning rate, epoch by epoch; see `schedule_named`.
        classes: turn integer labels (n,) of `train` into one-hot rows once, before the first epoch,
            rather than in every batch of every epoch. Labels that are one-hot rows stay.
        loss: function of the model's output and the labels of a batch; a scalar.
        shuffle: the order of each epoch: "public", "secret" or "none"; see `loop.batches`.
        augment: what is done to the samples of each batch, such as `transforms.RandomCrop`.
        test: samples and integer labels or one-hot rows, for the accuracy.
        test_batch: rows of `test` that go through the model together.

    Raises:
        ProgramError: rows that do not go together, batches larger than the data.
    """
    x, y = train
    rates = schedule_named(schedule, optimizer, epochs)
    if classes is not None:
        y = _one_hot_rows(y, classes)
    for epoch in loop(epochs):
        total = loop.accumulator(0.0)
        batches = loop.batches(x, y, batch=batch, shuffle=shuffle)
        for xb, yb in batches:
            value = loss(model(xb if augment is None else augment(xb)), yb)
            optimizer.minimize(value)
            total += value
            if watch:
                print_("epoch {}: loss {:.4f}", epoch, value.reveal())
        mean = (total / len(batches)).reveal()
        if test is None:
            print_("epoch {}: mean loss {:.4f}", epoch, mean)
        else:
            found = accuracy(model, *test, batch=test_batch)
            print_("epoch {}: mean loss {:.4f}, test accuracy {:.2f} %", epoch, mean, found)
        if rates is not None:
            rates.step()
        checkpoint()
    if not epochs and test is not None:
        print_("test accuracy {:.2f} %", accuracy(model, *test, batch=test_batch))


def _one_hot_rows(labels: Operators, classes: int) -> Operators:
    if labels.ndim == 1:
        return one_hot(labels, classes)
    if labels.ndim != 2 or labels.shape[1] != classes:
        raise current().error(
            f"labels of shape {labels.shape} for {classes} classes",
            f"bring integers (n,) or one-hot rows (n, {classes})",
        )
    return labels


def count_correct(logits: Operators, labels: Operators) -> Tensor:
    """How many rows of the logits have their (first) maximum at the label: a secret integer.

    Args:
        labels: integers (batch,) or one-hot rows (batch, classes).
    """
    if labels.ndim == 2:
        labels = (labels * arange(labels.shape[1])).sum(1)
    return (logits.argmax(1) == labels).sum()


def evaluate(model: Module, x: Operators, labels: Operators, batch: int = 500) -> Variable:
    """How many rows of x the model classifies right, a secret integer; in batches.

    The model is in evaluation mode meanwhile, its batch norms folded where they can be.
    """
    correct = loop.accumulator(0)
    modes = [(module, module.training) for module in model.modules()]
    tested = fold_batch_norm(model.eval())
    for xb, yb in loop.batches(x, labels, batch=min(batch, x.shape[0]), shuffle=False,
                               drop_last=False):  # fmt: skip
        correct += count_correct(tested(xb), yb)
    for module, mode in modes:
        module.training = mode
    return correct


def accuracy(model: Module, x: Operators, labels: Operators, batch: int = 100) -> Tensor:
    """Percentage of the rows of x that the model classifies right: clear, opened to all."""
    with current().scope("evaluation"):
        return evaluate(model, x, labels, batch).reveal() * (100.0 / x.shape[0])
