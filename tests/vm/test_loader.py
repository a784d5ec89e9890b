"""The loader: whatever is not a valid file is refused with offset and reason, before anything runs.

Everything here runs under AddressSanitizer and UBSan. Hashes are made to fit again after each
corruption, so that the checks behind the hash are the ones under test.
"""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode
from sequester.compiler.isa.program import Program
from sequester.compiler.isa.table import BY_NAME

from ..unit.bytecode_strategies import programs
from .runner import build, load, rehash, run

HEAD = """
.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=1 s_size=512 b_size=512 c_size=512 \
handles=2 checked=0
.string ""
.string "prog.py"
.string "%.4f"
.string "x"
.pool 3 4 5 6
.memory name="x" at=s64 elements=8 planes=1 f=16 source="prog.py" line=1
.input party=0 name="x" f=16 shape=[2,2]
.output name="x" party=all f=16 planes=0 shape=[4]
.output name="x" party=1 f=0 planes=2 shape=[3]
.line "prog.py":7 "x"
"""
CODE = """
input h=0 d=s0 in=0 n=4
cset d=c0 pool=0 n=4
join h=0
smulc d=s8 a=s0 b=c0 n=4
matmul h=1 d=s16 a=s0 b=s8 M=2 K=2 N=2 ta=0 tb=1 m=16 mode=1
scopy d=s64 a=s8 shape=[2,2] dstr=[2,1] sstr=[1,2]
join h=1
loop c=c8 trips=2
ltz h=0 d=b0 a=s16 n=4 bits=32
join h=0
breakz c=c0
endloop
if c=c0
bxor d=b8 a=b0 b=b0 p=1 n=4
else
bfill d=b8 bit=1 p=1 n=4
endif
conv2d h=0 d=s32 x=s0 w=s8 B=1 C=1 H=2 W=2 O=1 KH=1 KW=1 OH=2 OW=2 SH=1 SW=1 PH=0 PW=0 m=0 mode=0
bcopy d=b16 a=b0 p=1 dn=8 an=4 doff=2 aoff=0 shape=[4] dstr=[1] sstr=[1]
join h=0
cuniform d=c16 lo=-3 hi=9 stream=1 n=5
sgather d=s80 a=s0 idx=c24 rows=2 len=2 src=2
pval a=c0 n=4 f=16 fmt="%.4f"
ptext str="x"
outputb h=0 out=1 a=b64 p=2 n=3
output h=1 out=0 a=s16 n=4
join h=0
join h=1
end
"""
REFUSED = re.compile(r"bytecode refused at offset (\d+): .+")
# Where things are in a file: header 64, section table 8 x 24, META at 256.
META, TABLE = 256, 64


@pytest.fixture(scope="session")
def runner() -> Path:
    return build("sanitize")


@pytest.fixture(scope="session")
def valid() -> bytes:
    return encode(assemble(HEAD + CODE))


def section(data: bytes, number: int) -> tuple[int, int]:
    offset, length = struct.unpack_from("<QQ", data, TABLE + 24 * (number - 1) + 8)
    return offset, length


def verdicts(runner: Path, folder: Path, files: list[bytes]) -> list[str]:
    paths = []
    for i, data in enumerate(files):
        paths.append(folder / f"{i}.sqb")
        paths[-1].write_bytes(data)
    return load(runner, paths)


def test_valid_file_is_accepted(runner: Path, valid: bytes, tmp_path: Path) -> None:
    assert verdicts(runner, tmp_path, [valid]) == ["accepted"]


def test_every_truncation_is_refused(runner: Path, valid: bytes, tmp_path: Path) -> None:
    files = [cut for n in range(len(valid)) for cut in (valid[:n], rehash(valid[:n]))]
    for verdict in verdicts(runner, tmp_path, files):
        assert REFUSED.fullmatch(verdict), verdict


def test_hash_protects_every_byte(runner: Path, valid: bytes, tmp_path: Path) -> None:
    files = [valid[:i] + bytes([valid[i] ^ 0x10]) + valid[i + 1 :] for i in range(len(valid))]
    for verdict in verdicts(runner, tmp_path, files):
        assert REFUSED.fullmatch(verdict), verdict


def fields() -> list[tuple[str, int, int, int]]:
    """(what, offset, bytes, a value that must be refused) in header, section table and META."""
    out = [
        ("magic", 0, 8, 1),
        ("version", 8, 4, 2),
        ("sections", 12, 4, 9),
        ("table hash", 16, 8, 77),
    ]
    for i in range(8):
        row = TABLE + 24 * i
        out += [("id", row, 4, 9), ("zero", row + 4, 4, 1)]
        out += [("offset", row + 8, 8, v) for v in (0, 1 << 63, 264 + 8 * i)]
        out += [("length", row + 16, 8, v) for v in ((1 << 64) - 1, 1 << 40, 4)]
    meta = ((0, 1), (1, 96), (1, 0), (2, 64), (2, 0), (3, 31), (4, 1000), (5, 2), (10, 2), (11, 1))
    out += [("META", META + 8 * i, 8, v) for i, v in meta]
    out += [("size", META + 8 * i, 8, v) for i in (6, 7, 8) for v in ((1 << 40) + 1, 7)]
    out += [("handles", META + 72, 8, v) for v in (65537, 1)]
    return out


