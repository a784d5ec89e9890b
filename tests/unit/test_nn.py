"""SGD against its definition and PyTorch, modules, and a small training in float and on the ring.

(Layers and losses: test_layers.py; the other optimisers: test_optim.py.)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lang_tools import NEAREST, outputs, result_of

from sequester.compiler import nn
from sequester.compiler.ir import reference
from sequester.compiler.lang import (
    Party,
    Program,
    ProgramError,
    Tensor,
    Variable,
    current,
    loop,
    output,
    print_,
    sfix,
    state,
)
from sequester.compiler.nn import optim
from sequester.compiler.passes import autodiff, expand
from sequester.vm import data

HAVE_TORCH = importlib.util.find_spec("torch") is not None
RNG = np.random.default_rng(0)


OPTIONS = [
    {"momentum": 0.0},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "weight_decay": 0.1},
    {"weight_decay": 0.1},
]


def by_hand(g: Callable[[np.ndarray], np.ndarray], w: np.ndarray, lr: float, o: Any) -> np.ndarray:
    """Three steps as PyTorch's manual defines them."""
    v = np.zeros_like(w)
    for _ in range(3):
        step = g(w) + o.get("weight_decay", 0.0) * w
        v = o.get("momentum", 0.0) * v + step
        w = w - lr * (step + o["momentum"] * v if o.get("nesterov") else v)
    return w


@pytest.mark.parametrize("o", OPTIONS)
@pytest.mark.parametrize("mode", ["float", "exact"])
def test_sgd(o: dict[str, Any], mode: Any) -> None:
    target = np.array([1.0, -2.0, 0.5, 3.0])
    start = np.array([0.0, 1.0, 1.0, -1.0])

    def train(t: Tensor) -> Tensor:
        w = state(sfix(start))
        opt = optim.SGD([w], lr=0.3, **o)
        for _ in loop(3):
            opt.minimize(nn.mse_loss(w, t))
        return w.read()

    (found,) = outputs(train, target, mode=mode, lowered=mode == "exact")
    expected = by_hand(lambda w: 2 * (w - target) / 4, start, 0.3, o)
    np.testing.assert_allclose(found, expected, atol=1e-9 if mode == "float" else 3e-4)
    if HAVE_TORCH:
        import torch

        w = torch.tensor(start, requires_grad=True)
        optimiser = torch.optim.SGD([w], lr=0.3, **o)
        for _ in range(3):
            optimiser.zero_grad()
            torch.nn.functional.mse_loss(w, torch.tensor(target)).backward()
            optimiser.step()
        np.testing.assert_allclose(expected, w.detach().numpy(), atol=1e-9)


def test_an_update_has_one_truncation() -> None:
    """Learning rate, mean over the batch and momentum meet in one rounding for each parameter."""

    def step() -> None:
        model = nn.Linear(6, 3)
        x, y = Party(0).input("x", shape=(32, 6)), Party(0).input("y", shape=(32, 3))
        opt = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        opt.minimize(nn.mse_loss(model(x), y))
        output("model", model)

    graph = autodiff.run(Program(step).trace())
    sizes = [n.t.shape for n in graph.walk() if n.op == "trunc" and "SGD" in n.loc.scope]
    assert sorted(sizes) == [(3,), (3, 6)]


