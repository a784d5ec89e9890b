"""`sequester check`: programs that overflow, that lose their gradients, and that are fine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sequester.checking import Samples, check
from sequester.cli import main
from sequester.compiler.ir.observe import Stats
from sequester.compiler.lang.errors import ProgramError
from sequester.source import Flags


def unwatched(what: str, total: int) -> Callable[[], None]:
    return lambda: None


HEAD = "from sequester import *\nfrom sequester import Party, loop, nn, optim, output, print_\n"

FINE = """
@program
def main(steps: int = 3):
    x, y = Party(0).input("x"), Party(0).input("y")
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 1))
    opt = optim.SGD(model.parameters(), lr=0.5)
    for i in loop(steps):
        loss = nn.mse_loss(model(x).reshape(x.shape[0]), y)
        opt.minimize(loss)
        print_("step {}: loss {:.4f}", i, loss.reveal())
    output("model", model)
"""

OVERFLOWS = """
@program
def main():
    x = Party(0).input("x") + 30.0
    y = x * x
    z = y * y
    output("z", z)
"""

UNDERFLOWS = """
@program
def main():
    x = Party(0).input("x")
    w = state(zeros(3), "w")
    small = x * 0.004
    loss = ((small * (small * (small * w)) - 1.0) ** 2).sum()
    g, = grad(loss, [w], factor=500.0)
    output("g", g)
"""

DIVERGES = """
@program
def main():
    x = Party(0).input("x")
    w = state(1.0)
    for _ in loop(2000):
        w.set(w * 4.0 * x.sum())
    output("w", w)
"""

SHAPES = ("--shape", "0:x=20,3", "--shape", "0:y=20")


def written(folder: Path, text: str) -> Path:
    path = folder / "program.py"
    path.write_text(HEAD + text)
    return path


def command(path: Path, *words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, ["check", str(path), *words])
    assert done.exit_code == code, done.output
    return done


def as_json(path: Path, *words: str, code: int = 0) -> Any:
    return json.loads(command(path, "--json", *words, code=code).output)


def test_a_program_that_is_fine(tmp_path: Path) -> None:
    path = written(tmp_path, FINE)
    table = as_json(path, *SHAPES)
    assert table["ok"] and not table["overflows"] and table["tried"] is None
    assert table["wanted"] == table["config"]
    layers = {row["name"]: row for row in table["layers"] if not row["gradient"]}
    assert {"0.Linear", "1.Sigmoid", "2.Linear", "SGD"} <= set(layers)
    assert 0 < layers["1.Sigmoid"]["largest"] < 1 and layers["1.Sigmoid"]["headroom"] == 14
    assert 0 < layers["1.Sigmoid"]["error"] < layers["1.Sigmoid"]["worst"] < 20
    assert any(row["gradient"] for row in table["layers"])
    names = [d["name"] for d in table["differences"]]
    assert names[:3] == ["printed"] * 3 and "model.0.weight" in names
    assert table["relative_error"] < 0.02
    text = command(path, *SHAPES).output
    assert "f = 16 and k = 31 are enough" in text and "program.py:" in text


def test_overflows_are_found_at_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path, OVERFLOWS)
    table = as_json(path, "--shape", "0:x=4,3", code=3)
    first = table["overflows"][0]
    assert first["line"] == "program.py:8" and first["reached"] > first["limit"] == 2.0**14
    widest = max(table["layers"], key=lambda row: row["largest"])
    assert widest["largest"] > 30.0**4 and widest["headroom"] < 0
    wanted, tried = table["wanted"], table["tried"]
    assert wanted["k"] - 1 - wanted["f"] > 20 and tried["config"] == wanted
    assert not tried["overflows"] and tried["relative_error"] < 1e-3
    text = command(path, "--shape", "0:x=4,3", code=3).output
    assert "overflow: program.py:8" in text and f"-f {wanted['f']} -k {wanted['k']}" in text
    enough = ("-f", str(wanted["f"]), "-k", str(wanted["k"]), "--ring", str(wanted["ring_bits"]))
    assert as_json(path, "--shape", "0:x=4,3", *enough)["ok"]


def test_lost_gradients_are_found_and_f_proposed(tmp_path: Path) -> None:
    path = written(tmp_path, UNDERFLOWS)
    table = as_json(path, "--shape", "0:x=4,3", "--rounding", "nearest", "-f", "10")
    assert table["ok"]
    assert max(row["lost"] for row in table["layers"]) > 0.9
    assert table["wanted"]["f"] > 16
    assert table["tried"]["relative_error"] < 0.1 < table["relative_error"]


def test_a_proposal_has_room_for_functions(tmp_path: Path) -> None:
    text = UNDERFLOWS.replace('output("g", g)', 'output("g", sigmoid(g))')
    words = ("--shape", "0:x=4,3", "--rounding", "nearest")
    for factor, ring in (("0.001", 64), ("0.0001", 128)):
        table = as_json(written(tmp_path, text.replace("0.004", factor)), *words)
        wanted = table["wanted"]
        assert wanted["ring_bits"] == ring and wanted["f"] > 19
        assert wanted["k"] >= wanted["f"] + 12 and table["tried"]["config"] == wanted


def test_what_diverges_in_float_too_is_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path, DIVERGES)
    table = as_json(path, "--shape", "0:x=4,3", code=3)
    assert not table["finite"] and table["tried"] is None
    text = command(path, "--shape", "0:x=4,3", code=3).output
    assert "no matter of precision" in text


def test_functions_outside_of_their_domain(tmp_path: Path) -> None:
    text = """
