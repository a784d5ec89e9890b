"""What does not depend on threads, kernels and channels, and how machines share their rounds."""

from __future__ import annotations

from pathlib import Path

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode

from .runner import run
from .test_interp import execute, fast, program, runner

__all__ = ["fast", "runner"]  # fixtures

BIG = """
sfill d=s0 imm=-70000 n=40000
sfill d=s40000 imm=65539 n=40000
mul h=0 d=s80000 a=s0 b=s40000 n=40000 m=16 mode=0
ltz h=1 d=b0 a=s0 n=40000 bits=32
matmul h=2 d=s120000 a=s0 b=s40000 M=200 K=200 N=200 ta=0 tb=1 m=16 mode=1
join h=1
select h=1 d=s160000 b=b0 a=s40000 n=40000
join h=0
join h=1
join h=2
sadd d=s80000 a=s80000 b=s120000 n=40000
output h=0 out=0 a=s80000 n=4
join h=0
"""


def test_threads_kernels_and_channels_change_no_byte(fast: Path, tmp_path: Path) -> None:
    """The same keys: everything sent is the same, whatever sends it."""
    text = program(64, BIG, "[4]").replace("s_size=4096", "s_size=200000")
    seen = set()
    for threads, kernels, more in [
        ("1,1,1", "portable", []),
        ("1,2,3", "avx2", []),
        ("4,1,2", "avx512", []),
        ("2,2,2", "portable", ["--tcp"]),
    ]:
        path = tmp_path / "big.sqb"
        path.write_bytes(encode(assemble(text)))
        options = ["--seed", "0011", "--threads", threads, *more]
        result = run(fast, path, "rep3", 3, *options, env={"SEQUESTER_KERNELS": kernels})
        if result.status == 4:
            continue  # this processor does not have these kernels
        assert result.status == 0, result.stderr
        seen.add((tuple(result.traces.items()), tuple(result.outputs[0, 1])))
        assert result.totals[0]["rounds"] == result.totals[2]["rounds"]
    assert len(seen) == 1
    fresh = execute(tmp_path, fast, text, "rep3", 3)
    assert tuple(fresh.traces.items()) != next(iter(seen))[0]  # keys are fresh without a seed


def test_round_clock(runner: Path, tmp_path: Path) -> None:
    """Machines started together share their rounds; one after the other they add up."""

    def rounds(code: str) -> int:
        result = execute(tmp_path, runner, program(64, code, "[1]"), "rep3", 3)
        assert result.status == 0, result.stderr
        assert len({t["rounds"] for t in result.totals.values()}) == 1
        return result.totals[0]["rounds"]

    one = "mul h=0 d=s0 a=s100 b=s200 n=6 m=16 mode=0"
    other = "ltz h=1 d=b0 a=s100 n=6 bits=32"
    apart = rounds(f"{one}\njoin h=0"), rounds(f"{other}\njoin h=1")
    assert rounds(f"{one}\n{other}\njoin h=0\njoin h=1") == max(apart)
    assert rounds(f"{one}\njoin h=0\n{other}\njoin h=1") == sum(apart)
