"""The language against NumPy, and the mistakes an author can make."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lang_tools import NEAREST, WIDE, outputs, result_of, traced, value

from sequester.compiler.ir.graph import Config
from sequester.compiler.lang import (
    Party,
    ProgramError,
    arange,
    bit_values,
    cfix,
    cint,
    compose,
    concat,
    cross_entropy,
    else_,
    full,
    grad,
    if_,
    join_planes,
    loop,
    maximum,
    minimum,
    ones,
    output,
    permutation,
    print_,
    program,
    random_bits,
    relu,
    sbit,
    select,
    sfix,
    sint,
    stack,
    state,
    uniform,
    where,
    while_,
    zeros,
)

few = settings(max_examples=60, deadline=None)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)
numbers = st.integers(-(2**18), 2**18).map(lambda n: n / 2**10)


def arrays(shape: Any) -> Any:
    return hnp.arrays(np.float64, shape, elements=numbers)


# --- shapes --------------------------------------------------------------------------------------


@few
@given(st.data())
def test_indexing_is_numpys(data: st.DataObject) -> None:
    x = data.draw(arrays(hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)))
    key = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True))
    if np.asarray(x[key]).ndim > 6:
        return
    np.testing.assert_array_equal(value(lambda t: t[key], x), x[key])


@few
@given(st.data())
def test_rows_by_clear_indices(data: st.DataObject) -> None:
    x = data.draw(arrays(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    axis = data.draw(st.integers(0, x.ndim - 1))
    index = data.draw(hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=2, max_side=3),
                                 elements=st.integers(0, x.shape[axis] - 1)))  # fmt: skip
    key = (slice(None),) * axis + (index,)
    np.testing.assert_array_equal(value(lambda t: t[key], x), x[key])
    np.testing.assert_array_equal(
        value(lambda t: t[(slice(None),) * axis + (cint(index),)], x), x[key]
    )


@few
@given(st.data())
def test_broadcasting_is_numpys(data: st.DataObject) -> None:
    pair = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4))
    a, b = (data.draw(arrays(s)) for s in pair.input_shapes)
    found = outputs(lambda x, y: (x + y, x - y, where(x < y, x, y), (x == y).to(sint)), a, b)
    for got, want in zip(found, (a + b, a - b, np.minimum(a, b), a == b), strict=True):
        np.testing.assert_array_equal(got, np.broadcast_to(want, pair.result_shape))


@few
@given(st.data())
def test_reshape_permute_sum(data: st.DataObject) -> None:
    x = data.draw(arrays(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)))
    axes = data.draw(st.permutations(range(x.ndim)))
    over = tuple(data.draw(st.sets(st.integers(0, x.ndim - 1))))
    found = outputs(
        lambda t: (t.permute(axes), t.T, t.reshape(-1), t.sum(over), t.sum(0, keepdims=True)), x
    )
    wanted = (
        x.transpose(axes), x.T, x.reshape(-1), x.sum(over) if over else x, x.sum(0, keepdims=True)
    )  # fmt: skip
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_joining() -> None:
    a, b = np.arange(6.0).reshape(2, 3), -np.arange(6.0).reshape(2, 3)
    found = outputs(
        lambda x, y: (concat([x, y]), concat([x, y, [[1.0], [2.0]]], axis=1), stack([x, y], -1)),
        a,
        b,
    )
    np.testing.assert_array_equal(found[0], np.concatenate([a, b]))
    np.testing.assert_array_equal(found[1], np.concatenate([a, b, [[1.0], [2.0]]], 1))
    np.testing.assert_array_equal(found[2], np.stack([a, b], -1))


def test_iteration_and_transposition() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(value(lambda t: sum(t), x), x.sum(0))
    np.testing.assert_array_equal(value(lambda t: t.transpose(0, 2), x), x.transpose(2, 1, 0))
    np.testing.assert_array_equal(value(lambda t: t.flatten(1), x), x.reshape(2, 12))
    assert value(lambda t: cint(len(t)), x) == 2


# --- arithmetic ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [NEAREST, WIDE], ids=["64", "128"])
@few
@given(data=st.data())
def test_products(config: Config, data: st.DataObject) -> None:
    shape = data.draw(shapes)
    small = st.integers(-(2**15), 2**15).map(lambda n: n / 2**10)
    a, b = (data.draw(hnp.arrays(np.float64, shape, elements=small)) for _ in range(2))
    found = outputs(lambda x, y: (x * y, x * 3, x * -0.5, (x * y).sum(), x / 3.0),
                    a, b, config=config)  # fmt: skip
    unit = 2.0**-config.f
    wanted = (a * b, a * 3, a * -0.5, (a * b).sum(), a / 3.0)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=unit, atol=unit)


@few
@given(st.data())
def test_matrix_products(data: st.DataObject) -> None:
    n, m, k = (data.draw(st.integers(1, 4)) for _ in range(3))
    small = st.integers(-(2**12), 2**12).map(lambda v: v / 2**8)
    a = data.draw(hnp.arrays(np.float64, (n, m), elements=small))
    b = data.draw(hnp.arrays(np.float64, (m, k), elements=small))
    found = outputs(lambda x, y: (x @ y, y.T @ x.T, x[0] @ y, x @ y[:, 0], x[0] @ y[:, 0]), a, b)
    wanted = (a @ b, b.T @ a.T, a[0] @ b, a @ b[:, 0], a[0] @ b[:, 0])
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=2.0**-17 + 1e-12)


def test_small_public_factors_keep_their_precision() -> None:
    """0.01 / 128 is 5.12 units of 2^-16; multiplied in as 5 units the result were 2 % off."""
    x = np.array([1000.0, -3000.0, 17.5])
    got = value(lambda t: t * (0.01 / 128), x)
    np.testing.assert_allclose(got, x * (0.01 / 128), atol=2.0**-17)
    got = value(lambda t: (t * t) * (0.01 / 128), x / 100)
    np.testing.assert_allclose(got, x**2 / 1e4 * (0.01 / 128), atol=2.0**-17 + 1e-7)


def test_chained_factors_round_once() -> None:
    graph, _ = traced(lambda t: (t * t).sum() * 0.25 * 0.1, np.ones(4))
    assert sum(n.op == "trunc" for n in graph.walk()) == 1


def test_a_product_is_rounded_once_for_all_its_uses() -> None:
    def f(a: Any) -> Any:
        p = a * a
        return p + 1, p[0] * p[1], relu(p)

    graph, _ = traced(f, np.ones(4))
    products = [n for n in graph.walk() if n.op == "mul" and n.t.shape == (4,)]
    assert [sum(x.op == "trunc" and x.inputs[0] is p for x in graph.walk()) for p in products] == [
        1
    ]


def test_bounds_leave_room_for_factors() -> None:
    """An update u = 0.9 u + g with one truncation, as an optimiser makes it."""

    def f(x: Any, u: Any) -> Any:
        loss = ((x * x).sum()) * (1 / 128)
        (g,) = grad(loss, [x], factor=0.01, bound=8.0)
        return u.bounded(8.0) * 0.9 + g

    x, u = np.array([3.0, -100.0]), np.array([0.5, -0.25])
    for config in (NEAREST, WIDE):
        got = value(f, x, u, config=config)
        np.testing.assert_allclose(got, 0.9 * u + 0.01 * 2 * x / 128, atol=2.0**-16)
    graph, _ = traced(f, x, u)
    end = next(n for n in graph.walk() if n.op == "output").inputs[0]
    assert end.op == "trunc" and end.inputs[0].op == "add"
    assert "trunc" not in {n.op for n in end.inputs[0].inputs}


def test_divisions() -> None:
    x, y = np.array([1.0, -7.0, 100.0]), np.array([3.0, 2.0, -8.0])
    found = outputs(
        lambda a, b: (a / b, a / 7, 1 / b, a / cint(7), a / cfix([0.5, 3.0, 7.0])), x, y
    )
    wanted = (x / y, x / 7, 1 / y, x / 7, x / np.array([0.5, 3.0, 7.0]))
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=2.0**-14)


def test_division_by_a_loop_index_is_accurate() -> None:
    def f(a: Any) -> Any:
        total = state(0.0)
        for i in loop(5):
            total += a / (i + 1)
        return total

    harmonic = sum(1 / (i + 1) for i in range(5))
    assert value(f, np.array(1000.0)) == pytest.approx(1000 * harmonic, abs=5 * 2.0**-16 + 1e-4)


def test_clear_arithmetic() -> None:
    def f(a: Any) -> Any:
        n, r = cint([7, -7, 9]), cfix([1.0, -2.0, 0.5])
        return (n // 2, n % 4, n * 3 - 1, r / 4, (r < 0), n == 9, (r > 0) & (n > 0), abs(r), r * r)

    n, r = np.array([7, -7, 9]), np.array([1.0, -2.0, 0.5])
    wanted = (n // 2, n % 4, n * 3 - 1, r / 4, r < 0, n == 9, (r > 0) & (n > 0), abs(r), r * r)
    for mode in ("exact", "float"):
        for got, want in zip(outputs(f, 0.0, mode=mode), wanted, strict=True):
            np.testing.assert_allclose(got, want, atol=2.0**-16)


def test_integers_and_fixed_point_mix() -> None:
    n, x = np.array([3, -2]), np.array([0.5, 1.25])
    found = outputs(
        lambda i, t: (i + t, i * t, i * 0.5, i + 0.5, i * 3, i.mean(), t.to(sint)), n, x
    )
    for got, want in zip(
        found, (n + x, n * x, n * 0.5, n + 0.5, n * 3, n.mean(), [1, 1]), strict=True
    ):
        np.testing.assert_allclose(got, want, atol=2.0**-16)


def test_powers_and_absolute_values() -> None:
    x = np.array([1.5, -2.0, 0.0])
    found = outputs(lambda t: (t**1, t**2, t**5, abs(t), -t), x)
    for got, want in zip(found, (x, x**2, x**5, abs(x), -x), strict=True):
        np.testing.assert_allclose(got, want, atol=2.0**-12)


# --- bits and choices ----------------------------------------------------------------------------


@few
@given(arrays((5,)), arrays((5,)))
def test_comparisons_and_bits(a: np.ndarray, b: np.ndarray) -> None:
    def f(x: Any, y: Any) -> Any:
        p, q = x < y, y > 0
        bits = (p, x <= y, x > y, x >= y, x == y, x != y, p & q, p | q, p ^ q, ~p, p == q)
        return [bit.to(sint) for bit in bits]

    p, q = a < b, b > 0
    wanted = (p, a <= b, a > b, a >= b, a == b, a != b, p & q, p | q, p ^ q, ~p, p == q)
    for got, want in zip(outputs(f, a, b), wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_planes() -> None:
    n = np.array([5, -3, 1000])

    def f(i: Any) -> Any:
        bits = i.bits(12)
        swapped = join_planes([bits.planes(6, 12), bits.planes(0, 6)])
        return compose(bits), bit_values(bits), compose(swapped), bits[1:].planes(0).to(sint)

    whole, values, swapped, low = outputs(f, n)
    np.testing.assert_array_equal(whole, n % 4096)
    np.testing.assert_array_equal(values, [(n >> i) & 1 for i in range(12)])
    np.testing.assert_array_equal(swapped, (n % 4096) // 64 + (n % 64) * 64)
    np.testing.assert_array_equal(low, n[1:] & 1)


def test_choices() -> None:
    a, b = np.array([1.0, 2.0, -3.0]), np.array([4.0, -5.0, 6.0])
    found = outputs(
        lambda x, y: (
            where(x > 0, x, 0), where(x > 0, x, y), where(cint([1, 0, 1]), x, y),
            select(y > 0, 2.5), (x > 0) * y, maximum(x, y), minimum(x, 0.5), x.max(), y.min(0),
            x.argmax(), where(sbit([0, 1, 1]), 1, 2),
        ),
        a, b,
    )  # fmt: skip
    wanted = (
        np.where(a > 0, a, 0), np.where(a > 0, a, b), np.where([1, 0, 1], a, b),
        np.where(b > 0, 2.5, 0), (a > 0) * b, np.maximum(a, b), np.minimum(a, 0.5), 2, -5,
        1, [2, 1, 1],
    )  # fmt: skip
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want)


def test_random_values() -> None:
    def f(x: Any) -> Any:
        return permutation(10), uniform(-0.5, 0.5, (100,)), random_bits(100).to(sint)

    order, coins, bits = outputs(f, 0.0)
    assert sorted(order) == list(range(10))
    assert -0.5 <= coins.min() < -0.3 and 0.3 < coins.max() < 0.5
    assert 20 < bits.sum() < 80


def test_filled() -> None:
    found = outputs(lambda x: (zeros((2, 2)), ones(3, sint), full(2, 0.5), arange(1, 7, 2)), 0.0)
    for got, want in zip(found, (np.zeros((2, 2)), [1, 1, 1], [0.5, 0.5], [1, 3, 5]), strict=True):
        np.testing.assert_array_equal(got, want)


# --- loops, branches, printing -------------------------------------------------------------------


def test_nested_loops_and_branches() -> None:
    def f(x: Any) -> Any:
        total, count = state(0.0), state(cint(0))
        for i in loop(3):
            inner = loop.accumulator(0.0)
            for j in loop(2):
                inner += x * (i * 2 + j)
                with if_(j > 0):
                    count += 1
                with else_():
                    count += 10
            total += inner
        return total, count

    total, count = outputs(f, np.array(1.5))
    assert total == 1.5 * 15 and count == 33


def test_while_stops_at_its_condition_or_at_its_maximum() -> None:
    def f(x: Any) -> Any:
        n, m = state(cint(0)), state(cint(0))
        for _ in while_(lambda: n < 5, max_trips=100):
            n.set(n + 1)
        for _ in while_(lambda: m >= 0, max_trips=7):
            m.set(m + 1)
        return n, m

    assert outputs(f, 0.0) == [5, 7]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_cover_the_rows(shuffle: bool, drop_last: bool) -> None:
    def f(x: Any) -> Any:
        seen, batches = state(np.zeros(7)), loop.batches(x, arange(7), batch=3, shuffle=shuffle,
                                                         drop_last=drop_last)  # fmt: skip
        for xb, ib in batches:
            for j in range(xb.shape[0]):
                seen += where(arange(7) == ib[j], xb[j], 0.0)
        return seen, cint(len(batches))

    x = np.arange(1.0, 8.0)
    seen, count = outputs(f, x)
    assert count == (2 if drop_last else 3)
    assert (seen > 0).sum() == (6 if drop_last else 7)
    assert set(seen) <= set(x) | {0.0}
    if not shuffle:
        np.testing.assert_array_equal(seen, np.where(np.arange(7) < (6 if drop_last else 7), x, 0))


def test_shuffles_differ_between_epochs() -> None:
    def f(x: Any) -> Any:
        for _ in loop(2):
            for (b,) in loop.batches(x, batch=8):
                print_("{:.0f}", b.reveal())

    lines = result_of(f, np.arange(16.0)).lines
    assert len(set(lines)) == 4
    assert sorted(" ".join(lines[:2]).replace("[", "").replace("]", "").split()) == sorted(
        str(i) for i in range(16)
    )


def test_printing() -> None:
    def f(x: Any) -> Any:
        print_("{{}} {} {:d} {:.2f} {}", cint(3), cint([1, 2]), x.reveal(), x.sum().reveal())
        print_("plain")

    result = result_of(f, np.array([0.5, -1.25]))
    assert result.lines == ["{} 3 [1 2] [0.50 -1.25] -0.750000", "plain"]
    assert [o.shape for o in result.openings] == [(2,), ()]


def test_variables_keep_their_kind() -> None:
    def f(x: Any) -> Any:
        a, b, c = state(0.0), state(cfix([1.0, 2.0])), state(x < 0)
        a.set(3)
        b *= 2.0
        c.set(~c)
        a += x[0]
        return a, b, c.to(sint)

    a, b, c = outputs(f, np.array([-1.5, 2.0]))
    assert a == 1.5 and list(b) == [2.0, 4.0] and list(c) == [0, 1]


def test_outputs_of_models_and_to_parties() -> None:
    def f(x: Any) -> None:
        output("model", {"weight": x, "0.bias": x[0]}, to=Party(1))
        x.reveal_to(Party(2), "again")

    graph, _ = traced(f, np.ones(2))
    assert [(o.name, o.party) for o in graph.outputs] == [
        ("model.weight", 1), ("model.0.bias", 1), ("again", 2)
    ]  # fmt: skip


# --- mistakes ------------------------------------------------------------------------------------


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
    assert error.loc is not None and error.loc.file == "test_lang.py", error
    code = f.__code__
    lines = [line for _, _, line in code.co_lines() if line]
    assert f is as_text or min(lines) <= error.loc.line <= max(lines) or f.__name__ == "<lambda>"
    assert str(error).startswith(f"test_lang.py:{error.loc.line}: ")


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


def test_options() -> None:
    @program
    def main(epochs: int = 1, lr: float = 0.1, name: str = "a", fast: bool = False) -> None:
        """Doc."""
        output(name, cint(epochs) * 2)

    assert [(o.name, o.type, o.default) for o in main.options] == [
        ("epochs", int, 1), ("lr", float, 0.1), ("name", str, "a"), ("fast", bool, False)
    ]  # fmt: skip
    assert main.doc == "Doc."
    assert main.trace(epochs=3, name="b", lr=1).outputs[0].name == "b"
    for wrong in ({"epoch": 1}, {"epochs": 1.5}, {"fast": 1}):
        with pytest.raises(ProgramError):
            main.trace(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ProgramError, match="has no default"):
        program(lambda n: None)
    with pytest.raises(ProgramError, match="default of n"):
        program(lambda n=[]: None)


def test_unknown_input_shapes() -> None:
    @program
    def main() -> None:
        Party(1).input("x")

    with pytest.raises(ProgramError, match="shape of input 1:x is not known"):
        main.trace()
    assert main.trace(shapes={(1, "x"): (2, 3)}).inputs[0].type.shape == (2, 3)


def test_datasets_have_as_many_labels_as_samples() -> None:
    @program
    def main() -> None:
        Party(0).dataset("d")

    with pytest.raises(ProgramError, match="3 samples in d.x, 2 labels"):
        main.trace(shapes={(0, "d.x"): (3, 2), (0, "d.y"): (2,)})


def test_locations_and_scopes() -> None:
    graph, _ = traced(lambda x: x * x, np.ones(2))
    assert {n.loc.file for n in graph.walk()} == {"test_lang.py", "lang_tools.py"}


def test_python_numbers_of_numpy() -> None:
    x = np.array([1.0, 2.0])
    found = outputs(lambda t: (t * np.float64(0.5), t + np.int64(2), np.float32(2) * t,
                               np.ones(2) + t, np.ones((2, 2)) @ t), x)  # fmt: skip
    for got, want in zip(found, (x / 2, x + 2, x * 2, x + 1, [3, 3]), strict=True):
        np.testing.assert_allclose(got, want, atol=2.0**-16)
