"""What is trained: one `Cell` a training, and the sets of them that `reproduce.py` knows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAMS = {
    "A": "mnist_dense",
    "B": "mnist_two_conv",
    "C": "mnist_lenet",
    "D": "mnist_strided",
    "small": "cifar_small_alexnet",
    "falcon": "cifar_alexnet",
}
# Options of the networks' function and of their programs: Falcon's AlexNet only begins to learn
# within a part of an epoch with the batch normalisation that the paper has for it.
VARIANTS: dict[str, dict[str, bool]] = {"falcon": {"batch_norm": True}}
DATA = {"mnist": ("A", "B", "C", "D"), "protocols": ("A",), "cifar10": ("small", "falcon")}
SAMPLED = ("mnist", "protocols")  # whose data set ships in part


@dataclass(frozen=True)
class Cell:
    """One training. `part`: only so many training pictures, drawn at random (0: all); `ring`: the
    precision; `seed`: that of the public randomness."""

    net: str
    optimizer: str
    protocol: str
    epochs: int
    lr: float
    batch: int = 128
    momentum: float = 0.9
    schedule: str = "cosine"
    dropout: float = 0.0
    seed: int = 1
    rounding: str = "probabilistic"
    ring: int = 64
    part: int = 0

    @property
    def name(self) -> str:
        """Of its folder: readable, and another one for every other setting."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]
        return f"{self.net}-{self.optimizer}-{self.protocol}-{digest}"

    @property
    def twin(self) -> Cell:
        """What the same training in the clear depends on."""
        return replace(self, protocol="", rounding="", ring=0)

    @property
    def program(self) -> Path:
        return ROOT / "programs" / f"{PROGRAMS[self.net]}.py"

    def words(self) -> tuple[str, ...]:
        """The options of the program."""
        options: dict[str, object] = {
            "epochs": self.epochs,
            "batch": self.batch,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "momentum": self.momentum,
            "schedule": self.schedule,
            "test-batch": 500,
        }
        if self.dropout:
            options["dropout"] = self.dropout
        flags = (f"--{name.replace('_', '-')}" for name in VARIANTS.get(self.net, {}))
        return (*(f"--{key}={value}" for key, value in options.items()), *flags)


def _mnist(net: str, optimizer: str, protocol: str, lr: float, **more: float) -> Cell:
    return replace(Cell(net, optimizer, protocol, 20, lr), **more)  # type: ignore[arg-type]


# Rates chosen by training in float; network C as in the paper with dropout before the last layer.
# In few epochs both AlexNets need AMSGrad: SGD spends most of the first one on the plateau of the
# start, in float, too, and rounding decides when it leaves it.
PLANS: dict[str, tuple[Cell, ...]] = {
    "mnist": (
        _mnist("C", "sgd", "rep3", 0.1, dropout=0.5),
        _mnist("A", "sgd", "rep3", 0.1),
        _mnist("A", "amsgrad", "rep3", 0.001),
        _mnist("B", "sgd", "emulate", 0.1),
        _mnist("D", "sgd", "emulate", 0.1),
        _mnist("A", "adam", "emulate", 0.001),
        _mnist("A", "adamw", "emulate", 0.001),
    ),
    "protocols": tuple(  # the first of net A's, shorter: one schedule under every protocol
        Cell("A", "sgd", protocol, 5, 0.1)
        for protocol in ("rep3", "rep4", "rep3-mal", "shamir", "shamir-mal")
    ),
    "cifar10": (
        Cell("small", "sgd", "emulate", 12, 0.05),
        Cell("small", "amsgrad", "rep3", 2, 0.0005),
        Cell("falcon", "amsgrad", "rep3", 1, 0.001, part=12800),
    ),
}


def quick(cell: Cell) -> Cell:
    """The same on a few pictures, for tests and first tries."""
    return replace(cell, epochs=2, batch=16, part=64)
