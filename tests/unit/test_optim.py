"""Optimisers and schedules: trajectories beside PyTorch's in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from interpreter import Machine
from lang_tools import outputs, result_of

from sequester.compiler import nn
from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir.graph import Config
from sequester.compiler.lang import (
    Program,
    ProgramError,
    Tensor,
    concat,
    current,
    loop,
    output,
    print_,
    sfix,
    state,
    zeros,
)
from sequester.compiler.nn import optim

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6))
TRUTH = RNG.normal(size=6)
Y = X @ TRUTH + 0.1 * RNG.normal(size=64)
STEPS = 60
WIDE = Config(ring_bits=128, k=63, f=32)

Make = Callable[[Any], Any]


def regression(make: Make, schedule: Make | None, mode: Any, config: Config) -> np.ndarray:
    """Weights (STEPS, 6) after each step from zero on a linear regression."""

    def train(x: Tensor, y: Tensor) -> Tensor:
        w = state(zeros(6), "w")
        seen = state(zeros((STEPS, 6)), "seen")
        opt = make([w])
        follows = schedule(opt) if schedule else None
        for _ in loop(STEPS):
            opt.minimize(nn.mse_loss(x @ w.read(), y))
            seen.set(concat([seen.read()[1:], w.read().reshape(1, -1)]))
            if follows:
                follows.step()
        return seen.read()

    (found,) = outputs(train, X, Y, mode=mode, lowered=mode == "exact", config=config)
    return found


def twin(torch: Any, make: Make, schedule: Make | None) -> np.ndarray:
    """The same by PyTorch."""
    w = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    opt = make([w])
    follows = schedule(opt) if schedule else None
    seen = []
    for _ in range(STEPS):
        opt.zero_grad()
        torch.nn.functional.mse_loss(torch.tensor(X) @ w, torch.tensor(Y)).backward()
        opt.step()
        if follows:
            follows.step()
        seen.append(w.detach().numpy().copy())
    return np.array(seen)


SGD: list[dict[str, Any]] = [
    {"lr": 0.05},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
    {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    {"lr": 0.05, "weight_decay": 0.1},
]
ADAM: list[dict[str, Any]] = [
    {"lr": 0.05},
    {"lr": 0.05, "amsgrad": True},
    {"lr": 0.05, "betas": (0.9, 0.9)},
    {"lr": 0.05, "betas": (0.5, 0.99), "weight_decay": 0.1},
    {"lr": 0.05, "weight_decay": 0.1, "amsgrad": True},
]
METHODS = [("SGD", o, {}) for o in SGD]
METHODS += [(name, o, {"bound": 8.0}) for name in ("Adam", "AdamW") for o in ADAM]


@pytest.mark.parametrize("mode", ["float", "exact"])
@pytest.mark.parametrize("name,options,ours", METHODS)
def test_trajectories(name: str, options: dict[str, Any], ours: dict[str, Any], mode: Any) -> None:
    """Every step of 60: within 2^-12 at f = 16, which is 16 units; the plain mode within 2^-18."""
    torch = pytest.importorskip("torch")
    expected = twin(torch, lambda p: getattr(torch.optim, name)(p, **options), None)
    found = regression(lambda p: getattr(optim, name)(p, **options, **ours), None, mode, Config())
    np.testing.assert_allclose(found, expected, atol=2.0**-18 if mode == "float" else 2.0**-12)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_the_fast_root(amsgrad: bool) -> None:
    """Steps are off by 2^-7 of themselves; the way to the same end is as long."""
    torch = pytest.importorskip("torch")
    options = {"lr": 0.05, "amsgrad": amsgrad}
    expected = twin(torch, lambda p: torch.optim.Adam(p, **options), None)
    found = regression(
        lambda p: optim.Adam(p, **options, bound=8.0, rsqrt="fast"), None, "exact", Config()
    )
    np.testing.assert_allclose(found, expected, atol=0.02)
    np.testing.assert_allclose(found[-1], expected[-1], atol=0.01)


@pytest.mark.parametrize("name,ours", [("SGD", {}), ("Adam", {"bound": 8.0})])
def test_wide_trajectories(name: str, ours: dict[str, Any]) -> None:
    """f = 32: within 2^-24, what rates of 28 bits allow."""
    torch = pytest.importorskip("torch")
    options = {"lr": 0.05, "amsgrad": True} if name == "Adam" else {"lr": 0.05, "momentum": 0.9}
    expected = twin(torch, lambda p: getattr(torch.optim, name)(p, **options), None)
    found = regression(lambda p: getattr(optim, name)(p, **options, **ours), None, "exact", WIDE)
    np.testing.assert_allclose(found, expected, atol=2.0**-24 if name == "SGD" else 2.0**-19)


def sequential(module: Any, opt: Any) -> Any:
    warm = module.LinearLR(opt, start_factor=0.25, total_iters=5)
    cosine = module.CosineAnnealingLR(opt, T_max=20, eta_min=0.001)
    return module.SequentialLR(opt, [warm, cosine], milestones=[5])


SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "StepLR": lambda m, o: m.StepLR(o, step_size=7, gamma=0.5),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, milestones=[3, 10, 10, 40], gamma=0.3),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, gamma=0.9),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, T_max=15, eta_min=0.002),
    "LinearLR": lambda m, o: m.LinearLR(o, start_factor=0.1, end_factor=0.7, total_iters=12),
    "SequentialLR": sequential,
}


@pytest.mark.parametrize("method", ["SGD", "plain SGD", "Adam"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule: str, method: str) -> None:
    """Stepped in a loop of the bytecode, a schedule changes the rate as PyTorch's does."""
    torch = pytest.importorskip("torch")
    name = method.split()[-1]
    options = {"SGD": {"lr": 0.05, "momentum": 0.9}, "plain SGD": {"lr": 0.2}, "Adam": {"lr": 0.1}}
    ours = {"bound": 8.0} if name == "Adam" else {}
    make = SCHEDULES[schedule]
    expected = twin(
        torch,
        lambda p: getattr(torch.optim, name)(p, **options[method]),
        lambda o: make(torch.optim.lr_scheduler, o),
    )
    found = regression(
        lambda p: getattr(optim, name)(p, **options[method], **ours),
        lambda o: make(optim.lr_scheduler, o),
        "exact",
        Config(),
    )
    np.testing.assert_allclose(found, expected, atol=2.0**-11)


