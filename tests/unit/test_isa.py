"""The instruction table, the files generated from it, the codec and the assembler."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from bytecode_strategies import programs
from hypothesis import given, settings
from hypothesis import strategies as st

from sequester.compiler.isa import generate
from sequester.compiler.isa.asm import assemble, disassemble
from sequester.compiler.isa.codec import decode, encode
from sequester.compiler.isa.program import BytecodeError, Program
from sequester.compiler.isa.table import BY_CODE, BY_NAME, INSTRUCTIONS, Product, Strided

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", list(generate.targets(ROOT)), ids=lambda p: p.name)
def test_generated_files_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generate.targets(ROOT)[path], (
        f"{path.name} is stale: run python -m sequester.compiler.isa.generate"
    )


def test_codes_and_names_are_unique() -> None:
    assert len(BY_CODE) == len(BY_NAME) == len(INSTRUCTIONS)


@pytest.mark.parametrize("instr", INSTRUCTIONS, ids=lambda i: i.name)
def test_extents_name_operands_of_the_row(instr) -> None:  # type: ignore[no-untyped-def]
    kinds = {o.name: o.kind for o in instr.operands}
    for o in instr.operands:
        assert (o.file is None) == (o.extent is None)
        if isinstance(o.extent, Product):
            assert all(kinds[n] == "n" for n in o.extent.names)
        elif isinstance(o.extent, Strided):
            assert kinds[o.extent.shape] == kinds[o.extent.strides] == "dims"
        assert (o.file == "b") == (o.planes is not None)
    starts = bool(instr.operands) and instr.operands[0].kind == "h" and instr.name != "join"
    assert instr.interactive == starts


@given(programs())
@settings(max_examples=150, deadline=None)
def test_codec_and_assembler_round_trip(program: Program) -> None:
    data = encode(program)
    assert decode(data) == program
    assert encode(decode(data)) == data
    assert assemble(disassemble(program)) == program


@given(programs(), st.data())
@settings(max_examples=150, deadline=None)
def test_every_corruption_is_refused_with_an_offset(program: Program, data: st.DataObject) -> None:
    good = encode(program)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BytecodeError, match="offset 0x"):
        decode(bytes(bad))
    with pytest.raises(BytecodeError, match="offset 0x"):
        decode(good[:at])
    with pytest.raises(BytecodeError, match="offset 0x"):
        decode(good + bytes(8))


def _rehashed(data: bytearray) -> bytes:
    data[32:64] = bytes(32)
    data[32:64] = hashlib.sha256(data).digest()
    return bytes(data)


@given(programs(), st.data())
@settings(max_examples=300, deadline=None)
def test_hostile_files_are_refused_or_valid(program: Program, data: st.DataObject) -> None:
    """With a correct hash, whatever decodes encodes to the same bytes: nothing is overlooked."""
    bad = bytearray(encode(program))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(64, len(bad) - 1))
        bad[at] = data.draw(st.sampled_from([0, 1, 2, 7, 127, 128, 255]))
    file = _rehashed(bad)
    try:
        decoded = decode(file)
    except BytecodeError as error:
        assert error.where.startswith("offset 0x")
    else:
        assert encode(decoded) == file


PREAMBLE = """
.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=0 s_size=64 b_size=64 c_size=64 \
handles=2 checked=0
.string "%d"
.line "a.py":3 "scope"
"""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sadd d=s0 a=s32 b=s60 n=8", "b covers s60..s68, file s has 64"),
        ("mul h=0 d=s0 a=s4 b=s32 n=8 m=0 mode=0", "destination d overlaps source a"),
        ("mul h=0 d=s0 a=s8 b=s32 n=8 m=64 mode=0", "m = 64"),
        ("mul h=2 d=s0 a=s8 b=s32 n=8 m=4 mode=0", "h = 2"),
        ("mul h=0 d=s0 a=s8 b=s32 n=8 m=4 mode=0", "was started in this block and not joined"),
        ("join h=0", "was not started in this block"),
        ("endloop", "no loop is open"),
        ("if c=c0\n  breakz c=c0\nendif", "no loop is open"),
        ("loop c=c0 trips=3", "only at the end"),
        ("frob d=s0", "no instruction 'frob'"),
        ("sadd d=s0 a=s32 n=8", "sadd has the operands d, a, b, n"),
        ("sadd d=s0 a=b32 b=s0 n=8", "operand a must look like s64"),
        ("scopy d=s0 a=s32 shape=[2] dstr=[1,1] sstr=[1]", "differ in length"),
        ("scopy d=s0 a=s32 shape=[2] dstr=[1] sstr=[-40]", "a covers s-8..s33"),
        ("ltz h=0 d=b0 a=s0 n=1 bits=65", "bits = 65"),
        ("cset d=c0 pool=0 n=1", "the pool has 0"),
        ("coutput out=0 a=c0 n=1", "out = 0"),
        ("sadd d=s0 a=s32 b=s40 n=8 =", "cannot be read"),
    ],
)
def test_assembler_names_the_line(code: str, reason: str) -> None:
    with pytest.raises(BytecodeError) as caught:
        assemble(PREAMBLE + code + "\nend\n")
    assert reason in caught.value.reason
    assert caught.value.where.startswith("line ")


def test_a_pending_handle_at_breakz_is_refused() -> None:
    text = "loop c=c0 trips=2\nrandbit h=0 d=b0 p=1 n=1\nbreakz c=c0\njoin h=0\nendloop\nend\n"
    with pytest.raises(BytecodeError, match="handle 0 was started in the loop"):
        assemble(PREAMBLE + text)
