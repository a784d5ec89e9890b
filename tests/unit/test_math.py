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

from sequester.compiler.ir import reference, special
from sequester.compiler.ir.graph import Config
from sequester.compiler.ir.ops import OPS
from sequester.compiler.ir.ops_composite import log_softmax as real_log_softmax
from sequester.compiler.lang import LOWERINGS, ProgramError, functions, grad
from sequester.compiler.math import sorting
from sequester.compiler.math.polynomial import chebyshev
from sequester.compiler.math.sorting import network
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


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_error_bound_on_dense_points(name: str) -> None:
    case = BY_NAME[name]
    assert script.errors(case, script.SMALL, 1 << 20, seed=3).max() <= case.bound
    assert script.errors(case, script.LARGE, 1 << 14, seed=4).max() <= case.bound


@pytest.mark.parametrize(
    ("ring", "k", "f"), [(64, 20, 8), (64, 40, 20), (128, 40, 20), (64, 44, 16)]
)
@pytest.mark.parametrize("name", BY_NAME)
def test_error_bound_at_other_precisions(name: str, ring: int, k: int, f: int) -> None:
    """Every value in its range, and the bounds of the default precisions."""
    config, case = Config(ring, k, f), BY_NAME[name]
    if name == "div" and 2 * k - f > ring:
        with pytest.raises(ProgramError, match="2 k - f <= 64"):
            script.errors(case, config, 100)
        return
    n = 1 << 12 if ring == 64 else 200
    assert script.errors(case, config, n, seed=5).max() <= case.bound


@pytest.mark.parametrize("config", [Config(64, 33, 24), Config(64, 20, 10), Config(64, 46, 17)])
def test_a_precision_without_room_is_the_authors_error(config: Config) -> None:
    with pytest.raises(ProgramError, match="functions of secret values need") as error:
        script.errors(BY_NAME["exp"], config, 100)
    assert error.value.loc is not None and "--ring 128" in error.value.hint


@pytest.mark.parametrize("config", [script.SMALL, script.LARGE, Config(64, 40, 20)])
def test_the_cheaper_rsqrt(config: Config) -> None:
    """A relative error below 2^-7, besides a unit."""
    x = script.positive(config, 1 << 11)
    (y,) = outputs(lambda x: functions.rsqrt(x, approximate="quartic"), x, config=config,
                   lowered=True)  # fmt: skip
    truth = 1 / np.sqrt(x)
    assert (np.abs(y - truth) <= 2.0**-7 * truth + 2.0**-config.f).all()
    costs = [script.cost(replace(BY_NAME["rsqrt"], attrs=(("approximate", form),)), script.SMALL)
             for form in ("quartic", "none")]  # fmt: skip
    assert costs[0][1] < 0.7 * costs[1][1] and costs[0][0] < costs[1][0]