def lenet(batch: int, lr: float) -> Callable[[], None]:
    """A training on all of a data set, once; prints losses."""

    def main() -> None:
        x, y = Party(0).dataset("train")
        model = nn.Sequential(
            nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(8, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip
        opt = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        for xb, yb in loop.batches(x, y, batch=batch):
            loss = nn.cross_entropy(model(xb), yb)
            opt.minimize(loss)
            print_("{:.4f}", loss.reveal())
        print_("{:d}", nn.evaluate(model, x, y, batch=100).read().reveal())

    return main


def train(main: Callable[[], None], inputs: dict[tuple[int, str], np.ndarray], mode: Any) -> Any:
    graph = autodiff.run(Program(main).trace(shapes={k: v.shape for k, v in inputs.items()}))
    if mode == "exact":
        graph = expand.run(graph)
    rng = np.random.default_rng(5)
    result = reference.run(graph, inputs, mode=mode, rng=rng, checked=mode == "exact")
    return [float(line) for line in result.lines]


def pictures(n: int) -> dict[tuple[int, str], np.ndarray]:
    from pathlib import Path

    folder = Path(__file__).resolve().parents[2] / "programs" / "data"
    x, y = data.sources("train", folder)
    return {(0, "train.x"): x.read()[:n], (0, "train.y"): y.read()[:n]}


def test_lenet_learns_digits() -> None:
    """A small LeNet on real digits: it learns, and the exact ring trains as float64 does."""
    inputs = pictures(1500)
    *losses, correct = train(lenet(25, 0.05), inputs, "float")
    assert np.mean(losses[:3]) > 2.2 and np.mean(losses[-10:]) < 0.8
    assert correct > 0.8 * 1500
    few = {k: v[:150] for k, v in inputs.items()}
    *clear, _ = train(lenet(25, 0.05), few, "float")
    *exact, _ = train(lenet(25, 0.05), few, "exact")
    np.testing.assert_allclose(exact, clear, atol=0.01)


def test_evaluate_counts_whole_and_last_batches() -> None:
    x = np.eye(3)[np.array([0, 1, 2, 2, 1, 0, 0])] * 4.0
    y = np.array([0, 1, 2, 0, 1, 0, 1])

    def main(xs: Tensor, ys: Tensor) -> list[Tensor]:
        model = nn.Sequential(nn.Flatten())
        count = nn.evaluate(model, xs, ys, batch=3)
        rows = nn.evaluate(model, xs, nn.one_hot(ys, 3), batch=7)
        assert model.training
        return [count.read(), rows.read()]

    found = outputs(main, x, y, lowered=True)
    assert [int(v) for v in found] == [5, 5]


def test_saved_weights_load_again() -> None:
    def save(x: Tensor) -> None:
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        output("model", model, to=Party(0))
        output("y", model(x))

    def load() -> None:
        model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).load(Party(1), "model")
        assert isinstance(model, nn.Sequential)
        output("y", model(Party(0).input("x", shape=(5, 4))))

    x = np.random.default_rng(9).normal(size=(5, 4))
    first = result_of(save, x, lowered=True).outputs
    names = {"model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias", "y"}
    assert set(first) == names
    inputs = {(1, k): v for k, v in first.items() if k != "y"} | {(0, "x"): x}
    graph = expand.run(Program(load).trace(NEAREST))
    seed = bytes(15) + b"\1"  # other initial weights, which must not matter
    again = reference.run(graph, inputs, public_seed=seed).outputs["y"]
    np.testing.assert_array_equal(again, first["y"])


def test_initial_weights_have_the_range_of_pytorch() -> None:
    def main() -> list[Tensor]:
        return [p.read() for p in nn.Conv2d(4, 50, 5).parameters()]

    weight, bias = outputs(main)
    bound = 1 / np.sqrt(100)
    for x in (weight, bias):
        assert np.abs(x).max() <= bound and np.abs(x).max() > 0.9 * bound
    assert abs(weight.mean()) < 5 * bound / np.sqrt(3 * weight.size)


def test_scopes_name_the_layers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.body = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
            self.heads = [nn.Linear(3, 2), nn.Linear(3, 2)]

        def forward(self, x: Tensor) -> Tensor:
            x = self.body(x)
            return self.heads[0](x) + self.heads[1](x)

    def main() -> None:
        net = Net()
        assert [n for n, _ in net.named_parameters()] == [
            "body.0.weight", "body.0.bias", "heads.0.weight", "heads.0.bias", "heads.1.weight",
            "heads.1.bias",
        ]  # fmt: skip
        assert all(isinstance(p, Variable) for p in net.parameters())
        assert not net.eval().training and not net.body[0].training
        output("y", net(Party(0).input("x", shape=(1, 4))))
        output("z", nn.Sequential(nn.Linear(2, 2))(Party(1).input("x", shape=(1, 2))))

    scopes = {n.loc.scope for n in Program(main).trace().walk() if n.op == "matmul"}
    assert scopes == {
        "body.Sequential.0.Linear", "heads.0.Linear", "heads.1.Linear", "0.Linear",
    }  # fmt: skip


@pytest.mark.parametrize(
    "mistake,found",
    [
        (lambda: nn.MaxPool2d(2, padding=2), "at most half the kernel"),
        (lambda: optim.SGD([], lr=0.1), "without parameters"),
        (lambda: optim.SGD([state(0.0)], lr=-1.0), "lr > 0"),
        (lambda: optim.SGD([state(0.0)], lr=0.1, nesterov=True), "give momentum"),
        (lambda: nn.one_hot(sfix([0.5]), 3), "labels are integers"),
        (lambda: nn.mse_loss(sfix([0.5]), sfix([[0.5]])), "mse_loss of shapes"),
        (lambda: nn.AvgPool2d(3)(sfix(np.zeros((1, 1, 2, 2)))), "does not fit"),
    ],
)
def test_mistakes_name_their_line(mistake: Callable[[], Any], found: str) -> None:
    def main() -> None:
        assert current()
        mistake()

    with pytest.raises(ProgramError, match=found) as error:
        Program(main).trace()
    assert "test_nn.py" in str(error.value)
