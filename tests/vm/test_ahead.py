"""For which programs material can be made before they run: what the C side refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode

from .runner import build, run

META = """
.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=0 s_size=640 b_size=64 c_size=64 \
handles=1 checked=0
.string ""
.line "":1
cfill d=c0 imm=1 n=8
cfill d=c8 imm=1 n=8
"""
OPEN = "open h=0 d=c0 a=s0 n=8\njoin h=0\n"
MULTIPLY = "smulc d=s64 a=s0 b=c0 n=8\n"
LOOP = "loop c=c32 trips=3\n"


def refused(code: str, folder: Path, *options: str) -> bool:
    """Whether a run with material is refused for its program, else for want of its folder."""
    path = folder / "program.sqb"
    path.write_bytes(encode(assemble(META + code + "\nend\n")))
    done = run(build("test"), path, "semi2k", 2, "--material", str(folder), *options)
    found = "depends on an opened value here" in done.stderr
    assert done.status == 4 and (found or "party-0/material" in done.stderr), done.stderr
    return found


@pytest.mark.parametrize(
    "code",
    [
        MULTIPLY,
        MULTIPLY + OPEN,
        OPEN + 'saddc d=s64 a=s0 b=c0 n=8\npval a=c0 n=8 f=0 fmt="%d"\n',
        OPEN + "cfill d=c0 imm=1 n=8\n" + MULTIPLY,
        OPEN + "cadd d=c0 a=c8 b=c8 n=8\n" + MULTIPLY,
        OPEN + "ccopy d=c0 a=c8 shape=[2,4] dstr=[1,2] sstr=[0,1]\n" + MULTIPLY,
        OPEN + "cadd d=c16 a=c0 b=c8 n=8\nsmulc d=s64 a=s0 b=c8 n=8\n",
        LOOP + "cfill d=c0 imm=1 n=8\n" + MULTIPLY + OPEN + "endloop\n",
        OPEN + "if c=c8\ncfill d=c0 imm=1 n=8\nelse\nccopy d=c7 a=c8 shape=[8] dstr=[-1] sstr=[1]\n"
        "endif\n" + MULTIPLY,
    ],
)
def test_what_is_only_added_or_shown_does_not_matter(code: str, tmp_path: Path) -> None:
    assert not refused(code, tmp_path, "--make")


@pytest.mark.parametrize(
    "code",
    [
        OPEN + MULTIPLY,
        OPEN + "cfill d=c0 imm=1 n=7\n" + MULTIPLY,
        OPEN + "cadd d=c16 a=c0 b=c8 n=8\nsmulc d=s64 a=s0 b=c16 n=8\n",
        OPEN + "if c=c3\nendif\n",
        OPEN + LOOP + "breakz c=c7\nendloop\n",
        LOOP + OPEN + "breakz c=c8\ncfill d=c0 imm=1 n=8\nendloop\n" + MULTIPLY,
        OPEN + "if c=c8\ncfill d=c0 imm=1 n=8\nelse\nendif\n" + MULTIPLY,
        OPEN + "cdiv d=c16 a=c8 b=c0 n=8\n",
        OPEN + "sgather d=s64 a=s0 idx=c0 rows=8 len=1 src=8\n",
        OPEN + "shuffle h=0 d=s64 a=s0 order=c0 n=8 len=1\njoin h=0\n",
        OPEN + "bandc d=b8 a=b0 b=c0 p=1 n=8\n",
        LOOP + MULTIPLY + OPEN + "endloop\n",
        LOOP + LOOP + MULTIPLY + "endloop\n" + OPEN + "endloop\n",
        OPEN + "if c=c32\ncfill d=c0 imm=1 n=8\nendif\n" + MULTIPLY,
        OPEN + "ccopy d=c0 a=c8 shape=[2,3] dstr=[5,1] sstr=[0,1]\n" + MULTIPLY,
        OPEN + "ccopy d=c40 a=c0 shape=[2] dstr=[1] sstr=[1]\nsmulc d=s64 a=s0 b=c41 n=1\n",
    ],
)
def test_what_decides_or_multiplies_does(code: str, tmp_path: Path) -> None:
    assert refused(code, tmp_path, "--make")
    (tmp_path / "id").write_bytes(bytes(16))
    assert refused(code, tmp_path)


def test_where_and_what_is_named(tmp_path: Path) -> None:
    path = tmp_path / "program.sqb"
    text = META.replace('""', '"train.py"').replace(":1", ":7") + OPEN + MULTIPLY + "end\n"
    path.write_bytes(encode(assemble(text)))
    done = run(build("test"), path, "semi2k", 2, "--material", str(tmp_path), "--make")
    assert "train.py:7: what is made before a run" in done.stderr and "(smulc)" in done.stderr


def test_many_loops_in_each_other(tmp_path: Path) -> None:
    """Each begins with other registers than it is left with; still it is done at once."""
    depth = 28
    code = "".join(f"loop c=c{32 + i} trips=2\ncfill d=c{i} imm=1 n=1\n" for i in range(depth))
    code += "".join(f"open h=0 d=c{i} a=s0 n=1\njoin h=0\nendloop\n" for i in range(depth))
    assert not refused(code, tmp_path, "--make")
    assert refused(code + "smulc d=s64 a=s0 b=c5 n=1", tmp_path, "--make")
