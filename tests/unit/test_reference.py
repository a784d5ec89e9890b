"""The reference executor: ring arithmetic against Python integers, rounding, coins, checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lang_tools import NEAREST, WIDE, outputs, result_of, traced

from sequester.compiler.ir import numeric, reference
from sequester.compiler.ir.graph import Config
from sequester.compiler.ir.numeric import RangeError, Ring, object_array
from sequester.compiler.ir.reference import ExecutionError, PublicRandomness
from sequester.compiler.lang import (
    Party,
    argmax,
    cfix,
    cint,
    exp,
    log,
    output,
    permutation,
    print_,
    program,
    relu,
    sint,
    uniform,
)

few = settings(max_examples=50, deadline=None)
edges = [0, 1, -1, 2**31, -(2**31), 2**62, -(2**62), 2**63 - 1, -(2**63)]
words = st.one_of(st.sampled_from(edges), st.integers(-(2**63), 2**63 - 1))


def signed(value: int, bits: int) -> int:
    """The signed representative mod 2^bits."""
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half


def ring(bits: int, **options: Any) -> Ring:
    return Ring(bits, np.random.default_rng(5), **options)


def elements(r: Ring, values: list[int], shape: tuple[int, ...]) -> numeric.Array:
    return r.array(object_array(values, shape))


@pytest.mark.parametrize("bits", [64, 128])
@few
@given(data=st.data())
def test_ring_arithmetic_wraps(bits: int, data: st.DataObject) -> None:
    r = ring(bits)
    wide = st.one_of(words, st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    a, b = (data.draw(st.lists(wide, min_size=4, max_size=4)) for _ in range(2))
    x, y = elements(r, a, (4,)), elements(r, b, (4,))
    imm = data.draw(words)
    with np.errstate(over="ignore"):
        found = [r.add(x, y), r.sub(x, y), r.mul(x, y), r.scale(x, imm, 0)]
        total = r.sum(x.reshape(2, 2), (0, 1))
    pairs = list(zip(a, b, strict=True))
    wanted = [[p + q for p, q in pairs], [p - q for p, q in pairs],
              [p * q for p, q in pairs], [p * imm for p in a]]  # fmt: skip
    for got, want in zip(found, wanted, strict=True):
        assert [int(v) for v in got] == [signed(v, bits) for v in want]
    assert int(total) == signed(sum(a), bits)


@pytest.mark.parametrize("bits", [64, 128])
@few
@given(data=st.data())
def test_matrix_products_are_exact(bits: int, data: st.DataObject) -> None:
    r = ring(bits)
    n, m, k = (data.draw(st.integers(1, 3)) for _ in range(3))
    a = data.draw(st.lists(words, min_size=n * m, max_size=n * m))
    b = data.draw(st.lists(words, min_size=m * k, max_size=m * k))
    got = r.matmul(elements(r, a, (n, m)), elements(r, b, (m, k)))
    want = object_array(a, (n, m)).dot(object_array(b, (m, k)))
    assert [int(v) for v in got.ravel()] == [signed(int(v), bits) for v in want.ravel()]


def test_long_matrix_products_are_exact() -> None:
    """Inner sizes beyond what one float64 sum of limbs holds."""
    r, n = ring(64), (1 << 17) + 3
    a = np.full((1, n), -1, dtype=np.int64)
    assert int(r.matmul(a, a.T)[0, 0]) == n
    assert int(r.matmul(a, np.full((n, 1), 2**62 + 1))[0, 0]) == signed(-n * (2**62 + 1), 64)


@pytest.mark.parametrize(
    ("stride", "padding"), [((1, 1), (0, 0)), ((2, 1), (1, 2)), ((3, 2), (2, 0))]
)
def test_convolutions_against_pytorch(stride: tuple[int, int], padding: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x = rng.integers(-9, 9, (2, 3, 7, 8)).astype(np.float64)
    w = rng.integers(-9, 9, (4, 3, 3, 2)).astype(np.float64)
    tx, tw = (torch.tensor(v, requires_grad=True) for v in (x, w))
    out = torch.conv2d(tx, tw, stride=stride, padding=padding)
    g = rng.integers(-9, 9, tuple(out.shape)).astype(np.float64)
    out.backward(torch.tensor(g))
    for r in (ring(64), ring(128), numeric.Real(rng)):
        xs, ws, gs = (r.array(v if not r.exact else v.astype(np.int64)) for v in (x, w, g))
        found = (
            numeric.conv2d(r, xs, ws, stride, padding),
            numeric.conv2d_dx(r, gs, ws, x.shape, stride, padding),
            numeric.conv2d_dw(r, gs, xs, w.shape, stride, padding),
        )
        for got, want in zip(found, (out.detach(), tx.grad, tw.grad), strict=True):
            np.testing.assert_array_equal(got.astype(np.float64), want.numpy())


@pytest.mark.parametrize("bits", [64, 128])
@few
@given(data=st.data())
def test_rounding(bits: int, data: st.DataObject) -> None:
    """Nearest is (x + 2^(m-1)) >> m; probabilistic is one of the two neighbours."""
    r = ring(bits)
    m = data.draw(st.integers(1, bits - 3))
    limit = 2 ** (bits - 2) - 1
    values = data.draw(st.lists(st.integers(-limit, limit), min_size=3, max_size=3))
    x = elements(r, values, (3,))
    assert [int(v) for v in r.trunc(x, m, True)] == [(v + (1 << (m - 1))) >> m for v in values]
    for v, got in zip(values, r.trunc(x, m, False), strict=True):
        assert int(got) in (v >> m, (v >> m) + (v % (1 << m) != 0))


def test_probabilistic_rounding_is_unbiased() -> None:
    r, m, n = ring(64), 16, 200_000
    for fraction in (1, 2**15, 2**16 - 3, 12345):
        x = np.full(n, (7 << m) + fraction)
        up = r.trunc(x, m, False) - 7
        p = fraction / 2**m
        assert set(np.unique(up)) <= {0, 1}
        assert abs(up.mean() - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-12


def test_encoding_rounds_to_nearest() -> None:
    r = ring(64)
    np.testing.assert_array_equal(r.encode(np.array([1.5, -1.5, 2.0**-17, np.nan]), 16),
                                  [98304, -98304, 1, 0])  # fmt: skip
    assert int(r.encode(np.array(-3.5), 0)) == -3
    assert int(ring(128).encode(np.array(2.0**60 + 1024), 32)) == (2**60 + 1024) << 32


# --- public randomness ---------------------------------------------------------------------------


def test_public_randomness_is_aes_in_counter_mode() -> None:
    """The words of stream 7, third occurrence, spelled out block by block."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    def aes(key: bytes, block: bytes) -> bytes:
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return encryptor.update(block) + encryptor.finalize()

    seed = bytes(range(16))
    key = aes(seed, (7).to_bytes(8, "little") + (2).to_bytes(4, "little") + b"\xff" * 4)
    blocks = [aes(key, i.to_bytes(8, "little") + bytes(8)) for i in range(2)]
    wanted = [int.from_bytes(b[j : j + 8], "little") for b in blocks for j in (0, 8)]
    public = PublicRandomness(seed)
    public.words(7, 5)
    public.permutation(7, 4)
    assert public.words(7, 3) == wanted[:3]
    assert PublicRandomness(seed).words(7, 2) != wanted[:2]


