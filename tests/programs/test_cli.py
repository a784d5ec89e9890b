"""The command line from end to end on small programs: results, reports, and every complaint."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sequester.vm import report

from .conftest import Sequester, environment

SMALL = """\
from sequester import Party, loop, output, print_, program, state

@program
def small(steps: int = 3, scale: float = 0.5, loud: bool = True):
    x = Party(0).input("x")
    y = Party(1).input("y")
    w = state(x * y)
    for i in loop(steps):
        w.set(w * scale + x)
    if loud:
        print_("sum {:.3f}", w.read().sum().reveal())
    output("w", w, to=Party(0))
    output("positive", w > 0.5)
"""
MASKS = ("masked", "statistical_bits")
X, Y = np.arange(6.0), np.linspace(-1, 1, 6)
INPUTS = ("--input", "0:x=x.npy", "--input", "1:y=y.npy")


def expected(steps: int = 3) -> np.ndarray:
    w = X * Y
    for _ in range(steps):
        w = w * 0.5 + X
    return w


@pytest.fixture
def small(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "small.py").write_text(SMALL)
    return tmp_path


def test_a_party_that_a_protocol_lacks(small: Path, sequester: Sequester) -> None:
    """Four parties under what is for three: no costs, but all the rest; refused before a run."""
    text = SMALL.replace("Party(1)", "Party(3)").replace("to=Party(0)", "to=Party(3)")
    (small / "four.py").write_text(text)
    shapes = ("--shape", "0:x=6", "--shape", "3:y=6")
    made = sequester("compile", "four.py", *shapes, "-o", "four.sqb")
    assert "rep3:" not in made.stdout
    assert "rep4:" in sequester("compile", "four.py", *shapes, "--protocol", "rep4").stdout
    shown = json.loads(sequester("inspect", "four.sqb", "--json").stdout)
    assert "costs" not in shown and shown["openings"]
    inputs = ("--input", "0:x=x.npy", "--input", "3:y=y.npy")
    refused = sequester("run", "four.sqb", "--protocol", "rep3", *inputs, code=5).stderr
    assert "party 3" in refused and "3 parties" in refused


def test_options_that_a_command_would_swallow(small: Path, sequester: Sequester) -> None:
    for name in ("seed", "parties", "out", "check_point"):
        text = SMALL.replace("loud: bool = True", f"loud: bool = True, {name}: int = 1")
        assert text != SMALL
        (small / "taken.py").write_text(text)
        code = 0 if name == "check_point" else 3
        words = ("compile", "taken.py", "--shape", "0:x=6", "--shape", "1:y=6", "-o", "t.sqb")
        said = sequester(*words, code=code).stderr
        assert code == 0 or f"the parameter {name} " in said


def test_bytecode_that_is_refused_is_named(small: Path, sequester: Sequester) -> None:
    (small / "table.csv").write_text("1,2\n3,4\n")
    assert "table.csv" in sequester("inspect", "table.csv", code=4).stderr


@pytest.mark.parametrize("channel", [(), ("--plain",)])
def test_rep3_run(small: Path, sequester: Sequester, channel: tuple[str, ...]) -> None:
    done = sequester("run", "small.py", "--protocol", "rep3", *INPUTS, "--out", "r", *channel)
    assert abs(float(done.stdout.split()[1]) - expected().sum()) < 1e-3
    assert ("INSECURE" in done.stderr) == bool(channel)
    info = json.loads((small / "r/run.json").read_text())
    assert (info["status"], info["parties"]) == ("finished", 3)
    assert info["channel"] == ("plain TCP" if channel else "TLS 1.3")
    outputs = {i: np.load(small / f"r/party-{i}/outputs.npz") for i in range(3)}
    assert {i: set(o.files) for i, o in outputs.items()} == {
        0: {"w", "positive"},
        1: {"positive"},
        2: {"positive"},
    }
    np.testing.assert_allclose(outputs[0]["w"], expected(), atol=1e-3)
    for o in outputs.values():
        np.testing.assert_array_equal(o["positive"], expected() > 0.5)
    for path in small.glob("r/party-*/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_report_predicted_equals_measured(small: Path, sequester: Sequester) -> None:
    sequester("run", "small.py", "--protocol", "rep3", *INPUTS, "--out", "r")
    table = json.loads(sequester("report", "r", "--json").stdout)
    measured, predicted = table["measured"], table["predicted"]
    assert predicted["exact"]
    assert measured["rounds"] == predicted["rounds"] > 0
    assert measured["sent_bytes"] == predicted["sent_bytes"]
    for row in table["lines"]:
        assert row["sent_bytes"] == row["predicted_sent_bytes"], row
    text = sequester("report", "r").stdout
    assert "small.py:9" in text and "Openings" in text


def test_ledger_and_inspect_agree(small: Path, sequester: Sequester) -> None:
    sequester("run", "small.py", "--protocol", "rep3", *INPUTS, "--out", "r")
    shapes = ("--shape", "0:x=6", "--shape", "1:y=6")
    before = json.loads(sequester("inspect", "small.py", *shapes, "--json").stdout)
    after = json.loads((small / "r/party-1/ledger.json").read_text())
    assert before["openings"] == after
    rows = [(r["line"], r["what"], r["elements"], r["to"], r["times"]) for r in after]
    assert sorted(rows) == [
        ("small.py:11", "reveal", 1, "all", 1),
        ("small.py:12", "output w", 6, "party 0", 1),
        ("small.py:13", "output positive", 6, "all", 1),
    ]


def test_masks_are_counted_where_they_hide_statistically(small: Path, sequester: Sequester) -> None:
    words = ("inspect", "small.py", "--shape", "0:x=6", "--shape", "1:y=6", "--protocol")
    for protocol, said in (("shamir", True), ("shamir-mal", False)):
        table = json.loads(sequester(*words, protocol, "--json").stdout)
        assert bool(table["masked"]) == said
        assert ("opened under masks" in sequester(*words, protocol).stdout) == said
        sequester("run", "small.py", *INPUTS, "--protocol", protocol, "--out", protocol)
        done = json.loads(sequester("report", protocol, "--json").stdout)
        assert [done[x] for x in MASKS] == [table[x] for x in MASKS]
        assert ("opened under masks" in sequester("report", protocol).stdout) == said


def test_every_start_opens_masked_values_again() -> None:
    table = {"masked": 1 << 10, "statistical_bits": 50}
    assert report.masks(table).endswith("2^-40 in all")
    assert report.masks(table, 4).endswith("2^-38 in all by 4 starts")
    assert report.masks(table | {"masked": 0}, 4) == ""


def test_compiled_file_runs_the_same(small: Path, sequester: Sequester) -> None:
    done = sequester(
        "compile", "small.py", *INPUTS, "--steps", 5, "--no-loud", "-o", "s.sqb", "--passes"
    )
    assert "regalloc" in done.stdout
    text = sequester("disasm", "s.sqb").stdout
    (small / "s.txt").write_text(text)
    sequester("asm", "s.txt", "-o", "t.sqb")
    assert (small / "s.sqb").read_bytes() == (small / "t.sqb").read_bytes()
    done = sequester("run", "t.sqb", "--protocol", "rep3", *INPUTS, "--out", "r")
    assert done.stdout == ""
    np.testing.assert_allclose(
        np.load(small / "r/party-0/outputs.npz")["w"], expected(5), atol=1e-3
    )


def test_emulate_needs_a_word(small: Path, sequester: Sequester) -> None:
    run = ("run", "small.py", "--protocol", "emulate", *INPUTS, "--out", "r")
    assert "--insecure" in sequester(*run, code=2).stderr
    done = sequester(*run, "--insecure")
    assert "INSECURE" in done.stderr
    np.testing.assert_allclose(np.load(small / "r/party-0/outputs.npz")["w"], expected(), atol=1e-3)


def test_help_lists_the_program_s_options(small: Path, sequester: Sequester) -> None:
    text = sequester("compile", "small.py", "--help").stdout
    for line in ("--steps INTEGER (3)", "--scale NUMBER (0.5)", "--loud/--no-loud (true)"):
        assert line in text
    assert "Run a program" in sequester("run", "--help").stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("run", "none.py", "--protocol", "rep3"), 5, "none.py: no such file"),
        (("run", "small.py", "--protocol", "rep5", *INPUTS), 5, "there are emulate, rep3"),
        (("run", "small.py", "--protocol", "rep3", "--parties", 4, *INPUTS), 5, "with 3 parties"),
        (("run", "small.py", "--protocol", "rep3"), 3, "small.py:5: the shape of input 0:x"),
        (("run", "small.py", *INPUTS), 2, "Missing option '--protocol'"),
        (("run", "small.py", "--protcol", "rep3", *INPUTS), 2, "do you mean --protocol?"),
        (("run", "small.py", "--protocol", "rep3", "--stesp", 1, *INPUTS), 2, "--steps?"),
        (("run", "small.py", "--protocol", "rep3", "--steps", "x", *INPUTS), 2, "does not fit"),
        (("run", "small.py", "--protocol", "rep3", *INPUTS, "-k", 60), 3, "do not fit the ring"),
        (
            ("run", "small.py", "--protocol", "rep3", *INPUTS, "--input", "2:z=x.npy"),
            5,
            "the program's inputs are: 0:x, 1:y",
        ),
        (
            ("run", "small.py", "--protocol", "rep3", "--shape", "0:x=6", *INPUTS[2:]),
            5,
            "party 0: input 'x' of party 0 (6) is missing",
        ),
        (
            ("run", "small.py", "--protocol", "rep3", *INPUTS, "--checkpoint-every", 1),
            5,
            "write checkpoint() in its outer loop",
        ),
        (("compile", "small.py", *INPUTS, "--without", "emit"), 2, "cannot switch off emit"),
        (("report", "."), 5, "not the folder of a run"),
        (("disasm", "x.npy"), 4, "refused"),
        (("run", "x.npy", "--protocol", "rep3"), 4, "refused"),
        (("keys", "--dest", "k"), 2, "give one of"),
    ],
)
def test_complaints(
    small: Path, sequester: Sequester, words: tuple[object, ...], code: int, message: str
) -> None:
    done = sequester(*words, code=code)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named() -> None:
    """As with another Python than the environment's: what to do, not a traceback."""
    hidden = "import sys; sys.modules['rich.console'] = None; sys.argv[1:] = ['report', '.']; "
    hidden += "from sequester.__main__ import main; main()"
    words = [sys.executable, "-c", hidden]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    assert "the package rich.console is missing; scripts/setup.sh" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    x = Party(0).input('x')\n    if x > 0: pass", "broken.py:5"),
        ("    1 / 0", "broken.py:4: ZeroDivisionError"),
        ("    Party(0).input('x') @ ", "broken.py:4: invalid syntax"),
    ],
)
def test_author_s_mistakes_name_the_line(
    small: Path, sequester: Sequester, body: str, message: str
) -> None:
    text = f"from sequester import Party, program\n@program\ndef broken():\n{body}\n"
    (small / "broken.py").write_text(text)
    done = sequester("run", "broken.py", "--protocol", "rep3", *INPUTS, code=3)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_value_out_of_range(small: Path, sequester: Sequester) -> None:
    np.save(small / "y.npy", Y * 1e6)
    done = sequester("run", "small.py", "--protocol", "rep3", *INPUTS, code=5)
    assert "party 1: y.npy: element 0 is -1000000.0, outside" in done.stderr


def test_a_folder_is_not_overwritten(small: Path, sequester: Sequester) -> None:
    run = ("run", "small.py", "--protocol", "rep3", *INPUTS, "--out", "r")
    sequester(*run)
    assert "holds a run already" in sequester(*run, code=5).stderr
