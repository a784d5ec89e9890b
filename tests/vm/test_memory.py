"""What a run keeps in memory: seeds in place of half a data set, and the foreseen peak."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode
from sequester.vm import report, runs

from .runner import ROOT, Result, build, run

ROWS, LENGTH = 7, 5


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("sanitize")


def program(bits: int, owner: int, code: str, n: int) -> str:
    """An input x of ROWS x LENGTH at s0; `code` leaves n elements at s100."""
    return f"""
.meta domain=0 ring_bits={bits} k={bits // 2 - 1} f=16 stat=40 rounding=1 s_size=200 \
b_size=64 c_size=64 handles=1 checked=0
.string ""
.string "prog.py"
.string "x"
.string "y"
.pool 6 0 3 3
.input name="x" party={owner} f=0 shape=[{ROWS},{LENGTH}]
.output name="y" party=all f=0 planes=0 shape=[{n}]
.line "prog.py":1
input h=0 d=s0 in=0 n={ROWS * LENGTH}
join h=0
cset d=c0 pool=0 n=4
{code}
output h=0 out=0 a=s100 n={n}
join h=0
end
"""


def execute(folder: Path, runner: Path, text: str, x: np.ndarray, *options: str) -> Result:
    path, words = folder / "program.sqb", folder / "x.bin"
    path.write_bytes(encode(assemble(text)))
    words.write_bytes(x.tobytes())
    result = run(runner, path, "rep3", 3, "--input", f"0={words}", *options)
    assert result.status == 0, result.stderr
    return result


GATHER = "sgather d=s100 a=s{at} idx=c0 rows=4 len=5 src={src}"
COPY = "scopy d=s100 a=s0 shape=[20] dstr=[1] sstr=[1]"


@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize("owner", [0, 1, 2])
def test_rows_of_a_data_set_are_made_again(
    runner: Path, tmp_path: Path, bits: int, owner: int
) -> None:
    """Gathers from the whole input and from its middle, beside another reader and without one."""
    x = np.arange(1, 1 + ROWS * LENGTH, dtype=np.int64) * 12345
    words = x if bits == 64 else np.stack([x, x >> 63], 1)
    rows = x.reshape(ROWS, LENGTH)[[6, 0, 3, 3]].reshape(-1).tolist()
    gather = GATHER.format(at=0, src=ROWS)
    for code, wanted in (
        (gather, rows),
        (f"{gather}", rows),
        (f"{gather}\n{COPY}", x[:20].tolist()),
        (f"loop c=c10 trips=2\n{gather}\nendloop", rows),
        (f"sfill d=s3 imm=9 n=1\n{gather}", [*rows[:8], 9, *rows[9:]]),
    ):
        result = execute(tmp_path, runner, program(bits, owner, code, 20), words)
        for party in range(3):
            assert result.outputs[0, party] == wanted, code


@pytest.mark.parametrize("bits", [64, 128])
def test_rows_within_a_data_set(runner: Path, tmp_path: Path, bits: int) -> None:
    x = np.arange(ROWS * LENGTH, dtype=np.int64) - 17
    words = x if bits == 64 else np.stack([x, x >> 63], 1)
    code = "cset d=c0 pool=1 n=3\nsgather d=s100 a=s11 idx=c0 rows=3 len=5 src=4"
    result = execute(tmp_path, runner, program(bits, 1, code, 15), words)
    wanted = x[11:].reshape(-1)[: 4 * 5].reshape(4, 5)[[0, 3, 3]].reshape(-1).tolist()
    assert all(result.outputs[0, party] == wanted for party in range(3))


def test_half_a_data_set_is_not_stored(runner: Path, tmp_path: Path) -> None:
    """The owner and the next party store one component of it, the previous one none."""
    rows, length = 4096, 256
    n = rows * length
    x = np.arange(n, dtype=np.int64)

    def peaks(extra: str) -> list[int]:
        """The least of some runs: frames that wait to be read count, too."""
        text = program(64, 0, f"{extra}\n{GATHER.format(at=0, src=rows)}", 20)
        text = text.replace("s_size=200", f"s_size={n + 2000}").replace("s100", f"s{n + 100}")
        text = text.replace(f"[{ROWS},{LENGTH}]", f"[{rows},{length}]")
        text = text.replace(f"n={ROWS * LENGTH}", f"n={n}")
        runs = [execute(tmp_path, runner, text, x).totals for _ in range(4)]
        return [min(totals[i]["peak"] for totals in runs) for i in range(3)]

    seeds, stored = peaks(""), peaks("sfill d=s0 imm=1 n=1")
    saved = [(b - a) / (8 * n) for a, b in zip(seeds, stored, strict=True)]
    assert saved[0] > 0.9 and saved[1] > 0.9 and saved[2] > 1.9, saved


@pytest.mark.parametrize("start", ["ltz h=0 d=b0 a=s0 n={n} bits=31", "trunc {to} mode=1"])
def test_scratch_does_not_grow_with_vectors(start: str, tmp_path: Path) -> None:
    """Chunks of 192 elements, which may hold 20 kB: ten times the elements take the same."""

    def scratch(n: int) -> int:
        code = f"sfill d=s0 imm=12345 n={n}\n{start.format(n=n, to=f'h=0 d=s{n} a=s0 n={n} m=16')}"
        code += "\njoin h=0"
        text = program(64, 0, code, 20).replace("s100", "s0")
        text = text.replace("s_size=200", f"s_size={2 * n}").replace("b_size=64", f"b_size={n}")
        runs = [execute(tmp_path, build("chunks"), text, np.zeros(35, np.int64)) for _ in range(3)]
        registers = 2 * 8 * (2 * n + n)
        return min(max(r.totals[i]["peak"] for i in range(3)) for r in runs) - registers

    few, many = scratch(20_000), scratch(200_000)
    assert many < 2 * few + 100_000, (few, many)


def test_few_blocks_are_kept_idle(tmp_path: Path) -> None:
    """Planes of clear words, one block a vector, one after the other. A vector does not fit in
    the blocks of those before; at most 400 kB of these are kept beside it."""

    def peak(*blocks: int) -> int:
        code = "\n".join(f"bset d=b0 a=c0 p=60 n={64 * n}" for n in blocks)
        fill = f"cfill d=c0 imm=9 n={64 * 900}\nsfill d=s0 imm=1 n=200\n"
        text = program(64, 0, fill + code, 20)
        text = text.replace("b_size=64", "b_size=60000").replace("c_size=64", "c_size=60000")
        result = execute(tmp_path, build("chunks"), text, np.zeros(35, np.int64))
        return int(result.totals[0]["peak"])

    alone = peak(900)
    kept, bounded = peak(200, 900) - alone, peak(600, 700, 800, 900) - alone
    assert 0 < kept < bounded < 400_000, (kept, bounded)  # all of them are 1.2 MB


def test_nothing_is_taken_to_wipe_what_was_never_written(tmp_path: Path) -> None:
    """A party that stores no component of a data set does not get one when the run ends."""
    rows = 2**14
    np.save(tmp_path / "x.npy", np.zeros((rows, 784)))
    text = program(64, 0, f"{GATHER.format(at=0, src=rows)}", 20)
    n = rows * 784
    text = text.replace("s_size=200", f"s_size={n + 2000}").replace("s100", f"s{n + 100}")
    text = text.replace(f"[{ROWS},{LENGTH}]", f"[{rows},784]").replace(
        f"n={ROWS * LENGTH}", f"n={n}"
    )
    settings = runs.Settings("rep3", inputs=(f"0:x={tmp_path}/x.npy",), seed=0)
    code = encode(assemble(text))
    runs.run("wipe", code, tmp_path / "run", settings, lambda party, event: None)
    party = report.load(tmp_path / "run").parties[2]
    assert party["peak_rss"] < party["totals"]["peak_bytes"] + 70e6


@pytest.mark.parametrize("net", ["A", "C"])
def test_the_peak_is_foreseen(tmp_path: Path, net: str) -> None:
    """Within a fifth of what registers, blocks and messages of a training step took."""
    sys.path.insert(1, str(ROOT / "scripts"))
    from benchmarks import training

    case = training.Case(net, batch=64, batches=2)
    inputs, _ = training._inputs(case, tmp_path)
    bytecode, _, _ = training._compile(case, inputs, tmp_path)
    settings = runs.Settings("rep3", inputs=inputs, seed=0)
    runs.run(net, bytecode, tmp_path / "run", settings, lambda party, event: None)
    for figures in report.load(tmp_path / "run").parties.values():
        totals = figures["totals"]
        ratio = totals["peak_bytes"] / totals["predicted_peak_bytes"]
        assert 0.8 < ratio < 1.2, totals
