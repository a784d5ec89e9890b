"""rep3's shuffle over all of its randomness: results, and what every party sees.

What is enumerated is said in runtime_c/tests/rep3_order.c. Variants with a mask or a swap left out
must be found.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"
FILES = ("tests/rep3_order.c", "tests/engine.c", "protocols/rep3*.c",
         "protocols/bilinear.c", "ring/*.c", "bits/*.c", "prg/*.c",
         "cpu.c", "par.c", "error.c")  # fmt: skip


def order_test(folder: Path, old: str = "", new: str = "") -> subprocess.CompletedProcess[str]:
    """Build with a text of rep3_shuffle.c replaced, and run."""
    sources = [f for pattern in FILES for f in sorted(RUNTIME.glob(pattern))]
    text = (RUNTIME / "protocols" / "rep3_shuffle.c").read_text()
    assert old in text
    changed = folder / "rep3_shuffle.c"
    changed.write_text(text.replace(old, new) if old else text)
    names = [str(changed if f.name == "rep3_shuffle.c" else f) for f in sources]
    flags = ["-std=gnu11", "-O2", "-DSEQ_TEST", f"-I{RUNTIME / 'protocols'}", "-pthread"]
    program = folder / "rep3_order"
    done = subprocess.run(["gcc", *flags, *names, "-o", str(program)], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return subprocess.run([program, "3"], capture_output=True, text=True, check=False)


def test_results_and_views(tmp_path: Path) -> None:
    done = order_test(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 9


def test_a_missing_mask_is_found(tmp_path: Path) -> None:
    """The masks of one pair of parties are zero: results are right, views are not."""
    draw = "    prg_words(key, purpose, (s->first"
    zero = "    if (purpose == REP3_SHUFFLE_A)\n        memset(out, 0, n * halves * 8);\n    else\n"
    done = order_test(tmp_path, draw, zero + "    " + draw)
    assert done.returncode == 1 and "what it gets depends" in done.stdout, done.stdout


def test_a_missing_swap_is_found(tmp_path: Path) -> None:
    done = order_test(tmp_path, "order[j] = last;", "order[left] = last;")
    assert done.returncode == 1 and "FAILED" in done.stdout, done.stdout
