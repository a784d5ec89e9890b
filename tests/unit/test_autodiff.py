"""Every gradient rule against finite differences or PyTorch, on real numbers; then on the ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lang_tools import NEAREST, WIDE, outputs, traced

from sequester.compiler.ir.graph import Config
from sequester.compiler.ir.ops import OPS
from sequester.compiler.ir.verifier import verify
from sequester.compiler.lang import (
    arange,
    cint,
    concat,
    conv2d,
    cross_entropy,
    exp,
    functions,
    grad,
    log,
    log_softmax,
    loop,
    max_pool2d,
    maximum,
    minimum,
    reciprocal,
    relu,
    rsqrt,
    select,
    sigmoid,
    softmax,
    sqrt,
    stack,
    state,
    tanh,
    where,
)
from sequester.compiler.lang.tensor import emit
from sequester.compiler.passes import autodiff, cse, dce, expand

RNG = np.random.default_rng(7)
A = RNG.normal(size=(3, 4))
B = RNG.normal(size=(3, 4)) + 0.1
P = RNG.uniform(0.5, 2.0, size=(3, 4))
M = RNG.normal(size=(4, 2))
IMAGES = RNG.normal(size=(2, 3, 7, 6))
WEIGHTS = RNG.normal(size=(4, 3, 3, 2))
PIXELS = RNG.permutation(2 * 2 * 7 * 6).reshape(2, 2, 7, 6) / 20.0
Y = np.eye(4)[[0, 3, 1]]
FIXED = RNG.normal(size=2000)


def weighted(x: Any, at: int = 0) -> Any:
    """A scalar that depends on every element of x differently."""
    return (x * FIXED[at : at + x.size].reshape(x.shape)).sum()


CASES: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "add": (lambda a, b: weighted(a + b), [A, B]),
    "broadcast": (lambda a, b: weighted(a + b[0]) + weighted(a - b[:, :1]), [A, B]),
    "sub": (lambda a, b: weighted(a - b), [A, B]),
    "offset": (lambda a: weighted(2.5 - a), [A]),
    "scale": (lambda a: weighted(a * -0.3) + a.sum() * 5, [A]),
    "mul": (lambda a, b: weighted(a * b), [A, B]),
    "square": (lambda a: (a * a).mean(), [A]),
    "matmul": (lambda a, b: weighted(a @ b), [A, M]),
    "matmul ta": (lambda a, b: weighted(a.T @ b), [A, A @ M]),
    "matmul tb": (lambda a, b: weighted(b @ a.T), [A, M.T]),
    "matmul ta tb": (lambda a, b: weighted(b.T @ a.T), [A, M]),
    "reshape": (lambda a: weighted(a.reshape(2, 6)), [A]),
    "permute": (lambda a: weighted(a.reshape(3, 2, 2).permute(2, 0, 1)), [A]),
    "expand": (lambda a: weighted(a.reshape(3, 1, 4).expand(2, 3, 5, 4)), [A]),
    "slice": (lambda a: weighted(a[::-2, 1:3]) + weighted(a[1]), [A]),
    "unslice": (
        lambda a: weighted(emit("unslice", a, start=(4, 0), step=(-2, 2), shape=(5, 7))), [A]),
    "concat": (lambda a, b: weighted(concat([a, b, a], axis=1)), [A, B]),
    "stack": (lambda a, b: weighted(stack([a, b], axis=1)), [A, B]),
    "sum": (lambda a: weighted(a.sum(0)) + weighted(a.sum(1, keepdims=True)), [A]),
    "gather": (lambda a: weighted(a[cint([2, 0, 2])]) + weighted(a[:, arange(3)]), [A]),
    "scatter": (
        lambda a: weighted(emit("scatter", a, cint([1, 1, 4]), shape=(6, 4))), [A]),
    "select": (lambda a, b: weighted(select(b > 0, a) + b), [A, B]),
    "where": (lambda a, b: weighted(where(a < b, a * 2.0, b)), [A, B]),
    "abs": (lambda a: weighted(abs(a)), [A]),
    "relu": (lambda a: weighted(relu(a)), [A]),
    "maximum": (lambda a, b: weighted(maximum(a, b)) + weighted(minimum(a, b), 50), [A, B]),
    "reduce_max": (lambda a: weighted(a.max(1)) + a.min() * 3.0, [A]),
    "max_pool2d": (lambda x: weighted(max_pool2d(x, 2)), [PIXELS]),
    "max_pool2d overlapping": (lambda x: weighted(max_pool2d(x, 3, 1)), [PIXELS]),
    "max_pool2d gaps": (lambda x: weighted(max_pool2d(x, (2, 1), (3, 2))), [PIXELS]),
    "exp": (lambda a: weighted(exp(a)), [A]),
    "exp2": (lambda a: weighted(functions.exp2(a)), [A]),
    "log": (lambda a: weighted(log(a)), [P]),
    "log2": (lambda a: weighted(functions.log2(a)), [P]),
    "reciprocal": (lambda a: weighted(reciprocal(a)), [P]),
    "div": (lambda a, b: weighted(a / b), [A, P]),
    "number / x": (lambda a: weighted(3.0 / a), [P]),
    "x / clear": (lambda a: weighted(a / cint(3)), [A]),
    "sqrt": (lambda a: weighted(sqrt(a)), [P]),
    "rsqrt": (lambda a: weighted(rsqrt(a)), [P]),
    "sigmoid": (lambda a: weighted(sigmoid(a)), [A]),
    "tanh": (lambda a: weighted(tanh(a)), [A]),
    "softplus": (lambda a: weighted(functions.softplus(a, beta=1.5)), [A]),
    "erf": (lambda a: weighted(functions.erf(a)), [A]),
    "erf_slope": (lambda a: weighted(emit("erf_slope", a)), [A]),
    "gelu": (lambda a: weighted(functions.gelu(a)), [A]),
    "gelu tanh": (lambda a: weighted(functions.gelu(a, approximate="tanh")), [A]),
    "sin": (lambda a: weighted(functions.sin(a) + functions.cos(a * 2.0)), [A]),
    "sort": (lambda a: weighted(functions.sort(a)[0]) + weighted(functions.topk(a, 2, 0)[0]), [A]),
    "standardize": (
        lambda a: weighted(emit("standardize", a, axes=(0,), eps=0.01))
        + weighted(emit("standardize", a * 3.0, axes=(0, 1), eps=1e-5), 50), [A]),
    "softmax": (lambda a: weighted(softmax(a, 1)) + weighted(softmax(a, 0)), [A]),
    "log_softmax": (lambda a: weighted(log_softmax(a, 1)) + weighted(log_softmax(a, 0)), [A]),
    "cross_entropy": (lambda a: cross_entropy(a, Y), [A]),
    "cross_entropy times": (lambda a: cross_entropy(a * 2.0, Y) * 0.3 + weighted(a), [A]),
    "conv2d": (lambda x, w: weighted(conv2d(x, w)), [IMAGES, WEIGHTS]),
    "conv2d strides": (
        lambda x, w: weighted(conv2d(x, w, stride=(2, 3), padding=(2, 1))), [IMAGES, WEIGHTS]),
    "composition": (
        lambda a, b: (tanh(a @ b) ** 3).mean() + exp(a * 0.1)[0].sum() * (b * b).sum(), [A, M]),
    "shared": (lambda a: weighted(a * a * a - a) - (a + a).sum() * a.sum(), [A]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_finite_differences(name: str) -> None:
    f, inputs = CASES[name]
    found = outputs(lambda *x: grad(f(*x), x), *inputs, mode="float")
    step = 1e-5
    for i, x in enumerate(inputs):
        wanted = np.zeros(x.shape)
        for place in list(np.ndindex(*x.shape))[:: max(1, x.size // 24)]:
            ends = []
            for side in (step, -step):
                moved = [v.copy() for v in inputs]
                moved[i][place] += side
                ends.append(float(outputs(f, *moved, mode="float")[0]))
            wanted[place] = (ends[0] - ends[1]) / (2 * step)
            assert found[i][place] == pytest.approx(wanted[place], rel=1e-4, abs=2e-4), place


def test_second_order_of_convolutions() -> None:
    """conv2d_dx and conv2d_dw have rules of their own."""

    def f(x: Any, w: Any) -> Any:
        dx, dw = grad(weighted(conv2d(x, w) ** 2), [x, w])
        return weighted(dx) + weighted(dw, 300)

    x, w = IMAGES[:1, :, :4, :4], WEIGHTS
    found = outputs(lambda *v: grad(f(*v), v), x, w, mode="float")
    for i, place in ((0, (0, 1, 2, 2)), (1, (3, 2, 1, 0)), (0, (0, 0, 0, 0))):
        ends = []
        for side in (1e-4, -1e-4):
            moved = [x.copy(), w.copy()]
            moved[i][place] += side
            ends.append(float(outputs(f, *moved, mode="float")[0]))
        assert found[i][place] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3)


def test_every_differentiable_op_is_tested() -> None:
    """Each row with a gradient rule occurs in a case above, or is known to have no second one."""
    used = {"store", "load"}
    for f, inputs in CASES.values():
        graph, _ = traced(f, *inputs)
        used |= {node.op for node in graph.walk()}
    used |= {"conv2d_dx", "conv2d_dw"}  # test_second_order_of_convolutions
    # test_lang_mistakes: no second derivative
    used |= {"max_pool2d_grad", "reduce_max_grad", "standardize_grad", "gelu_slope", "sort_grad"}
    assert {name for name, row in OPS.items() if row.gradient} <= used


def lenet_like(torch: Any) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
    """A small network here, its inputs, and PyTorch's gradients."""
    shapes = [(4, 1, 8, 8), (3, 1, 3, 3), (27, 5), (5,)]
    rng = np.random.default_rng(8)
    inputs = [rng.normal(size=s) * 0.5 for s in shapes]
    labels = np.eye(5)[[0, 2, 4, 1]]

    def f(x: Any, w: Any, v: Any, b: Any) -> Any:
        h = relu(max_pool2d(conv2d(x, w), 2)).reshape(4, -1)
        return cross_entropy(h @ v + b, labels)

    tensors = [torch.tensor(v, requires_grad=True) for v in inputs]
    x, w, v, b = tensors
    h = torch.relu(torch.max_pool2d(torch.conv2d(x, w), 2)).reshape(4, -1)
    torch.nn.functional.cross_entropy(h @ v + b, torch.tensor(labels)).backward()
    return f, inputs, [t.grad.numpy() for t in tensors]


