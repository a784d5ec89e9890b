"""Which programs can be dealt for before they run."""

from __future__ import annotations

import pytest

from sequester.compiler.isa.ahead import needs_opened
from sequester.compiler.isa.asm import assemble

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


def needs(code: str) -> bool:
    return needs_opened(assemble(META + code + "\nend\n")) is not None


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
    ],
)
def test_what_is_only_added_or_shown_does_not_matter(code: str) -> None:
    assert not needs(code)


@pytest.mark.parametrize(
    "code",
    [
        OPEN + MULTIPLY,
        OPEN + "cfill d=c0 imm=1 n=7\n" + MULTIPLY,
        OPEN + "cadd d=c16 a=c0 b=c8 n=8\nsmulc d=s64 a=s0 b=c16 n=8\n",
        OPEN + "if c=c3\nendif\n",
        OPEN + LOOP + "breakz c=c7\nendloop\n",
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
def test_what_decides_or_multiplies_does(code: str) -> None:
    assert needs(code)