def test_permutations_and_uniform_numbers_follow_their_words() -> None:
    words = PublicRandomness(bytes(16)).words(3, 9)
    order = list(range(10))
    for used, i in enumerate(range(9, 0, -1)):
        j = words[used] * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    assert PublicRandomness(bytes(16)).permutation(3, 10) == order
    assert PublicRandomness(bytes(16)).uniform(3, 9, -5, 11) == [-5 + (w * 16 >> 64) for w in words]
    assert PublicRandomness(bytes(16)).permutation(0, 1) == [0]
    with pytest.raises(ValueError, match="16 bytes"):
        PublicRandomness(b"short")


def test_both_modes_draw_the_same_coins() -> None:
    def f(x: Any) -> Any:
        return permutation(50), uniform(-1.0, 1.0, (50,)), permutation(50)

    exact, real = outputs(f, 0.0), outputs(f, 0.0, mode="float")
    for a, b in zip(exact, real, strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(exact[0]) != list(exact[2])


# --- running -------------------------------------------------------------------------------------


def test_modes_agree_up_to_rounding() -> None:
    def f(x: Any, y: Any) -> Any:
        return (x * y).sum(), x @ y.T, relu(x), exp(x), x / y, (x < y).to(sint), argmax(x)

    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(3, 4))
    for config in (NEAREST, WIDE):
        exact = outputs(f, x, y, config=config)
        real = outputs(f, x, y, config=config, mode="float")
        for a, b in zip(exact, real, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_functions_of_the_float_mode_are_those_of_numpy() -> None:
    x = np.array([0.25, 1.0, 3.0])
    for got, want in zip(outputs(lambda t: (exp(t), log(t)), x, mode="float"),
                         (np.exp(x), np.log(x)), strict=True):  # fmt: skip
        np.testing.assert_array_equal(got, want)


def run(f: Any, *arrays: Any, config: Config = NEAREST) -> reference.Result:
    graph, inputs = traced(f, *arrays, config=config)
    return reference.run(graph, inputs, checked=True)


def test_checked_runs_name_the_line_that_leaves_the_range() -> None:
    with pytest.raises(ExecutionError, match=r"test_reference.py:\d+: trunc gives 18000.*k = 31"):
        run(lambda x: x * 2.5 * 0.8, np.array(9000.0))
    with pytest.raises(ExecutionError, match=r"test_reference.py:\d+: ltz compares 36000"):
        run(lambda x: (x * 4 < 0).to(sint), np.array(9000.0))
    with pytest.raises(ExecutionError, match=r"\|z\| < 2\^62"):
        run(lambda x: x @ x, np.full(64, 16000.0))
    run(lambda x: (x < -x).to(sint), np.array(16000.0))
    with pytest.raises(RangeError):
        ring(64, checked=True).trunc(np.array([2**62]), 16, True)


def test_runtime_errors_name_the_line() -> None:
    with pytest.raises(ExecutionError, match=r"test_reference.py:\d+: gather: row 3 of 3"):
        run(lambda x: x[cint(1) + x.sum().to(sint).reveal()], np.array([1.0, 1.0, 0.0]))


def test_inputs_are_checked() -> None:
    graph, inputs = traced(lambda x: x, np.ones(3))
    with pytest.raises(ExecutionError, match="input 0:0 is not given"):
        reference.run(graph)
    with pytest.raises(ExecutionError, match=r"shape \(2,\), not \(3,\)"):
        reference.run(graph, {(0, "0"): np.ones(2)})


def test_gradients_must_be_expanded() -> None:
    from sequester.compiler.lang import grad

    graph, inputs = traced(lambda x: grad(x.sum() * 1.0, [x]), np.ones(3))
    with pytest.raises(ExecutionError, match="grad must be expanded first"):
        reference.run(graph, inputs)


def test_openings_are_listed_in_order() -> None:
    @program
    def main() -> None:
        x = Party(0).input("x")
        print_("{}", x.sum().reveal())
        output("mine", x, to=2)
        output("clear", cfix(1.0))

    graph = main.trace(shapes={(0, "x"): (4,)})
    result = reference.run(graph, {(0, "x"): np.ones(4)}, mode="float")
    assert [(o.shape, o.party) for o in result.openings] == [((), None), ((4,), 2)]
    assert result.openings[1].line == result.openings[0].line + 1
    assert result.lines == ["4.000000"] and result.outputs["clear"] == 1.0


def test_integer_outputs_are_integers_in_both_modes() -> None:
    for mode in ("exact", "float"):
        (n,) = outputs(lambda i: i * 3, np.array([4, -5]), mode=mode)
        assert n.dtype.kind == "i" and list(n) == [12, -15]


def test_a_run_with_seeded_coins_repeats() -> None:
    def once() -> Any:
        return outputs(lambda x: x * x, np.full(100, 0.3), config=Config())[0]

    np.testing.assert_array_equal(once(), once())
    assert len(set(once())) == 2
    assert result_of(lambda x: None, 0.0).outputs == {}
