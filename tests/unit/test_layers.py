"""Every layer and loss, with its options: results, gradients and buffers against PyTorch's float64.

The cases are those of `scripts/layer_errors.py`; the bar is a largest error of 2^-10 (f = 16) or
2^-24 (f = 32) of the largest reference value, and 4 units of the last place.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lang_tools import NEAREST, outputs, traced

from sequester.compiler import nn
from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir.graph import Config
from sequester.compiler.lang import Party, Program, ProgramError, Tensor, grad, output, sfix, sint
from sequester.compiler.lang import state as variable

ROOT = Path(__file__).resolve().parents[2]


def _script() -> Any:
    """The module scripts/layer_errors.py."""
    spec = importlib.util.spec_from_file_location("layer_errors", ROOT / "scripts/layer_errors.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["layer_errors"] = module
    spec.loader.exec_module(module)
    return module


script = _script()
BY_KEY = {case.key: case for case in script.CASES}


@functools.cache
def errors(key: str, config: Config) -> tuple[float, float]:
    """The largest error of a case, in units and of the bar: measured once."""
    found: tuple[float, float] = script.errors(BY_KEY[key], config)
    return found


@pytest.mark.parametrize("key", BY_KEY)
def test_bar_at_f_16(key: str) -> None:
    for rounding in ("nearest", "probabilistic"):
        _, of_the_bar = errors(key, replace(script.SMALL, rounding=rounding))
        assert of_the_bar <= 1, rounding


@pytest.mark.parametrize("key", BY_KEY)
def test_bar_at_f_32(key: str) -> None:
    _, of_the_bar = errors(key, script.LARGE)
    assert of_the_bar <= 1


@pytest.mark.parametrize("key", BY_KEY)
def test_the_vectors_are_what_pytorch_computes(key: str) -> None:
    pytest.importorskip("torch")
    stored, now = script.vectors(BY_KEY[key]), script.pytorch(BY_KEY[key])
    assert stored.keys() == now.keys() and len(now) > 0
    for name, value in now.items():
        np.testing.assert_allclose(stored[name], value, rtol=1e-9, atol=1e-11, err_msg=name)


def test_every_module_has_a_case() -> None:
    frames = {"Module", "ModuleDict", "ModuleList", "Sequential", "Lambda"}
    modules = {
        name for name in nn.__all__
        if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }  # fmt: skip
    assert modules - frames == {c.name.partition("(")[0] for c in script.CASES if "(" in c.name}


def test_every_array_of_a_case_is_compared() -> None:
    for case in script.CASES:
        names = set(script.vectors(case))
        integers = case.inputs[0].dtype.kind == "i"
        assert "y0" in names and ("dx" in names) != integers


# --- the page ------------------------------------------------------------------------------------


def _rows() -> dict[str, list[str]]:
    page = (ROOT / "docs" / "nn.md").read_text("utf-8")
    rows = page.split(script.BEGIN)[1].split(script.END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].replace("`", ""): row[1:] for row in cells}


def test_the_page_has_what_the_script_measures() -> None:
    """Errors to what other versions of NumPy may change."""
    stated, hint = _rows(), "python scripts/layer_errors.py --write"
    assert list(stated) == list(BY_KEY), hint
    for key in BY_KEY:
        for cell, config in zip(stated[key], (script.SMALL, script.LARGE), strict=False):
            assert abs(float(cell.split()[0]) - errors(key, config)[0]) <= 0.2, f"{key}: {hint}"


@pytest.mark.slow
@pytest.mark.parametrize("key", BY_KEY)
def test_the_page_has_about_the_rounds(key: str) -> None:
    for cell, now in zip(_rows()[key][2:], script.rounds(BY_KEY[key]), strict=True):
        assert abs(int(cell) - now) <= 2 + 0.25 * now, "python scripts/layer_errors.py --write"


def test_the_page_names_every_option_and_no_other() -> None:
    """The first table: `Layer(option=default, …)` for every module, as its constructor has them."""
    page = (ROOT / "docs" / "nn.md").read_text("utf-8")
    for name in nn.__all__:
        kind = getattr(nn, name)
        if inspect.isclass(kind) and issubclass(kind, nn.Module) and name != "Module":
            assert f"| `{_signature(kind)}` |" in page, f"docs/nn.md lacks {_signature(kind)}"


def _signature(kind: Any) -> str:
    shown = []
    made = kind.__init__ if "__init__" in vars(kind) or kind.__mro__[1] is not nn.Module else None
    for p in list(inspect.signature(made).parameters.values())[1:] if made else []:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            shown.append("…")
        else:
            shown.append(p.name if p.default is p.empty else f"{p.name}={p.default!r}")
    return f"{kind.__name__}({', '.join(dict.fromkeys(shown))})"


# --- what has no fixed result --------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.5, 0.3, 0.1, 0.9, 1 / 3, 2.0**-7])
def test_dropout_at_any_rate(p: float) -> None:
    """Zeros at the rate asked for, the others scaled, the same mask for the gradient."""
    x = np.random.default_rng(3).uniform(0.5, 1, (40, 250))

    def step(xs: Tensor) -> list[Tensor]:
        y = nn.Dropout(p)(xs)
        return [y, *grad(y.sum(), [xs])]

    y, g = outputs(step, x, lowered=True)
    kept = y != 0
    places = 2.0**-16 * (1 + 2 / (1 - p))
    np.testing.assert_allclose(y[kept], (x / (1 - p))[kept], atol=places * 2)
    np.testing.assert_allclose(g, kept / (1 - p), atol=places)
    assert abs(kept.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / x.size) + 2.0**-17
    along = [kept.mean(axis).std() / np.sqrt(p * (1 - p) / x.shape[axis]) for axis in (0, 1)]
    assert all(0.5 < spread < 1.5 for spread in along), "elements are independent"


def test_dropout_masks_are_secret_and_new_each_time() -> None:
    def twice(x: Tensor) -> list[Tensor]:
        drop = nn.Dropout(0.25)
        return [drop(x), drop(x)]

    graph, inputs = traced(twice, np.ones((8, 100)))
    nodes = list(graph.walk())
    assert any(n.op == "randbit" and n.t.secret for n in nodes)
    assert not any(n.op in ("uniform", "perm", "reveal") for n in nodes)
    a, b = outputs(twice, np.ones((8, 100)), lowered=True)
    assert 0 < (a != b).mean() < 1


NORM = np.random.default_rng(5).normal(size=(3, 2, 6, 6))


def _two_blocks(ns: Any) -> Any:
    return ns.Sequential(
        ns.Conv2d(2, 3, 3, bias=False), ns.BatchNorm2d(3), ns.ReLU(),
        ns.Sequential(ns.Flatten(), ns.Linear(48, 4), ns.BatchNorm1d(4, affine=False)),
    )  # fmt: skip


def _with_values(module: Any) -> Any:
    for name, v in module.state_dict().items():
        v.set(sfix(script.values(name, v.shape)))
    return module.eval()


def test_folded_batch_norms_give_what_pytorch_gives() -> None:
    torch = pytest.importorskip("torch")
    theirs = _two_blocks(torch.nn).double().eval()
    theirs.load_state_dict(
        {k: torch.tensor(script.values(k, tuple(v.shape))) if v.is_floating_point() else v
         for k, v in theirs.state_dict().items()}
    )  # fmt: skip
    want = theirs(torch.tensor(NORM)).detach().numpy()

    def step(x: Tensor) -> Tensor:
        return nn.fold_batch_norm(_with_values(_two_blocks(nn)))(x)

    (found,) = outputs(step, NORM, lowered=True)
    assert np.abs(found - want).max() <= 2.0**-10 * np.abs(want).max() + 4 * 2.0**-16


def test_norms_over_another_axis_than_the_layer_s_are_not_folded() -> None:
    """Of inputs (batch, channels, length) batch norm takes axis 1, a Linear makes the last one."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(6).normal(size=(4, 3, 5))

    def model(ns: Any, features: int) -> Any:
        return ns.Sequential(ns.Linear(5, features), ns.BatchNorm1d(3))

    for features in (3, 4):
        theirs = model(torch.nn, features).double().eval()
        theirs.load_state_dict(
            {k: torch.tensor(script.values(k, tuple(v.shape))) if v.is_floating_point() else v
             for k, v in theirs.state_dict().items()}
        )  # fmt: skip
        want = theirs(torch.tensor(x)).detach().numpy()

        def step(x: Tensor, features: int = features) -> Tensor:
            return nn.fold_batch_norm(_with_values(model(nn, features)))(x)

        (found,) = outputs(step, x, lowered=True)
        assert np.abs(found - want).max() <= 2.0**-10 * np.abs(want).max() + 4 * 2.0**-16


