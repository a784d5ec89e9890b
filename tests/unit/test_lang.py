"""The language against NumPy."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lang_tools import NEAREST, WIDE, outputs, result_of, traced, value

from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Config
from sequester.compiler.lang import (
    Parties,
    Party,
    Program,
    ProgramError,
    arange,
    bit_values,
    cfix,
    cint,
    compose,
    concat,
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
    pad,
    permutation,
    print_,
    program,
    random_bits,
    relu,
    sbit,
    select,
    shuffle,
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
    small = st.integers(-(2**12), 2**12).map(lambda n: n / 2**10)
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


@pytest.mark.parametrize("shuffle", ["none", "public", "secret", False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_cover_the_rows(shuffle: str | bool, drop_last: bool) -> None:
    def f(x: Any) -> Any:
        seen, index = state(np.zeros(7)), sint(np.arange(7))
        batches = loop.batches(x, index, batch=3, shuffle=shuffle, drop_last=drop_last)
        for xb, ib in batches:
            for j in range(xb.shape[0]):
                seen += where(arange(7) == ib[j], xb[j], 0.0)
        return seen, cint(len(batches))

    x = np.arange(1.0, 8.0)
    seen, count = outputs(f, x)
    assert count == (2 if drop_last else 3)
    assert (seen > 0).sum() == (6 if drop_last else 7)
    assert set(seen) <= set(x) | {0.0}
    if shuffle in ("none", False):
        np.testing.assert_array_equal(seen, np.where(np.arange(7) < (6 if drop_last else 7), x, 0))


@pytest.mark.parametrize("shuffle", ["public", "secret"])
def test_shuffles_differ_between_epochs(shuffle: str) -> None:
    def f(x: Any) -> Any:
        for _ in loop(2):
            for (b,) in loop.batches(x, batch=8, shuffle=shuffle):
                print_("{:.0f}", b.reveal())

    lines = result_of(f, np.arange(16.0)).lines
    assert len(set(lines)) == 4
    assert sorted(" ".join(lines[:2]).replace("[", "").replace("]", "").split()) == sorted(
        str(i) for i in range(16)
    )


def test_a_secret_shuffle_moves_tensors_together() -> None:
    def f(x: Any) -> Any:
        rows, numbers = shuffle(x, sint(np.arange(20)))
        return rows, numbers, shuffle(x)[0]

    x = np.arange(60.0).reshape(20, 3)
    rows, numbers, other = outputs(f, x)
    order = numbers.astype(int)
    assert sorted(order) == list(range(20))
    np.testing.assert_array_equal(rows, x[order])
    assert sorted(map(tuple, other)) == sorted(map(tuple, x)) and (other != rows).any()


def parted(main: Any, parts: dict[tuple[int, str], np.ndarray]) -> list[np.ndarray]:
    """Outputs 0, 1, ... of a program on the parts that parties bring."""

    def whole() -> None:
        for i, result in enumerate(main()):
            output(str(i), result)

    graph = Program(whole).trace(NEAREST, {key: a.shape for key, a in parts.items()})
    result = reference.run(graph, parts)
    return list(result.outputs.values())


A, B, C = np.arange(6.0).reshape(3, 2), np.arange(8.0).reshape(4, 2), np.arange(3.0)


def test_parts_by_rows_are_joined_in_the_order_of_parties() -> None:
    parts = {(2, "x"): B, (0, "x"): A, (1, "z"): C}
    (found,) = parted(lambda: [Parties().input("x")], parts)
    np.testing.assert_array_equal(found, np.concatenate([A, B]))


def test_some_parties_in_an_order_of_the_program() -> None:
    parts = {(2, "x"): B, (1, "x"): A, (0, "x"): B}
    (found,) = parted(lambda: [Parties(2, 1).input("x")], parts)
    np.testing.assert_array_equal(found, np.concatenate([B, A]))


def test_parts_by_columns_are_joined_on_the_last_axis() -> None:
    left, right = np.zeros((2, 1, 3, 2)), np.ones((2, 1, 3, 4))
    parts = {(0, "x"): C, (1, "x"): A, (2, "p"): right, (0, "p"): left}
    found = parted(lambda: [Parties().input(n, split="columns") for n in ("x", "p")], parts)
    np.testing.assert_array_equal(found[0], np.column_stack([C, A]))
    assert found[1].shape == (2, 1, 3, 6)
    np.testing.assert_array_equal(found[1][0, 0, 0], [0, 0, 1, 1, 1, 1])


def test_datasets_of_several_parties() -> None:
    y, z = np.array([1, 0, 1]), np.array([0, 0, 1, 1])
    rows = {(0, "d.x"): A, (2, "d.x"): B, (0, "d.y"): y, (2, "d.y"): z}
    x, labels = parted(lambda: Parties().dataset("d"), rows)
    np.testing.assert_array_equal(x, np.concatenate([A, B]))
    np.testing.assert_array_equal(labels, np.concatenate([y, z]))
    columns = {(0, "d.x"): A, (1, "d.x"): C, (1, "d.y"): y}
    x, labels = parted(lambda: Parties().dataset("d", split="columns"), columns)
    np.testing.assert_array_equal(x, np.column_stack([A, C]))
    np.testing.assert_array_equal(labels, y)


@pytest.mark.parametrize(
    "split,shapes,message",
    [
        ("lines", {}, 'write "rows" or "columns"'),
        ("rows", {}, "nobody is known to bring d.x"),
        ("rows", {(0, "d.x"): (3, 2), (1, "d.x"): (3, 4)}, r"0: \(3, 2\), 1: \(3, 4\)"),
        ("columns", {(0, "d.x"): (3, 2), (1, "d.x"): (4, 2)}, "all axes but the last"),
        ("rows", {(0, "d.x"): (), (0, "d.y"): ()}, r"0: \(\)"),
        ("rows", {(0, "d.x"): (3, 2), (1, "d.x"): (3, 2), (1, "d.y"): (3,)}, r"d.y from \[1\]"),
        ("columns", {(0, "d.x"): (3, 2), (1, "d.x"): (3, 2)}, r"d.y comes from parties \[\]"),
        ("columns", {(0, "d.x"): (3, 2), (0, "d.y"): (3,), (1, "d.y"): (3,)}, r"\[0, 1\]"),
        ("rows", {(0, "d.x"): (3, 2), (0, "d.y"): (4,)}, "3 samples"),
    ],
)
def test_parts_that_do_not_go_together(split: str, shapes: Any, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        Program(lambda: Parties().dataset("d", split)).trace(shapes=shapes)


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


# --- programs and their options -----------------------------------------------------------------


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


@pytest.mark.parametrize("config", [NEAREST, WIDE], ids=["64", "128"])
@pytest.mark.parametrize("count", [3000, 4096])
def test_means_whose_sum_does_not_fit(count: int, config: Config) -> None:
    """The mean fits k bits, the sum of so many values does not; every range is checked."""
    x = np.random.default_rng(1).uniform(50, 100, (count, 2))
    x[:, 1] += 20000 if config is WIDE else 0
    found = outputs(lambda t: ((t * t).mean(0), t.mean(), (t * t).mean(keepdims=True)), x,
                    config=config)  # fmt: skip
    wanted = (x * x).mean(0), x.mean(), (x * x).mean(keepdims=True)
    for got, want in zip(found, wanted, strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=2.0**-config.f, atol=2 * 2.0**-config.f)


def test_pad() -> None:
    x = np.arange(6.0).reshape(2, 3)
    widths = ((1, 0), (0, 2))
    found, gradient = outputs(lambda t: (pad(t, widths), *grad((pad(t, widths) * 2.0).sum(), [t])),
                              x)  # fmt: skip
    np.testing.assert_array_equal(found, np.pad(x, widths))
    np.testing.assert_array_equal(gradient, np.full((2, 3), 2.0))
    with pytest.raises(ProgramError, match="before, after"):
        traced(lambda t: pad(t, [(0, -1), (0, 0)]), x)
