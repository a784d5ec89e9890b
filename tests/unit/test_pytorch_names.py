"""What a PyTorch user writes: names and arguments that work here too, and what others are told."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lang_tools import outputs, traced

import sequester
from sequester.compiler import nn
from sequester.compiler.lang import (
    ProgramError,
    Tensor,
    argsort,
    concat,
    log_softmax,
    print_,
    softmax,
    stack,
    state,
    topk,
    zeros,
)
from sequester.compiler.lang.pytorch import HINTS, METHODS
from sequester.compiler.nn import optim

X = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, -0.5]])


def test_dim_is_axis_and_keepdim_is_keepdims() -> None:
    def main(x: Tensor) -> list[Tensor]:
        return [
            x.sum(dim=1, keepdim=True), x.mean(dim=0), x.argmax(dim=1, keepdim=True),
            softmax(x, dim=0), x.softmax(dim=0), log_softmax(x, dim=1), topk(x, 2, dim=0)[0],
            x.sort(dim=1)[0], argsort(x, dim=1), concat([x, x], dim=1), stack([x, x], dim=1),
        ]  # fmt: skip

    e = np.exp(X) / np.exp(X).sum(0)
    order = X.argsort(1)
    expected = [
        X.sum(1, keepdims=True), X.mean(0), X.argmax(1)[:, None], e, e,
        X - np.log(np.exp(X).sum(1, keepdims=True)), -np.sort(-X, 0), np.sort(X, 1), order,
        np.concatenate([X, X], 1), np.stack([X, X], 1),
    ]  # fmt: skip
    for found, wanted in zip(outputs(main, X, mode="float"), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_methods_of_tensors() -> None:
    def main(x: Tensor) -> list[Tensor]:
        return [
            x.view(3, -1), x.unsqueeze(1), x.unsqueeze(-1).squeeze(), x.view(1, 2, 3).squeeze(0),
            x.t(), x.abs(), x.pow(2), x.relu(), x.exp(), x.abs().sqrt(), x.topk(1)[0],
            x.max(1, keepdims=True), x.argmax(keepdims=True),
        ]  # fmt: skip

    expected = [
        X.reshape(3, 2), X[:, None], X, X, X.T, abs(X), X**2, X.clip(0), np.exp(X), abs(X) ** 0.5,
        X.max(1, keepdims=True), X.max(1, keepdims=True), np.full((1, 1), 3),
    ]  # fmt: skip
    for found, wanted in zip(outputs(main, X, mode="float"), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def _step(x: Tensor) -> Any:
    return optim.SGD([state(zeros(3))], lr=0.1)


MISTAKES: list[tuple[Callable[[Any], Any], str, str]] = [
    (lambda x: x.sum().backward(), "no backward", r"opt\.minimize\(loss\)"),
    (lambda x: _step(x).zero_grad(), "SGD has no zero_grad", r"opt\.minimize\(loss\)"),
    (lambda x: _step(x).step(), "step without gradients", r"opt\.gradients\(loss\)"),
    (lambda x: x.sum().item(), "no item", "reveal"),
    (lambda x: x.detach(), "no detach", "constants"),
    (lambda x: x.cuda(), "no cuda", "leave it out"),
    (lambda x: x.sume(1), "no sume", "close to it: sum"),
    (lambda x: x.max(dim=1), "max with dim", "values alone"),
    (lambda x: x.min(dim=1), "min with dim", "values alone"),
    (lambda x: x.sum(dim=1, axis=1), "axis is given twice", "keepdims"),
    (lambda x: x.sum(1, dim=1), "multiple values", ""),
    (lambda x: x.sum(of=1), "sum: .*'of'", ""),
    (lambda x: x.unsqueeze(4), r"unsqueeze\(4\)", ""),
    (lambda x: x.view(1, 2, 3).t(), "shape", "transpose"),
    (lambda x: nn.Linear(3, 3).to("cuda"), "Linear has no to", "leave it out"),
    (lambda x: nn.Linear(3, 3).wieght, "Linear has no wieght", "weight"),
    (lambda x: nn.Linear(3, 3)(y=x), "Linear: missing .*'x'", "its inputs: x"),
    (lambda x: nn.Linear(3, 3)(x, x), "Linear: too many", "its inputs: x"),
    (lambda x: nn.Parameter(x), "nn has no Parameter", "state"),
    (lambda x: nn.Conv1d(1, 2, 3), "nn has no Conv1d", "Conv2d"),
    (lambda x: nn.Lineer(1, 2), "nn has no Lineer", "Linear"),
    (lambda x: optim.RMSprop([]), "optim has no RMSprop", "Adam"),
    (lambda x: optim.lr_scheduler.OneCycleLR(None), "no OneCycleLR", "SequentialLR"),
    (lambda x: sequester.cat([x, x]), "sequester has no cat", "concat"),
    (lambda x: print_(f"{x.sum().reveal()}"), "no text", r"print_\('\{\}', value\)$"),
    (lambda x: print_(f"{x.sum():.3f}"), "no text", r"value = x\.reveal\(\)"),
    (lambda x: str(state(0.0)), "no text", r"value = x\.reveal\(\)"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "found", "hint"), MISTAKES, ids=[m[1] for m in MISTAKES])
def test_what_there_is_not_is_told_with_line_and_replacement(
    mistake: Callable[[Any], Any], found: str, hint: str
) -> None:
    with pytest.raises(ProgramError, match=rf"test_pytorch_names\.py:\d+: .*{found}") as error:
        traced(mistake, X)
    if hint:
        assert re.search(hint, error.value.hint), error.value.hint


def test_the_table_names_only_what_there_is_not() -> None:
    """A name that works needs no hint, and a hint that is never given is wrong."""

    def main(x: Tensor) -> None:
        owners = {
            "tensor": x, "module": nn.Linear(3, 3), "optimizer": _step(x), "nn": nn,
            "optim": optim, "optim.lr_scheduler": optim.lr_scheduler, "sequester": sequester,
        }  # fmt: skip
        assert owners.keys() == HINTS.keys()
        for kind, rows in HINTS.items():
            for names, hint in rows.items():
                for name in names.split():
                    assert not hasattr(owners[kind], name), (kind, name)
                    with pytest.raises(ProgramError) as error:
                        getattr(owners[kind], name)
                    assert error.value.hint == hint
        assert all(callable(getattr(x, name)) for name in METHODS)

    traced(main, X)


def test_names_of_packages() -> None:
    code = (
        "import sequester.nn as nn, sequester.nn.optim as inner, sequester.optim as optim\n"
        "from sequester.nn.optim.lr_scheduler import StepLR\n"
        "from sequester.optim import SGD\n"
        "import sequester\n"
        "assert nn is sequester.nn and inner is optim is sequester.optim is nn.optim\n"
        "assert SGD is optim.SGD and StepLR is optim.lr_scheduler.StepLR\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- modules ------------------------------------------------------------------------------------


class Held(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = [state(zeros(3)), state(zeros(3))]
        self.d = {"a": nn.Linear(3, 3), "b": (nn.Linear(3, 3), None)}
        self.n = [[nn.Linear(3, 3, bias=False)]]
        self.last = nn.ModuleList([nn.Linear(3, 3)]).append(nn.Linear(3, 3, bias=False))
        self.named = nn.ModuleDict({"x": nn.Linear(3, 3, bias=False)})
        self.register_buffer("mean", state(zeros(2)))

    def forward(self, x: Any) -> Any:
        x = self.n[0][0](x + self.w[0] - self.w[1])
        for layer in (self.d["a"], self.d["b"][0], *self.last, *self.named.values()):
            x = layer(x)
        return x


NAMES = [
    "w.0", "w.1", "mean", "d.a.weight", "d.a.bias", "d.b.0.weight", "d.b.0.bias", "n.0.0.weight",
    "last.0.weight", "last.0.bias", "last.1.weight", "named.x.weight",
]  # fmt: skip


def test_parameters_and_modules_in_lists_and_dictionaries_are_found() -> None:
    def main(x: Tensor) -> list[Tensor]:
        model = Held()
        assert list(model.state_dict()) == NAMES
        assert len(model.parameters()) == len(NAMES) - 1
        assert not any(m.training for m in model.eval().modules())
        before = [p.read() for p in model.parameters()]
        optim.SGD(model.parameters(), lr=0.5).minimize((model(x) - 3.0).mean())
        return [a - b for a, b in zip(before, (p.read() for p in model.parameters()), strict=True)]

    changes = outputs(main, X, mode="float")
    assert all(np.abs(change).max() > 0 for change in changes)


def test_containers_say_what_they_do_not_have() -> None:
    for mistake, found in [
        (lambda: nn.ModuleList([1]), "1 is no module"),
        (lambda: nn.ModuleList()[0], "module 0 of 0"),
        (lambda: nn.ModuleDict({"a": nn.ReLU()})["b"], "no module 'b'"),
    ]:
        with pytest.raises(ProgramError, match=found):
            traced(lambda x, mistake=mistake: mistake(), X)


def test_folding_keeps_a_model_with_dictionaries_and_forwards_of_their_own() -> None:
    class Twice(nn.Sequential):
        def forward(self, x: Any) -> Any:
            return super().forward(super().forward(x))

    class Net(nn.Module):
        def __init__(self) -> None:
            self.parts = {"a": nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))}
            self.twice = Twice(nn.Linear(3, 3), nn.BatchNorm1d(3))

        def forward(self, x: Any) -> Any:
            return self.twice(self.parts["a"](x))

    def main(x: Tensor) -> list[Tensor]:
        model = Net()
        folded = nn.fold_batch_norm(model)
        assert model.training and all(m.training for m in model.modules())
        assert isinstance(folded.parts["a"][1], nn.Identity) and not folded.training
        return [folded(x), model.eval()(x)]

    folded, plain = outputs(main, X, mode="float")
    np.testing.assert_allclose(folded, plain, atol=1e-3)


def test_a_model_prints_like_pytorchs() -> None:
    def main(x: Tensor) -> None:
        class Block(nn.Module):
            def __init__(self, width: int) -> None:
                self.inner = nn.Sequential(nn.Linear(width, 3, bias=False), nn.ReLU())

        model = nn.Sequential(Block(3), nn.Lambda(softmax), nn.Conv2d(1, 2, 3, stride=2))
        assert str(model) == (
            "Sequential(\n"
            "  (0): Block(\n"
            "    (inner): Sequential(\n"
            "      (0): Linear(in_features=3, out_features=3, bias=False)\n"
            "      (1): ReLU()\n"
            "    )\n"
            "  )\n"
            "  (1): Lambda(softmax)\n"
            "  (2): Conv2d(in_channels=1, out_channels=2, kernel_size=3, stride=2)\n"
            ")"
        )

    traced(main, X)


def test_a_tensor_shows_itself_to_debuggers() -> None:
    found: list[Any] = []

    def main(x: Tensor) -> None:
        found.append(x)
        assert repr(x) == "<sfix [2, 3]>"

    traced(main, X)
    assert str(found[0]) == f"{found[0]}" == "<sfix [2, 3]>"


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "from_pytorch.md").read_text("utf-8")
    shown = [row.strip("|").split(" | ") for row in page.splitlines() if row.startswith("| ")][1:]
    found = [(" ".join(re.findall(r"`(\w+)`", row[1])), row[2].strip()) for row in shown]
    assert found == [row for rows in HINTS.values() for row in rows.items()]


def test_the_pages_training_loop_runs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "from_pytorch.md").read_text("utf-8")
    code = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
    names: dict[str, Any] = {}
    exec(compile(code, "from_pytorch.md", "exec"), names)
    shapes = {(0, "train.x"): (32, 4), (0, "train.y"): (32,)}
    ops = {node.op for node in names["main"].trace(shapes=shapes).walk()}
    assert {"grad", "cross_entropy", "print", "output"} <= ops
