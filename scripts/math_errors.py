#!/usr/bin/env python3
"""Measure every function of `compiler/math` against float64 and write the table in docs/math.md.

    python scripts/math_errors.py            # print the table
    python scripts/math_errors.py --write    # and write it, and its plots, into docs

The cases below state each function's domain and error bound; tests/unit/test_math.py asserts them.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir import reference, special
from sequester.compiler.ir.graph import Config, Graph
from sequester.compiler.lang import Party, ProgramError, functions, output, program, stack
from sequester.compiler.passes import expand

Array = NDArray[Any]
PAGE = Path(__file__).resolve().parents[1] / "docs" / "math.md"
PLOTS = PAGE.with_name("math_errors.png")
BEGIN, END = "<!-- table -->", "<!-- end of table -->"

_PARTS = 64  # results of a mean
_EXP, _POOL = ("KellerSun2022",), ("MohasselRindal2018",)
_SORT = ("BogdanovLaurTalviste2014", "Batcher1968")
PAPERS: dict[str, tuple[str, ...]] = {
    "relu": _POOL, "maximum": _POOL, "max_pool2d": _POOL, "reduce_max": _POOL,
    "exp": _EXP, "exp2": _EXP, "sigmoid": _EXP, "tanh": _EXP, "softplus": _EXP,
    "softmax": _EXP, "log_softmax": _EXP, "cross_entropy": _EXP,
    "log": ("AlySmart2019",), "log2": ("AlySmart2019",),
    "reciprocal": ("CatrinaSaxena2010",), "div": ("CatrinaSaxena2010",),
    "sqrt": ("Lu2020",), "rsqrt": ("KellerSun2022", "Lu2020"),
    "erf": ("Trefethen2013",), "gelu": ("HendrycksGimpel2016", "Trefethen2013"),
    "sin": ("AlySmart2019",), "cos": ("AlySmart2019",),
    "sort": _SORT, "topk": _SORT, "argmax": _SORT[:1],
}  # fmt: skip

SMALL, LARGE = Config(), Config(ring_bits=128, k=63, f=32)


@dataclass(frozen=True)
class Case:
    """One function.

    Attributes:
        function: its name in `lang.functions`; `div` is the operator.
        domain: in words.
        sample: (config, number of points, coins) -> operands, edges of the domain among them.
        truth: the same function of float64 arrays.
        bound: in units of 2^-f max(1, |result|), probabilistic rounding.
        attrs: further arguments.
        parts: > 0: of so many parts of the sample's rows one result each, rather than one of all.
    """

    function: str
    domain: str
    sample: Callable[[Config, int, np.random.Generator], list[Array]]
    truth: Callable[..., Array]
    bound: float
    attrs: tuple[tuple[str, Any], ...] = ()
    parts: int = 0

    @property
    def papers(self) -> str:
        """Whose ideas it takes, as keys of the bibliography."""
        return ", ".join(f"[{key}]" for key in PAPERS[self.function])

    @property
    def name(self) -> str:
        """The function, and which form of it: no other case has the same."""
        return " ".join([self.function, *(v for _, v in self.attrs if isinstance(v, str))])


def on_grid(x: Array, c: Config) -> Array:
    """Rounded down to multiples of 2^-f within what k bits (and float64) hold: +-inf are the ends,
    +-(2^(k - 1 - f) - 2^-f)."""
    end = 2.0 ** (c.k - 1 - c.f) - 2.0 ** max(-c.f, c.k - 1 - c.f - 53)
    x = np.floor(np.asarray(x, dtype=np.float64) * 2.0**c.f) / 2.0**c.f
    return np.clip(x, -end, end)


def grid(low: float, high: float, c: Config, n: int) -> Array:
    """n points from low to high, and the places around zero."""
    edges = np.arange(-4, 5) * 2.0**-c.f
    inner = edges[(edges >= low) & (edges < high)]
    return on_grid(np.concatenate([np.linspace(low, high, n), inner]), c)


def positive(c: Config, n: int, least: float = 0.0) -> Array:
    """Every magnitude up to what k bits hold: n of them, and the neighbours of powers of two."""
    low, high = max(np.log2(least or 2.0**-c.f), -c.f), c.k - 1 - c.f
    spread = 2.0 ** np.linspace(low, high - 1e-6, n)
    powers = 2.0 ** np.arange(-c.f, high)
    near = [powers * 1.0, powers + 2.0**-c.f, powers - 2.0**-c.f]
    x = np.unique(on_grid(np.concatenate([spread, *near]), c))
    return x[(x > 0) & (x >= least)]


def _signed(c: Config, n: int, least: float) -> Array:
    x = positive(c, n, least)
    return np.concatenate([x, -x])


def anything(far: float, c: Config, n: int) -> Array:
    """`grid` from -far to far, and every magnitude up to the ends of what k bits hold, which are
    the first and the last."""
    ends = on_grid([-np.inf, np.inf], c)
    return np.concatenate([ends[:1], grid(-far, far, c, n), _signed(c, n // 8, 0.0), ends[1:]])


def _exp(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    top = (c.k - 1 - c.f) * np.log(2) - 2.0**-9
    return [np.concatenate([grid(-1.2 * c.f, top, c, n), on_grid([-np.inf], c)])]


def _small_root(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    return [positive(c, n, 4.0 ** -(c.k - 2 - c.f))]


def _angles(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    far = 2.0 ** min(c.k - 1 - c.f, c.ring_bits * 15 // 32 - c.f)
    far -= 2.0**-c.f
    turns = np.arange(-40, 41) * np.pi / 4
    x = np.concatenate([grid(-4 * np.pi, 4 * np.pi, c, n), turns, rng.uniform(-far, far, n)])
    return [np.concatenate([on_grid(x, c), np.array([-far, far])])]


def _exp2(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    top = c.k - 1 - c.f - 2.0**-9
    return [np.concatenate([grid(-1.2 * c.f, top, c, n), on_grid([-np.inf], c)])]


def _whole(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    return [anything(1.2 * c.f, c, n)]


def _images(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    x = rng.normal(size=(n // 16, 1, 4, 4))
    x[0, 0, :2, :2] = [[-np.inf, np.inf], [0.0, -np.inf]]
    x[0, 0, 2:, 2:] = -np.inf
    return [on_grid(x, c)]


def _div(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    b = _signed(c, n, 0.0)
    room = 2.0 ** (c.k - 1.01 - c.f)
    a = rng.uniform(-1, 1, b.shape) * np.minimum(1.0, np.abs(b)) * room
    return [on_grid(a, c), b]


def _rows(c: Config, n: int, rng: np.random.Generator, classes: int = 10) -> Array:
    x = rng.normal(size=(max(n // classes, 8), classes)) * rng.choice(
        [0.1, 2.0, 20.0], (1, classes)
    )
    x[0], x[1] = 0.0, 5.0
    x[2, :] = -np.inf
    x[2, 3] = np.inf
    return on_grid(x, c)


def _close_rows(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    """Results down to where the end of the range begins, by row 2 there."""
    x = _rows(c, n, rng)
    x[2] = on_grid(np.sign(x[2]) * (2.0 ** (c.k - 2 - c.f) - 2 - 2.0**-c.f), c)
    return [x]


def _log_softmax(z: Array) -> Array:
    d = z - z.max(axis=1, keepdims=True)
    return np.asarray(d - np.log(np.exp(d).sum(axis=1, keepdims=True)))


def _targets(c: Config, n: int, rng: np.random.Generator) -> list[Array]:
    """Four rows for each result, with losses from 0 to near the end of the range."""
    z = np.resize(_rows(c, n, rng)[3:], (4 * _PARTS, 10))
    z *= 2.0 ** rng.uniform(-4, c.k - 10 - c.f, (len(z), 1))
    return [on_grid(z, c), np.eye(10)[rng.integers(0, 10, len(z))]]


def _cross_entropy(z: Array, y: Array) -> Array:
    return np.asarray(-(y * _log_softmax(z)).sum() / len(z))


CASES: tuple[Case, ...] = (
    Case("relu", "all", lambda c, n, r: [anything(40, c, n)], lambda x: x.clip(0), 0.0),
    Case("maximum", "all", lambda c, n, r: [anything(40, c, n), anything(40, c, n)[::-1].copy()],
         np.maximum, 0.0),
    Case("max_pool2d", "all; 2 x 2", _images,
         lambda x: x.reshape(-1, 1, 2, 2, 2, 2).max(axis=(3, 5)), 0.0, (("kernel", 2),)),
    Case("reduce_max", "all; of 10", lambda c, n, r: [_rows(c, n, r)], lambda x: x.max(axis=1), 0.0,
         (("axis", 1),)),
    Case("exp", "x < (k - 1 - f) ln 2", _exp, np.exp, 1.4),
    Case("exp2", "x < k - 1 - f", _exp2, np.exp2, 1.4),
    Case("log", "x > 0", lambda c, n, r: [positive(c, n)], np.log, 1.3),
    Case("log2", "x > 0", lambda c, n, r: [positive(c, n)], np.log2, 1.3),
    Case("reciprocal", "abs(x) > 2^(f - k + 1)",
         lambda c, n, r: [_signed(c, n, 2.0 ** (c.f - c.k + 2))], lambda x: 1 / x, 1.2),
    Case("div", "b != 0, a/b in range", _div, lambda a, b: a / b, 3.1),
    Case("sqrt", "x >= 0", lambda c, n, r: [np.append(positive(c, n), 0.0)], np.sqrt, 1.3),
    Case("rsqrt", "x > 0, result in range", _small_root, lambda x: 1 / np.sqrt(x), 1.2),
    Case("sigmoid", "all", _whole, lambda x: 1 / (1 + np.exp(-x)), 1.2),
    Case("tanh", "all", _whole, np.tanh, 1.3),
    Case("softplus", "all", _whole, special.softplus, 1.3),
    Case("erf", "all", _whole, special.erf, 1.6),
    Case("gelu", "all", _whole, lambda x: special.gelu(x, "none"), 1.6),
    Case("gelu", "all", _whole, lambda x: special.gelu(x, "tanh"), 1.6, (("approximate", "tanh"),)),
    Case("sin", "abs(x) < 2^14 (f = 16), 2^28 (f = 32)", _angles, np.sin, 1.4),
    Case("cos", "the same", _angles, np.cos, 1.4),
    Case("sort", "all; of 10", lambda c, n, r: [_rows(c, n, r)], lambda x: np.sort(x, axis=1), 0.0,
         (("axis", 1),)),
    Case("topk", "all; 3 of 10", lambda c, n, r: [_rows(c, n, r)],
         lambda x: -np.sort(-x, axis=1)[:, :3], 0.0, (("k", 3), ("axis", 1))),
    Case("argmax", "all; of 10", lambda c, n, r: [_rows(c, n, r)], lambda x: x.argmax(axis=1), 0.0,
         (("axis", 1),)),
    Case("softmax", "all; of 10", lambda c, n, r: [_rows(c, n, r)],
         lambda z: np.exp(_log_softmax(z)), 1.2, (("axis", 1),)),
    Case("log_softmax", "all; of 10; results below 4 - 2^(k - 1 - f) are at most that",
         _close_rows, _log_softmax, 1.4, (("axis", 1),)),
    Case("cross_entropy", "one-hot targets, result below 2^(k - 5 - f); of 10", _targets,
         _cross_entropy, 2.0, parts=_PARTS),
)  # fmt: skip


def parted(case: Case, function: Callable[..., Any], join: Callable[..., Any]) -> Any:
    """The function, or one that joins its results for the parts of the operands' rows."""

    def each(*xs: Any) -> Any:
        rows = len(xs[0]) // case.parts
        return join([function(*(x[i * rows : (i + 1) * rows] for x in xs))
                     for i in range(case.parts)])  # fmt: skip

    return each if case.parts else function