@pytest.mark.parametrize(("what", "offset", "size", "value"), fields())
def test_corrupted_field_is_refused(
    runner: Path, valid: bytes, tmp_path: Path, what: str, offset: int, size: int, value: int
) -> None:
    data = valid[:offset] + value.to_bytes(size, "little") + valid[offset + size :]
    (verdict,) = verdicts(runner, tmp_path, [rehash(data)])
    assert REFUSED.fullmatch(verdict), (what, verdict)


@pytest.mark.parametrize("number", [3, 4, 5, 6, 8])
def test_words_of_tables_are_checked(
    runner: Path, valid: bytes, tmp_path: Path, number: int
) -> None:
    """Huge values in any word of STRINGS, MEMORY, INPUTS, OUTPUTS, LINES (text excepted)."""
    begin, length = section(valid, number)
    files, where = [], []
    for at in range(begin, begin + length - 3, 4):
        if valid[at : at + 4] != b"\xff\xff\xff\xff":
            files.append(rehash(valid[:at] + b"\xff\xff\xff\xff" + valid[at + 4 :]))
            where.append(at)
    for at, verdict in zip(where, verdicts(runner, tmp_path, files), strict=True):
        is_line_number = number == 8 and (at - begin) % 16 == 4
        is_memory_line = number == 4 and at - begin == 8 + 56
        assert REFUSED.fullmatch(verdict) or is_line_number or is_memory_line, (at, verdict)


def patched(valid: bytes, instruction: int, operand: int, value: int) -> tuple[bytes, int]:
    """The file with word `operand` of an instruction replaced, and the instruction's offset."""
    at, _ = section(valid, 7)
    for _ in range(instruction):
        at += 8 * struct.unpack_from("<I", valid, at + 4)[0]
    where = at + 8 + 8 * operand
    return rehash(valid[:where] + struct.pack("<q", value) + valid[where + 8 :]), at


@pytest.mark.parametrize(
    ("instruction", "operand", "value", "reason"),
    [
        (0, 0, 2, "h is 2"),
        (0, 1, 510, "beyond register file s"),
        (0, 1, -1, "beyond register file s"),
        (0, 2, 1, "in is 1"),
        (0, 3, 3, "for input 'x'"),
        (1, 1, 2, "beyond POOL"),
        (1, 1, -(1 << 63), "beyond POOL"),
        (2, 0, 1, "not started"),
        (3, 0, 2, "d overlaps a"),
        (3, 3, 1 << 40, "n is"),
        (5, 1, 16, "a touches what instruction 4 works on"),
        (4, 1, 9, "d overlaps b"),
        (4, 7, 2, "ta is 2"),
        (4, 9, 63, "m is 63"),
        (5, 0, 510, "beyond register file s"),
        (5, 0, 18, "d touches what instruction 4 works on"),
        (5, 2, 1, "too long"),
        (5, 3, -1, "shape[0] is -1"),
        (5, 6, 1 << 38, "beyond register file s"),
        (5, 6, 0, "written several times"),
        (7, 1, -1, "trips is -1"),
        (8, 4, 65, "bits is 65"),
        (8, 4, 0, "bits is 0"),
        (17, 11, 3, "OH does not follow"),
        (17, 13, 0, "SH is 0"),
        (17, 4, 1 << 39, "more than 2^40"),
        (18, 5, 5, "leaves the 8 bits of d"),
        (18, 6, 1, "leaves the 4 bits of a"),
        (20, 1, 9, "the range [lo, hi) is empty"),
        (22, 3, 3, "not one conversion"),
        (22, 2, 64, "f is 64"),
        (24, 3, 1, "planes for output"),
        (24, 1, 0, "elements for output"),
    ],
)
def test_operands_are_checked(
    runner: Path,
    valid: bytes,
    tmp_path: Path,
    instruction: int,
    operand: int,
    value: int,
    reason: str,
) -> None:
    data, offset = patched(valid, instruction, operand, value)
    (verdict,) = verdicts(runner, tmp_path, [data])
    found = REFUSED.fullmatch(verdict)
    assert found and int(found[1]) == offset and reason in verdict, verdict


