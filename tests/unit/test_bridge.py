"""The bridge to PyTorch, both ways, against PyTorch's own results. Skipped without PyTorch."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bridge_tools import WIDE, Called, inputs, run, tnn, torch

import sequester
from sequester import (
    Party,
    ProgramError,
    concat,
    nn,
    output,
    program,
    relu,
    sfix,
    sigmoid,
    sint,
    softmax,
    state,
)
from sequester.compiler.ir import reference


class Residual(tnn.Module):
    """Two convolutions, a shortcut, a scale of its own, functions and methods."""

    def __init__(self) -> None:
        super().__init__()
        self.first = tnn.Conv2d(2, 4, 3, padding=1)
        self.block = tnn.Sequential(tnn.Conv2d(4, 4, 3, padding=1), tnn.ReLU())
        self.scale = tnn.Parameter(torch.tensor([0.5, 1.5, -1.0, 2.0]))
        self.last = tnn.Linear(4 * 9, 3)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.first(x))
        y = y + self.block(y) * self.scale.view(1, 4, 1, 1)
        y = tnn.functional.max_pool2d(y, 2)
        return self.last(torch.flatten(y, 1))


def sequential() -> Any:
    return tnn.Sequential(
        tnn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), tnn.ReLU(inplace=True),
        tnn.MaxPool2d(2), tnn.Sequential(tnn.Flatten(), tnn.Linear(3, 5)), tnn.Tanh(),
        tnn.Linear(5, 2),
    )  # fmt: skip


@pytest.mark.parametrize(
    "make,shape", [(sequential, (4, 2, 6, 6)), (Residual, (2, 2, 6, 6))], ids=["chain", "residual"]
)
def test_a_torch_module_computes_the_same_here(
    make: Callable[[], Any], shape: tuple[int, ...], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    theirs = make().double()
    x = inputs(shape)
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    public = run(lambda: nn.from_torch(theirs), {(0, "x"): x})
    np.testing.assert_allclose(public.outputs["y"], expected, atol=1e-6)

    nn.save_torch(theirs, tmp_path / "model.npz")
    weights = {(1, f"model.{k}"): v for k, v in np.load(tmp_path / "model.npz").items()}
    assert set(weights) == {(1, f"model.{k}") for k in theirs.state_dict()}
    secret = run(lambda: nn.from_torch(theirs, Party(1)), {(0, "x"): x, **weights})
    np.testing.assert_allclose(secret.outputs["y"], expected, atol=1e-6)

    back = nn.to_torch(lambda: nn.from_torch(theirs), secret.outputs).double()
    np.testing.assert_allclose(back(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-6)
    assert back.state_dict().keys() == theirs.state_dict().keys()


class Skip(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.branches = [nn.Linear(3, 3), nn.Linear(3, 3, bias=False)]
        self.half = 0.5

    def forward(self, x: Any) -> Any:
        return self.inner(x) + self.mixed(x)

    def mixed(self, x: Any) -> Any:
        return self.branches[0](x) * self.half + self.branches[1](x)


def test_our_module_goes_to_torch_with_its_weights(tmp_path: Path) -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), Skip(), nn.Linear(3, 2))

    x = inputs((5, 4))
    ours = run(make, {(0, "x"): x}).outputs
    np.savez(tmp_path / "outputs.npz", **ours)
    theirs = nn.to_torch(make, tmp_path / "outputs.npz").double()
    assert isinstance(theirs[0], tnn.Linear) and len(theirs) == 3
    np.testing.assert_allclose(theirs(torch.from_numpy(x)).detach().numpy(), ours["y"], atol=1e-5)


def test_evaluation_mode_goes_both_ways() -> None:
    found = []
    run(lambda: found.append(nn.from_torch(sequential().eval())) or found[0],
        {(0, "x"): inputs((1, 2, 6, 6))})  # fmt: skip
    assert not found[0].training and not any(m.training for m in found[0].modules())
    assert not found[0].to_torch().training


class Branch(tnn.Module):
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


class Unknown(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = tnn.Linear(2, 2)

    def forward(self, x: Any) -> Any:
        return torch.cumsum(self.inner(x), 1)


@pytest.mark.parametrize(
    "make,words",
    [
        (lambda: tnn.Sequential(tnn.Conv2d(2, 2, 3, padding_mode="reflect", padding=1)),
         ["model.0 (Conv2d)", "padding_mode='reflect'"]),
        (lambda: tnn.Sequential(tnn.ReLU(), tnn.Sequential(tnn.MaxPool2d(2, return_indices=True))),
         ["model.1.0 (MaxPool2d)", "return_indices=True"]),
        (lambda: tnn.Sequential(tnn.PixelShuffle(2)), ["model.0", "PixelShuffle"]),
        (Branch, ["model (Branch)", "cannot trace"]),
        (Unknown, ["model (Unknown)", "cumsum"]),
        (lambda: tnn.Sequential(Unknown()), ["model.0 (Unknown)", "cumsum"]),
    ],
    ids=["option", "nested option", "layer", "branch", "function", "nested function"],
)  # fmt: skip
def test_what_is_not_known_is_an_error_that_names_it(
    make: Callable[[], Any], words: list[str]
) -> None:
    with pytest.raises(ProgramError) as caught:
        run(lambda: nn.from_torch(make()), {(0, "x"): inputs((1, 2, 4, 4))})
    for word in words:
        assert word in str(caught.value)


def test_options_of_functions_are_errors_too() -> None:
    class Pool(tnn.Module):
        def forward(self, x: Any) -> Any:
            return tnn.functional.max_pool2d(x, 2, dilation=2)

    with pytest.raises(ProgramError, match=r"model: max_pool2d: MaxPool2d with dilation=\(2, 2\)"):
        run(lambda: nn.from_torch(Pool()), {(0, "x"): inputs((1, 2, 5, 5))})


def test_hooks_are_refused() -> None:
    layer = tnn.Linear(2, 2)
    layer.register_forward_hook(lambda module, given, out: out * 2)
    with pytest.raises(ProgramError, match="_forward_hooks"):
        run(lambda: nn.from_torch(layer), {(0, "x"): inputs((1, 2))})


def test_weights_that_do_not_fit_are_refused() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2))

    with pytest.raises(ProgramError, match=r"no weights for 0\.bias"):
        nn.to_torch(make, {"model.0.weight": np.zeros((2, 2))})
    with pytest.raises(ProgramError, match=r"0\.bias has shape \(3,\)"):
        nn.to_torch(make, {"0.weight": np.zeros((2, 2)), "0.bias": np.zeros(3)})


def test_a_forward_that_needs_the_language_says_so() -> None:
    class Own(nn.Module):
        def forward(self, x: Any) -> Any:
            from sequester import relu

            return relu(x)

    with pytest.raises(ProgramError, match="needs the language"):
        nn.to_torch(Own)(torch.zeros(1))


# --- every layer, and what must not be lost on the way -------------------------------------------


def cases() -> dict[str, Any]:
    """The cases of scripts/layer_errors.py that are one module of one input."""
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "layer_errors", root / "scripts" / "layer_errors.py"
    )
    assert spec and spec.loader
    module = sys.modules["layer_errors"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {c.key: c for c in module.CASES if len(c.inputs) == 1 and "(" in c.name}


CASES = cases()


@pytest.mark.parametrize(
    ("make", "option", "value"),
    [
        (lambda: nn.Conv2d(1, 2, 3), "stride", (2, 2)),
        (lambda: nn.MaxPool2d(2), "padding", (1, 1)),
        (lambda: nn.Dropout(0.5), "p", 0.25),
        (lambda: nn.LeakyReLU(), "negative_slope", 0.5),
    ],
)
def test_an_option_changed_after_the_layer_was_made(make: Any, option: str, value: Any) -> None:
    def changed() -> nn.Module:
        layer = make()
        assert hasattr(layer, option)
        setattr(layer, option, value)
        return nn.Sequential(layer)

    with pytest.raises(ProgramError, match=rf"model\.0 .*: {option} is"):
        nn.to_torch(changed)


@pytest.mark.parametrize("key", CASES)
def test_every_layer_goes_both_ways(key: str) -> None:
    """Options and weights: the result is PyTorch's, here and after the way back."""
    case = CASES[key]
    theirs = case.build(tnn).double().train(case.training)
    x = case.inputs[0]
    given = torch.from_numpy(x)

    def first(y: Any) -> Any:
        return y[0] if isinstance(y, tuple) else y

    before = {k: v.clone() for k, v in theirs.state_dict().items()}
    expected = first(theirs(given)).detach().numpy()
    theirs.load_state_dict(before)  # running statistics
    back: list[Any] = []

    @program
    def main() -> None:
        model = nn.from_torch(theirs)
        assert model.training == case.training
        back.append(model.to_torch())
        output("model", model)
        kind = sint if x.dtype.kind == "i" else sfix
        output("y", first(model(Party(0).input("x", kind))))

    graph = main.trace(WIDE, {(0, "x"): x.shape})
    found = reference.run(graph, {(0, "x"): x}, mode="float").outputs
    np.testing.assert_allclose(found["y"], expected, atol=1e-5)
    assert type(back[0]) is type(theirs) and str(back[0]) == str(theirs)
    weights = {k.removeprefix("model."): v for k, v in found.items() if k != "y"}
    for name, v in back[0].double().named_parameters():
        v.data.copy_(torch.from_numpy(weights[name]))
    again = first(back[0].train(case.training)(given)).detach().numpy()
    np.testing.assert_allclose(again, expected, atol=1e-5)


