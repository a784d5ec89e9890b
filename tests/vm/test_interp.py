"""Every instruction in the virtual machine, under `emulate` and `rep3`, both rings, against Python.

Each case is a few lines of assembly over operands that a preamble has put into the registers; what
it leaves in s0.., b0.. or c0.. is revealed and compared with integers computed here.
"""

from __future__ import annotations

import math
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sequester.compiler.ir.reference import PublicRandomness
from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode

from .runner import Result, build, run

N = 6
EXECUTORS = [("emulate", 1), ("rep3", 3)]
BITS = [64, 128]
Expect = Callable[[int, list[int], list[int]], list[int]]


@pytest.fixture(scope="session")
def runner() -> Path:
    return build("sanitize")


@pytest.fixture(scope="session")
def fast() -> Path:
    return build("test")


def signed(v: int, bits: int) -> int:
    v %= 1 << bits
    return v - (1 << bits) if v >> (bits - 1) else v


def values(bits: int) -> tuple[list[int], list[int]]:
    """Two vectors of N ring words with edges: used as clear, shared and (low planes) bits."""
    top = 1 << (bits - 1)
    rng = random.Random(bits)
    a = [0, 1, -1, top - 1, -top, rng.randrange(-top, top)]
    b = [3, -5, 1, -1, 2, rng.randrange(-top, top)]
    return a, b


def program(bits: int, code: str, shape: str, *, planes: int = 0, strings: str = "") -> str:
    a, b = values(bits)
    pool = " ".join(map(str, a + b))
    return f"""
.meta domain=0 ring_bits={bits} k={bits // 2 - 1} f=16 stat=40 rounding=1 s_size=4096 \
b_size=8192 c_size=4096 handles=4 checked=0
.string ""
.string "prog.py"
.string "y"
{strings}
.pool {pool}
.output name="y" party=all f=0 planes={planes} shape={shape}
.line "prog.py":41
cset d=c100 pool=0 n={N}
cset d=c200 pool={N} n={N}
sset d=s100 a=c100 n={N}
sset d=s200 a=c200 n={N}
bset d=b1000 a=c100 p=8 n={N}
bset d=b2000 a=c200 p=8 n={N}
.line "prog.py":42
{code}
end
"""


def execute(
    folder: Path, runner: Path, text: str, protocol: str, parties: int, *options: str
) -> Result:
    path = folder / "program.sqb"
    path.write_bytes(encode(assemble(text)))
    return run(runner, path, protocol, parties, *options)


def reveal(kind: str, n: int) -> str:
    return {
        "c": f"coutput out=0 a=c0 n={n}",
        "s": f"output h=3 out=0 a=s0 n={n}\njoin h=3",
        "b": f"outputb h=3 out=0 a=b0 p=8 n={n}\njoin h=3",
    }[kind]


def low(v: int, p: int = 8) -> int:
    return v % (1 << p)


def each(f: Callable[[int, int], int]) -> Expect:
    """Element by element."""
    return lambda w, a, b: [f(x, y) for x, y in zip(a, b, strict=True)]


