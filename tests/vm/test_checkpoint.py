"""Saving and resuming in the virtual machine, under AddressSanitizer and UBSan where the protocol
is emulate or rep3.

A run that ends leaves the files of its last two checkpoints here: going on from them must give what
the run gave. The program has everything that a checkpoint must hold: shares, bits and clear values
that change and that do not, public and secret randomness and orders, outputs given before, inputs
read after.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sequester.compiler.compile import Options, compile_graph
from sequester.compiler.ir.graph import Config
from sequester.compiler.isa.codec import decode
from sequester.compiler.lang import (
    Party,
    checkpoint,
    if_,
    loop,
    output,
    permutation,
    print_,
    program,
    random_bits,
    select,
    shuffle,
    sint,
    state,
    uniform,
)
from sequester.compiler.lang.errors import ProgramError

from .runner import Result, build, run

CONFIG, PEER = 4, 3  # statuses
FIELD, WIDE = 127, 192  # in place of a ring's bits; WIDE: 64 bits in words of 128
ROWS = 12
CASES = [
    ("emulate", 1, 64),
    ("rep3", 3, 64),
    ("rep3", 3, 128),
    ("rep3-mal", 3, 64),
    ("rep4", 4, 64),
    ("shamir", 3, FIELD),
    ("shamir-mal", 3, FIELD),
    ("semi2k", 2, 64),
    ("spdz2k-dealt", 3, WIDE),
]


@program
def everything(rounds: int = 4) -> None:
    x = Party(0).input("x", sint, shape=(ROWS, 3))
    still_bits = random_bits(ROWS)
    output("early", x.sum(0))
    total = state(x.sum(0) * 0)
    kept = select(still_bits, x.sum(1))
    for i in loop(rounds):
        order = permutation(ROWS)
        coins = random_bits(3)
        (mixed,) = shuffle(x)
        for j in loop(3):
            total += select(coins, x[order].reshape(3, 4, 3)[j].sum(0))
            checkpoint()
            total += mixed[2] * (j + 1)
        total += kept.sum() + i
        print_("round {}: sum {:d}, drawn {:.3f}", i, total.sum().reveal(), uniform(0.0, 1.0, ()))
    for _ in loop(rounds):  # another outermost loop: other registers stay the same
        total.set(total * 3 - x[0])
        with if_(total.sum().reveal() > 0):
            checkpoint()
    late = Party(0).input("late", sint, shape=(3,))
    output("total", total)
    output("last", late + kept[:3])


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("sanitize")


class Saved:
    """A program that ran to its end, and the folder of its checkpoints."""

    def __init__(self, runner: Path, home: Path, protocol: str, parties: int, bits: int) -> None:
        self.runner, self.home, self.protocol, self.parties = runner, home, protocol, parties
        config = Config(bits, *((31, 16) if bits == 64 else (63, 32)), rounding="nearest")
        if bits == FIELD:
            config = Config(rounding="nearest", field=True)
        elif bits == WIDE:
            config = Config(rounding="nearest", wide=True)
        self.file = home / "program.sqb"
        self.file.write_bytes(compile_graph(everything.trace(config), Options()).data)
        rng = np.random.default_rng(3)
        self.inputs: list[str] = []
        for i, size in enumerate((ROWS * 3, 3)):
            wide = -(-min(bits, 128) // 64)
            words = rng.integers(1, 50, (size, wide)) * [[1, 0][:wide]]
            (home / str(i)).write_bytes(words.astype(np.int64).tobytes())
            self.inputs += ["--input", f"{i}={home / str(i)}"]
        self.files = home / "files"
        for party in range(parties):
            (self.files / str(party)).mkdir(parents=True)
        self.whole = self.run(self.files, "--every", "1", *self.inputs)
        assert self.whole.status == 0, self.whole.stderr

    def run(self, folder: Path, *options: str) -> Result:
        words = ("--checkpoints", str(folder), *options)
        return run(self.runner, self.file, self.protocol, self.parties, *words)

    def resume(self, folder: Path, *options: str) -> Result:
        return self.run(folder, "--every", "1", "--resume", *options)

    def numbers(self, party: int = 0) -> list[int]:
        """Checkpoints in the folder, the last one first."""
        found = (self.files / str(party)).glob("state-*")
        return sorted((int(p.name[6:]) for p in found), reverse=True)


Make = Callable[..., Saved]


@pytest.fixture(scope="module")
def make(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    made: dict[tuple[str, int, int], Saved] = {}

    def get(protocol: str = "rep3", parties: int = 3, bits: int = 64) -> Saved:
        key = (protocol, parties, bits)
        if key not in made:
            home = tmp_path_factory.mktemp(f"{protocol}-{bits}")
            made[key] = Saved(runner, home, *key)
        return made[key]

    return get


@pytest.fixture
def saved(make: Make, tmp_path: Path) -> tuple[Saved, Path]:
    """A finished run of rep3, and a copy of its files to spoil."""
    run = make()
    shutil.copytree(run.files, tmp_path / "files")
    return run, tmp_path / "files"


def refused(result: Result, *words: str) -> None:
    """The run ended with a clear error, and nothing was opened or printed."""
    assert result.status in (CONFIG, PEER)
    for word in words:
        assert word in result.stderr
    assert not result.prints


@pytest.mark.parametrize(("protocol", "parties", "bits"), CASES)
def test_resumed_run_ends_as_the_whole_one(
    make: Make, tmp_path: Path, protocol: str, parties: int, bits: int
) -> None:
    whole = make(protocol, parties, bits)
    last, before = whole.numbers()
    assert last - before == 1 and last > 12, "both loops passed checkpoints"
    for dropped in (None, last):
        files = tmp_path / str(dropped)
        shutil.copytree(whole.files, files)
        for party in range(parties):
            (files / str(party) / f"state-{dropped}").unlink(missing_ok=True)
        again = whole.resume(files)
        assert again.status == 0, again.stderr
        assert again.outputs == whole.whole.outputs
        for party in range(parties):
            figures, figures_whole = again.totals[party], whole.whole.totals[party]
            for name in ("rounds", "sent", "received"):
                assert figures[name] == figures_whole[name], name


@pytest.mark.parametrize(("protocol", "parties", "bits"), CASES)
def test_resumed_run_goes_on_from_every_checkpoint(
    make: Make, tmp_path: Path, protocol: str, parties: int, bits: int
) -> None:
    """--every N with all N gives a last checkpoint at every place of the program."""
    whole = make(protocol, parties, bits)
    seen = set()
    for every in range(3, whole.numbers()[0] + 1):
        files = tmp_path / str(every)
        for party in range(parties):
            (files / str(party)).mkdir(parents=True)
        # Secret bits are fresh in each run: both are the halves of one.
        first = whole.run(files, "--every", str(every), *whole.inputs)
        seen.add(max(int(p.name[6:]) for p in (files / "0").glob("state-*")))
        again = whole.run(files, "--every", str(every), "--resume")
        assert again.status == 0, again.stderr
        assert again.outputs == first.outputs
        assert again.prints == first.prints, "lines from before the checkpoint too"
    assert len(seen) > 6


def test_keys_are_fresh_after_every_start(make: Make, tmp_path: Path) -> None:
    """Two copies of the same files lead to the same outputs by other messages."""
    whole = make()
    for party in range(3):
        (tmp_path / "one" / str(party)).mkdir(parents=True)
    whole.run(tmp_path / "one", "--every", "9", *whole.inputs)
    assert (tmp_path / "one" / "0" / "state-9").exists(), "within the first loop"
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two = (whole.run(tmp_path / n, "--every", "9", "--resume") for n in ("one", "two"))
    assert one.outputs == two.outputs
    for party in range(3):
        assert one.traces[party] != two.traces[party], "masks were used twice"


def test_no_two_files_hold_the_same_bytes(make: Make) -> None:
    """Encrypted under keys of their own: no run of 16 bytes of one occurs in another one."""
    seen: set[bytes] = set()
    for path in sorted(make().files.glob("*/*")):
        data = path.read_bytes()[64 + 1024 :]  # behind the heading
        pieces = {data[i : i + 16] for i in range(0, len(data) - 16, 16)}
        assert not pieces & seen
        seen |= pieces


@pytest.mark.parametrize("kind", ["state", "still"])
@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:], "authentication fails"),  # heading
        (lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:], "another key, or is damaged"),  # salt
        (lambda b: b[:-30] + bytes([b[-30] ^ 128]) + b[-29:], "authentication fails"),
        (lambda b: b[:-1], "ends too early"),
        (lambda b: b[: len(b) // 2], "ends too early"),
        (lambda b: b[:40], "ends too early"),
        (lambda b: b"", "ends too early"),
        (lambda b: b + b"x", "something follows"),
        (lambda b: b"PK" + b[2:], "is not a checkpoint"),
        (lambda b: b[:8] + struct.pack("<I", 9) + b[12:], "another format"),
    ],
)
def test_damaged_file(
    saved: tuple[Saved, Path], kind: str, spoil: Callable[[bytes], bytes], word: str
) -> None:
    whole, files = saved
    name = f"state-{whole.numbers()[0]}"
    if kind == "still":
        name = max(p.name for p in (files / "1").glob("still-*"))
        for path in (files / "1").glob("still-*"):
            path.write_bytes(spoil(path.read_bytes()))
    else:
        (files / "1" / name).write_bytes(spoil((files / "1" / name).read_bytes()))
    refused(whole.resume(files), "party 1:", kind, word)


def test_foreign_files(saved: tuple[Saved, Path], make: Make) -> None:
    whole, files = saved
    last, before = whole.numbers()
    shutil.copy(files / "2" / f"state-{last}", files / "1" / f"state-{last}")
    refused(whole.resume(files), "written with another key")
    shutil.copy(files / "1" / f"state-{before}", files / "1" / f"state-{last}")
    refused(whole.resume(files), f"state-{last}: belongs to another checkpoint")
    other = make("rep3", 3, 128)
    number = other.numbers(1)[0]
    shutil.copy(other.files / "1" / f"state-{number}", files / "1" / f"state-{last}")
    refused(whole.resume(files), "belongs to another program")


def test_party_with_the_same_key_does_not_take_anothers_file(
    saved: tuple[Saved, Path], tmp_path: Path
) -> None:
    """The heading names the party, whatever the keys."""
    whole, files = saved
    for party in range(3):
        (tmp_path / "same" / str(party)).mkdir(parents=True)
    # Party 2 writes with party 0's key: --key gives 99s, so both get it in turn.
    assert whole.run(tmp_path / "same", "--every", "1", "--key", "2", *whole.inputs).status == 0
    last = whole.numbers()[0]
    shutil.copy(tmp_path / "same" / "2" / f"state-{last}", files / "1" / f"state-{last}")
    refused(whole.resume(files, "--key", "1"), "belongs to another party")


def test_wrong_key(saved: tuple[Saved, Path]) -> None:
    whole, files = saved
    refused(whole.resume(files, "--key", "0"), "party 0:", "written with another key")


def test_files_of_another_start_do_not_mix(saved: tuple[Saved, Path], tmp_path: Path) -> None:
    """Shares of two starts do not fit together, though everything else about them is the same."""
    whole, files = saved
    last, before = whole.numbers()
    shutil.copytree(files, tmp_path / "again")
    for party in range(3):
        (tmp_path / "again" / str(party) / f"state-{last}").unlink()
    assert whole.resume(tmp_path / "again").status == 0  # writes `last` anew
    for name in (f"state-{last}",):
        shutil.copy(tmp_path / "again" / "1" / name, files / "1" / name)
    assert whole.resume(files).outputs == whole.whole.outputs, "goes on from the one before"
    for party in range(3):
        (files / str(party) / f"state-{before}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "again" / "1" / f"state-{last}", files / "1" / f"state-{last}")
    shutil.copy(whole.files / "0" / f"state-{last}", files / "0" / f"state-{last}")
    refused(whole.resume(files), "no checkpoint that all parties have")


def test_crash_between_the_parties_writes(saved: tuple[Saved, Path]) -> None:
    """One party lacks the last checkpoint, another has only half of it under another name."""
    whole, files = saved
    last = whole.numbers()[0]
    half = (files / "0" / f"state-{last}").read_bytes()[:500]
    (files / "0" / f"state-{last}").unlink()
    (files / "0" / f"state-{last}.new").write_bytes(half)
    again = whole.resume(files)
    assert again.status == 0, again.stderr
    assert again.outputs == whole.whole.outputs


def test_nothing_to_resume_from(saved: tuple[Saved, Path]) -> None:
    whole, files = saved
    for path in (files / "2").glob("state-*"):
        path.unlink()
    refused(whole.resume(files), "party 2 has no checkpoint of this run")


@pytest.mark.parametrize(("protocol", "parties"), [("rep3-mal", 3), ("rep4", 4), ("shamir-mal", 3)])
def test_a_run_with_a_cheater_is_not_resumed(
    make: Make, tmp_path: Path, protocol: str, parties: int
) -> None:
    whole = make(protocol, parties, FIELD if protocol == "shamir-mal" else 64)
    files, clean = tmp_path / "files", tmp_path / "clean"
    shutil.copytree(whole.files, files)
    (files / "0" / f"state-{whole.numbers()[0]}").unlink()  # some of the program is left to do
    caught = whole.resume(files, "--cheat", "1:share:2:0:1")
    assert caught.status == 7 and "cheating detected" in caught.stderr
    marks = list(files.glob("*/cheating"))
    assert marks
    refused(whole.resume(files), "cheating was detected", "remove", "cheating")
    shutil.copytree(whole.files, clean)
    mark = clean / marks[0].relative_to(files)
    mark.write_text("")
    refused(whole.resume(clean), "cheating was detected", "remove", "cheating")
    mark.unlink()
    assert whole.resume(clean).outputs == whole.whole.outputs


def test_still_registers_are_written_once_a_loop(make: Make) -> None:
    """Only the second loop's are left at the end: those of the first were removed."""
    whole = make()
    stills = list((whole.files / "0").glob("still-*"))
    assert len(stills) == 1
    code = decode(whole.file.read_bytes())
    points = [i for i, insn in enumerate(code.code) if insn.instr.name == "checkpoint"]
    assert len(points) == 2
    assert int(stills[0].name.split("-")[1]) == points[1]


