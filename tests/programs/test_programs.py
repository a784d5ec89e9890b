"""Every program of programs/, small: the NumPy reference, `emulate`, protocols between processes.

Under nearest rounding all agree bit for bit, prints included; under probabilistic rounding `rep3`
stays close to the training on real numbers. Predicted costs equal the measured ones. What takes
long under a protocol is run with --slow.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequester import source
from sequester.compiler.compile import Compiled
from sequester.compiler.ir import reference
from sequester.compiler.passes import autodiff
from sequester.vm import data, runs

ROOT = Path(__file__).parents[2]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A program, its options, the inputs made for it, and what must hold of the printed lines."""

    name: str
    inputs: Callable[[], dict[str, Arrays | np.ndarray]]
    check: Callable[[list[str]], None]
    options: tuple[str, ...] = ()


def numbers(lines: list[str]) -> list[float]:
    return [float(x) for x in re.findall(r"-?\d+\.?\d*", lines[-1])]


def digits(train: int, test: int) -> dict[str, Arrays | np.ndarray]:
    found = {}
    for name, count in (("train", train), ("test", test)):
        x, y = data.sources(name, ROOT / "programs" / "data")
        found[f"0:{name}"] = {"x": x.read()[:count], "y": y.read()[:count]}
    return found


def pictures(train: int, test: int) -> dict[str, Arrays | np.ndarray]:
    rng = np.random.default_rng(4)
    return {
        f"0:{name}": {"x": rng.uniform(0, 1, (count, 3, 32, 32)), "y": np.arange(count)}
        for name, count in (("train", train), ("test", test))
    }


def regression() -> dict[str, Arrays | np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (40, 3))
    return {"0:x": x, "1:y": x @ [0.5, -1.0, 0.25] + 0.1}


def two_hospitals() -> dict[str, Arrays | np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 2))
    y = (x @ [1.0, -1.0] > 0).astype(np.int64)
    return {"0:data": {"x": x[:25], "y": y[:25]}, "1:data": {"x": x[25:], "y": y[25:]}}


