"""The task engine and the handshake, with a protocol made for it (runtime_c/tests/toy.c)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode

from .runner import Result, build, run

CHUNKS, SUBS, NO_TASK, SEND_TWICE, SEND_SELF, SILENT, ENDLESS, WRONG_LENGTH = range(8)
CHILD_FAILS, CHILD_FAILS_LATER, MANY_CHUNKS, FAIL_START, NEVER, KEYS, CHEAT = range(8, 15)
PARTIES = 3


@pytest.fixture(scope="session")
def runner() -> Path:
    return build("toy")


def source(code: str, f: int = 16) -> str:
    return f"""
.meta domain=0 ring_bits=64 k=31 f={f} stat=40 rounding=1 s_size=512 b_size=0 c_size=64 \
handles=8 checked=0
.string ""
.string "prog.py"
.string "y"
.string "after\\n"
.output name="y" party=all f=0 planes=0 shape=[30]
.line "prog.py":5
sfill d=s0 imm=7 n=30
sfill d=s30 imm=-6 n=30
.line "prog.py":9
{code}
output h=0 out=0 a=s60 n=30
join h=0
end
"""


def execute(folder: Path, runner: Path, text: str, *options: str) -> Result:
    path = folder / "program.sqb"
    path.write_bytes(encode(assemble(text)))
    return run(runner, path, "toy", PARTIES, *options, timeout=60)


def mul(kind: int, handle: int = 0, d: int = 60) -> str:
    return f"mul h={handle} d=s{d} a=s0 b=s30 n=30 m={kind} mode=0"


@pytest.mark.parametrize("options", [[], ["--tcp"]])
@pytest.mark.parametrize("kind", [CHUNKS, SUBS, NO_TASK, KEYS])
def test_machines_finish(runner: Path, tmp_path: Path, kind: int, options: list[str]) -> None:
    result = execute(tmp_path, runner, source(f"{mul(kind)}\njoin h=0"), *options)
    assert result.status == 0, result.stderr
    for party in range(PARTIES):
        assert result.outputs[0, party] == [-42] * 30
        assert result.totals[party]["rounds"] == 2


def test_many_machines_in_flight(runner: Path, tmp_path: Path) -> None:
    """Started together and joined in another order they share two rounds; in a loop, again."""
    starts = "\n".join(mul(SUBS if h % 2 else CHUNKS, h, 60 + 30 * h) for h in range(8))
    joins = "\n".join(f"join h={h}" for h in (3, 1, 7, 0, 2, 6, 5, 4))
    sums = "\n".join(f"sadd d=s60 a=s60 b=s{60 + 30 * h} n=30" for h in range(1, 8))
    code = f"loop c=c0 trips=20\n{starts}\n{joins}\n{sums}\nendloop"
    result = execute(tmp_path, runner, source(code))
    assert result.status == 0, result.stderr
    assert result.outputs[0, 0] == [-42 * 8] * 30
    assert {t["rounds"] for t in result.totals.values()} == {40}
    assert {t["sent"] for t in result.totals.values()} == {
        t["received"] for t in result.totals.values()
    }


def test_openings_wait_for_all_that_was_started(runner: Path, tmp_path: Path) -> None:
    """Under a verified protocol; the toy's output fails if a machine runs beside it."""
    sums = "\n".join(mul(CHUNKS, h, 60 + 30 * h) for h in range(1, 8))
    joins = "\n".join(f"join h={h}" for h in range(1, 8))
    text = source(f"{mul(CHUNKS)}\njoin h=0\n{sums}").replace("end\n", f"{joins}\nend\n")
    result = execute(tmp_path, runner, text)
    assert result.status == 0, result.stderr
    assert {t["rounds"] for t in result.totals.values()} == {4}