def test_what_moves_and_what_stays_still() -> None:
    """Data stays, variables written in the loop and counters move; dead values are neither."""

    @program
    def main() -> None:
        x = Party(0).input("x", sint, shape=(40, 3))
        w = state(x[0] * 0)
        unused_later = x[1] * 5
        output("early", unused_later)
        for _ in loop(4):
            for j in loop(5):
                temporary = x[j] * x[j + 1]
                w += temporary * 2
                checkpoint()
        output("w", w + x[3])

    code = decode(compile_graph(main.trace(Config()), Options()).data)
    point = next(i.named() for i in code.code if i.instr.name == "checkpoint")
    sizes = {
        part: [sum(point[part][k + 2] for k in range(0, len(point[part]), 3)
                   if point[part][k] == file) for file in range(3)]
        for part in ("moving", "still")
    }  # fmt: skip
    assert sizes["moving"] == [3, 0, 2]
    assert sizes["still"][0] == 120


def test_checkpoint_outside_of_a_loop() -> None:
    @program
    def main() -> None:
        checkpoint()

    with pytest.raises(ProgramError, match="outside of a loop"):
        main.trace(Config())


def test_a_run_that_ends_within_a_check_is_not_resumed(make: Make, tmp_path: Path) -> None:
    """Where who made it end can know alpha: before it has answered what tells that."""
    whole = make("spdz2k-dealt", 3, WIDE)

    def left() -> Path:
        files = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(whole.files, files)
        (files / "0" / f"state-{whole.numbers()[0]}").unlink()  # some of the program is left to do
        return files

    seen = whole.resume(left(), "--tamper", "0:0:0:drop").frames  # nobody sends to itself
    for lacks, refuses in ((1, True), (3, False)):
        files = left()
        # The last frames are the sums, the commitment and the opening of the last check.
        cut = ("--tamper", f"1:0:{seen[1, 0] - lacks}:drop", "--timeout", "3")
        assert whole.resume(files, *cut).status == PEER
        assert (files / "0" / "checking").exists() == refuses
        again = whole.resume(files)
        if refuses:
            refused(again, "ended within a check", "remove", "checking")
        else:
            assert again.outputs == whole.whole.outputs, again.stderr