def bank_and_shop() -> dict[str, Arrays | np.ndarray]:
    """The same rows as two columns of two parties, of other size; the second knows the labels."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 2))
    y = (x @ [1.0, -1.0] > 0).astype(np.int64)
    return {"0:data.x": 3 * x[:, 0] + 2, "1:data": {"x": x[:, 1:], "y": y}}


def digits_of_two(train: int, test: int) -> dict[str, Arrays | np.ndarray]:
    """Training digits of two parties, with one-hot labels, tested on those of a third."""
    whole = digits(train, test)
    parts: dict[str, Arrays | np.ndarray] = {"2:test": whole["0:test"]}
    trained = whole["0:train"]
    assert isinstance(trained, dict)
    rows = {"x": trained["x"], "y": np.eye(10, dtype=np.int64)[trained["y"]]}
    for party, part in ((0, slice(0, train // 3)), (1, slice(train // 3, train))):
        parts[f"{party}:train"] = {key: array[part] for key, array in rows.items()}
    return parts


def samples() -> dict[str, Arrays | np.ndarray]:
    rng = np.random.default_rng(3)
    return {f"{i}:values": rng.uniform(-50, 50, 5 + i) for i in range(3)}


def check_statistics(lines: list[str]) -> None:
    values = np.concatenate([np.asarray(v) for v in samples().values()])
    expected = [values.mean(), values.std(), np.median(values), values.max()]
    mean, deviation, median, largest = numbers(lines)
    np.testing.assert_allclose([mean, deviation], expected[:2], atol=0.02)
    assert abs(largest - expected[3]) < 0.002
    assert np.abs(values - median).min() < 0.01  # the upper of the two in the middle


def check_richest(lines: list[str]) -> None:
    assert lines == ["party 1 is the richest"]


def check_line(lines: list[str]) -> None:
    assert numbers(lines)[0] < 0.01


def check_accuracy(lines: list[str]) -> None:
    assert numbers(lines)[0] >= 90


def check_trained(lines: list[str]) -> None:
    assert re.fullmatch(r"epoch 0: mean loss [\d.]+, test accuracy [\d.]+ %", lines[-1])
    _, loss, accuracy = numbers(lines)
    assert 0 < loss < 4 and 0 <= accuracy <= 100


def check_two_digits(lines: list[str]) -> None:
    assert re.fullmatch(r"epoch 0: mean loss [\d.]+", lines[-2])
    assert re.fullmatch(r"accuracy [\d.]+ %", lines[-1])
    assert 0 <= numbers(lines)[0] <= 100.01


CASES = [
    Case(
        "millionaires",
        lambda: {f"{i}:wealth": np.array([w]) for i, w in enumerate((500, 123456789, 7))},
        check_richest,
    ),
    Case("descriptive_statistics", samples, check_statistics),
    Case("linear_regression", regression, check_line),
    Case("logistic_regression", two_hospitals, check_accuracy),
    Case(
        "logistic_regression", bank_and_shop, check_accuracy, ("--split", "columns", "--normalise")
    ),
    Case("mnist_dense", lambda: digits(48, 8), check_trained, ("--batch", "16", "--save")),
    Case("mnist_two_conv", lambda: digits(12, 4), check_trained, ("--batch", "4", "--watch")),
    Case("mnist_strided", lambda: digits(12, 4), check_trained, ("--batch", "4", "--watch")),
    Case("cifar_alexnet", lambda: pictures(4, 2), check_trained, ("--batch", "2")),
    Case("cifar_small_alexnet", lambda: pictures(2, 2), check_trained, ("--batch", "2")),
    Case("mnist_lenet", lambda: digits(12, 4), check_trained, ("--batch", "4", "--watch")),
    Case("mnist_two_digits", lambda: digits(48, 8), check_two_digits, ("--batch", "16", "--save")),
]

SHORT = {case.name for case in CASES[:4]} | {"mnist_strided"}

# Variants: what is drawn secretly is another thing at each executor, so the two are not compared.
VARIANTS = [
    Case("mnist_lenet", lambda: digits(12, 4), check_trained,
         ("--batch", "4", "--dropout", "0.5", "--schedule", "cosine")),
    Case("mnist_dense", lambda: digits(32, 4), check_trained,
         ("--batch", "8", "--optimizer", "amsgrad", "--lr", "0.001", "--schedule", "step")),
    Case("mnist_dense", lambda: digits_of_two(36, 4), check_trained,
         ("--batch", "8", "--shuffle", "secret", "--test-batch", "3")),
    Case("mnist_two_digits", lambda: digits_of_two(36, 4), check_two_digits,
         ("--first", "1", "--second", "0", "--batch", "8", "--shuffle", "secret")),
    Case("cifar_small_alexnet", lambda: pictures(4, 2), check_trained,
         ("--batch", "2", "--augment", "secret", "--shuffle", "none")),
    Case("cifar_alexnet", lambda: pictures(16, 2), check_trained,
         ("--batch", "16", "--batch-norm", "--dropout", "0.5", "--optimizer", "adamw")),
    Case("cifar_small_alexnet", lambda: pictures(8, 2), check_trained,
         ("--batch", "8", "--batch-norm", "--dropout", "0.5")),
]  # fmt: skip


def write_inputs(case: Case, folder: Path) -> tuple[str, ...]:
    specs = []
    for key, value in case.inputs().items():
        path = folder / (key.replace(":", "-") + (".npz" if isinstance(value, dict) else ".npy"))
        if isinstance(value, dict):
            np.savez(path, **value)
        else:
            np.save(path, value)
        specs.append(f"{key}={path}")
    return tuple(specs)


def run(
    folder: Path, name: str, made: Compiled, inputs: tuple[str, ...], protocol: str
) -> tuple[list[str], Arrays]:
    """Printed lines, and the outputs of party 0."""
    lines: list[str] = []

    def on_event(party: int, event: dict[str, Any]) -> None:
        if party == 0 and event["event"] == "print":
            lines.append(event["line"])

    settings = runs.Settings(protocol, inputs, seed=5, checked=int(protocol == "emulate"))
    runs.run(name, made.data, folder / protocol, settings, on_event)
    path = folder / protocol / "party-0" / "outputs.npz"
    return lines, dict(np.load(path)) if path.exists() else {}


def make(
    case: Case, inputs: tuple[str, ...], rounding: str, protocol: str = "rep3", ring: str = "64"
) -> Compiled:
    flags = source.Flags(case.options, inputs, rounding=rounding, ring=ring)
    return source.compile_file(ROOT / "programs" / f"{case.name}.py", flags, protocol)


def check_agreement(case: Case, folder: Path, protocols: Sequence[str], ring: str = "64") -> None:
    """The protocols make what the reference makes, at the costs that were predicted; the program
    is compiled for the first one that is not the emulation."""
    inputs = write_inputs(case, folder)
    real = [protocol for protocol in protocols if protocol != "emulate"]
    made = make(case, inputs, "nearest", real[0], ring)
    arrays = {key: found.read() for key, found in data.parse_inputs(inputs).items()}
    expected = reference.run(made.graph, arrays, public_seed=runs.public_seed(5))
    case.check(expected.lines)
    for protocol in protocols:
        lines, outputs = run(folder, case.name, made, inputs, protocol)
        assert lines == expected.lines, protocol
        assert set(outputs) == set(expected.outputs)
        for name, array in outputs.items():
            np.testing.assert_array_equal(array, expected.outputs[name], f"{protocol} {name}")
    for protocol in real:
        table = source.summary(folder / protocol)
        measured, predicted = table["measured"], table["predicted"]
        assert predicted["exact"]
        assert measured["rounds"] == predicted["rounds"]
        assert measured["sent_bytes"] == predicted["sent_bytes"]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_executors_agree(case: Case, tmp_path: Path) -> None:
    check_agreement(case, tmp_path, ("emulate", "rep3", "dealer"))


def slow_but(quick: set[str]) -> list[Any]:
    """All cases, of which those of other names are slow."""
    return [
        pytest.param(case, marks=() if case.name in quick else pytest.mark.slow) for case in CASES
    ]


@pytest.mark.parametrize("case", slow_but(SHORT | {"mnist_dense"}), ids=lambda c: c.name)
def test_verified_rings_agree(case: Case, tmp_path: Path) -> None:
    check_agreement(case, tmp_path, ("rep3-mal", "rep4"))


@pytest.mark.parametrize("case", slow_but(SHORT), ids=lambda c: c.name)
def test_executors_agree_in_the_field(case: Case, tmp_path: Path) -> None:
    check_agreement(case, tmp_path, ("emulate", "shamir", "shamir-mal"), "field")


TWO_PARTIES = {"linear_regression", "mnist_dense", "mnist_two_conv"}


@pytest.mark.parametrize("case", [c for c in CASES if c.name in TWO_PARTIES], ids=lambda c: c.name)
def test_two_parties_agree_with_the_reference(case: Case, tmp_path: Path) -> None:
    check_agreement(case, tmp_path, ("semi2k",))


@pytest.mark.parametrize("case", VARIANTS, ids=lambda c: c.name)
def test_variants_train_in_the_emulation(case: Case, tmp_path: Path) -> None:
    inputs = write_inputs(case, tmp_path)
    lines, _ = run(tmp_path, case.name, make(case, inputs, "probabilistic"), inputs, "emulate")
    case.check(lines)


@pytest.mark.parametrize("case", CASES[:5], ids=lambda c: c.name)
def test_probabilistic_rounding_stays_close(case: Case, tmp_path: Path) -> None:
    inputs = write_inputs(case, tmp_path)
    made = make(case, inputs, "probabilistic")
    lines, outputs = run(tmp_path, case.name, made, inputs, "rep3")
    case.check(lines)
    arrays = {key: found.read() for key, found in data.parse_inputs(inputs).items()}
    program = source.load(ROOT / "programs" / f"{case.name}.py")
    options = source.parse_options(program, case.options)
    shapes = {key: a.shape for key, a in arrays.items()}
    graph = autodiff.run(program.trace(shapes=shapes, **options))
    clear = reference.run(graph, arrays, mode="float", public_seed=runs.public_seed(5))
    for name, array in outputs.items():
        np.testing.assert_allclose(array, clear.outputs[name], atol=0.02)


def test_a_saved_model_is_loaded_by_the_next_run(tmp_path: Path) -> None:
    case = Case("mnist_lenet", lambda: digits(12, 4), check_trained, ("--batch", "4", "--save"))
    inputs = write_inputs(case, tmp_path)
    _, saved = run(tmp_path, case.name, make(case, inputs, "nearest"), inputs, "emulate")
    again = (*inputs, f"0:model={tmp_path / 'emulate' / 'party-0' / 'outputs.npz'}")
    case = dataclasses.replace(case, options=(*case.options, "--load", "--epochs", "0"))
    _, loaded = run(tmp_path / "next", case.name, make(case, again, "nearest"), again, "emulate")
    assert set(saved) == set(loaded) and len(saved) == 8
    for name, array in saved.items():
        np.testing.assert_array_equal(array, loaded[name])


def test_two_digits_are_trained_as_if_there_were_no_others(tmp_path: Path) -> None:
    """A step over all rows against the step of plain logistic regression over those of the two
    digits, the accuracy over these alone; opened are the loss, the accuracy and the model."""
    case = Case("mnist_two_digits", lambda: digits(200, 100), check_two_digits)
    arrays = {f"{key}.{name}": array for key, part in case.inputs().items()
              for name, array in part.items()}  # type: ignore[union-attr]  # fmt: skip
    given = {(0, key[2:]): array for key, array in arrays.items()}
    program = source.load(ROOT / "programs" / "mnist_two_digits.py")
    found = []
    for epochs in (0, 1):
        shapes = {key: a.shape for key, a in given.items()}
        graph = program.trace(
            shapes=shapes, epochs=epochs, batch=200, lr=0.5, momentum=0.0, shuffle="none", save=True
        )
        found.append(reference.run(autodiff.run(graph), given, public_seed=b"\0" * 16))
    assert [len(result.openings) for result in found] == [3, 4]

    def of(part: str) -> Arrays:
        x, y = arrays[f"0:{part}.x"], arrays[f"0:{part}.y"]
        kept = (y == 4) | (y == 9)
        return {"x": x[kept].reshape(-1, 784), "t": (y[kept] == 9) * 1.0}

    train, test = of("train"), of("test")
    w, b = (found[0].outputs[f"model.1.{name}"] for name in ("weight", "bias"))
    s = 1 / (1 + np.exp(-(train["x"] @ w[0] + b)))
    loss = -np.where(train["t"] > 0, np.log(s), np.log(1 - s)).mean()
    w = w[0] - 0.5 * ((s - train["t"]) @ train["x"]) / len(s)
    b = b - 0.5 * (s - train["t"]).mean()
    np.testing.assert_allclose(found[1].outputs["model.1.weight"][0], w, atol=1e-3)
    np.testing.assert_allclose(found[1].outputs["model.1.bias"], b, atol=1e-3)
    accuracy = (((test["x"] @ w + b) > 0) == test["t"]).mean() * 100
    np.testing.assert_allclose(numbers(found[1].lines[:1])[1], loss, atol=1e-3)
    np.testing.assert_allclose(numbers(found[1].lines), [accuracy], atol=0.02)


def test_every_program_is_here() -> None:
    names = {path.stem for path in (ROOT / "programs").glob("*.py")}
    assert names == {case.name for case in CASES}
