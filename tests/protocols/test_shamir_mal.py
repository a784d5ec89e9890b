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


@pytest.mark.parametrize("parties", [7, 10])
def test_many_parties(parties: int, runner: Path, tmp_path: Path) -> None:
    """35 and 126 sets of parties with a key of their own."""
    script, x = Script(FIELD), np.array([-5, 7, 1 << 20], dtype=object)
    a, d, sign, order = script.secret(x), script.reg("s", 3), script.reg("b", 3), script.reg("c", 1)
    script.start(f"mul d={d} a={a} b={a} n=3 m=4 mode=1")
    rounded = script.output(d, 3)
    script.start(f"ltz d={sign} a={a} n=3 bits=32")
    negative = script.output_bits(sign, 1, 3)
    script.code.append(f"cfill d={order} imm=5 n=1")
    script.start(f"shuffle d={d} a={a} order={order} n=3 len=1")
    shuffled = script.output(d, 3)
    done = script.run(runner, tmp_path, "shamir-mal", parties)
    assert list(done.outputs[rounded]) == [2, 3, 1 << 36]
    assert list(done.outputs[negative]) == [1, 0, 0]
    assert sorted(done.outputs[shuffled]) == sorted(x)
    assert done.rounds == {done.predicted.rounds}
    assert [[list(row) for row in e.sent] for e in done.predicted.entries] == done.sent


def test_a_check_that_is_due_waits_for_what_is_under_way(runner: Path, tmp_path: Path) -> None:
    script, n, bits = Script(FIELD, handles=2), 1000, room(FIELD)
    x = np.arange(-500, 500).astype(object)
    a, d, sign = script.secret(x), script.reg("s", n), script.reg("b", n)
    count = LIMIT // (n * bits) + 2
    for _ in range(count):
        script.code += [
            f"ltz h=0 d={sign} a={a} n={n} bits={bits}",
            f"mul h=1 d={d} a={a} b={a} n={n} m=0 mode=0",  # verified first
            "join h=1",
            "join h=0",
        ]
    script.output_bits(sign, 1, n)
    done = script.run(runner, tmp_path, "shamir-mal")
    assert done.rounds == {done.predicted.rounds}
    own = [e.rounds for e in done.predicted.entries[3 : 4 * count : 4]]  # of products
    assert sorted(own)[:-1] == [2] * (count - 1) and max(own) > 100, own


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
