"""The text form of a program: `disassemble` and `assemble`, inverse to each other.

The grammar is isa.lark. Addresses of registers carry their file's letter (`s64`, `b8`, `c0`); every
operand is written with its name; `.line` holds for the instructions after it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from .program import (
    ALL,
    FILES,
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
from .table import BY_NAME, Operand
from .validate import Refused, check

_INDENT = "    "


def disassemble(program: Program) -> str:
    """The text of a program; `assemble` gives the same program back."""
    quoted = _Strings(program.strings)
    lines = [".meta " + " ".join(f"{k}={v}" for k, v in asdict(program.meta).items())]
    lines += [f".string {json.dumps(s, ensure_ascii=False)}" for s in program.strings]
    for i in range(0, len(program.pool), 8):
        lines.append(".pool " + " ".join(map(str, program.pool[i : i + 8])))
    for mem in program.memory:
        lines.append(
            f".memory name={quoted(mem.name)} at={FILES[mem.file]}{mem.address} "
            f"elements={mem.elements} planes={mem.planes} f={mem.f} "
            f"source={quoted(mem.source)} line={mem.line}"
        )
    for row in program.inputs:
        shape = _dims(row.shape)
        lines.append(f".input party={row.party} name={quoted(row.name)} f={row.f} shape={shape}")
    for out in program.outputs:
        party = "all" if out.party == ALL else out.party
        lines.append(
            f".output name={quoted(out.name)} party={party} f={out.f} planes={out.planes} "
            f"shape={_dims(out.shape)}"
        )
    return "\n".join(lines + _code_lines(program, quoted)) + "\n"


def _code_lines(program: Program, quoted: _Strings) -> list[str]:
    out, depth = [], 0
    previous = None
    for insn, line in zip(program.code, program.lines, strict=True):
        if line != previous:
            scope = "" if line.scope == quoted.empty else f" {quoted(line.scope)}"
            out.append(f".line {quoted(line.file)}:{line.line}{scope}")
            previous = line
        name = insn.instr.name
        depth -= name in ("endloop", "endif", "else")
        operands = zip(insn.instr.operands, insn.args, strict=True)
        fields = [f"{o.name}={_operand_text(o, a, quoted)}" for o, a in operands]
        out.append(_INDENT * (1 + max(depth, 0)) + " ".join([name, *fields]))
        depth += name in ("loop", "if", "else")
    return out


def _operand_text(o: Operand, a: Arg, quoted: _Strings) -> str:
    if isinstance(a, tuple):
        return _dims(a)
    if o.file:
        return f"{o.file}{a}"
    return quoted(a) if o.kind == "str" else str(a)


def _dims(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


class _Strings:
    """Writes a string's index as the string itself where that is unambiguous."""

    def __init__(self, strings: tuple[str, ...]):
        self.strings = strings
        self.first: dict[str, int] = {}
        for i, s in enumerate(strings):
            self.first.setdefault(s, i)
        self.empty = self.first.get("")

    def __call__(self, index: int) -> str:
        s = self.strings[index]
        if self.first[s] != index:
            return f"${index}"
        return json.dumps(s, ensure_ascii=False)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("isa.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False, propagate_positions=True)


def assemble(text: str) -> Program:
    """The program of a text; BytecodeError with the line and the reason if it is not valid."""
    try:
        tree = _parser().parse(text + "\n")
    except UnexpectedInput as error:
        line = max(error.line, 1)
        found = (text.splitlines() or [""])[min(line, text.count("\n") + 1) - 1 :][:1]
        raise BytecodeError(f"line {line}", f"cannot be read: {''.join(found)!r}") from None
    builder = _Builder()
    for statement in tree.children:
        assert isinstance(statement, Tree)
        builder.take(statement)
    program = builder.program()
    try:
        check(program)
    except Refused as refused:
        line = builder.rows.get((refused.section, refused.row), builder.at)
        raise BytecodeError(f"line {line}", refused.reason) from None
    return program


class _Builder:
    """Collects statements; `rows` keeps the text line of every row for error messages."""

    def __init__(self) -> None:
        self.meta: Meta | None = None
        self.pool: list[int] = []
        self.strings: list[str] = []
        self.memory: list[MemoryRow] = []
        self.inputs: list[InputRow] = []
        self.outputs: list[OutputRow] = []
        self.code: list[Insn] = []
        self.lines: list[Line] = []
        self.rows: dict[tuple[str, int], int] = {}
        self.line: Line | None = None
        self.at = 1

    def program(self) -> Program:
        """The finished program."""
        if self.meta is None:
            raise BytecodeError("line 1", "there is no .meta")
        return Program(
            self.meta,
            tuple(self.pool),
            tuple(self.strings),
            tuple(self.memory),
            tuple(self.inputs),
            tuple(self.outputs),
            tuple(self.code),
            tuple(self.lines),
        )

    def take(self, statement: Tree[Token]) -> None:
        """One statement of the grammar."""
        self.at = getattr(statement.meta, "line", self.at)
        kind, children = str(statement.data), statement.children
        if kind == "string":
            self.strings.append(_unquote(children[0]))
        elif kind == "pool":
            self.pool += [int(str(t)) for t in children]
        elif kind == "line":
            scope = self._text(children[2]) if len(children) > 2 else self._intern("")
            self.line = Line(self._text(children[0]), int(str(children[1])), scope)
        elif kind == "instruction":
            self._instruction(str(children[0]), self._fields(children[1:]))
        else:
            self._row(kind, self._fields(children))

    def _row(self, kind: str, fields: dict[str, Any]) -> None:
        make = getattr(self, f"_{kind}")
        try:
            make(**fields)
        except TypeError:
            raise self._error(
                f".{kind} does not have just these fields: {', '.join(fields)}"
            ) from None

    def _error(self, reason: str) -> BytecodeError:
        return BytecodeError(f"line {self.at}", reason)

    def _meta(self, **fields: int) -> None:
        if self.meta is not None:
            raise self._error("a second .meta")
        self.rows["META", 0] = self.at
        self.meta = Meta(**fields)

    def _memory(
        self, name: int, at: str, elements: int, planes: int, f: int, source: int, line: int
    ) -> None:
        self.rows["MEMORY", len(self.memory)] = self.at
        file, address = FILES.index(at[0]), int(at[1:])
        self.memory.append(MemoryRow(name, file, address, elements, planes, f, source, line))

    def _input(self, party: int, name: int, f: int, shape: tuple[int, ...]) -> None:
        self.rows["INPUTS", len(self.inputs)] = self.at
        self.inputs.append(InputRow(party, name, f, shape))

    def _output(self, name: int, party: int, f: int, planes: int, shape: tuple[int, ...]) -> None:
        self.rows["OUTPUTS", len(self.outputs)] = self.at
        self.outputs.append(OutputRow(name, party, f, planes, shape))

    def _instruction(self, name: str, fields: dict[str, Any]) -> None:
        row = BY_NAME.get(name)
        if row is None:
            near = get_close_matches(name, BY_NAME, 1)
            raise self._error(f"no instruction {name!r}" + (f": {near[0]}?" if near else ""))
        names = [o.name for o in row.operands]
        if sorted(fields) != sorted(names):
            raise self._error(f"{name} has the operands {', '.join(names) or 'none'}")
        if self.line is None:
            raise self._error("there is no .line before the first instruction")
        self.rows["CODE", len(self.code)] = self.rows["LINES", len(self.lines)] = self.at
        args = tuple(self._argument(o, fields[o.name]) for o in row.operands)
        self.code.append(Insn(row, args))
        self.lines.append(self.line)

    def _argument(self, o: Operand, value: Any) -> Arg:
        listed = o.kind in ("dims", "ranges")
        if listed and isinstance(value, tuple):
            return value
        if o.file and isinstance(value, str) and value[0] == o.file:
            return int(value[1:])
        if not listed and not o.file and isinstance(value, int):
            return value
        example = "[2,3]" if listed else f"{o.file}64" if o.file else "a number"
        raise self._error(f"operand {o.name} must look like {example}")

    def _fields(self, children: list[Any]) -> dict[str, Any]:
        """Field name -> int, tuple, or 's64'; strings become their index."""
        out: dict[str, Any] = {}
        for child in children:
            name, value = str(child.children[0]), child.children[1]
            if name in out:
                raise self._error(f"{name} is given twice")
            out[name] = self._value(value)
        return out

    def _value(self, tree: Tree[Token]) -> Any:
        if tree.data == "dims":
            return tuple(int(str(t)) for t in tree.children)
        if tree.data == "address":
            return str(tree.children[0])
        if tree.data == "all":
            return ALL
        if tree.data == "number":
            return int(str(tree.children[0]))
        return self._text(tree.children[0])

    def _text(self, tree: Any) -> int:
        if tree.data == "index":
            return int(str(tree.children[0]))
        return self._intern(_unquote(tree.children[0]))

    def _intern(self, s: str) -> int:
        """Index of the first string s; a new one at the end if there is none."""
        if s not in self.strings:
            self.strings.append(s)
        return self.strings.index(s)


def _unquote(token: Any) -> str:
    return str(json.loads(str(token)))
