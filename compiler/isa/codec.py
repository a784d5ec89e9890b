"""The binary form of a program (docs/bytecode.md): `encode` and `decode`, inverse to each other."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import astuple

from .program import (
    FIELD,
    MAX_FILE,
    MAX_RANK,
    RING,
    VERSION,
    WIDE,
    Arg,
    BytecodeError,
    InputRow,
    Insn,
    Line,
    MemoryRow,
    Meta,
    OutputRow,
    Program,
)
from .table import BY_CODE, table_hash
from .validate import Refused, check

MAGIC = b"SQTRBC\r\n"
SECTIONS = ("META", "POOL", "STRINGS", "MEMORY", "INPUTS", "OUTPUTS", "CODE", "LINES")
_HEADER = struct.Struct("<8sII16s32s")
_SECTION = struct.Struct("<IIQQ")
_META_WORDS = 12
_ROW_BYTES = {"MEMORY": 64, "INPUTS": 80, "OUTPUTS": 88}
_HASH_AT = 32
_MASK = (1 << 64) - 1


def encode(program: Program) -> bytes:
    """The file of a program; BytecodeError if it breaks a rule."""
    try:
        check(program)
    except Refused as refused:
        raise BytecodeError(f"{refused.section} row {refused.row}", refused.reason) from None
    bodies = [
        _words((*astuple(program.meta), 0)),
        b"".join(_signed(w, program.meta.word_bits // 8) for w in program.pool),
        _strings(program.strings),
        _table([astuple(row) for row in program.memory]),
        _table([(r.party, r.name, r.f, *_dims(r.shape)) for r in program.inputs]),
        _table([(r.name, r.party, r.f, r.planes, *_dims(r.shape)) for r in program.outputs]),
        b"".join(_instruction(insn) for insn in program.code),
        b"".join(struct.pack("<4I", *astuple(line), 0) for line in program.lines),
    ]
    offset = _HEADER.size + _SECTION.size * len(bodies)
    table = b""
    for number, body in enumerate(bodies, 1):
        table += _SECTION.pack(number, 0, offset, len(body))
        offset += len(body)
    head = _HEADER.pack(MAGIC, VERSION, len(bodies), table_hash(), bytes(32))
    data = head + table + b"".join(bodies)
    if len(data) > MAX_FILE:
        raise BytecodeError("end", f"{len(data)} bytes: at most {MAX_FILE}")
    return data[:_HASH_AT] + hashlib.sha256(data).digest() + data[_HASH_AT + 32 :]


def program_hash(data: bytes) -> str:
    """The program's hash of a file, in hexadecimal."""
    return data[_HASH_AT : _HASH_AT + 32].hex()


def _words(values: tuple[int, ...]) -> bytes:
    return b"".join((v & _MASK).to_bytes(8, "little") for v in values)


