"""The mistakes an author can make, each told with its line and what to write instead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from lang_tools import result_of, traced, value

from sequester.compiler.ir.graph import Config
from sequester.compiler.lang import (
    Party,
    ProgramError,
    arange,
    cfix,
    cint,
    concat,
    cross_entropy,
    else_,
    grad,
    if_,
    loop,
    output,
    print_,
    sfix,
    shuffle,
    sint,
    state,
    where,
    while_,
)


def _stale(x: Any) -> None:
    t = x
    for _ in loop(3):
        t = t + 1.0


def _stale_number(x: Any) -> None:
    count = 0
    for _ in loop(3):
        count += 1
    print_("{}", cint(count))


def _escaped(x: Any) -> Any:
    for _ in loop(3):
        y = x + 1.0
    return y + 1.0


def _left_early(x: Any) -> None:
    for _ in loop(3):
        break


def _branch(x: Any) -> None:
    if x > 0:
        pass


def _assigned(x: Any) -> None:
    x[0] = 1.0


def _second_derivative(x: Any) -> Any:
    w = sfix(x)
    (g,) = grad((w * w).max(), [w])
    return grad((g * w).sum(), [w])


def _gradient_through_loop(x: Any) -> Any:
    w, h = state(1.0), state(0.0)
    for _ in loop(2):
        h.set(h + w * x.sum())
    return grad(h * h, [w])


def _overwritten(x: Any) -> Any:
    w = state(1.0)
    loss = (x.sum() * w) ** 2
    w.set(2.0)
    return grad(loss, [w])


def _unrelated(x: Any) -> Any:
    return grad((x * x).sum(), [state(1.0)])


MISTAKES: list[tuple[Any, str, str]] = [
    (_stale, "`t` is bound anew", "t = state"),
    (_stale_number, "`count` is bound anew", "count = state"),
    (_escaped, "used outside", "state"),
    (_left_early, "left by break", "while_"),
    (_branch, "secret value is used as a Python condition", "where"),
    (_assigned, "cannot be assigned", "concat"),
    (_second_derivative, "no derivative of reduce_max_grad", "not supported"),
    (_gradient_through_loop, "passes through the variable", "unroll"),
    (_overwritten, "overwritten", "first"),
    (_unrelated, "does not depend", "loss"),
    (lambda x: x @ np.ones((5, 2)), "4 columns meet 5 rows", ""),
    (lambda x: x + np.ones(3), "do not broadcast", "equal or 1"),
    (lambda x: x.reshape(3, 2), "does not reshape", ""),
    (lambda x: x[4], "index 4 of axis 0", ""),
    (lambda x: x[x.to(sint)], "a secret index", "where"),
    (lambda x: x[cfix(1.0)], "must be an integer", ""),
    (lambda x: x[0, 0], "2 indices", ""),
    (lambda x: x.sum(3), "axis 3", ""),
    (lambda x: x // 2.0, "// is for clear", "x / y"),
    (lambda x: x & 1, "& joins secret bits", "compare"),
    (lambda x: ~x, "`not` of a number", "compare"),
    (lambda x: where(x, x, 0.0), "condition of where", "where(x < y"),
    (lambda x: x / 0, "division by zero", ""),
    (lambda x: x**0.5, "integer exponent", "sqrt"),
    (lambda x: x + math.nan, "not a finite", ""),
    (lambda x: x + 1e9, "does not fit", ""),
    (lambda x: cfix(40000.0), "does not fit k = 31", "scale"),
    (lambda x: as_text(x), "is not a number", ""),
    (lambda x: x.to(cfix), "cannot become", "reveal"),
    (lambda x: print_("{}", x), "secret value cannot be printed", "reveal"),
    (lambda x: print_("{} {}", cint(1)), "more places", ""),
    (lambda x: print_("", cint(1)), "0 places for 1", ""),
    (lambda x: print_("{:x}", cint(1)), "the format", ""),
    (lambda x: print_("{:d}", cfix(1.0)), "the format", ""),
    (lambda x: loop(-1), "integer >= 0", "while_"),
    (lambda x: list(loop(3)), "not the iterable of a `for`", "for i in loop"),
    (lambda x: loop.batches(x, arange(3), batch=2), "rows do not go together", ""),
    (lambda x: loop.batches(x, batch=5), "batches of 5 of 4 rows", ""),
    (lambda x: loop.batches(x, batch=2, shuffle="private"), "shuffle='private'",
     'write "public", "secret" or "none"'),
    (lambda x: shuffle(x, sint([1, 2])), "shapes (4,), (2,) to be shuffled", "number of rows"),
    (lambda x: shuffle(x, arange(4)), "a shuffle of clear numbers", "permutation(n)"),
    (lambda x: shuffle(x[0]), "to be shuffled together", "number of rows"),
    (lambda x: while_(x > 0, max_trips=3), "function that computes", "lambda"),
    (lambda x: if_(x[0] > 0).__enter__(), "branch on a secret", "where"),
    (lambda x: if_(cint([1, 0])).__enter__(), "condition of shape", "reduce"),
    (lambda x: else_().__enter__(), "does not follow", ""),
    (lambda x: grad(x, [x]), "scalar", "mean()"),
    (lambda x: grad(x.sum(), [cfix(1.0)]), "a gradient for", "secret fixed-point"),
    (lambda x: cross_entropy(x, x), "logits are", ""),
    (lambda x: Party(0).input("0"), "is read twice", "keep"),
    (lambda x: Party(-1).input("z"), "no party -1", "count from 0"),
    (lambda x: Party(0).input("a b"), "no name", "letters"),
    (lambda x: (output("a", x), output("a", x)), "written twice", "own name"),
    (lambda x: state(0).set(x.sum()), "stored into the integer", "state(0.0)"),
    (lambda x: state(np.zeros(3)).set(x), "shape (4,) is stored", ""),
    (lambda x: concat([]), "no tensors", ""),
]  # fmt: skip


def as_text(x: Any) -> Any:
    return x + "one"


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_mistakes_are_told_with_line_and_hint(number: int) -> None:
    f, message, hint = MISTAKES[number]
    with pytest.raises(ProgramError) as caught:
        result_of(f, np.ones(4))
    error = caught.value
    assert message in error.message, error
    assert hint in error.hint, error
    assert error.loc is not None and error.loc.file == "test_lang_mistakes.py", error
    code = f.__code__
    lines = [line for _, _, line in code.co_lines() if line]
    assert f is as_text or min(lines) <= error.loc.line <= max(lines) or f.__name__ == "<lambda>"
    assert str(error).startswith(f"test_lang_mistakes.py:{error.loc.line}: ")


def test_tensor_code_outside_of_a_program() -> None:
    with pytest.raises(ProgramError, match="no program is being traced"):
        sfix(1.0)


def test_legitimate_rebinding_is_no_mistake() -> None:
    """Names that the body writes before it reads, and names left by an earlier loop."""

    def f(x: Any) -> Any:
        total, step = state(0.0), 0
        for j in range(2):
            step = j
        for _ in loop(2):
            y = x + 1.0
            for j in range(3):
                y = y * 1.0 + j
            total += y
        for _ in loop(2):
            y = x
            step = 5
            total += y * step
        return total

    assert value(f, np.array(1.0)) == 2 * (2.0 + 3) + 2 * 5


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config(ring_bits=32), "ring of 32"),
        (Config(k=48, f=16), "products need k + f + 1 = 65"),
        (Config(f=31), "f = 31"),
        (Config(rounding="up"), "unknown rounding"),
        (Config(stat=0), "statistical"),
    ],
)
def test_configurations_that_do_not_fit(config: Config, message: str) -> None:
    with pytest.raises(ProgramError, match=message.replace("+", r"\+")):
        traced(lambda x: x, 0.0, config=config)