def shared() -> Any:
    """One linear layer and one activation, each in two places."""
    layer, active = tnn.Linear(3, 3), tnn.Tanh()
    return tnn.Sequential(layer, active, layer, active)


def test_a_layer_in_two_places_stays_one() -> None:
    theirs = shared().double()
    x = inputs((4, 3))
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    made: list[Any] = []
    found = run(lambda: made.append(nn.from_torch(theirs)) or made[0], {(0, "x"): x}).outputs
    np.testing.assert_allclose(found["y"], expected, atol=1e-6)
    assert made[0][0] is made[0][2] and len(made[0].parameters()) == 2
    back = nn.to_torch(lambda: nn.from_torch(theirs), found).double()
    assert back[0] is back[2]
    np.testing.assert_allclose(back(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-6)


def test_layers_that_share_a_weight_are_refused() -> None:
    theirs = tnn.Sequential(tnn.Linear(3, 3), tnn.Linear(3, 3))
    theirs[1].weight = theirs[0].weight
    with pytest.raises(ProgramError, match=r"model\.1\.weight is model\.0\.weight"):
        run(lambda: nn.from_torch(theirs), {(0, "x"): inputs((1, 3))})


def test_what_is_frozen_is_not_trained() -> None:
    theirs = tnn.Sequential(tnn.Linear(3, 2), tnn.Linear(2, 2))
    theirs[0].weight.requires_grad_(False)
    found: list[Any] = []
    run(lambda: found.append(nn.from_torch(theirs)) or found[0], {(0, "x"): inputs((1, 3))})
    assert [k for k, _ in found[0].named_parameters()] == ["0.bias", "1.weight", "1.bias"]
    assert [k for k, _ in found[0].named_buffers()] == ["0.weight"]
    assert set(found[0].state_dict()) == set(theirs.state_dict())


def test_modes_of_single_layers_are_kept() -> None:
    theirs = tnn.Sequential(tnn.Linear(3, 2), tnn.BatchNorm1d(2)).train()
    theirs[1].eval()
    found: list[Any] = []
    run(lambda: found.append(nn.from_torch(theirs)) or found[0], {(0, "x"): inputs((4, 3))})
    assert [m.training for m in found[0].modules()] == [True, True, False]
    assert [m.training for m in found[0].to_torch().modules()] == [True, True, False]


# --- what would change a module's numbers without being in its class ----------------------------


def _with_forward(layer: Any) -> None:
    layer.forward = types.MethodType(lambda self, x: x * 2, layer)


HOOKS: list[tuple[Callable[[Any], Any], str]] = [
    (_with_forward, "a forward that is not its class's"),
    (lambda m: m.register_forward_pre_hook(lambda m, x: None), "_forward_pre_hooks"),
    (lambda m: m.register_full_backward_hook(lambda m, a, b: None), "_backward_hooks"),
    (lambda m: m.register_full_backward_pre_hook(lambda m, g: None), "_backward_pre_hooks"),
    (lambda m: m.weight.register_hook(lambda g: g * 2), "weight with _backward_hooks"),
    (lambda m: m.register_state_dict_pre_hook(lambda m, p, k: None), "_state_dict_pre_hooks"),
]


@pytest.mark.parametrize(("change", "word"), HOOKS, ids=[word for _, word in HOOKS])
def test_what_changes_one_object_is_refused(change: Callable[[Any], Any], word: str) -> None:
    inner = tnn.Linear(3, 3)
    change(inner)
    for made in (
        tnn.Sequential(tnn.ReLU(), inner),
        Called(lambda self, x, y: self.layer(y), inner),
    ):
        with pytest.raises(ProgramError, match=rf"model\.(1|layer) \(Linear\) has .*{word}"):
            run(lambda made=made: nn.from_torch(made), {(0, "x"): inputs((2, 3))})


def test_hooks_of_all_modules_are_refused() -> None:
    handle = tnn.modules.module.register_module_forward_hook(lambda m, x, y: y * 2)
    try:
        with pytest.raises(ProgramError, match="_global_forward_hooks"):
            run(lambda: nn.from_torch(tnn.Linear(3, 3)), {(0, "x"): inputs((2, 3))})
    finally:
        handle.remove()


# --- classes of one's own to PyTorch -------------------------------------------------------------


def _halved(x: Any) -> Any:
    return relu(x) * 0.5


class Base(nn.Module):
    slope = 0.25

    def __init__(self) -> None:
        super().__init__()
        self._offset = 2.0
        self.first = nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return self.first(x) * self.slope + self._offset

    @staticmethod
    def twice(x: Any) -> Any:
        return x * 2

    @classmethod
    def scaled(cls, x: Any) -> Any:
        return x * cls.slope

    @property
    def offset(self) -> float:
        return self._offset


class Derived(Base):
    """super(), class attributes, private values, static and class methods, functions, lists."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = {"a": nn.Linear(3, 3), "b": [nn.Linear(3, 3), nn.Tanh()]}
        self.scales = [state(0.5), state(1.5)]
        self.more = nn.ModuleList([nn.Linear(3, 3)])
        self.active = relu

    def forward(self, x: Any) -> Any:
        y = self.twice(super().forward(x)) + self.scaled(x) + self.offset
        for layer in (self.parts["a"], *self.parts["b"], *self.more):
            y = layer(y)
        y = softmax(concat([self.active(y), _halved(x)], dim=1), axis=1)
        return y * self.scales[0] + sequester.tanh(y) * self.scales[1]


class Chain(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, width), relu, nn.Lambda(lambda x: sigmoid(x) + 1.0))


class TwiceChain(Chain):
    def forward(self, x: Any) -> Any:
        return super().forward(super().forward(x))


OWN = [Derived, lambda: Chain(3), lambda: nn.Sequential(TwiceChain(3), Derived(), relu)]


@pytest.mark.parametrize("make", OWN)
def test_classes_of_ones_own_go_to_torch(make: Callable[[], nn.Module]) -> None:
    x = inputs((4, 3))
    found = run(make, {(0, "x"): x}).outputs
    theirs = nn.to_torch(make, found).double()
    names = [k.removeprefix("model.") for k in found if k != "y"]
    assert sorted(theirs.state_dict()) == sorted(names)
    result = theirs(torch.from_numpy(x))
    np.testing.assert_allclose(result.detach().numpy(), found["y"], atol=1e-5)
    result.sum().backward()
    assert all(p.grad is not None for p in theirs.parameters())


class Own(nn.Module):
    def __init__(self, function: Callable[..., Any], **held: Any) -> None:
        self.function = function
        vars(self).update(held)

    def forward(self, x: Any) -> Any:
        return self.function(x)


class OfALayer(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: OfALayer(2, 2), r"model\.0: a class derived from Linear"),
        (lambda: Own(relu, constant=sfix(1.0)), r"model\.0\.constant is a tensor of the program"),
        (lambda: Own(relu, parts=[nn.ReLU(), state(0.0)]), r"model\.0\.parts holds"),
        (lambda: Own(relu, parts=[nn.ReLU(), None]), r"model\.0\.parts holds"),
        (lambda: Own(relu, parts={1: nn.ReLU()}), r"model\.0\.parts holds"),
        (lambda: Own(lambda x: nn.one_hot(x, 3)), r"model\.0 \(Own\): its forward needs"),
        (lambda: Own(lambda x: x.reveal()), r"model\.0 \(Own\): .*reveal"),
        (lambda: Own(lambda x: sfix(1.0) + x), r"model\.0 \(Own\): its forward needs"),
    ],
)
def test_what_cannot_go_to_torch_is_told_with_its_path(make: Any, words: str) -> None:
    with pytest.raises(ProgramError, match=words):
        model = nn.to_torch(lambda: nn.Sequential(make()))
        model(torch.ones(2, 2, requires_grad=True))


def test_lists_of_modules_come_from_torch() -> None:
    theirs = tnn.ModuleDict({"a": tnn.ModuleList([tnn.Linear(3, 3), tnn.ReLU()])})
    made: list[Any] = []

    @program
    def main() -> None:
        made.append(nn.from_torch(theirs))

    main.trace(WIDE)
    assert list(made[0].state_dict()) == list(theirs.state_dict())
    assert str(made[0].to_torch()) == str(theirs)
