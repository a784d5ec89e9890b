"""`sequester check`: what the numbers of a program need, found by running it on sample data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir.graph import Config, Graph, Node
from sequester.compiler.ir.observe import Fault, Lockstep, Overflow, Stats, Watcher, steps
from sequester.compiler.ir.reference import ExecutionError, Result
from sequester.compiler.lang.errors import ProgramError
from sequester.compiler.passes import autodiff
from sequester.vm import data, runs
from sequester.vm.errors import ConfigError

from . import source
from .source import Flags

Array = data.Array
Key = tuple[int, str]
# Share of a gradient's magnitude that may fall below half a unit: nearest rounding loses it,
# probabilistic rounding keeps it on average and only adds noise.
_TOLERATED = {"nearest": 0.01, "probabilistic": 0.1}
_NOISE = 1e-9  # of the largest gradient: what float leaves of gradients that are 0
_LEAST = 8  # fractional bits that are worth a proposal
_ROOM = 12  # of k - f, what functions such as exp want
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Samples:
    """Sample data: at most `rows` rows of each given input; what is not given is uniform in
    [`low`, `high`) or, of integers, in 0 .. `labels` - 1."""

    rows: int = 256
    low: float = 0.0
    high: float = 1.0
    labels: int = 10
    seed: int = 0


# What is being done, and in how many steps; gives the function to call after each of them.
Progress = Callable[[str, int], Callable[[], None]]


@dataclass(frozen=True)
class Row:
    """A layer or a line, values or gradients. `bits` before and after the point that the largest
    value takes of k - 1, `headroom` what is left; `error` (the mean) and `worst` in units of 2^-f;
    `lost` the share of the magnitude that became 0, of the operation that lost most."""

    name: str
    gradient: bool
    elements: int
    largest: float
    bits: int
    headroom: int
    error: float
    worst: float
    lost: float


@dataclass(frozen=True)
class Difference:
    """A printed line or an output, on the ring and on real numbers. `error` is the largest
    difference, `relative` that to the largest number of it."""

    name: str
    exact: str
    real: str
    error: float
    relative: float


@dataclass(frozen=True)
class Findings:
    """What a check found with one precision."""

    config: Config
    layers: list[Row]
    lines: list[Row]
    overflows: list[Overflow]
    faults: list[Fault]
    differences: list[Difference]
    wanted: Config | None
    finite: bool

    @property
    def relative(self) -> float:
        """The largest relative error of what the program gives out."""
        return max((d.relative for d in self.differences), default=0.0)


def check(path: Path, flags: Flags, samples: Samples, progress: Progress) -> Findings:
    """Run the program at `path` on samples, on the ring and on real numbers.

    Raises ProgramError (the author's, also a run that cannot go on, such as an index out of range),
    ConfigError (inputs).
    """
    program = source.load(path)
    sources = data.parse_inputs(flags.inputs)
    shapes = {key: _cut(found.shape, samples.rows) for key, found in sources.items()}
    shapes |= {key: _cut(s, samples.rows) for key, s in data.parse_shapes(flags.shapes).items()}
    options = source.parse_options(program, flags.words)
    off = frozenset(flags.without)

    def trace(config: Config) -> Graph:
        return source.traced(path, program, config, shapes, options)

    def compiled(config: Config) -> Graph:
        return compile_graph(trace(config), Options(off=off, protocol=None)).graph

    def fits(config: Config) -> bool:
        try:
            compiled(config)
        except ProgramError:
            return False
        return True

    config = flags.config("emulate")
    graph = trace(config)
    inputs = _inputs(graph, sources, samples)
    try:
        pair, real = _beside_float(graph, inputs, samples, progress)
        whole, exact = _as_compiled(compiled(config), inputs, samples, progress)
    except ExecutionError as e:
        raise ProgramError(str(e)) from None
    return Findings(
        config=config,
        layers=_rows(pair, lambda node: node.loc.scope or "(program)"),
        lines=_rows(pair, lambda node: str(node.loc)),
        overflows=list({**pair.exact.overflows, **whole.overflows}.values()),
        faults=list(pair.faults.values()),
        differences=_differences(exact, real),
        wanted=_wanted(pair, fits),
        finite=all(math.isfinite(s.largest) for s in pair.stats.values()),
    )


def proposed(
    path: Path, flags: Flags, samples: Samples, wanted: Config, progress: Progress
) -> Findings:
    """The same with the precision that a check found wanting."""
    return check(path, _with(flags, wanted), samples, progress)


def _with(flags: Flags, c: Config) -> Flags:
    return Flags(**{**vars(flags), "ring": str(c.ring_bits), "f": c.f, "k": c.k})


def _cut(shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
    return (min(shape[0], rows), *shape[1:]) if shape else shape


def _inputs(graph: Graph, sources: Mapping[Key, data.Source], samples: Samples) -> dict[Key, Array]:
    """Arrays for all inputs of a program: the first rows of what is given, else made up."""
    rng = np.random.default_rng(samples.seed)
    found: dict[Key, Array] = {}
    for i in graph.inputs:
        key, shape = (i.party, i.name), i.type.shape
        if key not in sources:
            uniform = rng.uniform(samples.low, samples.high, shape)
            found[key] = uniform if i.type.f else rng.integers(0, samples.labels, shape)
            continue
        given = sources[key]
        if given.shape[1:] != shape[1:] or len(given.shape) != len(shape):
            raise ConfigError(f"{given.path}: has shape {given.shape}, the program wants {shape}")
        found[key] = given.read()[: shape[0]] if shape else given.read()
        if shape and len(found[key]) < shape[0]:
            raise ConfigError(f"{given.path}: has {given.shape[0]} rows, the program wants {shape}")
    return found


def _beside_float(
    graph: Graph, inputs: Mapping[Key, Array], samples: Samples, progress: Progress
) -> tuple[Lockstep, Result]:
    """What every node needs, gradients expanded but functions whole; results on real numbers."""
    c, last = graph.config, max((node.id for node in graph.walk()), default=0)
    graph = autodiff.run(graph)
    pair = Lockstep(
        graph,
        inputs,
        public_seed=runs.public_seed(samples.seed),
        rng=np.random.default_rng(samples.seed),
        last_traced=last,
        tick=progress(f"f = {c.f}, k = {c.k}: beside float", steps(graph)),
    )
    return pair, pair.run()[1]


def _as_compiled(
    graph: Graph, inputs: Mapping[Key, Array], samples: Samples, progress: Progress
) -> tuple[Watcher, Result]:
    """What overflows after all passes, so within functions too; results on the ring."""
    c = graph.config
    whole = Watcher(
        graph,
        inputs,
        public_seed=runs.public_seed(samples.seed),
        rng=np.random.default_rng(samples.seed),
        tick=progress(f"f = {c.f}, k = {c.k}: as compiled", steps(graph)),
    )
    return whole, whole.run()


def _noise(pair: Lockstep) -> float:
    """Gradients up to here are 0 but for float's rounding, such as a bias's before a batch norm."""
    seen = pair.gradients & pair.stats.keys()
    return _NOISE * max((pair.stats[node].largest for node in seen), default=0.0)


def _rows(pair: Lockstep, name: Callable[[Node], str]) -> list[Row]:
    """The nodes that have a name in common, values and gradients apart, in their order."""
    groups: dict[tuple[str, bool], list[Stats]] = {}
    for node, stats in pair.stats.items():
        groups.setdefault((name(node), node in pair.gradients), []).append(stats)
    c, noise = pair.graph.config, _noise(pair)
    rows = []
    for (text, gradient), group in groups.items():
        bits = max(s.whole_bits() for s in group) + c.f
        rows.append(
            Row(
                name=text,
                gradient=gradient,
                elements=sum(s.elements for s in group),
                largest=max(s.largest for s in group),
                bits=bits,
                headroom=c.k - 1 - bits,
                error=sum(s.drift for s in group) / sum(s.elements for s in group) * 2.0**c.f,
                worst=max(s.error for s in group) * 2.0**c.f,
                lost=max((s.lost_share() for s in group if s.largest > noise), default=0.0),
            )
        )
    return rows


def _differences(exact: Result, real: Result) -> list[Difference]:
    found = []
    for a, b in zip(exact.lines, real.lines, strict=False):
        numbers = [np.array([float(x) for x in _NUMBER.findall(line)]) for line in (a, b)]
        if numbers[0].size and numbers[0].shape == numbers[1].shape:
            found.append(_difference("printed", a, b, *numbers))
    for name, value in exact.outputs.items():
        found.append(_difference(name, "", "", value, real.outputs[name]))
    return found


def _difference(name: str, a: str, b: str, exact: Array, real: Array) -> Difference:
    error = float(np.abs(exact - real).max()) if exact.size else 0.0
    largest = float(np.abs(real).max()) if real.size else 0.0
    return Difference(name, a, b, error, error / largest if largest else float(error > 0))


def _wanted(pair: Lockstep, fits: Callable[[Config], bool]) -> Config | None:
    """The least f, from the present one on, that keeps the gradients, and k with a bit to spare;
    the present ones if they are enough. The program compiles with them. In the largest ring
    whatever fits; None: nothing does."""
    c, noise = pair.graph.config, _noise(pair)
    whole = max((s.whole_bits() for s in pair.stats.values()), default=0) + 1
    kept = (
        _fraction_bits(s, _TOLERATED[c.rounding])
        for node, s in pair.stats.items()
        if node in pair.gradients and s.largest > noise
    )
    needed = max(kept, default=0)
    if needed <= c.f and c.f + whole <= c.k - 1:
        return c
    for ring, f, k in ((64, 16, 31), (128, 32, 63)):
        f = max(f, needed, c.f)
        for room in (whole + 1, max(whole + 1, _ROOM)):
            least = Config(ring, max(k, f + room), f, c.stat, c.rounding)
            if ring >= c.ring_bits and fits(least):
                return least
    f = (128 - 2 - whole) // 2
    last = Config(128, f + whole + 1, f, c.stat, c.rounding)
    return last if f >= _LEAST and fits(last) else None


def _fraction_bits(s: Stats, tolerated: float) -> int:
    """Fractional bits with which at most such a share is below half a unit."""
    return next((f for f in range(64) if s.below(f) <= tolerated), 64)