@pytest.mark.parametrize("config", [NEAREST, WIDE], ids=["64", "128"])
@pytest.mark.parametrize("mode", ["float", "exact"])
def test_against_pytorch(mode: Any, config: Config) -> None:
    torch = pytest.importorskip("torch")
    f, inputs, wanted = lenet_like(torch)
    found = outputs(lambda *x: grad(f(*x), x), *inputs, mode=mode, config=config)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 if mode == "float" else 3e-4)


def test_lowered_gradients_agree() -> None:
    """After expansion, the ring's result is close to the functions' own gradients."""
    f, inputs = CASES["composition"]
    real = outputs(lambda *x: grad(f(*x), x), *inputs, mode="float")
    ring = outputs(lambda *x: grad(f(*x), x), *inputs, mode="exact", lowered=True)
    for got, want in zip(ring, real, strict=True):
        np.testing.assert_allclose(got, want, atol=5e-3)


@pytest.mark.parametrize("config", [NEAREST, WIDE], ids=["64", "128"])
def test_factor_of_a_gradient_keeps_its_precision(config: Config) -> None:
    """lr / batch = 0.01 / 128 is multiplied in with more bits than f."""
    x = np.random.default_rng(9).normal(size=(128, 3)) * 4
    w = np.array([[1.0], [2.0], [-1.0]])

    def f(a: Any, b: Any) -> Any:
        loss = ((a @ b) ** 2).sum() * (1 / 128)
        small = grad(loss, [b], factor=0.01, bound=8.0)
        return [*grad(loss, [b], factor=0.01), *small, b.bounded(8.0) * 0.0 + small[0]]

    wanted = 0.01 * 2 * x.T @ (x @ w) / 128
    for got in outputs(f, x, w, config=config):
        np.testing.assert_allclose(got, wanted, atol=2.0**-15, rtol=1e-3)