def test_folded_batch_norms_cost_nothing_in_a_loop() -> None:
    """Evaluation in batches has the same work as without the norms, but for adding a bias."""

    def costs(plain: bool) -> Counter[str]:
        def main() -> None:
            model = _two_blocks(nn)
            if plain:
                model[1], model[3][2] = nn.Identity(), nn.Identity()
            x = Party(0).input("x", shape=(8, 2, 6, 6))
            y = Party(0).input("y", sint, shape=(8,))
            output("right", nn.evaluate(model, x, y, batch=4))

        graph = compile_graph(Program(main).trace(NEAREST), Options()).graph
        (loop,) = (n for n in graph.body.nodes if n.op == "loop")
        nodes = (n for n in loop.blocks[0].walk() if n.type is not None and n.t.secret)
        return Counter(n.op for n in nodes if n.op not in ("add", "reshape", "expand"))

    assert costs(False) == costs(True)


def test_rows_of_clear_indices_are_local() -> None:
    from sequester.compiler.lang import cint

    def step() -> list[Tensor]:
        table = nn.Embedding(6, 3)
        table.weight.set(sfix(np.arange(18.0).reshape(6, 3)))
        rows = table(cint(np.array([[0, 5], [2, 2]])))
        return [rows.read()]

    (rows,) = outputs(step)
    np.testing.assert_array_equal(rows, np.arange(18.0).reshape(6, 3)[[[0, 5], [2, 2]]])
    graph, _ = traced(step)
    assert not any(n.op in ("matmul", "mul", "eqz") for n in graph.walk())