def test_nothing_is_opened_after_a_failed_check(runner: Path, tmp_path: Path) -> None:
    text = source(f"{mul(CHUNKS)}\njoin h=0\n{mul(CHEAT, 1, 90)}")
    result = execute(tmp_path, runner, text.replace("end\n", "join h=1\nend\n"))
    assert result.status == 7 and "cheating detected: party" in result.stderr
    assert not result.outputs


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (SEND_TWICE, "sends twice in step 0"),
        (SEND_SELF, "sends to party"),
        (SILENT, "failed in silence"),
        (ENDLESS, "over 256 steps"),
        (WRONG_LENGTH, "party 1"),
        (CHILD_FAILS, "failed in silence"),
        (CHILD_FAILS_LATER, "party 1"),
        (MANY_CHUNKS, "chunk 16777216"),
        (FAIL_START, "prog.py:9: not with 30 elements"),
    ],
)
def test_failures_end_the_run(runner: Path, tmp_path: Path, kind: int, reason: str) -> None:
    """With other machines in flight; nothing leaks, nobody hangs, the line is named."""
    code = f"{mul(SUBS, 1, 120)}\n{mul(CHUNKS, 2, 150)}\n{mul(kind)}\njoin h=0\njoin h=1\njoin h=2"
    began = time.monotonic()
    result = execute(tmp_path, runner, source(code))
    assert result.status != 0 and time.monotonic() - began < 20
    assert reason in result.stderr and "prog.py:9" in result.stderr
    assert (0, 2) not in result.outputs  # who sent the short frame may have finished by itself


@pytest.mark.parametrize("options", [[], ["--tcp"]])
def test_parties_that_wait_for_each_other_give_up(
    runner: Path, tmp_path: Path, options: list[str]
) -> None:
    code = f"{mul(CHUNKS, 2, 150)}\n{mul(NEVER)}\njoin h=0\njoin h=2"
    began = time.monotonic()
    result = execute(tmp_path, runner, source(code), *options, "--timeout", "3")
    assert result.status == 3 and time.monotonic() - began < 30
    assert "never sent what this instruction awaits" in result.stderr
    assert "step 0), and waits itself [in mul, prog.py:9]" in result.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--differ", "run-id"], "another run id"),
        (["--differ", "public-seed"], "another public seed"),
        (["--differ", "options"], "another release or set of options"),
    ],
)
def test_parties_that_disagree_do_not_start(
    runner: Path, tmp_path: Path, options: list[str], reason: str
) -> None:
    text = source(f'ptext str="after\\n"\n{mul(CHUNKS)}\njoin h=0')
    result = execute(tmp_path, runner, text, *options)
    assert result.status == 3 and f"runs with {reason}" in result.stderr
    assert not result.prints and not result.outputs


def test_another_program_is_noticed(runner: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqb"
    other.write_bytes(encode(assemble(source(mul(SUBS) + "\njoin h=0"))))
    text = source(mul(CHUNKS) + "\njoin h=0")
    result = execute(tmp_path, runner, text, "--last", str(other))
    assert result.status == 3 and "another program (hash)" in result.stderr


def test_protocol_refuses_at_load(runner: Path, tmp_path: Path) -> None:
    result = execute(tmp_path, runner, source(mul(CHUNKS) + "\njoin h=0", f=25))
    assert result.status == 4 and "toy: f = 25 is above 20" in result.stderr
    text = source("sfill d=s60 imm=1 n=30\nopen h=0 d=c0 a=s0 n=4\njoin h=0")
    result = execute(tmp_path, runner, text)
    assert result.status == 4 and "prog.py:9: toy has no instruction open" in result.stderr


def test_stop_ends_all_parties(runner: Path, tmp_path: Path) -> None:
    text = source(f"loop c=c0 trips=1000000000\n{mul(CHUNKS)}\njoin h=0\nendloop")
    began = time.monotonic()
    result = execute(tmp_path, runner, text, "--stop", "0.3")
    assert result.status == 5 and time.monotonic() - began < 10
    assert "party 0: stopped" in result.stderr and "party 2: party" in result.stderr