def test_comparisons_are_asked_for_again_with_equal_nodes() -> None:
    """The backward pass's bit is the forward one: both merge."""
    graph, _ = traced(lambda a: grad(weighted(relu(a)), [a]), A)
    verify(autodiff.run(graph))
    graph = dce.run(cse.run(expand.run(graph)))
    assert sum(n.op == "ltz" for n in graph.walk()) == 1


def test_relu_has_the_derivative_0_at_0() -> None:
    def f(a: Any) -> Any:
        return grad(relu(a).sum(), [a])

    for mode in ("float", "exact"):
        (g,) = outputs(f, np.array([-1.0, 0.0, 2.0]), mode=mode, lowered=mode == "exact")
        np.testing.assert_array_equal(g, [0.0, 0.0, 1.0])


def test_training_in_a_loop() -> None:
    """Least squares by gradient descent in nested loops finds the solution."""
    x = np.random.default_rng(10).normal(size=(32, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]])

    def f(a: Any, b: Any) -> Any:
        w = state(np.zeros((3, 1)))
        for _ in loop(20):
            for xb, yb in loop.batches(a, b, batch=8):
                (g,) = grad(((xb @ w - yb) ** 2).mean(), [w], factor=0.1)
                w -= g
        return w

    for mode in ("float", "exact"):
        (w,) = outputs(f, x, y, mode=mode)
        np.testing.assert_allclose(w, [[1.0], [-2.0], [0.5]], atol=0.02)


def test_gradients_of_two_losses() -> None:
    def f(a: Any) -> Any:
        return [*grad((a * a).sum(), [a]), *grad(a.sum() * 3.0, [a])]

    first, second = outputs(f, A, mode="float")
    np.testing.assert_allclose(first, 2 * A, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(second, np.full(A.shape, 3.0))
