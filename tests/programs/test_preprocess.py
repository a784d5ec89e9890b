"""Material made before a run: it serves one run, of its program, by the parties it is for."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sequester.compiler.cost import PREPARE
from sequester.compiler.cost.report import report
from sequester.compiler.isa import codec
from sequester.vm import data

from .conftest import ROOT, Sequester, command, environment

LINE = ROOT / "programs" / "linear_regression.py"
MIXED = """
from sequester import Party, output, program, random_bits, shuffle, where

@program
def mixed():
    x, y = Party(0).input("x"), Party(2).input("y")
    rows, others = shuffle(x, y)
    larger = where(rows > others, rows, others)
    output("rows", rows)
    output("sum", (larger * larger).sum())
    output("bits", random_bits(64).sum(), to=Party(1))
"""
SQUARES = """
from sequester import Party, output, program

@program
def squares():
    x = Party(0).input("x")
    output("squares", x * x)
"""
TINY = """
from sequester import Parties, Party, nn, output, program

@program
def tiny():
    train, test = Parties().dataset("train"), Parties().dataset("test")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    opt = nn.optimizer_named("sgd", model.parameters(), 0.5, 0.0)
    nn.fit(model, train, opt, epochs=2, batch=32, classes=10, test=test, test_batch=32)
    output("model", model, to=Party(0))
"""
OPENED = """
from sequester import Party, if_, print_, program

@program
def opened():
    x = Party(0).input("x")
    with if_(x.sum().reveal() > 0):
        print_("{}", (x * x).sum().reveal())
