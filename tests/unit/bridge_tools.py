"""What tests of the bridge to PyTorch share. Importing it skips a module without PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sequester import Party, nn, output, program
from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Config

torch = pytest.importorskip("torch")
tnn = torch.nn
WIDE = Config(ring_bits=128, k=63, f=32)


def inputs(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape)


def run(make: Callable[[], nn.Module], given: dict[tuple[int, str], Any]) -> reference.Result:
    """Outputs `y` and `model` of a module that a function makes, on x of party 0."""

    @program
    def main() -> None:
        model = make()
        output("y", model(Party(0).input("x")))
        output("model", model)

    shapes = {key: np.shape(value) for key, value in given.items()}
    return reference.run(main.trace(WIDE, shapes), given)


class Called(tnn.Module):
    """A function of x and y = 2 x + 1, with a layer and a parameter at hand as attributes."""

    def __init__(self, function: Callable[..., Any], layer: Any = None) -> None:
        super().__init__()
        self.function, self.layer = function, layer
        self.scale = tnn.Parameter(torch.ones(3))

    def forward(self, x: Any) -> Any:
        if self.function.__code__.co_argcount == 1:
            return self.function(x)
        return self.function(self, x, x * 2 + 1)