# --- what is not there ---------------------------------------------------------------------------

MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: nn.Conv2d(1, 1, 3, padding_mode="reflect"), "Conv2d with padding_mode='reflect'"),
    (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), "same"),
    (lambda: nn.Conv2d(1, 1, 3, padding="full"), "padding='full'"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), "in 2 groups"),
    (lambda: nn.Conv2d(1, 1, 0), "below 1"),
    (lambda: nn.MaxPool2d(2, dilation=2), r"MaxPool2d with dilation=\(2, 2\)"),
    (lambda: nn.MaxPool2d(2, return_indices=True), "return_indices=True"),
    (lambda: nn.AvgPool2d(2, divisor_override=0), "divisor_override=0"),
    (lambda: nn.AdaptiveAvgPool2d(0), "at least 1"),
    (lambda: nn.BatchNorm2d(3, momentum=None), "momentum=None"),
    (lambda: nn.BatchNorm2d(3, eps=0.0), "eps=0.0"),
    (lambda: nn.LayerNorm(3, eps=-1.0), "eps is positive"),
    (lambda: nn.Embedding(3, 2, padding_idx=0), "Embedding with padding_idx=0"),
    (lambda: nn.Embedding(3, 2, max_norm=1.0), "max_norm=1.0"),
    (lambda: nn.Dropout(1.5), "p is a probability"),
    (lambda: nn.GELU("sigmoid"), "GELU"),
    (lambda: nn.Softplus(threshold=5.0), "Softplus with threshold=5.0"),
    (lambda: nn.LSTM(2, 2, proj_size=1), "proj_size=1"),
    (lambda: nn.LSTM(2, 2, dropout=2.0), "p is a probability"),
    (lambda: nn.GRU(2, 0), "at least 1"),
    (lambda: nn.CrossEntropyLoss(weight=variable(0.0)), "weight"),  # type: ignore[arg-type]
    (lambda: nn.CrossEntropyLoss(reduction="avg"), "reduction='avg'"),
    (lambda: nn.BCEWithLogitsLoss(pos_weight=2.0), "pos_weight"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(3, 4, 3)(sfix(np.zeros((1, 2, 5, 5)))), "meets shape"),
    (
        lambda: nn.Linear(6, 4)(sfix(np.zeros((2, 5)))),
        r"Linear\(6, 4\) is given the shape \(2, 5\)",
    ),
    (lambda: nn.LSTM(2, 3)(sfix(np.zeros((4, 2)))), "sequences are"),
    (lambda: nn.GRU(2, 3)(sfix(np.zeros((4, 1, 2))), sfix(np.zeros((1, 1, 2)))), "first states"),
    (lambda: nn.BatchNorm1d(2)(sfix(np.zeros((1, 2)))), "one value a channel"),
]


@pytest.mark.parametrize("mistake,found", MISTAKES, ids=[words for _, words in MISTAKES])
def test_what_is_not_there_is_an_error_with_its_line(
    mistake: Callable[[], Any], found: str
) -> None:
    with pytest.raises(ProgramError, match=found) as error:
        Program(lambda: mistake() and None).trace()
    assert "test_layers.py" in str(error.value)


def test_a_case_that_is_wrong_is_found() -> None:
    """The bar can fail: a slope that is off by 2^-8 is over it."""
    case = BY_KEY["LeakyReLU(0.2) of 4×5"]
    wrong = replace(case, build=lambda ns: ns.LeakyReLU(0.2 + 2.0**-8))
    assert script.errors(wrong, script.SMALL)[1] > 1 >= script.errors(case, script.SMALL)[1]
