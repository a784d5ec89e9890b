"""Who may import whom: the two tables of docs/architecture.md, read from that page and enforced."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([\w/.]+)` \|[^|]*\|(.*?)\|$", re.MULTILINE)


def table(heading: str) -> dict[str, set[str]]:
    """Rows `| room | what | may use |` below a heading, by room."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return {
        room.strip("/"): {name.strip("/") for name in re.findall(r"`([\w/.]+)`", uses)}
        for room, uses in ROW.findall(section)
    }


PYTHON = table("Python: who may import whom")
C = table("C: who may include whom")


def room_of(path: str, rooms: dict[str, set[str]]) -> str:
    """The innermost room that holds a file, given as a path from the root."""
    inside = [room for room in rooms if path == room or path.startswith(room + "/")]
    assert inside, f"{path} lies in no room of docs/architecture.md"
    return max(inside, key=len)


def python_files() -> list[Path]:
    files = [p for room in ("compiler", "vm") for p in sorted((ROOT / room).rglob("*.py"))]
    return files + sorted((ROOT / "sequester").glob("*.py"))


def running_code(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`: they are not there at run time."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from running_code(child)


def imports(path: Path) -> Iterator[str]:
    """Files or folders of this project that a module imports, as paths from the root."""
    relative = path.relative_to(ROOT)
    package = list(relative.parent.parts)
    for node in running_code(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                base = package[: len(package) - node.level + 1] + base
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for parts in names:
            if parts[0] == "sequester" and len(parts) > 1 and parts[1] in ("compiler", "vm"):
                parts = parts[1:]
            if parts[0] in ("compiler", "vm", "sequester"):
                yield "/".join(parts)


def c_files() -> list[Path]:
    found = sorted((ROOT / "runtime_c").rglob("*.[ch]"))
    return [p for p in found if "build" not in p.parts]


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_python_imports(path: Path) -> None:
    home = room_of(str(path.relative_to(ROOT)), PYTHON)
    for imported in imports(path):
        there = room_of(imported, PYTHON)
        assert there == home or there in PYTHON[home], f"{home} may not import {imported}"


@pytest.mark.parametrize("path", c_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_c_includes(path: Path) -> None:
    home = room_of(str(path.relative_to(ROOT)), C)
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
        included = str((path.parent / name).resolve().relative_to(ROOT))
        there = room_of(included, C)
        allowed = there == home or there in C[home] or included in C[home]
        assert allowed, f"{home} may not include {included}"


def test_rooms_exist_and_tables_are_closed() -> None:
    for rooms in (PYTHON, C):
        assert rooms
        for room, uses in rooms.items():
            assert (ROOT / room).exists(), room
            for used in uses:
                assert (ROOT / used).exists(), used


def test_every_module_says_what_it_is_for() -> None:
    for path in python_files():
        text = path.read_text()
        assert not text or ast.get_docstring(ast.parse(text)), f"{path}: no docstring"