def trace(case: Case | None, shapes: Sequence[tuple[int, ...]], config: Config) -> Graph:
    """The graph of one function of inputs 0:x0, 0:x1, …; without a case of the inputs alone."""

    @program
    def main() -> None:
        xs = [Party(0).input(f"x{i}") for i in range(len(shapes))]
        y: Any = xs[0]
        if case:
            function = getattr(functions, case.function, operator.truediv)
            y = parted(case, partial(function, **dict(case.attrs)), stack)(*xs)
        output("y", y[0] if isinstance(y, tuple) else y)

    return main.trace(config, shapes={(0, f"x{i}"): s for i, s in enumerate(shapes)})


def errors(case: Case, config: Config, n: int, seed: int = 0) -> Array:
    """Errors at every point of the sample, in units of 2^-f max(1, |result|), ranges checked."""
    rng = np.random.default_rng(seed)
    xs = case.sample(config, n, rng)
    graph = expand.run(trace(case, [x.shape for x in xs], config))
    inputs = {(0, f"x{i}"): x for i, x in enumerate(xs)}
    y = reference.run(graph, inputs, rng=rng, checked=True).outputs["y"]
    with np.errstate(over="ignore"):
        truth = parted(case, case.truth, np.stack)(*xs)
    return np.abs(y - truth) * 2.0**config.f / np.maximum(1.0, np.abs(truth))


