"""Tracing and running small functions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Config, Graph
from sequester.compiler.ir.verifier import verify
from sequester.compiler.lang import Operators, Party, output, program, sfix, sint
from sequester.compiler.passes import autodiff, expand

NEAREST = Config(rounding="nearest")
WIDE = Config(ring_bits=128, k=63, f=32, rounding="nearest")


def traced(f: Callable[..., Any], *arrays: Any, config: Config = NEAREST) -> tuple[Graph, dict]:
    """The graph of f on inputs (float arrays: sfix, integer arrays: sint), and the inputs.

    f returns a tensor, several, or None; they become outputs 0, 1, ...
    """
    values = [np.asarray(a) for a in arrays]

    @program
    def main() -> None:
        parts = [
            Party(0).input(str(i), sfix if v.dtype.kind == "f" else sint)
            for i, v in enumerate(values)
        ]
        results = f(*parts)
        results = (results,) if isinstance(results, Operators) else results or ()
        for i, result in enumerate(results):
            output(str(i), result)

    inputs = {(0, str(i)): v for i, v in enumerate(values)}
    graph = main.trace(config, {key: v.shape for key, v in inputs.items()})
    verify(graph)
    return graph, inputs


def result_of(
    f: Callable[..., Any],
    *arrays: Any,
    mode: reference.Mode = "exact",
    config: Config = NEAREST,
    lowered: bool = False,
) -> reference.Result:
    """Trace, differentiate, perhaps expand, and run."""
    graph, inputs = traced(f, *arrays, config=config)
    graph = verify(autodiff.run(graph))
    if lowered:
        graph = verify(expand.run(graph))
    rng = np.random.default_rng(1)
    return reference.run(graph, inputs, mode=mode, rng=rng, checked=mode == "exact")


def outputs(f: Callable[..., Any], *arrays: Any, **options: Any) -> list[np.ndarray]:
    """The results of f, in order."""
    return list(result_of(f, *arrays, **options).outputs.values())


def value(f: Callable[..., Any], *arrays: Any, **options: Any) -> np.ndarray:
    """The only result of f."""
    (result,) = outputs(f, *arrays, **options)
    return result