def test_lambda_and_last_rate() -> None:
    """A table of a Python function; its last entry stays; the rate can be printed."""

    def main() -> None:
        opt = optim.SGD([state(0.0)], lr=0.2)
        schedule = optim.lr_scheduler.LambdaLR(opt, lambda t: 1 / (1 + t), steps=3)
        for _ in loop(6):
            print_("{:.6f}", schedule.get_last_lr())
            schedule.step()

    found = [float(line) for line in result_of(main).lines]
    np.testing.assert_allclose(found, 0.2 / np.array([1, 2, 3, 4, 4, 4]), atol=1e-6)


def moons(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved half circles with noise."""
    rng = np.random.default_rng(4)
    turn = rng.uniform(0, np.pi, n)
    label = np.arange(n) % 2
    x = np.stack([np.cos(turn), np.sin(turn)], 1)
    x[label == 1] = np.array([1.0, 0.5]) - x[label == 1]
    return x + 0.1 * rng.normal(size=x.shape), label


CLASSIFIERS: dict[str, tuple[dict[str, Any], float]] = {
    "SGD": ({"lr": 0.2, "momentum": 0.9}, 0.01),
    "Adam": ({"lr": 0.02}, 0.01),
    "AdamW": ({"lr": 0.02, "amsgrad": True}, 0.01),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_converges_as_in_pytorch(name: str) -> None:
    """120 steps on two moons: losses within 0.01 of PyTorch's all the way, and equally low."""
    torch = pytest.importorskip("torch")
    options, tolerance = CLASSIFIERS[name]
    x, y = moons(96)
    start = {"0.weight": RNG.normal(size=(12, 2)), "0.bias": np.zeros(12),
             "2.weight": RNG.normal(size=(2, 12)) / 3, "2.bias": np.zeros(2)}  # fmt: skip
    start = {k: np.round(v * 2**16) / 2**16 for k, v in start.items()}

    def train(xs: Tensor, ys: Tensor) -> Tensor:
        model = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 2))
        for key, parameter in model.named_parameters():
            parameter.set(sfix(start[key]))
        opt = getattr(optim, name)(model.parameters(), **options)
        rows = nn.one_hot(ys, 2)
        seen = state(zeros(120))
        for _ in loop(120):
            loss = nn.cross_entropy(model(xs), rows)
            opt.minimize(loss)
            seen.set(concat([seen.read()[1:], loss.reshape(1)]))
        return seen.read()

    (found,) = outputs(train, x, y, config=Config(), lowered=True)
    twin_ = torch.nn.Sequential(torch.nn.Linear(2, 12), torch.nn.ReLU(), torch.nn.Linear(12, 2))
    twin_.double().load_state_dict({k: torch.tensor(v) for k, v in start.items()})
    opt = getattr(torch.optim, name)(twin_.parameters(), **options)
    expected = []
    for _ in range(120):
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin_(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        opt.step()
        expected.append(loss.item())
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert expected[-1] < 0.15 and abs(found[-1] - expected[-1]) < 0.005


def test_clipped_gradients() -> None:
    """By value, in units of the gradient, whatever factor it carries."""
    torch = pytest.importorskip("torch")

    def train(x: Tensor, y: Tensor) -> Tensor:
        w = state(zeros(6), "w")
        opt = optim.SGD([w], lr=0.1, momentum=0.9)
        for _ in loop(5):
            gradients = opt.gradients(nn.mse_loss(x @ w.read(), y))
            nn.utils.clip_grad_value_(gradients, 0.5)
            opt.step(gradients)
        return w.read()

    (found,) = outputs(train, X, Y, lowered=True)
    w = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    for _ in range(5):
        opt.zero_grad()
        torch.nn.functional.mse_loss(torch.tensor(X) @ w, torch.tensor(Y)).backward()
        torch.nn.utils.clip_grad_value_([w], 0.5)
        opt.step()
    np.testing.assert_allclose(found, w.detach().numpy(), atol=2.0**-12)


@pytest.mark.parametrize(("lr", "clip"), [(1e-4, 0.1), (1e-5, 0.5)])
def test_clipped_below_a_unit(lr: float, clip: float) -> None:
    """Rates so small that a clipped step is less than 2^-f: right in the mean, for both signs."""
    steps, count = 4, 2000

    def train(x: Tensor) -> Tensor:
        w = state(zeros(2 * count), "w")
        opt = optim.SGD([w], lr=lr)
        for _ in range(steps):
            gradients = opt.gradients((w * x).sum())
            nn.utils.clip_grad_value_(gradients, clip)
            opt.step(gradients)
        return w.read()

    slopes = np.concatenate([np.full(count, 100.0), np.full(count, -100.0)])
    (found,) = outputs(train, slopes, lowered=True, config=Config(rounding="probabilistic"))
    unit = 2.0**-16 * (2 * steps) ** 0.5 / count**0.5  # a deviation of the mean, at most
    for mean, expected in ((found[:count].mean(), -1), (found[count:].mean(), 1)):
        assert abs(mean - expected * steps * lr * clip) < 5 * unit


def test_a_step_right_after_the_start() -> None:
    """Outside of loops too: what a variable starts as does not hide the variable."""

    def main() -> None:
        w = state(sfix([1.0, 2.0]))
        optim.SGD([w], lr=0.5).minimize((w * w).sum())
        output("w", w)

    program = compile_graph(Program(main).trace(), Options(protocol=None)).program
    np.testing.assert_array_equal(Machine(program, {}).run().outputs["w"], [0, 0])


def one() -> Any:
    return optim.SGD([state(0.0)], lr=0.1)


def stepped_part() -> None:
    opt = one()
    part = optim.lr_scheduler.ExponentialLR(opt, 0.5)
    optim.lr_scheduler.LinearLR(opt)
    part.step()


@pytest.mark.parametrize(
    "mistake,found",
    [
        (lambda: optim.SGD([], lr=0.1), "without parameters"),
        (lambda: optim.SGD([sfix(1.0)], lr=0.1), "is no parameter"),
        (lambda: optim.SGD([state(0.0)], lr=-1.0), "lr > 0"),
        (lambda: optim.SGD([state(0.0)], lr=0.1, nesterov=True), "give momentum"),
        (lambda: optim.SGD([state(0.0)], lr=0.1, dampening=0.5), "give momentum"),
        (lambda: optim.Adam([state(0.0)], betas=(0.9, 1.0)), "two betas"),
        (lambda: optim.Adam([state(0.0)], bound=0.0), "bound > 0"),
        (lambda: optim.Adam([state(0.0)], rsqrt="rough"), 'rsqrt="fast"'),
        (lambda: optim.lr_scheduler.StepLR(one(), 0), "at least one"),
        (lambda: optim.lr_scheduler.ExponentialLR(one(), 1.5), "0 < gamma <= 1"),
        (lambda: optim.lr_scheduler.LinearLR(one(), 1.0, 9.0), "largest rate"),
        (lambda: optim.lr_scheduler.ExponentialLR(one(), 1 - 1e-9), "less often"),
        (lambda: optim.lr_scheduler.SequentialLR(one(), [], [3]), "one rising milestone"),
        (stepped_part, "another one does"),
    ],
)
def test_mistakes_name_their_line(mistake: Callable[[], Any], found: str) -> None:
    def main() -> None:
        assert current()
        mistake()

    with pytest.raises(ProgramError, match=found) as error:
        Program(main).trace()
    assert "test_optim.py" in str(error.value)
