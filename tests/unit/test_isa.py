"""The instruction table, the files generated from it, the codec and the assembler."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequester.compiler.isa import generate
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
