"""Protocols in small domains, over the hidden randomness: every result, and every party's view.

What a run enumerates and what it samples is said in runtime_c/tests/small_views.c, for inputs,
products, gates, conversions and truncations of protocols with an honest majority, two corrupt
parties of five among them, and in rep3_small.c, for all of rep3, whose words are small there.
Broken variants of the protocols, with a mask left out or used twice, must be found.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .machine import PARTIES

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"
COMMON = ("tests/engine.c", "protocols/bilinear.c", "cpu.c", "par.c", "error.c")
REP3 = (*COMMON, "tests/rep3_small.c", "protocols/rep3.c", "protocols/rep3_[a-v]*.c", "prg/*.c")
VIEWS = (*COMMON, "tests/small_views.c", *(f"protocols/{p}*.c" for p in ("rep3", "rep4", "mal")))
VIEWS += ("protocols/dzk*.c", "protocols/shamir*.c")
FLAGS = ["gcc", "-std=gnu11", "-O2", "-DSEQ_TEST", "-pthread"]
Edit = tuple[str, str, str]  # a file of protocols/, a text in it, and what replaces it
OPERATIONS = (
    13  # at least: mul, trunc, mul_add, their rounding, ltz, eqz, a2b, and, select (3), b2a
)


def sources(*patterns: str) -> list[Path]:
    return [f.relative_to(RUNTIME) for p in patterns for f in sorted(RUNTIME.glob(p))]


def mutated(folder: Path, edit: Edit) -> Path:
    """A copy of the runtime with an edit."""
    name, old, new = edit
    text = (RUNTIME / "protocols" / name).read_text()
    assert old in text, old
    copy_tree(folder / "runtime_c")
    (folder / "runtime_c" / "protocols" / name).write_text(text.replace(old, new))
    return folder / "runtime_c"


def build(folder: Path, ring: int, block: int, edit: Edit | None = None) -> Path:
    """The test of rep3 for a ring and block size."""
    root, out = mutated(folder, edit) if edit else RUNTIME, folder / "rep3_small"
    flags = [f"-DSMALL_BITS={ring}", f"-DREP3_BLOCK={block}"]
    command = [*FLAGS, *flags, *(str(root / f) for f in sources(*REP3)), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def copy_tree(target: Path) -> None:
    for f in RUNTIME.rglob("*.[ch]"):
        copy = target / f.relative_to(RUNTIME)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(f.read_text())


def run(program: Path, *words: str | int) -> subprocess.CompletedProcess[str]:
    command = [str(program), *map(str, words)]
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


MUTANTS: dict[str, Edit] = {
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


# ---- every protocol with an honest majority ----

NAMES = ("rep3", "rep3-mal", "rep4", "shamir", "shamir-mal")
SETTINGS = [(p, n) for p in NAMES for n in PARTIES[p] if n in (3, 5) or p == "rep4"]
THOROUGH = 1 << 30  # executions: all of them
INPUTS_MUL_AND = 5  # lines of a run, at least


def compile_object(root: Path, source: Path, folder: Path) -> Path:
    out = folder / f"{source.stem}.o"
    field = root / "tests" / "small_field.h"
    command = [*FLAGS, "-include", str(field), "-c", str(root / source), "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def link(objects: list[Path], out: Path) -> Path:
    command = ["gcc", *map(str, objects), "-pthread", "-o", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What small_views is linked from, by the names of the sources."""
    folder = tmp_path_factory.mktemp("objects")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = pool.map(lambda f: compile_object(RUNTIME, f, folder), sources(*VIEWS))
        return {f.stem: f for f in made}


@pytest.fixture(scope="module")
def views(objects: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return link(list(objects.values()), tmp_path_factory.mktemp("views") / "small_views")


@pytest.mark.parametrize(
    "executions", [4000, pytest.param(THOROUGH, marks=pytest.mark.slow)], ids=["some", "all"]
)
@pytest.mark.parametrize(("protocol", "parties"), SETTINGS)
def test_views_tell_nothing(protocol: str, parties: int, executions: int, views: Path) -> None:
    done = run(views, protocol, parties, 1, executions)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) >= INPUTS_MUL_AND


# Protocol, number of parties, and the edit.
BROKEN: dict[str, tuple[str, int, Edit]] = {
    "cross terms for one party share a mask": (
        "rep4",
        4,
        ("rep4_word.h", "purpose + 4 * x + y, e,", "purpose, e,"),
    ),
    "cross terms of gates share a mask": (
        "rep4",
        4,
        ("rep4_adder.c", "job->purpose + 4 * x + y", "job->purpose"),
    ),
    "a dealt bit and what it selects share a mask": (
        "rep4",
        4,
        ("rep4_word.h", "REP4_DEAL_X, i, h.w", "REP4_DEAL, i, h.w"),
    ),
    "both masks of what is truncated are one": ("rep4", 4, ("rep4_word.h", "REP4_M3", "REP4_M2")),
    "what wraps is masked as the quotient is": ("rep4", 4, ("rep4_word.h", "REP4_RHO,", "REP4_T,")),
    "products have no mask": (
        "rep3-mal",
        3,
        ("mal_words.c", "x1[i] * y0[i] + next[i] - prev[i]", "x1[i] * y0[i]"),
    ),
    "both parts of a product with a dealt word share a mask": (
        "rep3-mal",
        3,
        ("mal_words.c", "MAL_THIRD + 2 + p->number", "MAL_THIRD + p->number"),
    ),
    "carries share a mask": ("rep3-mal", 3, ("mal_bits.c", "MAL_CARRY + j", "MAL_CARRY + 63")),
    "products are masked by degree t": (
        "shamir",
        3,
        ("shamir_share.c", "extract(s, &p[i], p[i].dealt2)", "extract(s, &p[i], p[i].dealt)"),
    ),
    "both degrees of a mask are drawn alike": (
        "shamir-mal",
        3,
        ("shamir_share.c", "(uint32_t)(i - x->item) << 4 | which", "(uint32_t)(i - x->item) << 4"),
    ),
    "all kings have one mask": (
        "shamir",
        5,
        ("shamir_share.c", "s->table[p->type].power[q][k]", "s->table[p->type].power[0][k]"),
    ),
}
QUICK = "products are masked by degree t"


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == QUICK else pytest.mark.slow) for n in BROKEN]
)
def test_a_broken_variant_is_found(name: str, objects: dict[str, Path], tmp_path: Path) -> None:
    protocol, parties, edit = BROKEN[name]
    root, source = mutated(tmp_path, edit), Path(edit[0]).stem
    if edit[0] == "rep4_word.h":  # which is compiled there
        source = "rep4_words"
    changed = compile_object(root, Path("protocols") / f"{source}.c", tmp_path)
    program = link([*({**objects, source: changed}).values()], tmp_path / "small_views")
    done = run(program, protocol, parties, 1, 4000)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "a telling view" in done.stdout, done.stdout
