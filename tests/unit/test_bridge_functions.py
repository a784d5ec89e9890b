"""The bridge to PyTorch: functions and methods of tensors, changes in place, modes, and losses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bridge_tools import WIDE, Called, inputs, run, tnn, torch

from sequester import Party, ProgramError, nn, output, program
from sequester.compiler.ir import reference
from sequester.compiler.nn import bridge_functions


class Recurrent(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = tnn.LSTM(3, 4, batch_first=True)
        self.last = tnn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        y, _ = self.cells(x)
        return self.last(tnn.functional.gelu(y[:, -1]))


class Pools(tnn.Module):
    def forward(self, x: Any) -> Any:
        f = tnn.functional
        y = f.leaky_relu(f.avg_pool2d(x, 2, 1, ceil_mode=True), 0.2)
        y = torch.cat([f.max_pool2d(y, 3, 2, ceil_mode=True), f.softplus(y)[:, :, ::2, ::2]], dim=1)
        return f.adaptive_avg_pool2d(y, 1).flatten(1)


@pytest.mark.parametrize("make,shape", [(Recurrent, (2, 5, 3)), (Pools, (2, 2, 5, 5))])
def test_functions_of_pytorch(make: Callable[[], Any], shape: tuple[int, ...]) -> None:
    theirs, x = make().double(), inputs(shape)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    found = run(lambda: nn.from_torch(theirs), {(0, "x"): x}).outputs["y"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "layer,shape",
    [
        (lambda: nn.Softmax(), (3, 4, 2)),
        (lambda: nn.LogSoftmax(), (3, 4, 2)),
        (lambda: nn.Softmax(), (2, 3, 2, 2)),
        (lambda: nn.ReLU(inplace=True), (3, 4)),
        (lambda: nn.Identity(5, extra=1), (3, 4)),
    ],
)
def test_defaults_that_are_not_pytorchs(layer: Any, shape: tuple[int, ...]) -> None:
    x = inputs(shape)
    ours = run(layer, {(0, "x"): x}).outputs["y"]
    theirs = nn.to_torch(layer)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tnn.Softmax(),
        lambda: tnn.LogSoftmax(),
        lambda: Called(lambda x: tnn.functional.softmax(x)),
        lambda: Called(lambda x: tnn.functional.log_softmax(x, 1, dtype=torch.float32)),
    ],
)
def test_a_softmax_without_axis_or_of_another_type_is_refused(make: Any) -> None:
    with pytest.raises(ProgramError, match="dim=None|dtype"):
        run(lambda: nn.from_torch(make()), {(0, "x"): inputs((2, 3))})


FUNCTIONS: list[Callable[..., Any]] = [
    lambda x: x.unsqueeze(1).squeeze(1) + x.unsqueeze(-1).squeeze(),
    lambda x: x.chunk(2)[1].sum(0) + torch.cat([x.chunk(2, dim=1)[i] for i in (1, 0)], 1),
    lambda x: torch.cat([torch.split(x, [1, 2], 1)[1], x.split(2, 1)[1]], 1),
    lambda x: x.pow(2) + torch.pow(x, 3) + x**2,
    lambda x: x.abs() + torch.abs(x) + abs(x),
    lambda x: (x.t() @ x).T,
    lambda x: x.clamp(-0.5, 0.25) + torch.clamp(x, min=0.1),
    lambda x: x.amax(1, keepdim=True) - x.amin(dim=1, keepdim=True).expand_as(x),
    lambda x: torch.maximum(x, -x).sqrt() + x.square() + torch.exp2(x),
    lambda x: x.mean(1).unsqueeze(1).expand(-1, 3) + x.view_as(x),
    lambda x: tnn.functional.adaptive_avg_pool2d(x.view(1, 1, 4, 3), [2, 1]).squeeze(),
    lambda x: x.reshape(x.shape[0] * x.size(1)),
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_functions_and_methods_of_tensors(number: int) -> None:
    function, x = FUNCTIONS[number], inputs((4, 3))
    found = run(lambda: nn.from_torch(Called(function)), {(0, "x"): x}).outputs["y"]
    np.testing.assert_allclose(found, function(torch.from_numpy(x)).numpy(), atol=1e-6)


def test_arguments_of_layers_by_name() -> None:
    def function(self: Any, x: Any, y: Any) -> Any:
        weight = self.scale.view(3, 1) * self.scale
        return self.layer(input=y) + tnn.functional.linear(x, weight, bias=self.scale)

    theirs = Called(function, tnn.Linear(3, 3)).double()
    x = inputs((4, 3))
    found = run(lambda: nn.from_torch(theirs), {(0, "x"): x}).outputs["y"]
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_weight_of_a_layer_that_is_used_directly_is_the_same_one() -> None:
    """Tied weights: as a layer, and as the argument of a function."""
    theirs = Called(lambda self, x, y: tnn.functional.linear(
        self.layer(x), self.layer.weight.t()), tnn.Linear(3, 3)).double()  # fmt: skip
    x, made = inputs((4, 3)), []
    found = run(lambda: made.append(nn.from_torch(theirs)) or made[0], {(0, "x"): x}).outputs
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found["y"], expected, atol=1e-6)
    assert [k for k, _ in made[0].named_parameters()] == ["layer.weight", "layer.bias"]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda self, x, y: self.layer(input=y, extra=1), r"model: layer: .*extra"),
        (lambda x: x + x.is_cuda, r"model: getattr: a tensor's is_cuda"),
        (lambda x: torch.cumsum(x, 1), r"cumsum(?s:.*)hint: known are sum"),
        (lambda x: x.squeeze(5), r"model: squeeze: axis 5 of a tensor"),
        (lambda x: tnn.functional.adaptive_avg_pool2d(x, [1, 1, 1]), "adaptive_avg_pool2d"),
    ],
)
def test_what_a_forward_asks_that_is_not_known(function: Any, words: str) -> None:
    theirs = Called(function, tnn.Linear(3, 3))
    with pytest.raises(ProgramError, match=words):
        run(lambda: nn.from_torch(theirs), {(0, "x"): inputs((4, 3))})


def test_the_page_names_every_function_and_method() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "nn.md").read_text("utf-8")
    text = page.split("*Functions* that")[1].split("Operators, slices")[0]
    operators = {"iadd", "isub", "imul", "truediv", "floordiv", "getitem", "getattr"}
    wanted = (bridge_functions.FUNCTIONS.keys() | bridge_functions.METHODS.keys()) - operators
    assert set(re.findall(r"`(\w+)`", text)) == wanted


def test_functions_along_an_axis() -> None:
    def function(x: Any) -> Any:
        f = tnn.functional
        return f.softmax(x, dim=1) + f.log_softmax(x, 0) + torch.softmax(x, -1)

    x = inputs((4, 3))
    found = run(lambda: nn.from_torch(Called(function)), {(0, "x"): x}).outputs["y"]
    np.testing.assert_allclose(found, function(torch.from_numpy(x)).numpy(), atol=1e-6)


# --- operations in place, and what a forward does in the two modes -------------------------------


def _residual(self: Any, x: Any, y: Any) -> Any:
    y.add_(x)
    return torch.relu(y)


def _activated(self: Any, x: Any, y: Any) -> Any:
    z = self.layer(y)
    return z * 3 + y


def _function(self: Any, x: Any, y: Any) -> Any:
    tnn.functional.leaky_relu(y, 0.5, inplace=True)
    n = y.size(0)
    torch.relu_(y.mul_(x)).add_(1)
    return y.view(n, -1)


def _operators(self: Any, x: Any, y: Any) -> Any:
    y += x
    y *= 2
    return y - x


def _own_view(self: Any, x: Any, y: Any) -> Any:
    z = y.view(-1)
    return z.add_(1).view(y.size(0), y.shape[1])


IN_PLACE = [
    lambda: Called(_residual),
    lambda: Called(_activated, tnn.ReLU(inplace=True)),
    lambda: Called(_activated, tnn.Sequential(tnn.LeakyReLU(inplace=True), tnn.Linear(3, 3))),
    lambda: Called(_function),
    lambda: Called(_operators),
    lambda: Called(_own_view),
]


@pytest.mark.parametrize("make", IN_PLACE)
def test_operations_in_place(make: Callable[[], Any]) -> None:
    torch.manual_seed(2)
    theirs, x = make().double(), inputs((4, 3))
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    found = run(lambda: nn.from_torch(theirs), {(0, "x"): x}).outputs["y"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def _seen_by_view(self: Any, x: Any, y: Any) -> Any:
    z = y.view(-1)
    y.add_(1)
    return z


def _seen_by_base(self: Any, x: Any, y: Any) -> Any:
    torch.relu_(y[:, 0])
    return y


def _of_a_parameter(self: Any, x: Any, y: Any) -> Any:
    self.scale.mul_(2)
    return y


@pytest.mark.parametrize("function", [_seen_by_view, _seen_by_base, _of_a_parameter])
def test_a_change_in_place_that_would_be_lost_is_refused(function: Any) -> None:
    made = tnn.Sequential(Called(function).requires_grad_(False))
    with pytest.raises(ProgramError, match=r"model\.0 \(Called\): .* changes in place what"):
        run(lambda: nn.from_torch(made), {(0, "x"): inputs((2, 3))})


class Modes(tnn.Module):
    def forward(self, x: Any) -> Any:
        y = tnn.functional.dropout(x, 1.0, self.training)
        return y + 1 if self.training else y * 2


@pytest.mark.parametrize("first", [True, False])
def test_a_forward_that_asks_for_the_mode(first: bool) -> None:
    """What the graph of either mode does, whichever the module was in when it was brought."""
    theirs, x = Modes().train(first), inputs((2, 3))
    for mode in (True, False):
        found = run(lambda mode=mode: nn.from_torch(theirs).train(mode), {(0, "x"): x}).outputs
        expected = theirs.train(mode)(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found["y"], expected, atol=1e-6)
        theirs.train(first)


class Modal(tnn.Module):
    """What cannot be traced in training does not stand in the way of an evaluation."""

    def forward(self, x: Any) -> Any:
        return torch.cumsum(x, 0) if self.training else x * 2


def test_a_mode_that_cannot_be_brought_is_told_when_it_is_asked_for() -> None:
    x = inputs((2, 3))
    found = run(lambda: nn.from_torch(Modal().eval()), {(0, "x"): x}).outputs["y"]
    np.testing.assert_allclose(found, 2 * x, atol=1e-6)
    with pytest.raises(ProgramError, match="cumsum"):
        run(lambda: nn.from_torch(Modal().eval()).train(), {(0, "x"): x})


# --- losses ---------------------------------------------------------------------------------------


LOSSES = [
    lambda: tnn.MSELoss(), lambda: tnn.MSELoss(reduction="sum"), lambda: tnn.BCEWithLogitsLoss(),
    lambda: tnn.CrossEntropyLoss(label_smoothing=0.1), lambda: tnn.MSELoss(size_average=False),
]  # fmt: skip


@pytest.mark.parametrize("make", LOSSES)
def test_losses_go_both_ways(make: Callable[[], Any]) -> None:
    theirs, x = make(), inputs((4, 3))
    y = np.eye(3)[[0, 2, 1, 1]]

    @program
    def main() -> None:
        loss = nn.from_torch(theirs)
        output("loss", loss(Party(0).input("x"), Party(0).input("y")))
        assert str(loss.to_torch()) == str(theirs)

    given = {(0, "x"): x, (0, "y"): y}
    graph = main.trace(WIDE, {key: v.shape for key, v in given.items()})
    found = reference.run(graph, given).outputs["loss"]
    expected = theirs(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: tnn.CrossEntropyLoss(ignore_index=0), "ignore_index=0"),
        (lambda: tnn.CrossEntropyLoss(weight=torch.ones(3)), "weight"),
        (lambda: tnn.BCEWithLogitsLoss(pos_weight=torch.ones(3)), "pos_weight"),
    ],
)
def test_options_of_losses_that_are_not_known(make: Callable[[], Any], word: str) -> None:
    with pytest.raises(ProgramError, match=rf"model \(\w+\).*{word}"):
        run(lambda: nn.from_torch(make()), {(0, "x"): inputs((2, 3))})