def _signed(value: int, width: int) -> bytes:
    return (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")


def _table(rows: list[tuple[int, ...]]) -> bytes:
    return _words((len(rows),)) + b"".join(map(_words, rows))


def _dims(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (len(shape), *shape, *(1,) * (MAX_RANK - len(shape)))


def _strings(strings: tuple[str, ...]) -> bytes:
    out = struct.pack("<I", len(strings))
    for s in strings:
        text = s.encode("utf-8")
        out += struct.pack("<I", len(text)) + text
    return out + bytes(-len(out) % 8)


def _instruction(insn: Insn) -> bytes:
    words: list[int] = []
    for a in insn.args:
        words += [len(a), *a] if isinstance(a, tuple) else [a]
    return _words((insn.instr.code | (len(words) + 1) << 32, *words))


def decode(data: bytes) -> Program:
    """The program of a file; BytecodeError with offset and reason if it deviates in anything."""
    spans = _container(data)
    readers = {name: _Reader(data, *spans[name]) for name in SECTIONS}
    meta = _read_meta(readers["META"])
    code, starts = _read_code(readers["CODE"])
    program = Program(
        meta,
        _read_pool(readers["POOL"], meta.word_bits // 8),
        _read_strings(readers["STRINGS"]),
        tuple(MemoryRow(*row) for row in readers["MEMORY"].table(8)),
        tuple(
            InputRow(row[0], row[1], row[2], readers["INPUTS"].shape(row, 3, at))
            for at, row in readers["INPUTS"].rows(10)
        ),
        tuple(
            OutputRow(row[0], row[1], row[2], row[3], readers["OUTPUTS"].shape(row, 4, at))
            for at, row in readers["OUTPUTS"].rows(11)
        ),
        code,
        _read_lines(readers["LINES"]),
    )
    for reader in readers.values():
        reader.finish()
    try:
        check(program)
    except Refused as refused:
        at = _row_offset(refused, spans[refused.section][0], starts)
        raise BytecodeError(_at(at), f"{refused.section}: {refused.reason}") from None
    return program


def _row_offset(refused: Refused, section: int, starts: list[int]) -> int:
    """Offset of the row a rule was broken in, given its section's and every instruction's."""
    if refused.section == "CODE":
        return starts[refused.row] if refused.row < len(starts) else section
    if refused.section in _ROW_BYTES:
        return section + 8 + _ROW_BYTES[refused.section] * refused.row
    return section + (16 * refused.row if refused.section == "LINES" else 0)


def _at(offset: int) -> str:
    return f"offset {offset:#x}"


def _container(data: bytes) -> dict[str, tuple[int, int]]:
    """Check header, hash and section table; section name -> (first byte, past the last)."""
    end = _HEADER.size + _SECTION.size * len(SECTIONS)
    if len(data) < end:
        raise BytecodeError(_at(len(data)), f"truncated: {len(data)} bytes, at least {end} needed")
    if len(data) > MAX_FILE:
        raise BytecodeError(_at(MAX_FILE), f"{len(data)} bytes: at most {MAX_FILE}")
    magic, version, count, isa, digest = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BytecodeError(_at(0), "not a bytecode file (wrong magic)")
    if version != VERSION:
        raise BytecodeError(_at(8), f"format version {version}, this is {VERSION}: compile again")
    if count != len(SECTIONS):
        raise BytecodeError(_at(12), f"{count} sections instead of {len(SECTIONS)}")
    if isa != table_hash():
        raise BytecodeError(_at(16), "made for another instruction table: compile again")
    blank = data[:_HASH_AT] + bytes(32) + data[_HASH_AT + 32 :]
    if hashlib.sha256(blank).digest() != digest:
        raise BytecodeError(_at(_HASH_AT), "the hash does not match: corrupted")
    spans = {}
    for i, name in enumerate(SECTIONS):
        at = _HEADER.size + i * _SECTION.size
        number, zero, offset, length = _SECTION.unpack_from(data, at)
        if number != i + 1 or zero:
            raise BytecodeError(_at(at), f"section {number} where {i + 1} ({name}) belongs")
        if offset != end:
            raise BytecodeError(_at(at + 8), f"{name} at {offset} instead of {end}")
        if length > len(data) - offset or length % 8:
            raise BytecodeError(_at(at + 16), f"{name}: bad length {length}")
        spans[name] = (offset, offset + length)
        end = offset + length
    if end != len(data):
        raise BytecodeError(_at(end), f"{len(data) - end} bytes after the last section")
    return spans


class _Reader:
    """Reads one section; whatever would pass its end is an error."""

    def __init__(self, data: bytes, at: int, end: int):
        self.data, self.at, self.end = data, at, end

    def take(self, n: int) -> bytes:
        if n > self.end - self.at:
            raise BytecodeError(_at(self.at), f"{n} bytes wanted, {self.end - self.at} left")
        self.at += n
        return self.data[self.at - n : self.at]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def word(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def signed(self, width: int = 8) -> int:
        return int.from_bytes(self.take(width), "little", signed=True)

    def rows(self, width: int) -> list[tuple[int, list[int]]]:
        """A count, then rows of `width` words: (offset, words)."""
        at, count = self.at, self.word()
        if count * 8 * width != self.end - self.at:
            raise BytecodeError(_at(at), f"{count} rows do not fill the section")
        return [(self.at, [self.word() for _ in range(width)]) for _ in range(count)]

    def table(self, width: int) -> list[list[int]]:
        return [row for _, row in self.rows(width)]

    def shape(self, row: list[int], k: int, at: int) -> tuple[int, ...]:
        """Rank and six dimensions at word k of a row."""
        rank = row[k]
        if rank > MAX_RANK or any(d != 1 for d in row[k + 1 + rank :]):
            raise BytecodeError(_at(at + 8 * k), f"rank {rank} with dimensions {row[k + 1 :]}")
        return tuple(row[k + 1 : k + 1 + rank])

    def zeros(self, n: int) -> None:
        if any(self.take(n)):
            raise BytecodeError(_at(self.at - n), "reserved bytes or padding are not zero")

    def finish(self) -> None:
        if self.at != self.end:
            raise BytecodeError(_at(self.at), f"{self.end - self.at} bytes too many in the section")


def _read_meta(r: _Reader) -> Meta:
    if r.end - r.at != 8 * _META_WORDS:
        raise BytecodeError(_at(r.at), f"META has {r.end - r.at} bytes, not {8 * _META_WORDS}")
    at = r.at
    meta = Meta(*(r.word() for _ in range(_META_WORDS - 1)))
    r.zeros(8)
    if meta.domain not in (RING, FIELD, WIDE):
        raise BytecodeError(_at(at), f"unknown domain {meta.domain}")
    if meta.domain == WIDE and meta.ring_bits != 64:
        raise BytecodeError(_at(at + 8), f"ring bits {meta.ring_bits}: must be 64")
    if meta.domain == RING and meta.ring_bits not in (64, 128):
        raise BytecodeError(_at(at + 8), f"ring bits {meta.ring_bits}: must be 64 or 128")
    return meta


def _read_pool(r: _Reader, width: int) -> tuple[int, ...]:
    if (r.end - r.at) % width:
        raise BytecodeError(_at(r.at), f"POOL is no multiple of {width} bytes")
    return tuple(r.signed(width) for _ in range((r.end - r.at) // width))


def _read_strings(r: _Reader) -> tuple[str, ...]:
    out = []
    for _ in range(r.u32()):
        length = r.u32()
        at = r.at
        try:
            out.append(r.take(length).decode("utf-8"))
        except UnicodeDecodeError:
            raise BytecodeError(_at(at), "a string is not UTF-8") from None
    if r.end - r.at >= 8:
        raise BytecodeError(_at(r.at), "bytes after the last string")
    r.zeros(r.end - r.at)
    return tuple(out)


def _read_code(r: _Reader) -> tuple[tuple[Insn, ...], list[int]]:
    """The instructions and the offset of each."""
    code, starts = [], []
    while r.at < r.end:
        at = r.at
        starts.append(at)
        head = r.word()
        row = BY_CODE.get(head & 0xFFFFFFFF)
        if row is None:
            raise BytecodeError(_at(at), f"unknown opcode {head & 0xFFFFFFFF:#x}")
        args: list[Arg] = []
        for o in row.operands:
            if o.kind in ("dims", "ranges"):
                count = r.word()
                if count > (MAX_RANK if o.kind == "dims" else (r.end - r.at) // 8):
                    raise BytecodeError(_at(r.at - 8), f"{row.name}: {o.name} has {count} numbers")
                args.append(tuple(r.signed() for _ in range(count)))
            else:
                args.append(r.signed() if o.kind == "imm" else r.word())
        if r.at - at != 8 * (head >> 32):
            raise BytecodeError(_at(at), f"{row.name}: length {head >> 32} is wrong")
        code.append(Insn(row, tuple(args)))
    return tuple(code), starts


def _read_lines(r: _Reader) -> tuple[Line, ...]:
    out = []
    while r.at < r.end:
        out.append(Line(r.u32(), r.u32(), r.u32()))
        r.zeros(4)
    return tuple(out)