@program
def main():
    x = Party(0).input("x") - 0.5
    y = log(x)
    z = x / (y - y)
    w = rsqrt(x * x + 1.0)
    output("z", z + w)
"""
    path = written(tmp_path, text)
    table = as_json(path, "--shape", "0:x=4,8", code=3)
    found = {row["op"]: row for row in table["faults"]}
    assert set(found) == {"log", "div"} and not table["ok"]
    assert found["log"]["line"] == "program.py:7" and found["div"]["count"] == 32
    assert found["log"]["example"] < 0 < found["log"]["count"] < found["log"]["elements"] == 32
    text = command(path, "--shape", "0:x=4,8", code=3).output
    assert "not defined: program.py:7: log wants numbers above 0" in text


def test_gradients_that_are_zero_need_no_precision(tmp_path: Path) -> None:
    """A bias before a batch norm has none, but for what float leaves of it."""
    text = """
@program
def main():
    x, y = Party(0).input("x"), Party(0).input("y")
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    opt = optim.SGD(model.parameters(), lr=0.1)
    opt.minimize(nn.mse_loss(model(x).reshape(x.shape[0]), y))
    output("model", model)
"""
    for rounding in ("nearest", "probabilistic"):
        table = as_json(written(tmp_path, text), *SHAPES, "--rounding", rounding)
        assert table["ok"] and table["wanted"] == table["config"]
        assert max(row["lost"] for row in table["layers"]) < 0.01


def test_numbers_that_no_precision_holds(tmp_path: Path) -> None:
    path = written(tmp_path, DIVERGES.replace("2000", "60"))
    table = as_json(path, "--shape", "0:x=4,3", code=3)
    assert table["finite"] and table["wanted"] is None and table["overflows"]
    assert "scale the data" in command(path, "--shape", "0:x=4,3", code=3).output


def test_progress_counts_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, FINE)
    left = {}

    def start(what: str, total: int) -> Callable[[], None]:
        left[what] = total

        def tick() -> None:
            left[what] -= 1

        return tick

    check(path, Flags(shapes=("0:x=20,3", "0:y=20")), Samples(), start)
    assert len(left) == 2 and set(left.values()) == {0}


def test_given_inputs_are_cut_to_their_first_rows(tmp_path: Path) -> None:
    path = written(tmp_path, '@program\ndef main():\n    output("x", Party(0).input("x") * 2.0)\n')
    x = np.arange(40.0).reshape(20, 2)
    np.save(tmp_path / "x.npy", x)
    flags = Flags(inputs=(f"0:x={tmp_path / 'x.npy'}",))
    found = check(path, flags, Samples(rows=5), unwatched)
    assert found.layers[0].largest == 18.0
    assert check(path, flags, Samples(rows=500), unwatched).layers[0].largest == 78.0


@pytest.mark.parametrize(
    "words,code,text",
    [
        ((), 3, "shape of input 0:x is not known"),
        (("--shape", "0:x=4,3", "--range", "2", "1"), 2, "is empty"),
        (("--shape", "0:x=4,3", "--nonsense", "1"), 2, "no option --nonsense"),
    ],
)
def test_wrong_usage_is_refused(
    tmp_path: Path, words: tuple[str, ...], code: int, text: str
) -> None:
    import subprocess

    from tests.programs.conftest import command as shell
    from tests.programs.conftest import environment

    path = written(tmp_path, OVERFLOWS)
    done = subprocess.run(
        shell("check", path, *words), env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code and text in done.stderr


def test_a_run_that_cannot_go_on_names_the_line(tmp_path: Path) -> None:
    text = (
        "@program\ndef main():\n    x = Party(0).input('x')\n    for i in loop(3):\n        x[i]\n"
    )
    flags = Flags(shapes=("0:x=2",))
    with pytest.raises(ProgramError, match="program.py:7: gather: row 2 of 2"):
        check(written(tmp_path, text), flags, Samples(), unwatched)


def test_statistics() -> None:
    stats = Stats()
    real = np.array([3.0, 0.25, -0.001, 0.0])
    stats.take(np.array([3.0, 0.25, 0.0, 0.0]), real)
    assert (stats.elements, stats.largest, stats.error, stats.drift) == (4, 3.0, 0.001, 0.001)
    assert stats.whole_bits() == 2 and stats.lost == 0.001
    assert stats.below(1) > 0 and stats.below(1) < 0.01  # half a unit is 0.25, which stays
    assert stats.below(0) == pytest.approx(0.251 / 3.251)
    assert stats.below(16) == 0
