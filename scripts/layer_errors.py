#!/usr/bin/env python3
"""Compare every layer and loss with PyTorch's float64, and write the table in docs/nn.md.

    python scripts/layer_errors.py            # print the table
    python scripts/layer_errors.py --write    # put it into docs/nn.md
    python scripts/layer_errors.py --vectors  # ask PyTorch for tests/unit/layer_vectors.npz anew

Results, gradients for the input and for each parameter, and buffers of a case are compared with the
committed vectors, so that only `--vectors` needs PyTorch; tests/unit/test_layers.py asserts the
bar: largest error at most 2^-10 of the largest reference value and 4 units of the last place at
f = 16, 2^-24 and 4 units at f = 32.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequester import Party, ProgramError, grad, nn, output, sfix, sint
from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Config, Graph
from sequester.compiler.lang import Program
from sequester.compiler.passes import autodiff, expand

Array = NDArray[Any]
Arrays = dict[str, Array]
ROOT = Path(__file__).resolve().parents[1]
PAGE, VECTORS = ROOT / "docs" / "nn.md", ROOT / "tests" / "unit" / "layer_vectors.npz"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
SMALL = Config(rounding="nearest")
LARGE = Config(ring_bits=128, k=63, f=32, rounding="nearest")


@dataclass(frozen=True)
class Case:
    """One layer or loss with options.

    Attributes:
        build: makes the module from `sequester.nn` or `torch.nn`.
        inputs: the first one gets a gradient too; integer arrays are indices or labels.
        name: what the table says.
        training: the mode.
        composed: several layers: the largest reference value is that of all arrays, as gradients
            that are 0 in theory (of a bias before a batch norm) sum up the errors of others.
    """

    build: Callable[[Any], Any]
    inputs: tuple[Array, ...]
    name: str
    training: bool = True
    composed: bool = False

    @property
    def key(self) -> str:
        """Name and shape, which no other case has."""
        return f"{self.name} of {'×'.join(map(str, self.inputs[0].shape))}"


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> Array:
    """Normal numbers on a grid of 2^-10 (a frozen stream of NumPy's)."""
    x = np.random.RandomState(seed + sum(shape)).normal(size=shape) * scale
    return np.round(x * 2**10) / 2**10


def ties(*shape: int) -> Array:
    """Few different numbers, so that most windows have several maxima."""
    return np.random.RandomState(sum(shape)).randint(-3, 3, shape) / 2.0


def labels(*shape: int, classes: int) -> Array:
    """Integers below `classes`."""
    return np.random.RandomState(7).randint(0, classes, shape)


def simple(name: str, *shape: int, args: tuple[Any, ...] = (), x: Array | None = None,
           training: bool = True, note: str = "", **options: Any) -> Case:  # fmt: skip
    """A layer called `name` in both libraries, on one input."""
    shown = [*map(repr, args), *(f"{k}={v!r}" for k, v in options.items())]
    return Case(
        lambda ns: getattr(ns, name)(*args, **options),
        (draw(*shape) if x is None else x,),
        f"{name}({', '.join(shown)})" + ("" if training else ", evaluation") + note,
        training,
    )


def loss(name: str, x: Array, y: Array, **options: Any) -> Case:
    """A loss called `name` in both libraries."""
    shown = ", ".join(f"{k}={v!r}" for k, v in options.items())
    return Case(lambda ns: getattr(ns, name)(**options), (x, y), f"{name}({shown})")


def residual(ns: Any) -> Any:
    """x + two layers of x, by a class of either library."""

    class Block(ns.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = ns.Conv2d(2, 2, 3, padding=1), ns.BatchNorm2d(2)
            self.active = ns.ReLU()

        def forward(self, x: Any) -> Any:
            return self.active(x + self.second(self.first(x)))

    return ns.Sequential(Block(), ns.Flatten(), ns.Linear(32, 3))


def network(ns: Any) -> Any:
    """Layers as in a small convolutional network."""
    return ns.Sequential(
        ns.Conv2d(1, 3, 3, bias=False), ns.BatchNorm2d(3), ns.ReLU(), ns.MaxPool2d(2),
        ns.Flatten(), ns.Linear(12, 5), ns.LeakyReLU(), ns.Linear(5, 2),
    )  # fmt: skip


def with_states(name: str) -> Callable[[Any], Any]:
    """A recurrent layer that is given its first states; the first input is the hidden one."""

    def build(ns: Any) -> Any:
        class Started(ns.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.cells = getattr(ns, name)(4, 3)

            def forward(self, h: Any, x: Any, *c: Any) -> Any:
                return self.cells(x, (h, *c) if c else h)

        return Started()

    return build


_TEXT = draw(5, 3, 4)  # steps, batch, features
_LOGITS = draw(6, 4, scale=3.0)
_CHANCES = np.clip(np.abs(draw(6, 3, scale=0.5)), 2.0**-8, 1 - 2.0**-8)
_BITS = labels(6, 3, classes=2).astype(float)

CASES: tuple[Case, ...] = (
    simple("Linear", 4, 5, args=(5, 3)),
    simple("Linear", 4, 5, args=(5, 3), bias=False),
    simple("Linear", 2, 3, 5, args=(5, 2)),
    simple("Conv2d", 2, 2, 6, 5, args=(2, 3, 3)),
    simple("Conv2d", 2, 2, 6, 5, args=(2, 3, (2, 3)), stride=(2, 1), padding=(1, 2)),
    simple("Conv2d", 1, 1, 7, 7, args=(1, 2, 5), stride=2, padding=2, bias=False),
    simple("Conv2d", 1, 2, 5, 6, args=(2, 2, (2, 3)), padding="same"),
    simple("Conv2d", 1, 2, 5, 6, args=(2, 2, 3), padding="valid"),
    simple("Conv2d", 1, 2, 8, 7, args=(2, 3, 3), dilation=(2, 1), padding=1),
    simple("Conv2d", 1, 2, 7, 7, args=(2, 2, 2), dilation=3, stride=2, padding="valid"),
    simple("Conv2d", 1, 1, 6, 6, args=(1, 2, 4), dilation=(1, 2), padding="same"),
    simple("Conv2d", 2, 4, 5, 5, args=(4, 6, 3), groups=2, stride=2, padding=1),
    simple("Conv2d", 1, 3, 5, 5, args=(3, 6, 3), groups=3, dilation=2, padding="same"),
    simple("MaxPool2d", x=ties(2, 2, 6, 4), args=(2,)),
    simple("MaxPool2d", x=ties(2, 1, 7, 8), args=(3,), stride=2),
    simple("MaxPool2d", x=ties(2, 1, 7, 8), args=(3,), stride=2, padding=1),
    simple("MaxPool2d", x=ties(1, 2, 5, 5), args=((2, 3),), stride=1, padding=(1, 1)),
    simple("MaxPool2d", x=ties(1, 1, 7, 6), args=(3,), stride=(2, 3), padding=1, ceil_mode=True),
    simple("MaxPool2d", x=ties(1, 1, 5, 6), args=(2,), stride=3, ceil_mode=True),
    simple("AvgPool2d", 2, 2, 6, 4, args=(2,)),
    simple("AvgPool2d", 1, 2, 7, 8, args=(3,), stride=2, padding=1),
    simple("AvgPool2d", 1, 2, 7, 8, args=(3,), stride=2, padding=1, count_include_pad=False),
    simple("AvgPool2d", 1, 1, 7, 8, args=((3, 2),), stride=(2, 3), padding=1, ceil_mode=True),
    simple("AvgPool2d", 1, 1, 7, 8, args=(3,), stride=2, padding=1, ceil_mode=True,
           count_include_pad=False),
    simple("AvgPool2d", 1, 1, 5, 5, args=(3,), stride=1, divisor_override=7),
    simple("AdaptiveAvgPool2d", 2, 2, 6, 4, args=(1,)),
    simple("AdaptiveAvgPool2d", 2, 2, 6, 4, args=((3, 2),)),
    simple("AdaptiveAvgPool2d", 1, 2, 7, 5, args=((3, None),)),
    simple("AdaptiveAvgPool2d", 1, 2, 5, 7, args=(3,)),
    simple("BatchNorm1d", 12, 3, args=(3,)),
    simple("BatchNorm1d", 4, 3, 5, args=(3,), eps=1e-3, momentum=0.4),
    simple("BatchNorm1d", 12, 3, args=(3,), affine=False),
    simple("BatchNorm1d", 12, 3, args=(3,), bias=False),
    simple("BatchNorm1d", 12, 3, args=(3,), training=False, track_running_stats=False),
    simple("BatchNorm1d", 12, 3, args=(3,), training=False),
    simple("BatchNorm2d", 3, 2, 3, 4, args=(2,)),
    simple("BatchNorm2d", x=draw(3, 2, 3, 4, scale=30.0) + 10, args=(2,), note=", deviation 30"),
    simple("BatchNorm2d", x=draw(3, 2, 3, 4, scale=0.2) + 2, args=(2,), note=", deviation 0.2"),
    simple("BatchNorm2d", 3, 2, 3, 4, args=(2,), training=False),
    simple("BatchNorm2d", 3, 2, 3, 4, args=(2,), training=False, affine=False),
    simple("LayerNorm", 4, 6, args=(6,)),
    simple("LayerNorm", 2, 3, 4, 2, args=((4, 2),)),
    simple("LayerNorm", 4, 6, args=(6,), bias=False, eps=1e-3),
    simple("LayerNorm", 4, 6, args=(6,), elementwise_affine=False),
    simple("Flatten", 2, 3, 2),
    simple("Flatten", 2, 3, 2, 2, start_dim=0, end_dim=2),
    simple("Identity", 2, 3),
    simple("Embedding", x=labels(3, 2, classes=5), args=(5, 3)),
    simple("Dropout", 2, 3, args=(0.0,)),
    simple("Dropout", 2, 3, args=(1.0,)),
    simple("Dropout", 2, 3, args=(0.3,), training=False),
    simple("ReLU", x=ties(4, 5)),
    simple("LeakyReLU", x=ties(4, 5)),
    simple("LeakyReLU", 4, 5, args=(0.2,)),
    simple("Sigmoid", x=draw(4, 5, scale=4.0)),
    simple("Tanh", x=draw(4, 5, scale=2.0)),
    simple("GELU", x=draw(4, 5, scale=3.0)),
    simple("GELU", x=draw(4, 5, scale=3.0), approximate="tanh"),
    simple("Softplus", x=draw(4, 5, scale=4.0)),
    simple("Softplus", x=draw(4, 5, scale=2.0), beta=2.5),
    simple("Softmax", x=draw(4, 5, scale=3.0), dim=1),
    simple("Softmax", 3, 4, 2, dim=0),
    simple("LogSoftmax", x=draw(4, 5, scale=3.0), dim=-1),
    simple("LSTM", x=_TEXT, args=(4, 3)),
    simple("LSTM", x=_TEXT, args=(4, 2), num_layers=2, bidirectional=True, batch_first=True),
    simple("LSTM", x=_TEXT, args=(4, 3), bias=False),
    simple("LSTM", x=_TEXT, args=(4, 2), num_layers=2, dropout=1.0),
    Case(with_states("LSTM"), (draw(1, 3, 3, seed=1), _TEXT, draw(1, 3, 3, seed=2)),
         "LSTM(4, 3) with first states"),
    simple("GRU", x=_TEXT, args=(4, 3)),
    Case(with_states("GRU"), (draw(1, 3, 3, seed=1), _TEXT), "GRU(4, 3) with first states"),
    simple("GRU", x=_TEXT, args=(4, 2), num_layers=2, bidirectional=True),
    simple("GRU", x=_TEXT, args=(4, 3), bias=False, batch_first=True),
    Case(residual, (draw(2, 2, 4, 4),), "a residual block", composed=True),
    Case(network, (draw(6, 1, 6, 6),), "a network with a batch norm", composed=True),
    Case(network, (draw(6, 1, 6, 6),), "a network with a batch norm, evaluation", False,
         composed=True),
    loss("CrossEntropyLoss", _LOGITS, labels(6, classes=4)),
    loss("CrossEntropyLoss", _LOGITS, np.eye(4)[labels(6, classes=4)], reduction="sum"),
    loss("CrossEntropyLoss", _LOGITS, labels(6, classes=4), reduction="none"),
    loss("CrossEntropyLoss", _LOGITS, labels(6, classes=4), label_smoothing=0.1),
    loss("CrossEntropyLoss", _LOGITS * 8, np.full((6, 4), 0.25), label_smoothing=0.5),
    loss("CrossEntropyLoss", draw(2, 3, 2, 2), labels(2, 2, 2, classes=3), reduction="none"),
    loss("CrossEntropyLoss", draw(2, 3, 4), labels(2, 4, classes=3)),
    loss("MSELoss", draw(4, 3), draw(4, 3, seed=9)),
    loss("MSELoss", draw(4, 3), draw(4, 3, seed=9), reduction="sum"),
    loss("MSELoss", draw(4, 3), draw(4, 3, seed=9), reduction="none"),
    loss("BCELoss", _CHANCES, _BITS),
    loss("BCELoss", _CHANCES, _BITS, reduction="sum"),
    loss("BCELoss", _CHANCES, _BITS, reduction="none"),
    loss("BCEWithLogitsLoss", draw(6, 3, scale=4.0), _BITS),
    loss("BCEWithLogitsLoss", draw(6, 3, scale=4.0), _BITS, reduction="sum"),
    loss("BCEWithLogitsLoss", draw(6, 3, scale=4.0), _BITS, reduction="none"),
)  # fmt: skip


def weights(shape: Sequence[int]) -> Array:
    """Fixed numbers that make every element of a result count differently."""
    n = int(np.prod(shape))
    return ((np.arange(n) * 5 + 4) % 7 - 3).reshape(shape) / 4


def values(name: str, shape: Sequence[int]) -> Array:
    """The parameter or buffer of a name and shape: variances are positive."""
    seed = sum(map(ord, name))
    x = draw(*shape, seed=seed, scale=0.5)
    return np.abs(x) + 0.25 if "running_var" in name else x


def flat(result: Any) -> list[Any]:
    """All tensors of a result, which may be nested tuples."""
    if isinstance(result, tuple):
        return [t for part in result for t in flat(part)]
    return [result]


def trace(case: Case, config: Config, *, backward: bool = True) -> Graph:
    """Outputs y0, y1, ..., dx, d.NAME for parameters, b.NAME for buffers."""

    def main() -> None:
        module = case.build(nn).train(case.training)
        for name, variable in module.state_dict().items():
            variable.set(sfix(values(name, variable.shape)))
        kinds = [sint if x.dtype.kind == "i" else sfix for x in case.inputs]
        xs = [Party(0).input(str(i), kind) for i, kind in enumerate(kinds)]
        found = {f"y{i}": y for i, y in enumerate(flat(module(*xs)))}
        for name, y in list(found.items()):
            output(name, y)
        if not backward:
            return
        total: Any = sum((y * weights(y.shape)).sum() for y in found.values())
        asked: dict[str, Any] = {} if kinds[0] is sint else {"dx": xs[0]}
        asked |= {f"d.{name}": p for name, p in module.named_parameters()}
        for name, g in zip(asked, grad(total, list(asked.values())), strict=True):
            output(name, g)
        for name, buffer in module.named_buffers():
            output(f"b.{name}", buffer)

    return Program(main).trace(config, {(0, str(i)): x.shape for i, x in enumerate(case.inputs)})


def run(case: Case, config: Config, mode: reference.Mode = "exact") -> Arrays:
    """What our module gives, by the NumPy executor; on the ring after all lowerings."""
    graph = autodiff.run(trace(case, config))
    if mode == "exact":
        graph = expand.run(graph)
    inputs = {(0, str(i)): x for i, x in enumerate(case.inputs)}
    rng = np.random.default_rng(2)
    return reference.run(graph, inputs, mode=mode, rng=rng, checked=mode == "exact").outputs


def pytorch(case: Case) -> Arrays:
    """The same from PyTorch in float64."""
    import torch

    module = case.build(torch.nn).double().train(case.training)
    state = module.state_dict()
    module.load_state_dict(
        {k: torch.tensor(values(k, v.shape)) if v.is_floating_point() else v
         for k, v in state.items()}
    )  # fmt: skip
    xs = [torch.tensor(x) for x in case.inputs]
    if xs[0].is_floating_point():
        xs[0].requires_grad_()
    found = {f"y{i}": y for i, y in enumerate(flat(module(*xs)))}
    total: Any = sum((y * torch.tensor(weights(y.shape))).sum() for y in found.values())
    total.backward()
    found |= {"dx": xs[0].grad} if xs[0].is_floating_point() else {}
    found |= {f"d.{name}": p.grad for name, p in module.named_parameters()}
    found |= {f"b.{k}": v for k, v in module.named_buffers() if v.is_floating_point()}
    return {name: v.detach().numpy() for name, v in found.items()}


def vectors(case: Case) -> Arrays:
    """The committed results of PyTorch."""
    with np.load(VECTORS) as stored:
        start = case.key + "/"
        return {k[len(start) :]: stored[k] for k in stored.files if k.startswith(start)}


def errors(case: Case, config: Config) -> tuple[float, float]:
    """The largest error of any array in units of the last place, and in units of the bar."""
    found, wanted = run(case, config), vectors(case)
    if found.keys() != wanted.keys():
        raise ValueError(f"{case.key}: {sorted(found)} beside PyTorch's {sorted(wanted)}")
    places, share = 2.0**-config.f, 2.0 ** (-10 if config.f <= 16 else -24)
    largest = max(float(np.abs(want).max(initial=0.0)) for want in wanted.values())
    worst = [0.0, 0.0]
    for name, want in wanted.items():
        error = float(np.abs(found[name] - want).max(initial=0.0))
        reference_value = largest if case.composed else float(np.abs(want).max(initial=0.0))
        bar = share * reference_value + 4 * places
        worst = [max(worst[0], error / places), max(worst[1], error / bar)]
    return worst[0], worst[1]


def rounds(case: Case) -> tuple[int, int]:
    """Rounds under rep3: of the forward pass, and of forward and backward pass together."""
    made = []
    for graph in (trace(case, SMALL, backward=False), trace(case, SMALL)):
        costs = compile_graph(graph, Options()).costs
        assert costs is not None
        made.append(costs.rounds)
    return made[0], made[1]


def row(case: Case) -> list[str]:
    """The cells of a case in the table."""
    cells = [f"{units:.1f} ({100 * bar:.0f} %)"
             for units, bar in (errors(case, c) for c in (SMALL, LARGE))]  # fmt: skip
    name = case.key.replace(case.name, f"`{case.name}`", 1)
    return [name, *cells, *map(str, rounds(case))]


def table() -> str:
    """The Markdown table."""
    lines = ["| layer | f = 16 | f = 32 | rounds | with gradients |", "|---" * 5 + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row(case))} |" for case in CASES)])


def main() -> None:
    if "--vectors" in sys.argv:
        made = {f"{c.key}/{k}": v for c in CASES for k, v in pytorch(c).items()}
        np.savez_compressed(VECTORS, **made)  # type: ignore[arg-type]
        return
    text = table()
    if "--write" not in sys.argv:
        print(text)
        return
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    try:
        main()
    except ProgramError as error:
        sys.exit(f"layer_errors: {error}")
