"""Functions of `compiler/math` on the exact ring against float64, over their whole domains."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lang_tools import outputs

from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Config
from sequester.compiler.ir.ops import OPS
from sequester.compiler.lang import LOWERINGS, functions
from sequester.compiler.math.polynomial import chebyshev
from sequester.compiler.passes import expand

ROOT = Path(__file__).resolve().parents[2]


def _script() -> Any:
    """The module scripts/math_errors.py, which has the cases and their bounds."""
    spec = importlib.util.spec_from_file_location("math_errors", ROOT / "scripts/math_errors.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["math_errors"] = module
    spec.loader.exec_module(module)
    return module


script = _script()
BY_NAME = {case.name: case for case in script.CASES}
LOWERED = dict(config=Config(), lowered=True)


@pytest.mark.parametrize("rounding", ["probabilistic", "nearest"])
@pytest.mark.parametrize("name", BY_NAME)
def test_error_bound_at_f_16(name: str, rounding: str) -> None:
    case = BY_NAME[name]
    e = script.errors(case, replace(script.SMALL, rounding=rounding), 1 << 14, seed=1)
    assert e.max() <= case.bound


@pytest.mark.parametrize("name", BY_NAME)
def test_error_bound_at_f_32(name: str) -> None:
    case = BY_NAME[name]
    assert script.errors(case, script.LARGE, 200, seed=2).max() <= case.bound


@pytest.mark.parametrize("name", ["exp", "reciprocal", "sqrt", "softmax"])
def test_rounding_has_no_bias(name: str) -> None:
    """Means over repeated runs of one point approach the value: 5 sigma of one unit's coins."""
    case, n = BY_NAME[name], 4000
    point = case.sample(script.SMALL, 64, np.random.default_rng(3))[0][5:6]
    x = np.repeat(np.abs(point) if name in ("reciprocal", "sqrt") else point, n, axis=0)
    graph = expand.run(script.trace(case, [x.shape], script.SMALL))
    y = reference.run(graph, {(0, "x0"): x}, rng=np.random.default_rng(4)).outputs["y"]
    truth = case.truth(x)
    drift = np.abs(((y - truth) / np.maximum(1.0, np.abs(truth))).mean(axis=0)) * 2.0**16
    assert (drift <= 5 * 0.5 / np.sqrt(n) + 0.3).all()


def test_every_composite_has_a_lowering() -> None:
    composite = {name for name, row in OPS.items() if row.composite} - {"grad"}
    assert composite == set(LOWERINGS)
    assert {c.name for c in script.CASES} <= composite


def test_exp_of_very_small_numbers_is_zero() -> None:
    x = np.array([-12.5, -13.0, -100.0, -8000.0])
    for _ in range(20):
        assert not outputs(functions.exp, x, **LOWERED)[0].any()


def test_softmax_of_equal_and_of_distant_logits() -> None:
    z = np.array([[3.0, 3.0, 3.0, 3.0], [0.0, 4000.0, 0.0, -4000.0]])
    (y,) = outputs(lambda x: functions.softmax(x, 1), z, **LOWERED)
    np.testing.assert_allclose(y, [[0.25] * 4, [0, 1, 0, 0]], atol=2 * 2.0**-16)
    (one,) = outputs(lambda x: functions.softmax(x, 1), z[:, :1], **LOWERED)
    np.testing.assert_allclose(one, 1.0, atol=2.0**-16)


@pytest.mark.parametrize("classes", [2, 3, 16, 17, 100])
def test_softmax_sizes(classes: int) -> None:
    z = np.random.default_rng(5).normal(size=(40, classes)) * 5
    e = np.exp(z - z.max(axis=1, keepdims=True))
    (y,) = outputs(lambda x: functions.softmax(x, 1), z, **LOWERED)
    assert np.abs(y - e / e.sum(axis=1, keepdims=True)).max() * 2.0**16 < 3.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_axis(axis: int) -> None:
    z = np.random.default_rng(6).normal(size=(3, 4, 5))
    e = np.exp(z)
    (y,) = outputs(lambda x: functions.softmax(x, axis), z, **LOWERED)
    np.testing.assert_allclose(y, e / e.sum(axis=axis, keepdims=True), atol=3 * 2.0**-16)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 16, 17, 31, 32, 33, 70])
def test_maxima_with_ties(n: int) -> None:
    """Values from a small range tie often; the first maximum wins, as in NumPy and PyTorch."""
    x = np.random.default_rng(n).integers(-2, 3, (4, n, 3)).astype(float)
    best, index = outputs(lambda x: (x.max(axis=1), x.argmax(axis=1)), x, **LOWERED)
    np.testing.assert_array_equal(best, x.max(axis=1))
    np.testing.assert_array_equal(index, x.argmax(axis=1))


def test_maxima_at_the_ends_of_the_range() -> None:
    limit = 2.0**14 - 2.0**-16
    a = np.array([-limit, limit, 0.0, -(2.0**-16), 0.0])
    b = np.array([limit, -limit, -(2.0**-16), 0.0, 0.0])
    best, row = outputs(
        lambda a, b: (functions.maximum(a, b), a.max()), a, b, config=Config(), lowered=True
    )
    np.testing.assert_array_equal(best, np.maximum(a, b))
    assert row == limit


@pytest.mark.parametrize("seed", range(12))
def test_max_pool2d_windows(seed: int) -> None:
    """Any window and stride, overlapping ones and rows left over, with ties."""
    rng = np.random.default_rng(seed)
    kh, kw, sh, sw = (int(v) for v in rng.integers(1, 5, 4))
    height, width = (int(v) for v in rng.integers(4, 10, 2))
    x = rng.integers(-3, 4, (2, 3, height, width)).astype(float)
    (y,) = outputs(lambda x: functions.max_pool2d(x, (kh, kw), (sh, sw)), x, **LOWERED)
    view = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::sh, ::sw]
    np.testing.assert_array_equal(y, view.max(axis=(4, 5)))


def test_gradients_share_the_bits_of_the_forward_pass() -> None:
    """One comparison for relu and its gradient, three rows of them for a pooling tree."""
    from sequester.compiler.compile import compile_graph
    from sequester.compiler.lang import Party, Program, grad, output

    def step() -> None:
        x = Party(0).input("x", shape=(2, 1, 4, 4))
        y = functions.relu(functions.max_pool2d(x, 2))
        output("dx", grad((y * y).sum(), [x])[0])

    compiled = compile_graph(Program(step).trace())
    names = [insn.instr.name for insn in compiled.program.code]
    assert names.count("ltz") == 3


def test_chebyshev_is_near_minimax() -> None:
    coefficients = chebyshev(lambda t: np.log(0.75 + t / 4), 8)
    t = np.linspace(-1, 1, 1001)
    error = np.abs(np.polynomial.polynomial.polyval(t, coefficients) - np.log(0.75 + t / 4))
    assert error.max() < 2.0**-24


def test_the_page_lists_every_case() -> None:
    page = (ROOT / "docs" / "math.md").read_text("utf-8")
    rows = page.split(script.BEGIN)[1].split(script.END)[0].strip().splitlines()[2:]
    stated = {row.split("`")[1]: row.split("|")[3].strip() for row in rows}
    assert stated == {c.name: f"{c.bound:g}" if c.bound else "exact" for c in script.CASES}