def cost(case: Case, config: Config) -> tuple[int, float]:
    """Rounds under rep3, and bytes over all parties for each element of the first operand."""
    xs = case.sample(config, 12288, np.random.default_rng(0))
    case = replace(case, parts=0)
    shapes = [x.shape for x in xs]
    rounds, sent = [], []
    for which in (case, None):
        report = compile_graph(trace(which, shapes, config), Options()).costs
        assert report is not None
        rounds.append(report.rounds)
        sent.append(sum(map(sum, report.sent)))
    return rounds[0] - rounds[1], (sent[0] - sent[1]) / xs[0].size


def row(case: Case) -> list[str]:
    """The cells of a function's line in the table."""
    cells = []
    for config, n in ((SMALL, 1 << 17), (LARGE, 2000)):
        e = errors(case, config, n)
        cells.append("exact" if not e.any() else f"{e.max():.2f}, {e.mean():.2f}")
    e = errors(case, replace(SMALL, rounding="nearest"), 1 << 14)
    nearest = "exact" if not e.any() else f"{e.max():.2f}, {e.mean():.2f}"
    rounds, size = cost(case, SMALL)
    bound = f"{case.bound:g}" if case.bound else "exact"
    return [f"`{case.name}`", case.domain, bound, *cells, nearest, str(rounds), f"{size:.0f}",
            case.papers]  # fmt: skip


