"""rep3 in rings of 3 to 5 bits: every result, and every role's view, over the hidden randomness.

What a run enumerates and what it samples is said in runtime_c/tests/rep3_small.c. Broken variants
of the protocol, with a mask left out or used twice, must be found.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"
SOURCES = (
    "tests/rep3_engine.c",
    "protocols/rep3.c",
    "protocols/rep3_[a-v]*.c",
    "protocols/bilinear.c",
)
KERNELS = ("prg/*.c", "cpu.c", "par.c", "error.c")
OPERATIONS = (
    13  # at least: mul, trunc, mul_add, their rounding, ltz, eqz, a2b, and, select (3), b2a
)


def build(folder: Path, ring: int, block: int, edit: tuple[str, str, str] | None = None) -> Path:
    """The test for a ring and block size; `edit`: a file, a text in it, and what replaces it."""
    sources = [f for pattern in SOURCES + KERNELS for f in sorted(RUNTIME.glob(pattern))]
    sources.append(RUNTIME / "tests" / "rep3_small.c")
    if edit:
        name, old, new = edit
        text = (RUNTIME / "protocols" / name).read_text()
        assert old in text, old
        changed = folder / "runtime_c" / "protocols" / name
        copy_tree(folder / "runtime_c")
        changed.write_text(text.replace(old, new))
        sources = [folder / "runtime_c" / f.relative_to(RUNTIME) for f in sources]
    out = folder / "rep3_small"
    flags = ["-std=gnu11", "-O2", "-DSEQ_TEST", f"-DSMALL_BITS={ring}", f"-DREP3_BLOCK={block}"]
    command = ["gcc", *flags, *map(str, sources), "-pthread", "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def copy_tree(target: Path) -> None:
    for f in RUNTIME.rglob("*.[ch]"):
        copy = target / f.relative_to(RUNTIME)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(f.read_text())


def run(program: Path, samples: int) -> subprocess.CompletedProcess[str]:
    command = [str(program), str(samples)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("ring", "block", "samples"),
    [
        (3, 1, 2),
        pytest.param(4, 2, 8, marks=pytest.mark.slow),
        pytest.param(4, 1, 2, marks=pytest.mark.slow),
        pytest.param(5, 2, 4, marks=pytest.mark.slow),
    ],
)
def test_results_and_views(tmp_path: Path, ring: int, block: int, samples: int) -> None:
    done = run(build(tmp_path, ring, block), samples)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) >= OPERATIONS


MUTANTS: dict[str, tuple[str, str, str]] = {
    "P3 hides its part of z by P2's mask": (
        "rep3_word.h",
        "(WORD)(w->v.w[i] + own_s[i])",
        "(WORD)(w->v.w[i] + w->s2.w[i])",
    ),
    "P1 answers with the wrap bit in the clear": (
        "rep3_word.h",
        "(WORD)((WORD)(d >> (BITS - 1)) + w->a.w[i] + w->b.w[i])",
        "(WORD)(d >> (BITS - 1))",
    ),
    "forms share a mask": ("rep3_adder.c", "REP3_FORM2) + form", "REP3_FORM2) + 0 * form"),
    "what returns to P1 shares a mask": ("rep3_word.h", "REP3_BACK3", "REP3_BACK2"),
    "a bit and what it selects share a mask": (
        "rep3_word.h",
        "REP3_DEALT_WORD",
        "REP3_DEALT_BIT",
    ),
    "products are reshared without a mask": (
        "rep3_word.h",
        "REDUCE(v[i] + next[i] - prev[i])",
        "REDUCE(v[i])",
    ),
    "gates have no mask": ("rep3_adder.c", "z[i] ^= mask[i] ^", "z[i] ="),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if "gates" in n else pytest.mark.slow) for n in MUTANTS],
)
def test_a_missing_mask_is_found(tmp_path: Path, name: str) -> None:
    """Such a variant gives right results, or nearly: it is found by what a party sees."""
    done = run(build(tmp_path, 3, 1, MUTANTS[name]), 1)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED" in done.stdout
