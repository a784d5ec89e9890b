"""Generate `runtime_c/vm/isa.h` and `docs/isa.md` from the instruction table.

    python -m sequester.compiler.isa.generate

Both files are committed; tests/unit/test_isa.py regenerates them and compares.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from textwrap import wrap

from .table import INSTRUCTIONS, Instr, Operand, Product, Strided, table_hash

FIRST_INTERACTIVE = 0x80
_NOTE = "Generated from compiler/isa/table.py by compiler/isa/generate.py: do not edit."
_KINDS = {
    "n": ("COUNT", "a count or size, 0 <= n < 2^40"),
    "imm": ("IMM", "a signed 64-bit immediate"),
    "flag": ("FLAG", "0 or 1"),
    "h": ("HANDLE", "a handle"),
    "party": ("PARTY", "a party's index"),
    "str": ("STR", "index into STRINGS"),
    "in": ("IN", "index into INPUTS"),
    "out": ("OUT", "index into OUTPUTS"),
    "pool": ("POOL", "first of n words in POOL (n: the operand of that name)"),
    "dims": ("DIMS", "a count, then that many signed words; counts as one operand"),
    "ranges": ("RANGES", "3 k, then k triples of register file, address, size; one operand"),
}
_FILES = {"s": "arithmetic shares", "b": "bit shares", "c": "clear words"}
_OP_HEAD = ("| code | name | operands | meaning |", "|---|---|---|---|")
_FACTORS = 4  # the longest product of operands that gives an extent


def interactive() -> list[Instr]:
    """The interactive instructions; their codes start at FIRST_INTERACTIVE."""
    rows = [i for i in INSTRUCTIONS if i.interactive]
    assert rows[0].code == FIRST_INTERACTIVE == min(i.code for i in rows)
    return rows


def _operand_c(instr: Instr, o: Operand) -> str:
    index = {p.name: k for k, p in enumerate(instr.operands)}
    kind = o.file.upper() if o.file else _KINDS[o.kind][0]
    planes = index[o.planes] if o.planes not in (None, "1") else -1
    extent, by = "NONE", "{0}"
    if isinstance(o.extent, Product):
        extent, by = "PRODUCT", f"{{{', '.join(str(index[n]) for n in o.extent.names) or 0}}}"
        count = len(o.extent.names)
    elif isinstance(o.extent, Strided):
        extent, by = "STRIDED", f"{{{index[o.extent.shape]}, {index[o.extent.strides]}}}"
        count = 2
    else:
        count = 0
    assert count <= _FACTORS
    flags = f"{int(o.reads)}, {int(o.writes)}"
    return f'{{"{o.name}", ISA_{kind}, {flags}, ISA_EXTENT_{extent}, {count}, {planes}, {by}}}'


def _positions_c(instr: Instr) -> list[str]:
    names = ", ".join(f"SEQ_ARG_{instr.name.upper()}_{o.name}" for o in instr.operands)
    *lines, last = wrap(f"enum {{ {names}", 97, subsequent_indent="    ")
    return [*lines, f"{last} }};"]


def _types_c() -> list[str]:
    kinds = [f"    ISA_{f.upper()}, /* register: {doc} */" for f, doc in _FILES.items()]
    kinds += [f"    ISA_{name}, /* {doc} */" for name, doc in _KINDS.values()]
    return [
        "/* What an operand is. */",
        "enum {",
        *kinds,
        "};",
        "",
        "/* How many elements a register operand covers. NONE: not a register. PRODUCT: the",
        " * product of the operands by[0..count-1] (count 0: one element). STRIDED: the index",
        " * space of the dims operand by[0], walked with the strides of the dims operand by[1]. */",
        "enum { ISA_EXTENT_NONE, ISA_EXTENT_PRODUCT, ISA_EXTENT_STRIDED };",
        "",
        "typedef struct {",
        "    const char *name;",
        "    uint8_t kind;          /* ISA_S .. ISA_RANGES */",
        "    uint8_t reads, writes; /* of a register */",
        "    uint8_t extent, count; /* see above */",
        "    int8_t planes; /* bit registers: the operand that counts planes, -1: one plane */",
        f"    uint8_t by[{_FACTORS}];",
        "} isa_operand;",
        "",
        "typedef struct {",
        "    uint32_t code;",
        "    const char *name; /* NULL: no such instruction */",
        "    uint8_t operand_count, interactive, effect;",
        "    const isa_operand *operands;",
        "} isa_op;",
    ]


def _tables_c() -> list[str]:
    operands, ops, first = [], [], 0
    for i in INSTRUCTIONS:
        operands += [f"    {_operand_c(i, o)}, /* {i.name} */" for o in i.operands]
        ops.append(
            f'    [0x{i.code:02X}] = {{0x{i.code:02X}, "{i.name}", {len(i.operands)}, '
            f"{int(i.interactive)}, {int(i.effect)}, isa_operands + {first}}},"
        )
        first += len(i.operands)
    return [
        "static const isa_operand isa_operands[] = {",
        *operands,
        "};",
        "",
        "static const isa_op isa_ops[] = {",
        *ops,
        "};",
        "",
        "/* The row of an opcode, or NULL if there is none. */",
        "static inline const isa_op *isa_find(uint64_t code) {",
        "    if (code >= sizeof isa_ops / sizeof isa_ops[0] || !isa_ops[code].name)",
        "        return NULL;",
        "    return &isa_ops[code];",
        "}",
    ]


def header() -> str:
    """The text of runtime_c/vm/isa.h."""
    codes = [f"    SEQ_OP_{i.name.upper()} = 0x{i.code:02X}, /* {i.doc} */" for i in INSTRUCTIONS]
    args = [line for i in INSTRUCTIONS if i.operands for line in _positions_c(i)]
    hash_bytes = ", ".join(f"0x{b:02X}" for b in table_hash())
    lines = [
        "#ifndef SEQ_ISA_H",
        "#define SEQ_ISA_H",
        f"/* {_NOTE} */",
        "/* clang-format off */",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define SEQ_OP_FIRST_INTERACTIVE 0x{FIRST_INTERACTIVE:02X}",
        f"#define SEQ_INTERACTIVE_COUNT {interactive()[-1].code - FIRST_INTERACTIVE + 1}",
        f"#define SEQ_ISA_MAX_OPERANDS {max(len(i.operands) for i in INSTRUCTIONS)}",
        "",
        "/* Hash of the instruction table, as in the header of a bytecode file. */",
        f"static const uint8_t seq_isa_hash[16] = {{{hash_bytes}}};",
        "",
        "/* Instruction codes. */",
        "enum {",
        *codes,
        "};",
        "",
        "/* Positions in the operand list; the names' case matters (matmul: M and m). */",
        *args,
        "",
        *_types_c(),
        "",
        *_tables_c(),
        "",
        "/* clang-format on */",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def _operand_md(o: Operand) -> str:
    text = f"{o.name}:{o.kind}"
    if o.extent is None:
        return text
    if isinstance(o.extent, Product):
        inner = "·".join(o.extent.names) or "1"
    else:
        inner = f"{o.extent.shape}/{o.extent.strides}"
    return f"{text}[{o.planes + ', ' if o.planes else ''}{inner}]"


def page() -> str:
    """The text of docs/isa.md."""
    lines = [
        "# The instructions",
        "",
        f"<!-- {_NOTE} -->",
        "",
        "An instruction is a run of 64-bit words: `opcode | length << 32`, then its operands in",
        "the order of its row. Register operands (kind `sr`: file s, read; `bw`: file b, written;",
        "`crw`: both) show in brackets how many elements they cover; a bit register shows planes",
        "first. Other kinds:",
        "",
        "| kind | meaning |",
        "|---|---|",
        *[f"| `{kind}` | {doc} |" for kind, (_, doc) in _KINDS.items()],
        "",
        "Interactive instructions only start a round machine under a handle; `join` waits for it.",
        "Sources and destination stay untouched in between; the destination overlaps no source.",
        "",
        f"Hash of the table: `{table_hash().hex()}`.",
    ]
    for group, rows in groupby(INSTRUCTIONS, key=lambda i: i.group):
        lines += ["", f"## {group}", "", *_OP_HEAD]
        for i in rows:
            operands = " ".join(f"`{_operand_md(o)}`" for o in i.operands)
            doc = i.doc.replace("|", "\\|")
            lines.append(f"| 0x{i.code:02X} | `{i.name}` | {operands} | {doc} |")
    return "\n".join(lines) + "\n"


def targets(root: Path) -> dict[Path, str]:
    """Every generated file under the repository's root, with its text."""
    return {root / "runtime_c/vm/isa.h": header(), root / "docs/isa.md": page()}


def main() -> None:
    for path, text in targets(Path(__file__).resolve().parents[2]).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
