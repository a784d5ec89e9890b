"""Builds the C runtime as the extension module `sequester._runtime` (cffi, API mode).

Used by the build backend (`pip install`), which takes `ffibuilder`; run directly, it builds the
module in place: `python runtime_c/bindings.py`.
"""

import os
import re
from pathlib import Path

import cffi

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "runtime_c"
ROOMS = ("ring", "bits", "prg", "ot", "lattice", "net", "vm", "protocols")


def declarations() -> str:
    """The public header without its preprocessor lines: what cffi reads."""
    text = (RUNTIME / "include" / "sequester.h").read_text()
    constants = re.findall(r"^#define (\w+) (\d+)$", text, re.M)
    text = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
    for name, value in constants:
        text = re.sub(rf"\b{name}\b", value, text)
    return text


def sources() -> list[str]:
    """All C files of the runtime but its tests, relative to the root."""
    files = list(RUNTIME.glob("*.c"))
    for room in ROOMS:
        files += (RUNTIME / room).glob("*.c")
    return sorted(str(f.relative_to(ROOT)) for f in files)


ffibuilder = cffi.FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "sequester._runtime",
    '#include "sequester.h"',
    sources=sources(),
    include_dirs=["runtime_c/include"],
    libraries=["ssl", "crypto"],
    extra_compile_args=["-std=gnu11", "-O3", "-fno-strict-overflow", "-pthread"],
    extra_link_args=["-pthread"],
)

if __name__ == "__main__":
    import setuptools

    os.chdir(ROOT)
    setuptools.setup(
        script_args=["-q", "build_ext", "--inplace", "--build-temp", "build/runtime"],
        cffi_modules=["runtime_c/bindings.py:ffibuilder"],
    )
