"""The compiler's pipeline: every pass by name, in order, with what each of them gained."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .cost import masking
from .cost.report import MissingParty, Report, report
from .ir.graph import Graph
from .ir.verifier import verify
from .isa.codec import encode
from .isa.program import Program
from .passes import (
    algebra,
    autodiff,
    coalesce,
    codegen,
    cse,
    dce,
    emit,
    expand,
    fold,
    fuse,
    keep,
    regalloc,
    rewrite,
    schedule,
)
from .passes.lir import Code, count

GraphPass = Callable[[Graph], Graph]

GRAPH_PASSES: tuple[tuple[str, GraphPass], ...] = (
    ("fold", fold.run),
    ("cse", cse.run),
    ("dce", dce.run),
    ("algebra", algebra.run),
    ("autodiff", autodiff.run),
    ("expand", expand.run),
    ("fold", fold.run),
    ("cse", cse.run),
    ("algebra", algebra.run),
    ("dce", dce.run),
    ("fuse", fuse.run),
    ("dce", dce.run),
)
CODE_PASSES: tuple[tuple[str, Callable[[Code], Code]], ...] = (
    ("keep", keep.run),
    ("coalesce", coalesce.run),
)
# What can be left out: passes, and the two halves of `schedule`.
OPTIONAL = (
    "fold", "cse", "dce", "algebra", "fuse", "keep", "coalesce", "merge_rounds", "overlap",
    "regalloc",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How to compile.

    off: names of passes to leave out (of OPTIONAL). protocol: whose costs to predict; None for
    none. checked: ask `emulate` for range checks. explain: measure instructions, rounds and
    registers after every pass too (slower).
    """

    off: frozenset[str] = frozenset()
    protocol: str | None = "rep3"
    checked: bool = False
    explain: bool = False

    def __post_init__(self) -> None:
        unknown = self.off - set(OPTIONAL)
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ValueError(f"cannot switch off {names}: optional are {', '.join(OPTIONAL)}")


@dataclass(frozen=True)
class PassResult:
    """The program after a pass; None: not measured (explain off), or not known yet.

    Before `schedule`, machines are taken to join where they start.
    """

    name: str
    seconds: float
    nodes: int
    instructions: int | None = None
    rounds: int | None = None
    registers: dict[str, int] | None = None


@dataclass(frozen=True)
class Compiled:
    """The outcome: the file, its program, its costs, what each pass did, and peak registers.

    `registers`: size of each register file, in elements, 64-bit words for file b.
    """

    data: bytes
    program: Program
    graph: Graph
    costs: Report | None
    passes: list[PassResult]
    registers: dict[str, int]


@dataclass
class _Log:
    """Times passes and, if wanted, measures what the back end makes of the graph after each."""

    options: Options
    rows: list[PassResult] = field(default_factory=list)
    expanded: bool = False

    def graph(self, name: str, run: GraphPass, graph: Graph) -> Graph:
        began = time.perf_counter()
        graph = run(graph)
        seconds = time.perf_counter() - began
        self.expanded |= name == "expand"
        verify(graph)
        nodes = sum(1 for _ in graph.walk())
        if self.options.explain and self.expanded:
            self.code(name, seconds, nodes, codegen.run(graph))
        else:
            self.rows.append(PassResult(name, seconds, nodes))
        return graph

    def code(self, name: str, seconds: float, nodes: int, code: Code) -> None:
        if not self.options.explain:
            self.rows.append(PassResult(name, seconds, nodes, count(code)))
            return
        if name != "schedule":
            code = schedule.run(copy.deepcopy(code), merge_rounds=False, overlap=False)
        allocation = _allocate(code, self.options)
        program = emit.run(code, allocation)
        costs = _costs(program, self.options)
        rounds = costs.rounds if costs else None
        size = allocation.size
        self.rows.append(PassResult(name, seconds, nodes, len(program.code), rounds, size))


def compile_graph(graph: Graph, options: Options | None = None) -> Compiled:
    """Compile a traced graph, which is left as it is.

    Raises ProgramError for what cannot be compiled (with the author's line), VerifierError for a
    broken graph.
    """
    options = options or Options()
    log = _Log(options)
    graph = rewrite.copy(verify(graph))
    for name, run in GRAPH_PASSES:
        if name not in options.off:
            graph = log.graph(name, run, graph)
    return _back_end(graph, options, log)


def _back_end(graph: Graph, options: Options, log: _Log) -> Compiled:
    nodes = sum(1 for _ in graph.walk())
    clock = _Clock()
    code = codegen.run(graph)
    log.code("codegen", clock(), nodes, code)
    for name, run in CODE_PASSES:
        if name not in options.off:
            clock()
            code = run(code)
            log.code(name, clock(), nodes, code)
    clock()
    code = schedule.run(
        code, merge_rounds="merge_rounds" not in options.off, overlap="overlap" not in options.off
    )
    log.code("schedule", clock(), nodes, code)
    clock()
    allocation = _allocate(code, options)
    program = emit.run(code, allocation, checked=options.checked)
    program = masking.with_parameter(program, code.config.stat)
    data = encode(program)
    costs = _costs(program, options)
    rounds = costs.rounds if costs else None
    log.rows.append(
        PassResult("regalloc", clock(), nodes, len(program.code), rounds, allocation.size)
    )
    return Compiled(data, program, graph, costs, log.rows, allocation.size)


def _allocate(code: Code, options: Options) -> regalloc.Allocation:
    return regalloc.run(code, reuse="regalloc" not in options.off)


def _costs(program: Program, options: Options) -> Report | None:
    """None, too, where the program has more parties: it may be for another protocol."""
    with contextlib.suppress(MissingParty):
        return report(program, options.protocol) if options.protocol else None
    return None


class _Clock:
    """Seconds since the last call."""

    def __init__(self) -> None:
        self.last = time.perf_counter()

    def __call__(self) -> float:
        now = time.perf_counter()
        self.last, spent = now, now - self.last
        return spent
