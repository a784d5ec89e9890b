"""The C kernels as a library of their own, called through ctypes: for tests and benchmarks."""

from __future__ import annotations

import ctypes as ct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RUNTIME = Path(__file__).resolve().parents[2] / "runtime_c"
FLAGS = ["-std=gnu11", "-O3", "-fno-strict-overflow", "-fPIC", "-pthread", "-shared"]
FLAGS += ["-Wall", "-Wextra", "-Werror"]
LEVELS = ("portable", "avx2", "avx512")
Array = np.ndarray[Any, np.dtype[Any]]

_P, _N, _I, _U = ct.c_void_p, ct.c_size_t, ct.c_int64, ct.c_uint


class Term(ct.Structure):
    _fields_ = [("a", _P), ("b", _P)]


class Gemm(ct.Structure):
    _fields_ = [("m", _N), ("k", _N), ("n", _N), ("ta", ct.c_int), ("tb", ct.c_int)]


class Conv(ct.Structure):
    names = ("batch", "cin", "h", "w", "cout", "kh", "kw", "oh", "ow", "sh", "sw", "ph", "pw")
    _fields_ = [(name, _N) for name in names]


class Walk(ct.Structure):
    _fields_ = [
        ("rank", _N),
        ("shape", _N * 8),
        ("dstr", ct.c_ssize_t * 8),
        ("sstr", ct.c_ssize_t * 8),
    ]


def _table(fields: Sequence[tuple[str, Sequence[Any]]]) -> list[tuple[str, Any]]:
    return [(name, ct.CFUNCTYPE(None, *args)) for name, args in fields]


class RingOps(ct.Structure):
    _fields_ = [
        ("name", ct.c_char_p),
        ("bits", _U),
        ("word", _N),
        *_table([(name, (_P, _P, _P, _N)) for name in ("add", "sub", "mul", "muladd")]),
        *_table([("muli", (_P, _P, _I, _N)), ("addi", (_P, _P, _I, _N)), ("fill", (_P, _I, _N))]),
        *_table([(name, (_P, _P, _U, _N)) for name in ("shr_nearest", "sar", "shr")]),
        *_table([(name, (_P, _P, _N)) for name in ("to_signed", "from_signed")]),
        *_table([(name, (_P, _P, _P)) for name in ("copy", "acc")]),
        *_table(
            [
                (name, (_P, ct.POINTER(Term), _N, _P, ct.c_int, _P))
                for name in ("gemm", "conv", "conv_dx", "conv_dw")
            ]
        ),
    ]


class BitsOps(ct.Structure):
    _fields_ = [
        ("name", ct.c_char_p),
        *_table([("xor_", (_P, _P, _P, _N)), ("and_", (_P, _P, _P, _N)), ("not_", (_P, _P, _N))]),
        *_table([("xorand", (_P, _P, _P, _N))]),
        *_table([("slice", (_P, _N, _P, _U, _N, _U, _U))]),
        *_table([("unslice", (_P, _U, _P, _N, _N, _U, _U))]),
    ]


def pointer(a: Array) -> int:
    return int(a.ctypes.data)


def terms(pairs: Sequence[tuple[Array, Array]]) -> ct.Array[Term]:
    """The operands of a sum of products; the arrays must outlive it."""
    return (Term * len(pairs))(*(Term(pointer(a), pointer(b)) for a, b in pairs))


def build(directory: Path) -> Path:
    """Compile the kernels; the path of the library."""
    out = directory / "kernels.so"
    sources = [RUNTIME / "cpu.c", RUNTIME / "par.c"]
    sources += [f for room in ("ring", "bits", "prg") for f in sorted((RUNTIME / room).glob("*.c"))]
    subprocess.run(["gcc", *FLAGS, "-o", str(out), *map(str, sources)], check=True)
    return out


@dataclass
class Kernels:
    """The loaded library."""

    lib: Any

    @classmethod
    def load(cls, path: Path) -> Kernels:
        lib = ct.CDLL(str(path))
        lib.ring_by_name.restype = lib.ring_select.restype = ct.POINTER(RingOps)
        lib.ring_by_name.argtypes = [_U, ct.c_char_p]
        lib.bits_by_name.restype = lib.bits_select.restype = ct.POINTER(BitsOps)
        lib.prg_name.restype = ct.c_char_p
        lib.par_create.restype = _P
        lib.par_destroy.argtypes = [_P]
        lib.par_for.argtypes = [_P, _N, _N, _P, _P]
        lib.par_threads.argtypes = [_P]
        lib.prg_words.argtypes = [_P, ct.c_uint32, ct.c_uint64, _P, _N]
        lib.prg_derive.argtypes = [_P, _P, ct.c_uint64, ct.c_uint32]
        lib.prg_system.argtypes = lib.prg_wipe.argtypes = [_P, _N]
        lib.bits_copy.argtypes = [_P, _N, _N, _P, _N, _N, _N, _P, _P, _P]
        for name in ("portable", "aesni", "vaes"):
            block = getattr(lib, f"aes_blocks_{name}")
            block.argtypes = [_P, ct.c_uint64, ct.c_uint64, _P, _N]
            getattr(lib, f"aes_permute_{name}").argtypes = [_P, _P, _N]
        return cls(lib)

    def ring(self, bits: int, level: str) -> RingOps | None:
        found = self.lib.ring_by_name(bits, level.encode())
        return found.contents if found else None

    def bits(self, level: str) -> BitsOps | None:
        found = self.lib.bits_by_name(level.encode())
        return found.contents if found else None