"""


@pytest.fixture(scope="module", params=["dealer", "semi2k"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def home(protocol: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, bytecode, and material for one run of it."""
    folder = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (40, 3))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", x @ [0.5, -1.0, 0.25] + 0.1)

    def call(*words: object) -> None:
        done = subprocess.run(
            command(*words), cwd=folder, env=environment(), capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    shapes = ("--input", "0:x=x.npy", "--input", "1:y=y.npy", "--rounding", "nearest")
    call("compile", LINE, "--steps", 3, *shapes, "-o", "line.sqb")
    call("compile", LINE, "--steps", 4, *shapes, "-o", "other.sqb")
    for out in ("deal", "again"):
        call("preprocess", "line.sqb", "--protocol", protocol, "--seed", 5, "--out", out)
    return folder


@pytest.fixture
def material(home: Path, tmp_path: Path) -> Path:
    """A copy that no run has used."""
    shutil.copytree(home / "deal", tmp_path / "deal")
    shutil.copy(home / "line.sqb", tmp_path)
    return tmp_path / "deal"


def arguments(home: Path, material: Path, program: str = "line.sqb") -> list[object]:
    inputs = ["--input", f"0:x={home / 'x.npy'}", "--input", f"1:y={home / 'y.npy'}"]
    protocol = json.loads((home / "deal" / "preprocessing.json").read_text())["protocol"]
    return ["run", home / program, "--protocol", protocol, "--preprocessing", material, *inputs]


def test_a_run_from_material(home: Path, material: Path, sequester: Sequester) -> None:
    done = sequester(*arguments(home, material), "--out", "a", "--json")
    table = json.loads(done.stdout.splitlines()[-1])
    measured, predicted = table["measured"], table["predicted"]
    assert table["run"]["parties"] == 2
    assert measured["rounds"] == predicted["rounds"]
    assert measured["sent_bytes"] == predicted["sent_bytes"]
    inputs = arguments(home, material)[6:]
    clear = ["run", home / "line.sqb", "--protocol", "emulate", "--insecure", *inputs]
    sequester(*clear, "--seed", 5, "--out", "b")
    folder = material.parent
    assert (folder / "a" / "printed.txt").read_text() == (folder / "b" / "printed.txt").read_text()
    found, wanted = (dict(np.load(folder / r / "party-0" / "outputs.npz")) for r in "ab")
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
    again = sequester(*arguments(home, material), "--out", "c", code=5)
    assert "was used by a run before" in again.stderr
    own = material / "party-0"
    assert not (own / "material").exists() and not (own / "material.key").exists()
    shutil.rmtree(own)
    shutil.copytree(home / "deal" / "party-0", own)
    again = sequester(*arguments(home, material), "--out", "d", code=5)
    assert "party 1" in again.stderr and "was used by a run before" in again.stderr
    assert not (own / "material.used").exists()


def test_what_is_made_was_predicted(protocol: str, material: Path) -> None:
    """Rounds and bytes, in loops too, are those that the costs foresee."""
    program = codec.decode((material.parent / "line.sqb").read_bytes())
    made = json.loads((material / "preprocessing.json").read_text())
    costs = report(program, protocol, 3 if protocol == "dealer" else 2, phase=PREPARE)
    assert costs.exact
    if protocol == "dealer":
        assert list(costs.sent[2][:2]) == made["dealt_bytes"] and made["dealt_bytes"][1] > 0
    else:
        assert [sum(row) for row in costs.sent] == made["sent_bytes"]
        assert costs.rounds == made["rounds"] > 0


def test_a_mark_at_one_party_is_enough(home: Path, material: Path, sequester: Sequester) -> None:
    (material / "party-1" / "material.used").touch()
    done = sequester(*arguments(home, material), code=5)
    assert "party 1" in done.stderr and "was used by a run before" in done.stderr


def test_another_program(home: Path, material: Path, sequester: Sequester) -> None:
    done = sequester(*arguments(home, material, "other.sqb"), code=5)
    assert "was made for another program" in done.stderr
    seeded = sequester(*arguments(home, material), "--seed", 6, code=5)
    assert "was made for the seed 5" in seeded.stderr


def test_material_of_two_dealings(home: Path, material: Path, sequester: Sequester) -> None:
    shutil.rmtree(material / "party-1")
    shutil.copytree(home / "again" / "party-1", material / "party-1")
    done = sequester(*arguments(home, material), code=5)
    assert "is not the one that the other parties have" in done.stderr
    assert not (material / "party-1" / "material.used").exists()


def test_another_partys_file(home: Path, material: Path, sequester: Sequester) -> None:
    shutil.rmtree(material / "party-0")
    shutil.copytree(material / "party-1", material / "party-0")
    assert "was made for another party" in sequester(*arguments(home, material), code=5).stderr


@pytest.mark.parametrize("kind", ["flip", "cut", "longer", "key"])
def test_damage_is_found_first(kind: str, home: Path, material: Path, sequester: Sequester) -> None:
    path = material / "party-1" / "material"
    data = bytearray(path.read_bytes())
    if kind == "flip":
        data[len(data) // 2] ^= 1
    elif kind == "cut":
        del data[len(data) // 2 :]
    elif kind == "longer":
        data += b"more"
    else:
        (material / "party-1" / "material.key").write_text("0" * 64)
    path.write_bytes(data)
    done = sequester(*arguments(home, material), code=5)
    assert str(path) in done.stderr
    assert not (material / "party-1" / "material.used").exists()


def test_three_parties_and_secret_orders(
    protocol: str, tmp_path: Path, sequester: Sequester
) -> None:
    x, y = np.arange(20.0), np.arange(20.0)[::-1] + 0.5
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    (tmp_path / "mixed.py").write_text(MIXED)
    words = ["mixed.py", "--input", "0:x=x.npy", "--input", "2:y=y.npy", "--protocol", protocol]
    sequester("preprocess", *words, "--parties", 3, "--out", "d")
    done = sequester("run", *words, "--preprocessing", "d", "--out", "a", "--json")
    table = json.loads(done.stdout.splitlines()[-1])
    assert table["measured"]["sent_bytes"] == table["predicted"]["sent_bytes"]
    assert table["measured"]["rounds"] == table["predicted"]["rounds"]
    found = np.load(tmp_path / "a" / "party-1" / "outputs.npz")
    assert sorted(found["rows"]) == sorted(x) and (found["rows"] != x).any()
    np.testing.assert_allclose(found["sum"], (np.maximum(x, y) ** 2).sum(), atol=0.01)
    assert 10 < found["bits"] < 54


def test_a_small_network_from_material(protocol: str, tmp_path: Path, sequester: Sequester) -> None:
    """Digits of 8 by 8, a hidden layer: to nearest, the training is the emulation's bit for bit."""
    for name, count in (("train", 128), ("test", 32)):
        pictures, labels = data.sources(name, ROOT / "programs" / "data")
        x = pictures.read()[:count, :, 2:26, 2:26].reshape(count, 1, 8, 3, 8, 3).mean((3, 5))
        np.savez(tmp_path / f"{name}.npz", x=x, y=labels.read()[:count])
    (tmp_path / "tiny.py").write_text(TINY)
    words = ["--input", "0:train=train.npz", "--input", "1:test=test.npz"]
    sequester("compile", "tiny.py", *words, "--rounding", "nearest", "-o", "tiny.sqb")
    sequester("preprocess", "tiny.sqb", "--protocol", protocol, "--seed", 3, "--out", "d")
    made = ["run", "tiny.sqb", "--protocol", protocol, "--preprocessing", "d", "--out", "a"]
    table = json.loads(sequester(*made, *words, "--json").stdout.splitlines()[-1])
    clear = ["run", "tiny.sqb", "--protocol", "emulate", "--insecure", "--seed", 3, "--out", "b"]
    sequester(*clear, *words)
    assert table["measured"]["sent_bytes"] == table["predicted"]["sent_bytes"]
    assert table["measured"]["rounds"] == table["predicted"]["rounds"]
    text = (tmp_path / "a" / "printed.txt").read_text()
    assert "epoch 1" in text and text == (tmp_path / "b" / "printed.txt").read_text()
    found, wanted = (dict(np.load(tmp_path / r / "party-0" / "outputs.npz")) for r in "ab")
    assert found
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_what_depends_on_opened_values(protocol: str, tmp_path: Path, sequester: Sequester) -> None:
    (tmp_path / "opened.py").write_text(OPENED)
    words = ["preprocess", "opened.py", "--protocol", protocol, "--shape", "0:x=3", "--out", "d"]
    done = sequester(*words, code=5)
    assert "opened.py:7" in done.stderr and "depends on an opened value" in done.stderr
    assert not (tmp_path / "d").exists()


def test_protocols_that_deal_nothing(home: Path, sequester: Sequester) -> None:
    words = ["preprocess", home / "line.sqb", "--protocol", "rep3", "--out", "d"]
    assert "rep3 has nothing to be made before a run" in sequester(*words, code=5).stderr


def test_parties_that_prepare_where_they_are(tmp_path: Path, sequester: Sequester) -> None:
    """Each makes its own material; what parties made at different times does not fit together."""
    np.save(tmp_path / "x.npy", np.array([1.5, -2.0]))
    (tmp_path / "squares.py").write_text(SQUARES)
    sequester("compile", "squares.py", "--input", "0:x=x.npy", "-o", "squares.sqb")
    for name in ("first", "second"):
        done = both(tmp_path, "--prepare", "{}" + name)
        assert [p.returncode for p in done] == [0, 0], done
    done = both(tmp_path, "--preprocessing", "{}first", "--out", "{}run")
    assert [p.returncode for p in done] == [0, 0], done
    found = np.load(tmp_path / "0run" / "party-0" / "outputs.npz")
    np.testing.assert_allclose(found["squares"], [2.25, 4.0], atol=1e-3)
    shutil.rmtree(tmp_path / "1second")
    shutil.copytree(tmp_path / "1first", tmp_path / "1second")
    done = both(tmp_path, "--preprocessing", "{}second", "--out", "{}again")
    assert all(p.returncode == 6 and "set of options" in p.stderr for p in done), done
    assert not (tmp_path / "0second" / "party-0" / "material.used").exists()


def both(folder: Path, *words: str) -> list[subprocess.CompletedProcess[str]]:
    """Two parties of squares.sqb; {}: a party's index."""
    rows = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as s:
            rows.append(f'[[party]]\nhost = "127.0.0.1"\nport = {s.getsockname()[1]}\n')
    (folder / "parties.toml").write_text('protocol = "semi2k"\n' + "".join(rows))
    running = []
    for i in range(2):
        brought = ["--input", f"{i}:x=x.npy"] * (i == 0 and "--prepare" not in words)
        own = [word.format(i) for word in words]
        running.append(
            subprocess.Popen(
                command("party", "squares.sqb", "--id", i, "--config", "parties.toml", "--plain",
                        *brought, *own),
                cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True,
            )
        )  # fmt: skip
    done = []
    for process in running:
        out, err = process.communicate(timeout=300)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return done
