"""Initialisers: ranges and moments as PyTorch's, from public and from secret randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lang_tools import traced, value

from sequester.compiler.ir.graph import Config
from sequester.compiler.lang import Program, ProgramError, Tensor, Variable, sfix, state, zeros
from sequester.compiler.nn import init

SHAPE = (40, 20, 3, 3)
NARROW, WIDE = Config(), Config(ring_bits=128, k=63, f=32)

INITIALISERS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("uniform_", (-0.25, 0.5), {}),
    ("normal_", (0.1, 0.02), {}),
    ("trunc_normal_", (0.1, 0.02), {}),
    ("trunc_normal_", (0.1, 0.2, -0.1, 0.4), {}),
    ("xavier_uniform_", (), {"gain": 2.0}),
    ("xavier_normal_", (), {}),
    ("kaiming_uniform_", (), {"a": 5**0.5}),
    ("kaiming_uniform_", (), {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", (), {"nonlinearity": "relu"}),
    ("kaiming_normal_", (), {"nonlinearity": "tanh", "mode": "fan_out"}),
]


def drawn(name: str, arguments: Any, options: Any, config: Config = NARROW) -> np.ndarray:
    def main() -> Tensor:
        w = state(zeros(SHAPE))
        assert getattr(init, name)(w, *arguments, **options) is w
        return w.read()

    return value(main, config=config, lowered=True)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("eye_", (3, 5), {}),
        ("dirac_", (4, 3, 3, 3), {}),
        ("dirac_", (6, 2, 2, 5), {"groups": 2}),
        ("dirac_", (2, 5, 3), {}),
    ],
)
def test_identities(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.empty(shape)
    getattr(torch.nn.init, name)(theirs, **options)

    def main() -> Tensor:
        w = state(zeros(shape))
        assert getattr(init, name)(w, **options) is w
        return w.read()

    np.testing.assert_array_equal(value(main), theirs.numpy())


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("name,arguments,options", INITIALISERS)
def test_moments_are_those_of_pytorch(
    name: str, arguments: Any, options: Any, secret: bool
) -> None:
    """7200 numbers: mean and variance within 5 standard errors, and the range."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    theirs = torch.empty(1000, *SHAPE[1:], dtype=torch.float64)
    scale = np.sqrt((1000 if options.get("mode") == "fan_out" else 0) / SHAPE[0]) or 1.0
    if name.startswith("xavier"):
        scale = np.sqrt((1000 + SHAPE[1]) / (SHAPE[0] + SHAPE[1]))
    getattr(torch.nn.init, name)(theirs, *arguments, **options)
    expected = theirs.numpy() * (scale if arguments == () else 1.0)
    found = drawn(name, arguments, {**options, "secret": secret})
    n, std = found.size, expected.std()
    assert abs(found.mean() - expected.mean()) < 7 * std / np.sqrt(n)
    assert abs(found.std() / std - 1) < 5 / np.sqrt(n)
    if name == "trunc_normal_" and len(arguments) == 4:
        assert arguments[2] - 2.0**-16 <= found.min() and found.max() <= arguments[3] + 2.0**-16
    if "uniform" in name:
        unit = 2.0**-16
        assert found.min() >= expected.min() - 0.001 * std - 2 * unit
        assert found.max() <= expected.max() + 0.001 * std + 2 * unit
    else:
        ours, wanted = ((x - x.mean()) / x.std() for x in (found, expected))
        assert abs((ours**3).mean() - (wanted**3).mean()) < 0.15
        assert abs((ours**4).mean() - (wanted**4).mean() + 0.1) < 0.25


def test_wide_secret_numbers() -> None:
    found = drawn("uniform_", (0.0, 1.0), {"secret": True}, WIDE)
    assert found.min() >= 0 and found.max() < 1 and abs(found.mean() - 0.5) < 0.02
    assert abs(drawn("normal_", (0.0, 1.0), {"secret": True}, WIDE).std() - 1) < 0.05


def test_secret_numbers_come_from_secret_bits() -> None:
    def main() -> Tensor:
        w = state(zeros(5))
        init.uniform_(w, secret=True)
        init.normal_(w, secret=True)
        return w.read()

    ops = {n.op for n in traced(main)[0].walk()}
    assert "randbit" in ops and "uniform" not in ops


def test_constants_and_gains() -> None:
    def main() -> Tensor:
        w, v, u = state(zeros(2)), state(zeros(2)), state(sfix([3.0, 4.0]))
        return init.ones_(w) + init.constant_(v, 0.25) + init.zeros_(u)

    np.testing.assert_array_equal(value(main), [1.25, 1.25])
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def weight() -> Variable:
    return state(zeros((3, 4)))


@pytest.mark.parametrize(
    "mistake,found",
    [
        (lambda: init.uniform_(weight(), 1.0, 1.0), "empty range"),
        (lambda: init.normal_(weight(), 0.0, -1.0), "positive"),
        (lambda: init.kaiming_uniform_(weight(), mode="fan"), "fan_in"),
        (lambda: init.trunc_normal_(weight(), a=1.0, b=0.0), "a < b"),
        (lambda: init.eye_(state(zeros(3))), "two axes"),
        (lambda: init.dirac_(state(zeros((3, 3)))), "three axes"),
        (lambda: init.kaiming_normal_(weight(), nonlinearity="gelu"), "no gain is known"),
        (lambda: init.xavier_normal_(state(zeros(3))), "two axes"),
    ],
)
def test_mistakes(mistake: Callable[[], Any], found: str) -> None:
    with pytest.raises(ProgramError, match=found):
        Program(mistake).trace()