SLOPES: dict[str, tuple[Any, Any, float, float]] = {
    "exp": (functions.exp, np.exp, -4, 4),
    "exp2": (functions.exp2, lambda x: np.log(2) * np.exp2(x), -4, 4),
    "log": (functions.log, lambda x: 1 / x, 0.1, 50),
    "log2": (functions.log2, lambda x: 1 / x / np.log(2), 0.1, 50),
    "sqrt": (functions.sqrt, lambda x: 0.5 / np.sqrt(x), 0.1, 50),
    "rsqrt": (functions.rsqrt, lambda x: -0.5 * x**-1.5, 0.2, 50),
    "reciprocal": (functions.reciprocal, lambda x: -(x**-2), 0.3, 50),
    "sigmoid": (functions.sigmoid, lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, -12, 12),
    "tanh": (functions.tanh, lambda x: np.cosh(x) ** -2, -8, 8),
    "softplus": (functions.softplus, lambda x: (1 + np.tanh(x / 2)) / 2, -2000, 2000),
    "erf": (functions.erf, special.erf_slope, -300, 300),
    "gelu": (functions.gelu, lambda x: 0.5 + special.gelu_slope_odd(x, "none"), -300, 300),
    "gelu tanh": (lambda x: functions.gelu(x, approximate="tanh"),
                  lambda x: 0.5 + special.gelu_slope_odd(x, "tanh"), -300, 300),
    "sin": (functions.sin, np.cos, -300, 300),
    "cos": (functions.cos, lambda x: -np.sin(x), -300, 300),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("config", [script.SMALL, script.LARGE], ids=["16", "32"])
def test_gradients_are_accurate(name: str, config: Config) -> None:
    """Gradients on the ring against the derivative: 4 units, relative ones above 1."""
    function, slope, low, high = SLOPES[name]
    n = 1 << 11 if config.f == 16 else 200
    inner = np.linspace(max(low, -6), min(high, 6), n)
    x = script.on_grid(np.concatenate([np.linspace(low, high, n), inner]), config)
    (found,) = outputs(lambda x: grad(function(x).sum(), [x]), x, config=config, lowered=True)
    truth = slope(x)
    assert (np.abs(found - truth) / np.maximum(1, np.abs(truth))).max() * 2.0**config.f <= 4


def test_softplus_with_beta() -> None:
    x = np.linspace(-20, 20, 101)
    (y,) = outputs(lambda x: functions.softplus(x, beta=2.5), x, **LOWERED)
    np.testing.assert_allclose(y, special.softplus(2.5 * x) / 2.5, atol=4 * 2.0**-16)


@pytest.fixture(params=[0, sorting.BY_RANKS], ids=["network", "ranks"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting small tensors both ways."""
    monkeypatch.setattr(sorting, "BY_RANKS", request.param)


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 10, 17, 33])
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_keeps_the_order_of_equal_values(n: int, descending: bool) -> None:
    x = np.random.default_rng(n).integers(-4, 5, (3, n, 2)).astype(float)
    value, index = outputs(lambda x: functions.sort(x, 1, descending), x, **LOWERED)
    order = np.argsort(-x if descending else x, axis=1, kind="stable")
    np.testing.assert_array_equal(index, order)
    np.testing.assert_array_equal(value, np.take_along_axis(x, order, axis=1))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("k", range(1, 12))
@pytest.mark.parametrize("largest", [False, True])
def test_topk(k: int, largest: bool) -> None:
    x = np.random.default_rng(k).integers(-20, 20, (11, 4))
    value, index = outputs(lambda x: functions.topk(x, k, 0, largest), x, **LOWERED)
    order = np.argsort(-x if largest else x, axis=0, kind="stable")[:k]
    np.testing.assert_array_equal(index, order)
    np.testing.assert_array_equal(value, np.take_along_axis(x, order, axis=0))


@pytest.mark.usefixtures("method")
@pytest.mark.parametrize("k", [2, 7])
def test_the_gradient_of_sorted_values(k: int) -> None:
    x = np.random.default_rng(k).normal(size=(2, 7))
    weights = np.arange(1.0, k + 1)
    (found,) = outputs(lambda x: grad((functions.topk(x, k)[0] * weights).sum(), [x]), x, **LOWERED)
    wanted = np.zeros(x.shape)
    np.put_along_axis(wanted, np.argsort(-x, axis=1)[:, :k], weights[None], axis=1)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("n", range(1, 40))
def test_every_network_sorts(n: int) -> None:
    """By the 0-1 principle for few elements, by random ones for more; comparators of a layer are
    apart, and what `needed` leaves out changes nothing."""
    rng = np.random.default_rng(n)
    rows = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1 if n <= 10 else rng.random((500, n))
    for needed in {1, (n + 1) // 2, n}:
        keys = rows.copy()
        for layer in network(n, needed):
            low, high = (list(side) for side in zip(*layer, strict=True))
            assert len({*low, *high}) == 2 * len(layer)
            first, second = keys[:, low].copy(), keys[:, high].copy()
            keys[:, low], keys[:, high] = np.minimum(first, second), np.maximum(first, second)
        np.testing.assert_array_equal(keys[:, :needed], np.sort(rows, axis=1)[:, :needed])


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
    assert {c.function for c in script.CASES} - {"topk"} <= composite  # part of a sort


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


ENDS = pytest.mark.parametrize("config", [script.SMALL, script.LARGE, Config(64, 20, 8)])


def _distant(config: Config, n: int, classes: int) -> np.ndarray:
    """Rows of logits at the two ends of the range, and near them."""
    (end,) = script.on_grid([np.inf], config)
    z = np.random.default_rng(classes).choice([-end, -0.5 * end, 0.0, 0.75 * end, end],
                                              (n, classes))  # fmt: skip
    z[0], z[0, 0], z[1] = -end, end, end
    return z


@ENDS
@pytest.mark.parametrize("classes", [2, 10, 40])
def test_log_softmax_beyond_the_range_is_its_end(config: Config, classes: int) -> None:
    """Twice the range lies between the logits: what does not fit is the end, to a few ones."""
    z = _distant(config, 16, classes)
    graph = expand.run(script.trace(BY_NAME["log_softmax"], [z.shape], config))
    y = reference.run(graph, {(0, "x0"): z}, checked=True).outputs["y"]
    truth, end = real_log_softmax(z, 1), 2.0 ** (config.k - 1 - config.f)
    fits = truth > -end + classes.bit_length()
    units = 2.0**-config.f * np.maximum(1.0, np.abs(truth))
    assert fits.any() and not fits.all() and (np.abs(y - truth)[fits] <= 1.4 * units[fits]).all()
    room = classes.bit_length() + 2 * 2.0**-config.f
    assert (y >= -end).all() and (y[~fits] <= -end + room).all()


@ENDS
def test_cross_entropy_of_distant_logits(config: Config) -> None:
    """Single rows may have a loss beyond the range if the mean does not."""
    z = _distant(config, 64, 4)
    y = np.eye(4)[np.where(np.arange(64) < 1, z.argmin(axis=1), z.argmax(axis=1))]
    case = replace(BY_NAME["cross_entropy"], parts=0)
    graph = expand.run(script.trace(case, [z.shape, y.shape], config))
    found = reference.run(graph, {(0, "x0"): z, (0, "x1"): y}, checked=True).outputs["y"]
    truth = -(y * real_log_softmax(z, 1)).sum() / len(z)
    assert np.abs(found - truth) <= 2 * 2.0**-config.f * truth


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


def _cells() -> dict[str, list[str]]:
    page = (ROOT / "docs" / "math.md").read_text("utf-8")
    rows = page.split(script.BEGIN)[1].split(script.END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].strip("`"): row for row in cells}


def test_the_page_lists_every_case() -> None:
    stated = {name: row[2] for name, row in _cells().items()}
    assert stated == {c.name: f"{c.bound:g}" if c.bound else "exact" for c in script.CASES}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_page_is_what_the_script_measures(name: str) -> None:
    """Rounds and bytes exactly; errors to what another version of NumPy's coins may change."""
    stated, made = _cells()[name], script.row(BY_NAME[name])
    hint = "python scripts/math_errors.py --write"
    assert stated[6:] == made[6:], hint
    for before, now in zip(stated[3:6], made[3:6], strict=True):
        numbers = [[float(v) for v in c.split(",") if c != "exact"] for c in (before, now)]
        assert np.allclose(*numbers, atol=0.2), hint


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script.draw(tmp_path / "plots.png")
    assert (tmp_path / "plots.png").read_bytes()[:4] == b"\x89PNG" and script.PLOTS.is_file()