E = "a=c100 b=c200"
S = "a=s100 b=s200"
# kind of result, code, elements, expected words from (bits, a, b)
CASES: dict[str, tuple[str, str, int, Expect]] = {
    "cset": ("c", "cset d=c0 pool=1 n=4", 4, lambda w, a, b: a[1:5]),
    "cfill": ("c", "cfill d=c0 imm=-7 n=6", 6, lambda w, a, b: [-7] * 6),
    "cadd": ("c", f"cadd d=c0 {E} n=6", 6, each(lambda x, y: x + y)),
    "csub": ("c", f"csub d=c0 {E} n=6", 6, each(lambda x, y: x - y)),
    "cmul": ("c", f"cmul d=c0 {E} n=6", 6, each(lambda x, y: x * y)),
    "cdiv": ("c", f"cdiv d=c0 {E} n=6", 6, each(lambda x, y: x // y)),
    "cdiv_min": (
        "c",
        "cfill d=c300 imm=-1 n=6\ncdiv d=c0 a=c100 b=c300 n=6",
        6,
        lambda w, a, b: [-x for x in a],
    ),
    "cmod": ("c", f"cmod d=c0 {E} n=6", 6, each(lambda x, y: x % y)),
    "cmod_in_place": (
        "c",
        "cmod d=c200 a=c100 b=c200 n=6\nccopy d=c0 a=c200 shape=[6] dstr=[1] sstr=[1]",
        6,
        each(lambda x, y: x % y),
    ),
    "cshr": (
        "c",
        "cshr d=c0 a=c100 m=3 n=6",
        6,
        lambda w, a, b: [signed(x + 4, w) >> 3 for x in a],
    ),
    "cltz": ("c", "cltz d=c0 a=c100 n=6", 6, lambda w, a, b: [int(x < 0) for x in a]),
    "ceqz": ("c", "ceqz d=c0 a=c100 n=6", 6, lambda w, a, b: [int(x == 0) for x in a]),
    "cmuli": ("c", "cmuli d=c0 a=c100 imm=-9 n=6", 6, lambda w, a, b: [-9 * x for x in a]),
    "caddi": ("c", "caddi d=c0 a=c100 imm=-9 n=6", 6, lambda w, a, b: [x - 9 for x in a]),
    "ccopy": (
        "c",
        "ccopy d=c5 a=c100 shape=[2,3] dstr=[-3,-1] sstr=[1,2]",
        6,
        lambda w, a, b: [a[i + 2 * j] for i in (1, 0) for j in (2, 1, 0)],
    ),
    "cacc": (
        "c",
        "cfill d=c0 imm=10 n=2\ncacc d=c0 a=c100 shape=[2,3] dstr=[1,0] sstr=[3,1]",
        2,
        lambda w, a, b: [10 + sum(a[:3]), 10 + sum(a[3:])],
    ),
    "cgather": (
        "c",
        "cfill d=c300 imm=2 n=2\ncfill d=c301 imm=0 n=1\n"
        "cgather d=c0 a=c100 idx=c300 rows=2 len=2 src=3",
        4,
        lambda w, a, b: a[4:6] + a[0:2],
    ),
    "cmatmul": (
        "c",
        f"cmatmul d=c0 {E} M=2 K=3 N=2 ta=1 tb=0",
        4,
        lambda w, a, b: [
            sum(a[2 * k + i] * b[2 * k + j] for k in range(3)) for i in (0, 1) for j in (0, 1)
        ],
    ),
    "sadd": ("s", f"sadd d=s0 {S} n=6", 6, each(lambda x, y: x + y)),
    "ssub": ("s", f"ssub d=s0 {S} n=6", 6, each(lambda x, y: x - y)),
    "saddc": (
        "s",
        "saddc d=s0 a=s100 b=c200 n=6",
        6,
        each(lambda x, y: x + y),
    ),
    "smulc": (
        "s",
        "smulc d=s0 a=s100 b=c200 n=6",
        6,
        each(lambda x, y: x * y),
    ),
    "smuli": ("s", "smuli d=s0 a=s100 imm=-3 n=6", 6, lambda w, a, b: [-3 * x for x in a]),
    "saddi": ("s", "saddi d=s0 a=s100 imm=-3 n=6", 6, lambda w, a, b: [x - 3 for x in a]),
    "sfill_long": (
        "s",
        "sfill d=s1024 imm=-3 n=1500\nsaddi d=s1024 a=s1024 imm=1 n=1500\n"
        "sacc d=s0 a=s1024 shape=[1500] dstr=[0] sstr=[1]",
        1,
        lambda w, a, b: [-3000],
    ),
    "sset": ("s", "sset d=s0 a=c200 n=6", 6, lambda w, a, b: b),
    "scopy": (
        "s",
        "scopy d=s0 a=s100 shape=[3,2] dstr=[2,1] sstr=[0,5]",
        6,
        lambda w, a, b: [a[0], a[5]] * 3,
    ),
    "sacc": (
        "s",
        "sset d=s0 a=c200 n=2\nsacc d=s0 a=s100 shape=[2,3] dstr=[1,0] sstr=[3,1]",
        2,
        lambda w, a, b: [b[0] + sum(a[:3]), b[1] + sum(a[3:])],
    ),
    "sgather": (
        "s",
        "cfill d=c300 imm=1 n=3\nsgather d=s0 a=s100 idx=c300 rows=3 len=2 src=3",
        6,
        lambda w, a, b: a[2:4] * 3,
    ),
    "sscatter": (
        "s",
        "sset d=s0 a=c200 n=4\ncfill d=c300 imm=1 n=3\n"
        "sscatter d=s0 a=s100 idx=c300 rows=3 len=2 dst=2",
        4,
        lambda w, a, b: [*b[:2], b[2] + a[0] + a[2] + a[4], b[3] + a[1] + a[3] + a[5]],
    ),
    "smatmulc": (
        "s",
        "smatmulc d=s0 a=s100 b=c200 M=2 K=3 N=1 ta=0 tb=0",
        2,
        lambda w, a, b: [sum(a[3 * i + k] * b[k] for k in range(3)) for i in (0, 1)],
    ),
    "scmatmul": (
        "s",
        "scmatmul d=s0 a=c100 b=s200 M=2 K=3 N=1 ta=0 tb=1",
        2,
        lambda w, a, b: [sum(a[3 * i + k] * b[k] for k in range(3)) for i in (0, 1)],
    ),
    "bxor": (
        "b",
        "bxor d=b0 a=b1000 b=b2000 p=8 n=6",
        6,
        each(lambda x, y: low(x ^ y)),
    ),
    "bnot": ("b", "bnot d=b0 a=b1000 p=8 n=6", 6, lambda w, a, b: [low(~x) for x in a]),
    "bfill": ("b", "bfill d=b0 bit=1 p=8 n=6", 6, lambda w, a, b: [255] * 6),
    "bset": ("b", "bset d=b0 a=c200 p=8 n=6", 6, lambda w, a, b: [low(x) for x in b]),
    "bcopy": (
        "b",
        "bcopy d=b0 a=b1000 p=8 dn=6 an=6 doff=1 aoff=5 shape=[2,2] dstr=[3,1] sstr=[-1,-4]",
        6,
        lambda w, a, b: [0, low(a[5]), low(a[1]), 0, low(a[4]), low(a[0])],
    ),
    "bmove": ("b", "bmove d=b0 a=b1000 p=8 n=6", 6, lambda w, a, b: [low(x) for x in a]),
    "bandc": (
        "b",
        "bandc d=b0 a=b1000 b=c200 p=8 n=6",
        6,
        each(lambda x, y: low(x & y)),
    ),
    "mul": (
        "s",
        f"mul h=0 d=s0 {S} n=6 m=0 mode=0",
        6,
        each(lambda x, y: x * y),
    ),
    "matmul": (
        "s",
        f"matmul h=1 d=s0 {S} M=2 K=3 N=2 ta=0 tb=1 m=0 mode=0",
        4,
        lambda w, a, b: [
            sum(a[3 * i + k] * b[3 * j + k] for k in range(3)) for i in (0, 1) for j in (0, 1)
        ],
    ),
    "trunc": (
        "s",
        "cfill d=c300 imm=-1000 n=6\nsset d=s300 a=c300 n=6\ntrunc h=0 d=s0 a=s300 n=6 m=4 mode=1",
        6,
        lambda w, a, b: [-62] * 6,
    ),
    "eqz": (
        "b",
        "bfill d=b0 bit=0 p=8 n=6\neqz h=0 d=b0 a=s100 n=6 bits=20",
        6,
        lambda w, a, b: [int(x % (1 << 20) == 0) for x in a],
    ),
    "ltz": (
        "b",
        "bfill d=b0 bit=0 p=8 n=6\nltz h=0 d=b0 a=s100 n=6 bits=20",
        6,
        lambda w, a, b: [x >> 19 & 1 for x in a],
    ),
    "select": (
        "s",
        "select h=0 d=s0 b=b2000 a=s100 n=6",
        6,
        each(lambda x, y: x if y & 1 else 0),
    ),
    "shuffle": (
        "s",
        "cfill d=c0 imm=5 n=1\nscopy d=s6 a=s100 shape=[3,2] dstr=[2,1] sstr=[0,1]\n"
        "shuffle h=0 d=s0 a=s6 order=c0 n=3 len=2",
        6,
        lambda w, a, b: a[:2] * 3,
    ),
    "select_keep": (
        "s",
        "select_keep h=0 d=s0 k=s300 b=b2000 a=s100 n=6",
        6,
        each(lambda x, y: x if y & 1 else 0),
    ),
    "select_kept": (
        "s",
        "select_keep h=0 d=s6 k=s300 b=b2000 a=s200 n=6\njoin h=0\n"
        "select_kept h=0 d=s0 k=s300 b=b2000 a=s100 n=6",
        6,
        each(lambda x, y: x if y & 1 else 0),
    ),
    "b2a": (
        "s",
        "b2a h=0 d=s0 a=b1000 p=2 n=6",
        12,
        lambda w, a, b: [x & 1 for x in a] + [x >> 1 & 1 for x in a],
    ),
    "a2b": ("b", "a2b h=0 d=b0 a=s200 n=6 bits=8", 6, lambda w, a, b: [low(x) for x in b]),
    "and": (
        "b",
        "and h=0 d=b0 a=b1000 b=b2000 p=8 n=6",
        6,
        each(lambda x, y: low(x & y)),
    ),
    "open": ("c", "open h=0 d=c0 a=s200 n=6", 6, lambda w, a, b: b),
    "openb": ("c", "openb h=0 d=c0 a=b2000 p=8 n=6", 6, lambda w, a, b: [low(x) for x in b]),
}


LONG = {
    "transposed": "scopy d=s{d} a=s0 shape=[300,200] dstr=[1,300] sstr=[200,1]",
    "backwards": "scopy d=s{d} a=s59999 shape=[60000] dstr=[1] sstr=[-1]",
    "repeated": "scopy d=s{d} a=s0 shape=[200,300] dstr=[300,1] sstr=[1,0]",
    "sums": "sfill d=s{d} imm=0 n=60000\nsacc d=s{d} a=s0 shape=[200,300] dstr=[0,1] sstr=[300,1]",
    "overlapping": "sfill d=s{d} imm=0 n=60000\n"
    "sacc d=s{d} a=s0 shape=[300,200] dstr=[1,1] sstr=[200,1]",
    "windows": "sfill d=s{d} imm=0 n=60000\n"
    "sacc d=s{d} a=s0 shape=[100,3,200] dstr=[200,200,1] sstr=[600,200,1]",
    "factor": "smuli d=s{d} a=s0 imm=-7 n=60000",
}


@pytest.mark.parametrize("bits", [64, 128])
def test_threads_share_long_local_work(runner: Path, tmp_path: Path, bits: int) -> None:
    """Also where some indices lead to the same place, which only one thread may fill."""
    at, lines = 60000, []
    for code in LONG.values():
        lines.append(code.format(d=at))
        at += 60000
    text = f"""
.meta domain=0 ring_bits={bits} k=31 f=16 stat=40 rounding=1 s_size={at} b_size=0 c_size=60000 \
handles=1 checked=0
.string ""
.string "prog.py"
.string "y"
.output name="y" party=all f=0 planes=0 shape=[{at - 60000}]
.line "prog.py":1
cuniform d=c0 lo=-1000000 hi=1000000 stream=0 n=60000
sset d=s0 a=c0 n=60000
{chr(10).join(lines)}
output h=0 out=0 a=s60000 n={at - 60000}
join h=0
end
"""
    path = tmp_path / "program.sqb"
    path.write_bytes(encode(assemble(text)))
    found = [run(runner, path, "emulate", 1, "--threads", t) for t in ("1", "3")]
    assert [r.status for r in found] == [0, 0], found[0].stderr + found[1].stderr
    assert found[0].outputs == found[1].outputs and any(found[0].outputs[0, 0])


@pytest.mark.parametrize(("protocol", "parties"), EXECUTORS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", CASES)
def test_instruction(
    runner: Path, tmp_path: Path, name: str, bits: int, protocol: str, parties: int
) -> None:
    kind, code, n, expect = CASES[name]
    if " h=" in code:
        handle = code.split(" h=")[1].split()[0]
        code += f"\njoin h={handle}"
    text = program(bits, f"{code}\n{reveal(kind, n)}", f"[{n}]", planes=8 * (kind == "b"))
    result = execute(tmp_path, runner, text, protocol, parties)
    assert result.status == 0, result.stderr
    expected = [signed(v, bits) for v in expect(bits, *values(bits))]
    for party in range(parties):
        assert result.outputs[0, party] == expected


def conv(bits: int, x: list[int], w: list[int]) -> list[int]:
    """1 x 1 x 3 x 2 by 1 x 1 x 2 x 2, stride 1 x 2, padding 1 x 1: 4 x 2."""

    def at(i: int, j: int) -> int:
        return x[2 * i + j] if 0 <= i < 3 and 0 <= j < 2 else 0

    return [
        sum(at(i + u - 1, 2 * j + v - 1) * w[2 * u + v] for u in (0, 1) for v in (0, 1))
        for i in range(4)
        for j in range(2)
    ]


SIZES = "B=1 C=1 H=3 W=2 O=1 KH=2 KW=2 OH=4 OW=2 SH=1 SW=2 PH=1 PW=1 m=0 mode=0"


@pytest.mark.parametrize(("protocol", "parties"), EXECUTORS)
@pytest.mark.parametrize("bits", BITS)
def test_convolutions(runner: Path, tmp_path: Path, bits: int, protocol: str, parties: int) -> None:
    a, b = values(bits)
    g = [k + 1 for k in range(8)]
    code = "\n".join(f"sfill d=s{300 + i} imm={v} n=1" for i, v in enumerate(g))
    code += f"""
conv2d h=0 d=s0 x=s100 w=s200 {SIZES}
conv2d_dx h=1 d=s8 g=s300 w=s200 {SIZES}
conv2d_dw h=2 d=s14 g=s300 x=s100 {SIZES}
join h=0
join h=1
join h=2
"""
    result = execute(
        tmp_path, runner, program(bits, code + reveal("s", 18), "[18]"), protocol, parties
    )
    assert result.status == 0, result.stderr
    forward = conv(bits, a, b)
    dx = [sum(y * c for y, c in zip(conv(bits, unit(6, i), b), g, strict=True)) for i in range(6)]
    dw = [sum(y * c for y, c in zip(conv(bits, a, unit(4, i)), g, strict=True)) for i in range(4)]
    assert result.outputs[0, 0] == [signed(v, bits) for v in forward + dx + dw]


def unit(n: int, i: int) -> list[int]:
    return [int(j == i) for j in range(n)]


@pytest.mark.parametrize("bits", BITS)
def test_probabilistic_rounding_is_unbiased(fast: Path, tmp_path: Path, bits: int) -> None:
    """Each result is one of the two neighbours; their mean is the exact quotient, at 5 sigma."""
    n, m, v = 4000, 10, -123456
    code = f"sfill d=s0 imm={v} n={n}\ntrunc h=0 d=s4096 a=s0 n={n} m={m} mode=0\njoin h=0\n"
    code += f"output h=0 out=0 a=s4096 n={n}\njoin h=0"
    text = program(bits, code, f"[{n}]").replace("s_size=4096", "s_size=9000")
    words = execute(tmp_path, fast, text, "emulate", 1).outputs[0, 0]
    exact = v / 2**m
    assert set(words) == {math.floor(exact), math.ceil(exact)}
    p = exact - math.floor(exact)
    assert abs(sum(words) / n - exact) < 5 * math.sqrt(p * (1 - p) / n)


def test_control_flow(runner: Path, tmp_path: Path) -> None:
    """Nested loops, a break, both branches of an if; the counter may be overwritten in the body."""
    code = """
cfill d=c0 imm=0 n=6
loop c=c50 trips=5
  caddi d=c0 a=c0 imm=1 n=1
  loop c=c51 trips=4
    caddi d=c1 a=c1 imm=1 n=1
    csub d=c52 a=c50 b=c51 n=1
    breakz c=c52
    cfill d=c51 imm=77 n=1
    caddi d=c2 a=c2 imm=1 n=1
  endloop
  if c=c50
    caddi d=c3 a=c3 imm=1 n=1
  else
    caddi d=c4 a=c4 imm=100 n=1
  endif
  loop c=c53 trips=0
    caddi d=c5 a=c5 imm=1 n=1
  endloop
endloop
"""
    result = execute(tmp_path, runner, program(64, code + reveal("c", 6), "[6]"), "emulate", 1)
    inner = [(i, j) for i in range(5) for j in range(4) if j <= i]
    passed = [(i, j) for i, j in inner if i != j]
    assert result.outputs[0, 0] == [5, len(inner), len(passed), 4, 100, 0]


@pytest.mark.parametrize("bits", BITS)
def test_public_randomness(runner: Path, tmp_path: Path, bits: int) -> None:
    """The same words as the reference's, by stream and occurrence."""
    code = """
loop c=c900 trips=2
  cperm d=c0 stream=7 n=300
  cuniform d=c300 lo=-5 hi=1000000007 stream=7 n=300
  cuniform d=c600 lo=-9223372036854775808 hi=9223372036854775807 stream=8 n=3
endloop
"""
    text = program(bits, code + reveal("c", 603), "[603]")
    seed = bytes(range(16))
    result = execute(tmp_path, runner, text, "emulate", 1, "--seed", seed.hex())
    public = PublicRandomness(seed)
    for _ in range(2):
        expected = public.permutation(7, 300) + public.uniform(7, 300, -5, 10**9 + 7)
        expected += public.uniform(8, 3, -(2**63), 2**63 - 1)
    assert result.outputs[0, 0] == expected


FORMATS = ["%d", "%+5d", "%-6d", "%06d", "%.4f", "%8.2f", "%+.1f", "%g", "% .3f", "%06.1f"]


@pytest.mark.parametrize("bits", BITS)
def test_printing(runner: Path, tmp_path: Path, bits: int) -> None:
    """Values over 2^f, formatted as by C; lines end at newlines and at the end of the program."""
    a, _ = values(bits)
    code = "cset d=c0 pool=0 n=6\ncfill d=c20 imm=-98304 n=1\n"
    strings = '.string "v = "\n.string "\\n"\n.string "tail"\n.string "%u"\n'
    for spec in FORMATS:
        strings += f'.string "{spec}"\n'
        code += f'ptext str="v = "\npval a=c20 n=1 f=16 fmt="{spec}"\nptext str="\\n"\n'
    code += (
        'pval a=c0 n=5 f=0 fmt="%d"\nptext str="\\n"\npval a=c2 n=1 f=0 fmt="%u"\nptext str="tail"'
    )
    text = program(bits, code + "\n" + reveal("c", 6), "[6]", strings=strings)
    lines = execute(tmp_path, runner, text, "emulate", 1).prints[0]
    printf = [
        subprocess.run(
            ["printf", spec, "-1" if spec.endswith("d") else "-1.5"],
            capture_output=True,
            text=True,
            env={"LC_ALL": "C"},
        ).stdout
        for spec in FORMATS
    ]
    assert lines[: len(FORMATS)] == ["v = " + text for text in printf]
    assert lines[len(FORMATS)] == "[" + " ".join(map(str, a[:5])) + "]"
    assert lines[len(FORMATS) + 1] == f"{2**bits - 1}tail"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("cset d=c0 pool=0 n=1\ncdiv d=c1 a=c100 b=c0 n=1", "division by zero (element 0)"),
        (
            "cfill d=c0 imm=3 n=1\nsgather d=s0 a=s100 idx=c0 rows=1 len=2 src=3",
            "index 3 (entry 0) is out of range for 3 rows",
        ),
        (
            "cfill d=c0 imm=-1 n=1\nsscatter d=s0 a=s100 idx=c0 rows=1 len=2 dst=3",
            "index -1 (entry 0) is out of range for 3 rows",
        ),
    ],
)
@pytest.mark.parametrize(("protocol", "parties"), EXECUTORS)
def test_authors_mistakes_name_the_line(
    runner: Path, tmp_path: Path, code: str, reason: str, protocol: str, parties: int
) -> None:
    text = program(64, code + "\n" + reveal("c", 1), "[1]")
    result = execute(tmp_path, runner, text, protocol, parties)
    assert result.status in (2, 3)
    assert f"prog.py:42: {reason}" in result.stderr


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sfill d=s0 imm=3000000000 n=2\nmul h=0 d=s8 a=s0 b=s0 n=2 m=16 mode=1", "a product"),
        ("sfill d=s0 imm=100000 n=4\ntrunc h=0 d=s8 a=s0 n=4 m=1 mode=0", None),
        ("sfill d=s0 imm=8589934592 n=4\ntrunc h=0 d=s8 a=s0 n=4 m=1 mode=0", "the result"),
        ("sfill d=s1 imm=1073741824 n=1\nltz h=0 d=b0 a=s0 n=2 bits=31", "element 1"),
        ("sfill d=s1 imm=1073741823 n=1\nltz h=0 d=b0 a=s0 n=2 bits=31", None),
        ("sfill d=s1 imm=1073741824 n=1\neqz h=0 d=b0 a=s0 n=2 bits=31", "element 1"),
        ("sfill d=s1 imm=1073741824 n=1\neqz h=0 d=b0 a=s0 n=2 bits=30", None),
        (
            "sfill d=s0 imm=2000000000 n=4\n"
            "matmul h=0 d=s8 a=s0 b=s0 M=2 K=2 N=2 ta=0 tb=0 m=40 mode=1",
            "a product",
        ),
    ],
)
def test_checked_emulation(runner: Path, tmp_path: Path, code: str, reason: str | None) -> None:
    text = program(64, code + "\njoin h=0\n" + reveal("c", 1), "[1]")
    assert execute(tmp_path, runner, text, "emulate", 1).status == 0
    result = execute(tmp_path, runner, text, "emulate", 1, "--checked", "1")
    if reason is None:
        assert result.status == 0, result.stderr
    else:
        assert result.status == 2 and "prog.py:42: " in result.stderr and reason in result.stderr
