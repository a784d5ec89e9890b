"""shamir-mal: what waits is verified before it becomes too much; what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sequester.compiler.cost.report import report
from sequester.compiler.cost.shamir_mal import LIMIT
from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode

from ..vm.runner import build, run
from .machine import FIELD, Script, room


@pytest.fixture(scope="module")
def runner() -> Path:
    return build("test")


@pytest.mark.parametrize("parties", [3, 4])
def test_a_full_log_is_verified_between_openings(
    parties: int, runner: Path, tmp_path: Path
) -> None:
    script, n, bits = Script(FIELD), 1000, room(FIELD)
    x = np.arange(-500, 500).astype(object)
    a, sign = script.secret(x), script.reg("b", n)
    count = LIMIT // (n * bits) + 2
    for _ in range(count):
        script.start(f"ltz d={sign} a={a} n={n} bits={bits}")
    out = script.output_bits(sign, 1, n)
    done = script.run(runner, tmp_path, "shamir-mal", parties)
    assert (done.outputs[out] == (x < 0)).all()
    assert done.rounds == {done.predicted.rounds}
    assert [[list(row) for row in e.sent] for e in done.predicted.entries] == done.sent
    once = report(assemble(script.text()), "shamir-mal", parties).entries
    rounds = {e.rounds for e in once[2 : 2 * count + 2 : 2]}
    assert len(rounds) == 2, "one comparison comes behind a check"


@pytest.mark.parametrize("cheats", [False, True])
def test_what_begins_beside_a_check_is_verified_by_the_next_one(
    cheats: bool, runner: Path, tmp_path: Path
) -> None:
    script, n = Script(FIELD, handles=2), 1000
    x = np.arange(n).astype(object)
    a, c, d = script.secret(x), script.reg("c", n), script.reg("s", n)
    script.start(f"mul d={d} a={a} b={a} n=1 m=0 mode=0")
    script.code += [
        f"open h=0 d={c} a={a} n=1",
        f"mul h=1 d={d} a={a} b={a} n={n} m=0 mode=0",
        "join h=0",
        "join h=1",
    ]
    out = script.output(d, n)
    if not cheats:
        done = script.run(runner, tmp_path, "shamir-mal")
        assert (done.outputs[out] == x * x).all()
        assert done.rounds == {done.predicted.rounds}
        return
    path, *options = script.write(tmp_path)
    for number in range(8):  # products of instructions and of checks
        rule = f"2:product:{number}:0:1"
        result = run(runner, Path(path), "shamir-mal", 3, *options, "--cheat", rule)
        assert "cheating detected" in result.stderr, number


@pytest.mark.parametrize(
    ("protocol", "k", "said"),
    [("shamir", 48, "hides values of k + f < 64 bits"), ("shamir-mal", 48, "needs k + f < ring")],
)
def test_what_masks_do_not_hide_is_refused(
    protocol: str, k: int, said: str, runner: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.sqb"
    text = Script(FIELD).text().replace(" k=31", f" k={k}")
    program.write_bytes(encode(assemble(text)))
    result = run(runner, program, protocol, 3)
    assert result.status != 0 and said in result.stderr
