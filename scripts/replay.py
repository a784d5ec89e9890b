#!/usr/bin/env python3
"""Compile every program of `programs/` at two commits, and diff disassembly and costs.

    scripts/replay.py [--stat] [OLD [NEW]]

OLD: a commit (default HEAD). NEW: another one (default: the working tree). A refactoring shows an
empty diff, an optimisation just the diff it claims. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Shapes for inputs, by what a program's name contains.
SHAPES = {
    "mnist": {
        "0:train.x": "1000,1,28,28",
        "0:train.y": "1000",
        "0:test.x": "200,1,28,28",
        "0:test.y": "200",
    },
    "cifar": {
        "0:train.x": "1000,3,32,32",
        "0:train.y": "1000",
        "0:test.x": "200,3,32,32",
        "0:test.y": "200",
    },
    "linear_regression": {"0:x": "100,3", "1:y": "100"},
    "logistic_regression": {
        "0:data.x": "60,3",
        "0:data.y": "60",
        "1:data.x": "40,3",
        "1:data.y": "40",
    },
    "statistics": {"0:values": "50", "1:values": "60", "2:values": "70"},
}

# Runs inside a tree, so that it sees that tree's compiler: prints {program: [text, costs]}.
_DRIVER = """
import importlib.util, json, sys
from pathlib import Path
from sequester.compiler.compile import compile_graph
from sequester.compiler.isa.asm import disassemble
from sequester.compiler.lang.program import Program
shapes, out = json.loads(sys.argv[1]), {}
for path in sorted(Path("programs").glob("*.py")):
    known = {}
    for key, table in shapes.items():
        if key in path.stem:
            for name, text in table.items():
                party, name = name.split(":")
                known[int(party), name] = tuple(map(int, text.split(",")))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for program in [p for p in vars(module).values() if isinstance(p, Program)]:
        try:
            result = compile_graph(program.trace(shapes=known))
        except Exception as error:
            out[path.stem] = [f"not compiled: {error}\\n", ""]
            continue
        c = result.costs
        costs = f"rounds {c.rounds}\\nsent {c.sent}\\nregisters {result.registers}\\n"
        out[path.stem] = [disassemble(result.program), costs]
print(json.dumps(out))
"""


def compile_all(tree: Path) -> dict[str, list[str]]:
    """Text and costs of every program, by the compiler in a tree."""
    command = [sys.executable, "-c", _DRIVER, json.dumps(SHAPES)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{tree}: {done.stderr}")
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result


def at_commit(commit: str) -> dict[str, list[str]]:
    """The same for a commit, unpacked into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        return compile_all(Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", nargs="?", default="HEAD", help="commit (default HEAD)")
    parser.add_argument("new", nargs="?", help="commit (default: the working tree)")
    parser.add_argument("--stat", action="store_true", help="only count changed lines")
    options = parser.parse_args()
    old = at_commit(options.old)
    new = at_commit(options.new) if options.new else compile_all(ROOT)
    changed = False
    for name in sorted(old.keys() | new.keys()):
        for part in (0, 1):
            before, after = (t.get(name, ["", ""])[part].splitlines() for t in (old, new))
            lines = list(difflib.unified_diff(before, after, name, name, lineterm="", n=1))
            changed |= bool(lines)
            if lines and options.stat and part == 0:
                print(f"{name}: {len(before)} -> {len(after)} lines, {len(lines)} in the diff")
            elif lines:
                print("\n".join(lines))
    if not changed:
        print(f"no difference in {len(new)} programs")
    return int(changed)


if __name__ == "__main__":
    sys.exit(main())