def opcodes(names: str) -> bytes:
    """A file whose code is `names`, put together without the assembler's checks."""
    valid = encode(assemble(HEAD + "end\n"))
    code, lines = section(valid, 7)[0], b""
    words = b""
    for text in names.split(";"):
        name, *args = text.split()
        words += struct.pack("<II", BY_NAME[name].code, len(args) + 1)
        words += b"".join(struct.pack("<q", int(a)) for a in args)
        lines += struct.pack("<4I", 1, 7, 0, 0)
    data = valid[:code] + words + lines
    row = TABLE + 24 * 6
    data = data[: row + 16] + struct.pack("<Q", len(words)) + data[row + 24 :]
    table = struct.pack("<QQ", code + len(words), len(lines))
    return rehash(data[: row + 32] + table + data[row + 48 :])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("cfill 0 0 1", "does not end with `end`"),
        ("end;end", "not the last instruction"),
        ("loop 0 2;end", "inside of a block"),
        ("endloop;end", "does not match"),
        ("if 0;endloop;end", "does not match"),
        ("loop 0 1;else;endif;end", "does not match"),
        ("if 0;else;else;endif;end", "does not match"),
        ("if 0;breakz 0;endif;end", "outside of any loop"),
        ("randbit 0 0 1 1;end", "not joined"),
        ("loop 0 2;randbit 0 0 1 1;endloop;end", "not joined"),
        ("loop 0 2;randbit 0 0 1 1;breakz 0;join 0;endloop;end", "not joined"),
        ("randbit 0 0 1 1;loop 0 2;join 0;endloop;end", "another block"),
        ("randbit 0 0 1 1;randbit 0 8 1 1;join 0;end", "started again"),
        (";".join(["loop 0 1"] * 65 + ["endloop"] * 65 + ["end"]), "nest deeper"),
        ("cfill 0 0;end", "too short"),
        ("cfill 0 0 1 1;end", "too long"),
        ("open 0 8 0 4;loop 8 2;endloop;join 0;end", "touches what"),
        ("mul_add 0 0 8 16 4 63 0 24;join 0;end", "m is 63"),
        ("matmul 0 0 8 16 2 0 2 0 0 0 0;join 0;end", "K is 0"),
        ("matmul_add 0 0 8 16 2 0 2 0 0 0 0 24;join 0;end", "K is 0"),
        ("matmul_add 0 0 8 16 1 1 1 0 0 64 0 24;join 0;end", "m is 64"),
        *[
            (f"conv2d{kind}_add 0 0 64 128 1 1 3 3 1 3 3 {sizes} 192;join 0;end", reason)
            for kind in ("", "_dx", "_dw")
            for sizes, reason in (
                ("2 1 1 1 0 0 0 0", "OH does not follow"),
                ("1 1 0 1 0 0 0 0", "SH is 0"),
                ("1 1 1 1 0 0 63 0", "m is 63"),
            )
        ],
    ],
)
def test_control_flow_and_sizes_are_checked(
    runner: Path, tmp_path: Path, code: str, reason: str
) -> None:
    (verdict,) = verdicts(runner, tmp_path, [opcodes(code)])
    assert REFUSED.fullmatch(verdict) and reason in verdict, verdict


def test_unknown_instruction_and_lengths(runner: Path, valid: bytes, tmp_path: Path) -> None:
    code, _ = section(valid, 7)
    words = [0x7F | 1 << 32, 1 << 32 | 0xFFFFFFFF, 0, 0xFFFFFFFF << 32]
    files = [rehash(valid[:code] + struct.pack("<Q", word) + valid[code + 8 :]) for word in words]
    for verdict in verdicts(runner, tmp_path, files):
        assert REFUSED.fullmatch(verdict), verdict


def test_random_corruption_never_crashes(runner: Path, valid: bytes, tmp_path: Path) -> None:
    """Accepted mutants are run, too: a file that passes is safe to run."""
    rng = random.Random(2024)
    interesting = [0, 1, 2, 7, 8, 63, 64, 65, 127, 128, 255]
    files = []
    for _ in range(3000):
        data = bytearray(valid)
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            at = rng.randrange(64, len(data))
            if rng.random() < 0.5:
                data[at] = rng.choice(interesting)
            elif rng.random() < 0.8:
                data[at] ^= 1 << rng.randrange(8)
            else:
                del data[at : at + rng.choice([1, 4, 8, 16])]
        files.append(rehash(bytes(data)))
    said = verdicts(runner, tmp_path, files)
    assert all(v == "accepted" or REFUSED.fullmatch(v) for v in said)
    accepted = [i for i, v in enumerate(said) if v == "accepted"]
    assert 0 < len(accepted) < len(files)
    for i in accepted[:60]:
        result = run(runner, tmp_path / f"{i}.sqb", timeout=60)
        assert result.status in (0, 2, 6), result.stderr  # runs, its author's mistake, or no memory


def test_what_the_compiler_side_accepts_is_accepted(runner: Path, tmp_path: Path) -> None:
    made: list[bytes] = []

    @settings(max_examples=150, deadline=None, database=None)
    @given(programs())
    def collect(program: Program) -> None:
        made.append(encode(program))

    collect()
    assert set(verdicts(runner, tmp_path, made)) <= {"accepted"}