def table() -> str:
    """The Markdown table."""
    heads = ["function", "domain", "bound", "f = 16", "f = 32", "nearest", "rounds", "bytes",
             "after"]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(row(case))} |" for case in CASES]
    return "\n".join(lines)


def draw(path: Path) -> None:
    """Plots of the errors at f = 16 over the domain of every function of one number."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    alone = [c for c in CASES if c.bound and "axis" not in dict(c.attrs)]
    cases = [c for c in alone if len(c.sample(SMALL, 64, np.random.default_rng(0))) == 1]
    columns = 3
    figure, axes = pyplot.subplots(
        -(-len(cases) // columns), columns, figsize=(12, 2.2 * -(-len(cases) // columns))
    )
    for case, axis in zip(cases, axes.flat, strict=False):
        x = case.sample(SMALL, 4000, np.random.default_rng(0))[0]
        axis.plot(x, errors(case, SMALL, 4000), ",")
        axis.axhline(case.bound, color="tab:red", linewidth=0.8)
        axis.set_xscale("symlog", linthresh=2.0**-4)
        axis.set_ylim(0, case.bound * 1.1)
        axis.set_title(case.name, fontsize=9)
    for axis in list(axes.flat)[len(cases) :]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})


def main() -> None:
    made = table()
    if "--write" not in sys.argv:
        print(made)
        return
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.split(END)[1]}", "utf-8")
    draw(PLOTS)


if __name__ == "__main__":
    try:
        main()
    except ProgramError as error:
        sys.exit(f"math_errors: {error}")
