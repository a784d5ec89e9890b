"""Hypothesis strategies: arbitrary valid programs of the virtual machine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sequester.compiler.isa.program import (
    ALL,
    InputRow,
    Insn,
    Line,
    MemoryRow,
    Meta,
    OutputRow,
    Program,
    span,
)
from sequester.compiler.isa.table import BY_NAME, INSTRUCTIONS, Instr

FILE_SIZE = 1 << 20
_PLAIN = [i for i in INSTRUCTIONS if i.group != "control"]


@st.composite
def _args(draw: st.DrawFn, row: Instr, bits: int, handle: int, tables: dict[str, Any]) -> Any:
    args: dict[str, Any] = {}
    rank = draw(st.integers(0, 3))
    for o in row.operands:
        if o.kind == "n":
            args[o.name] = draw(st.integers(1, 5))
        elif o.kind == "imm":
            args[o.name] = draw(st.integers(-(1 << 63), (1 << 63) - 1))
        elif o.kind == "flag":
            args[o.name] = draw(st.integers(0, 1))
        elif o.kind == "dims":
            low = 0 if o.name == "shape" else -4
            numbers = st.integers(low, 4)
            if o.name == "dstr":  # what is written is written once
                numbers = numbers.filter(bool)
            args[o.name] = tuple(draw(numbers) for _ in range(rank))
    if "KH" in args:
        for size, kernel, out in (("H", "KH", "OH"), ("W", "KW", "OW")):
            args[size] += args[kernel]
            stride, pad = ("SH", "PH") if size == "H" else ("SW", "PW")
            args[out] = (args[size] + 2 * args[pad] - args[kernel]) // args[stride] + 1
    if row.name == "bcopy":
        args.update(dn=200, an=200, doff=100, aoff=100)
    if "lo" in args:
        args["lo"], args["hi"] = sorted((args["lo"] >> 1, args["hi"] >> 1))
        args["hi"] += 1
    if row.name in ("input", "output", "outputb", "coutput"):
        args.update(tables[row.name])
    at = {"s": 64, "b": 64, "c": 64}
    for k, o in enumerate(row.operands):
        if o.file:
            low, high = span(row, k, args)
            args[o.name] = at[o.file] - low
            at[o.file] += max(high - low, 1) + draw(st.integers(0, 3))
    fixed = {"h": handle, "str": tables["str"], "fmt": 1, "pool": 0}
    args.update({o.name: fixed[o.name] for o in row.operands if o.name in fixed})
    return Insn(row, tuple(args[o.name] for o in row.operands))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A valid program with a few instructions of every kind, nested control flow included."""
    bits = draw(st.sampled_from([64, 128]))
    letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    texts = draw(st.lists(st.text(letters, max_size=8), max_size=4))
    strings = ("", draw(st.sampled_from(["%d", "%f", "%.4f"])), *texts)
    text = st.integers(0, len(strings) - 1)
    word = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    tables = {
        "str": draw(text),
        "input": {"in": 0, "n": 6},
        "output": {"out": 0, "n": 6},
        "coutput": {"out": 0, "n": 6},
        "outputb": {"out": 1, "n": 4, "p": 2},
    }
    code: list[Insn] = []
    open_blocks: list[str] = []
    for _ in range(draw(st.integers(0, 8))):
        step = draw(st.sampled_from(["plain", "plain", "plain", "loop", "if", "close", "breakz"]))
        if step == "plain":
            row = draw(st.sampled_from(_PLAIN))
            code.append(draw(_args(row, bits, len(code) % 3, tables)))
            if row.interactive:
                code.append(Insn(BY_NAME["join"], (code[-1].args[0],)))
        elif step == "loop":
            code.append(Insn(BY_NAME["loop"], (0, draw(st.integers(0, 9)))))
            open_blocks.append("endloop")
        elif step == "if":
            code.append(Insn(BY_NAME["if"], (0,)))
            if draw(st.booleans()):
                code.append(Insn(BY_NAME["else"], ()))
            open_blocks.append("endif")
        elif step == "breakz" and "endloop" in open_blocks:
            code.append(Insn(BY_NAME["breakz"], (1,)))
        elif step == "close" and open_blocks:
            code.append(Insn(BY_NAME[open_blocks.pop()], ()))
    code += [Insn(BY_NAME[name], ()) for name in reversed(open_blocks)]
    code.append(Insn(BY_NAME["end"], ()))
    line = st.builds(Line, text, st.integers(0, 2**32 - 1), text)
    return Program(
        Meta(0, bits, 31, 16, 40, draw(st.integers(0, 1)), FILE_SIZE, FILE_SIZE, FILE_SIZE, 3, 0),
        tuple(draw(st.lists(word, min_size=5, max_size=9))),
        strings,
        (
            MemoryRow(0, 0, 8, 6, 1, 16, draw(text), draw(st.integers(0, 99))),
            MemoryRow(0, 1, 64, 6, 3, 0, draw(text), 7),
        ),
        (InputRow(0, draw(text), 16, (2, 3)),),
        (OutputRow(draw(text), ALL, 16, 0, (6,)), OutputRow(0, 2, 0, 2, (2, 2))),
        tuple(code),
        tuple(draw(st.lists(line, min_size=len(code), max_size=len(code)))),
    )
