"""The rules of docs/bytecode.md on the contents of a program (the C loader checks the same).

`check(program)` raises `Refused` with the section and row that breaks a rule; the codec turns that
into an offset of the file, the assembler into a line of text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

from .program import (
    ALL,
    FIELD,
    FIELD_BITS,
    FILES,
    MAX_DEPTH,
    MAX_HANDLES,
    MAX_RANK,
    MAX_SIZE,
    RING,
    WIDE,
    Insn,
    Program,
    bcopy_reach,
    span,
)
from .table import Strided, plane_words

_FORMAT = re.compile(r"%[-+ 0#]{0,5}[0-9]{0,2}(\.[0-9]{0,2})?[dufg]")
_MAX_PARTIES = 10


class Refused(Exception):
    """Row `row` of a section breaks a rule."""

    def __init__(self, section: str, row: int, reason: str):
        super().__init__(f"{section} {row}: {reason}")
        self.section = section
        self.row = row
        self.reason = reason


def check(program: Program) -> None:
    """Raise Refused unless every rule holds."""
    _check_meta(program)
    _check_tables(program)
    if len(program.lines) != len(program.code):
        raise Refused("LINES", 0, f"{len(program.lines)} rows, {len(program.code)} instructions")
    for i, line in enumerate(program.lines):
        if not 0 <= line.line < 1 << 32:
            raise Refused("LINES", i, f"line {line.line} is not a 32-bit number")
        for index in (line.file, line.scope):
            if not 0 <= index < len(program.strings):
                raise Refused("LINES", i, f"no string {index}")
    flow = _Flow(program.meta.handles)
    for i, insn in enumerate(program.code):
        for reason in _operand_faults(program, insn):
            raise Refused("CODE", i, f"{insn.instr.name}: {reason}")
        fault = flow.step(insn, last=i + 1 == len(program.code))
        if fault:
            raise Refused("CODE", i, f"{insn.instr.name}: {fault}")
    if not program.code or program.code[-1].instr.name != "end":
        raise Refused("CODE", len(program.code), "the last instruction must be end")


def _check_meta(program: Program) -> None:
    m = program.meta
    rules = [
        (min(astuple(m)) >= 0, "a negative number"),
        (m.domain in (RING, FIELD, WIDE), f"unknown domain {m.domain}"),
        (m.domain == FIELD or m.ring_bits in (64, 128), f"ring bits {m.ring_bits}: 64 or 128"),
        (m.ring_bits == 64 or m.domain != WIDE, f"ring bits {m.ring_bits}: 64"),
        (m.ring_bits <= FIELD_BITS or m.domain == RING, f"the field has no {m.ring_bits} bits"),
        (1 <= m.k < m.ring_bits, f"k = {m.k}: must be in 1..ring bits - 1"),
        (0 <= m.f < m.k, f"f = {m.f}: must be below k"),
        (m.stat <= 128, f"statistical parameter {m.stat}: must be at most 128"),
        (m.rounding in (0, 1), f"rounding {m.rounding}: must be 0 or 1"),
        (max(m.s_size, m.b_size, m.c_size) <= MAX_SIZE, "a register file exceeds 2^40"),
        (m.handles <= MAX_HANDLES, f"{m.handles} handles: at most {MAX_HANDLES}"),
        (m.checked in (0, 1), f"checked {m.checked}: must be 0 or 1"),
    ]
    for ok, reason in rules:
        if not ok:
            raise Refused("META", 0, reason)


def _check_tables(program: Program) -> None:
    def need(ok: bool, section: str, row: int, reason: str) -> None:
        if not ok:
            raise Refused(section, row, reason)

    strings, bits = len(program.strings), program.meta.ring_bits
    half = 1 << (program.meta.word_bits - 1)
    for i, text in enumerate(program.strings):
        need("\0" not in text, "STRINGS", i, "a NUL character")
    for i, word in enumerate(program.pool):
        need(-half <= word < half, "POOL", i, f"{word} is no word")
    for section in ("memory", "inputs", "outputs"):
        for i, record in enumerate(getattr(program, section)):
            numbers = [v for v in astuple(record) if isinstance(v, int)]
            need(0 <= min(numbers) <= max(numbers) <= ALL, section.upper(), i, "a negative number")
    for i, mem in enumerate(program.memory):
        need(max(mem.name, mem.source) < strings, "MEMORY", i, "no such string")
        need(mem.file < len(FILES), "MEMORY", i, f"no register file {mem.file}")
        need(mem.elements < MAX_SIZE and 1 <= mem.planes <= bits, "MEMORY", i, "bad size")
        need(mem.f < bits, "MEMORY", i, f"f = {mem.f}: must be below ring bits")
        planar = FILES[mem.file] == "b"
        need(planar or mem.planes == 1, "MEMORY", i, "only file b has planes")
        size = mem.planes * plane_words(mem.elements) if planar else mem.elements
        fits = mem.address + size <= program.meta.file_size(FILES[mem.file])
        need(fits, "MEMORY", i, "outside its register file")
    for i, row in enumerate(program.inputs):
        need(row.party < _MAX_PARTIES, "INPUTS", i, f"no party {row.party}")
        need(row.name < strings, "INPUTS", i, "no such string")
        need(row.f < bits, "INPUTS", i, f"f = {row.f}: must be below ring bits")
        need(_good_shape(row.shape), "INPUTS", i, f"bad shape {row.shape}")
    for i, out in enumerate(program.outputs):
        need(out.party < _MAX_PARTIES or out.party == ALL, "OUTPUTS", i, f"no party {out.party}")
        need(out.name < strings, "OUTPUTS", i, "no such string")
        need(out.f < bits, "OUTPUTS", i, f"f = {out.f}: must be below ring bits")
        need(out.planes <= bits, "OUTPUTS", i, f"{out.planes} planes: more than ring bits")
        need(_good_shape(out.shape), "OUTPUTS", i, f"bad shape {out.shape}")


def _good_shape(shape: tuple[int, ...]) -> bool:
    return (
        len(shape) <= MAX_RANK
        and all(0 <= d < MAX_SIZE for d in shape)
        and math.prod(shape) < MAX_SIZE
    )


def _operand_faults(program: Program, insn: Insn) -> Iterable[str]:
    """What is wrong with the operands, one fault after another (the first is reported)."""
    args = insn.named()
    yield from _value_faults(program, insn, args)
    yield from _geometry_faults(args)
    yield from _meaning_faults(program, insn, args)
    ranges = []
    for k, o in enumerate(insn.instr.operands):
        if o.file is None:
            continue
        if isinstance(o.extent, Strided) and o.writes and not o.reads:
            walk = zip(args[o.extent.shape], args[o.extent.strides], strict=True)
            if any(size > 1 and stride == 0 for size, stride in walk):
                yield f"{o.name} is written several times (stride 0)"
        low, high = span(insn.instr, k, args)
        low, high = low + args[o.name], high + args[o.name]
        size = program.meta.file_size(o.file)
        if low < 0 or high > size or not 0 <= args[o.name] <= size:
            yield f"{o.name} covers {o.file}{low}..{o.file}{high}, file {o.file} has {size}"
        ranges.append((o, low, high))
    for d, dlow, dhigh in ranges:
        for s, slow, shigh in ranges:
            apart = dhigh <= slow or shigh <= dlow or dlow == dhigh or slow == shigh
            if d.writes and s is not d and s.file == d.file and not apart:
                in_place = (dlow, d.extent, d.planes) == (slow, s.extent, s.planes)
                if insn.instr.interactive or s.writes or not in_place or "shape" in args:
                    yield f"destination {d.name} overlaps source {s.name}"


def _value_faults(program: Program, insn: Insn, args: dict[str, Any]) -> Iterable[str]:
    limits = {
        "str": len(program.strings),
        "in": len(program.inputs),
        "out": len(program.outputs),
        "h": program.meta.handles,
        "flag": 2,
        "n": MAX_SIZE,
        "party": _MAX_PARTIES,
    }
    for o in insn.instr.operands:
        v = args[o.name]
        if o.kind == "dims":
            bound = MAX_SIZE
            if len(v) > MAX_RANK or any(not -bound < d < bound for d in v):
                yield f"{o.name} = {v}: at most {MAX_RANK} numbers below 2^40"
            if o.name == "shape" and (any(d < 0 for d in v) or math.prod(v) >= bound):
                yield f"shape {v}: bad"
        elif o.kind == "ranges":
            yield from _range_faults(program, o.name, v)
        elif o.kind == "pool":
            if not 0 <= v <= v + args["n"] <= len(program.pool):
                yield f"pool words {v}..{v + args['n']}, the pool has {len(program.pool)}"
        elif o.kind in limits:
            if not 0 <= v < limits[o.kind]:
                yield f"{o.name} = {v}: must be in 0..{limits[o.kind] - 1}"
        elif o.kind == "imm" and not -(1 << 63) <= v < 1 << 63:
            yield f"{o.name} = {v}: does not fit 64 bits"


def _range_faults(program: Program, name: str, words: tuple[int, ...]) -> Iterable[str]:
    if len(words) % 3:
        yield f"{name}: {len(words)} numbers are no triples"
        return
    last = (0, 0)
    for file, address, size in zip(words[::3], words[1::3], words[2::3], strict=True):
        if not 0 <= file < len(FILES):
            yield f"{name}: there is no register file {file}"
            return
        if (file, address) < last or size < 1:
            yield f"{name}: ranges must be ascending, disjoint and not empty"
        if not address + size <= program.meta.file_size(FILES[file]):
            yield f"{name}: beyond register file {FILES[file]}"
        last = (file, address + size)


def _geometry_faults(args: dict[str, Any]) -> Iterable[str]:
    """Strided copies and convolutions."""
    if "shape" in args:
        if not len(args["shape"]) == len(args["dstr"]) == len(args["sstr"]):
            yield "shape and strides differ in length"
            return
        for side, n, offset in (("dstr", "dn", "doff"), ("sstr", "an", "aoff")):
            if n in args:
                low, high = bcopy_reach(args, "shape", side, offset)
                if high > low and (low < 0 or high > args[n]):
                    yield f"bits {low}..{high} of a plane of {args[n]}"
    if "KH" in args:
        if min(args[k] for k in ("B", "C", "H", "W", "O", "OH", "OW")) < 1:
            yield "a convolution of nothing"
        for size, kernel, out, stride, pad in (
            ("H", "KH", "OH", "SH", "PH"),
            ("W", "KW", "OW", "SW", "PW"),
        ):
            room = args[size] + 2 * args[pad] - args[kernel]
            if args[stride] < 1 or args[kernel] < 1 or room < 0:
                yield f"{kernel} = {args[kernel]}, {stride} = {args[stride]}: no such convolution"
            elif args[out] != room // args[stride] + 1:
                yield f"{out} = {args[out]}, but the geometry gives {room // args[stride] + 1}"


def _meaning_faults(program: Program, insn: Insn, args: dict[str, Any]) -> Iterable[str]:
    """Rules of single instructions."""
    name, bits = insn.instr.name, program.meta.ring_bits
    least = 1 if name in ("trunc", "cshr") else 0
    most = bits - (1 if name == "cshr" else 2)
    if "m" in args and not least <= args["m"] <= most:
        yield f"m = {args['m']}: must be in {least}..{most}"
    if "bits" in args and not 1 <= args["bits"] <= bits:
        yield f"bits = {args['bits']}: must be in 1..{bits}"
    if name in ("openb", "outputb", "bset", "bandc") and args["p"] > bits:
        yield f"p = {args['p']}: more than ring bits"
    if name == "cuniform" and args["lo"] >= args["hi"]:
        yield "empty range"
    if name == "pval":
        if args["f"] >= bits:
            yield f"f = {args['f']}: must be below ring bits"
        if not _FORMAT.fullmatch(program.strings[args["fmt"]]):
            yield f"format {program.strings[args['fmt']]!r}: must be one of %d %u %f %g"
    if name == "input" and math.prod(program.inputs[args["in"]].shape) != args["n"]:
        yield f"n = {args['n']}: not the size of input {args['in']}"
    if name in ("output", "outputb", "coutput"):
        out = program.outputs[args["out"]]
        if math.prod(out.shape) != args["n"] or out.planes != args.get("p", 0):
            yield f"n = {args['n']}: not the size or kind of output {args['out']}"


class _Flow:
    """Nesting of loops and ifs, and handles: joined in the block that started them."""

    def __init__(self, handles: int):
        self.blocks: list[tuple[str, set[int]]] = [("top", set())]
        self.busy = [False] * handles

    def step(self, insn: Insn, last: bool) -> str | None:
        """Take one instruction; the fault, if there is one."""
        name = insn.instr.name
        pending = self.blocks[-1][1]
        if name in ("endloop", "else", "endif", "end") and pending:
            return f"handle {min(pending)} was started in this block and not joined"
        if name in ("loop", "if"):
            if len(self.blocks) > MAX_DEPTH:
                return f"nested more than {MAX_DEPTH} deep"
            self.blocks.append((name, set()))
        elif name == "endloop":
            return self._leave(("loop",), "no loop is open")
        elif name == "endif":
            return self._leave(("if", "else"), "no if is open")
        elif name == "else":
            fault = self._leave(("if",), "no if is open")
            self.blocks.append(("else", set()))
            return fault
        elif name == "breakz":
            return self._break()
        elif name == "end":
            return None if last and len(self.blocks) == 1 else "only at the end, outside all blocks"
        elif name == "checkpoint":
            return "a machine is not joined yet" if any(self.busy) else None
        elif name == "join":
            return self._join(int(insn.args[0]) if isinstance(insn.args[0], int) else -1)
        elif insn.instr.interactive:
            handle = insn.args[0]
            assert isinstance(handle, int)
            if self.busy[handle]:
                return f"handle {handle} is started already"
            self.busy[handle] = True
            pending.add(handle)
        return None

    def _leave(self, kinds: tuple[str, ...], fault: str) -> str | None:
        if self.blocks[-1][0] not in kinds:
            return fault
        self.blocks.pop()
        return None

    def _break(self) -> str | None:
        for kind, pending in reversed(self.blocks):
            if kind == "top":
                break
            if pending:
                return f"handle {min(pending)} was started in the loop and not joined"
            if kind == "loop":
                return None
        return "no loop is open"

    def _join(self, handle: int) -> str | None:
        pending = self.blocks[-1][1]
        if handle not in pending:
            return f"handle {handle} was not started in this block"
        pending.remove(handle)
        self.busy[handle] = False
        return None
