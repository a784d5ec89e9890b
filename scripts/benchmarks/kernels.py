"""The kernels alone: products as a fraction of what registers allow, AES, and loops over elements.

Of noise from other work on the machine only the fastest calls are free: a sample is the fastest of
several calls, a figure the median of several samples. The peak is taken before and after; the
higher one counts. What it takes to call a product from here, a microsecond, is taken off.
"""

from __future__ import annotations

import ctypes as ct
import mmap
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.vm.kernels import LEVELS, Array, Conv, Gemm, Kernels, pointer, terms

from .build import HERE, KERNELS, executable

GEMMS = {
    "fc1 forward": (800, 500, 0, 1),
    "fc1 dx": (500, 800, 0, 0),
    "fc1 dw": (500, 800, 1, 0),
    "fc2 forward": (500, 10, 0, 1),
    "fc2 dx": (10, 500, 0, 0),
    "fc2 dw": (10, 500, 1, 0),
}
CONVS = {
    "conv1": (1, 28, 28, 20, 5, 5, 24, 24, 1, 1, 0, 0),
    "conv2": (20, 12, 12, 50, 5, 5, 8, 8, 1, 1, 0, 0),
}
_LIBRARY = ("-fPIC", "-shared")
AES = dict(zip(LEVELS, ("portable", "aesni", "vaes"), strict=True))


def load() -> Kernels:
    """The kernels of the runtime as a library."""
    return Kernels.load(executable("kernels.so", [], KERNELS, *_LIBRARY))


def best_level(kernels: Kernels) -> str:
    """The newest instructions this machine has kernels for."""
    return next(level for level in reversed(LEVELS) if kernels.bits(level) is not None)


def seconds(action: Callable[[], Any], repetitions: int, least: float = 0.05) -> float:
    """Median of the fastest call of each of `repetitions` samples of `least` seconds."""
    samples = []
    for _ in range(repetitions):
        times: list[float] = []
        end = time.perf_counter() + least
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            action()
            times.append(time.perf_counter() - start)
        samples.append(min(times))
    return statistics.median(samples)


def peak(repetitions: int, threads: int) -> float | None:
    """64-bit multiply-adds a second of a loop on registers, on all threads; needs AVX-512."""

    if best_level(load()) != "avx512":
        return None
    loop = ct.CDLL(str(executable("peak.so", [HERE / "peak.c"], (), *_LIBRARY))).peak_avx512
    loop.argtypes, loop.restype, rounds = [ct.c_uint64], ct.c_uint64, 300_000

    def all_threads() -> None:
        team = [threading.Thread(target=loop, args=(rounds,)) for _ in range(threads)]
        for t in team:
            t.start()
        for t in team:
            t.join()

    return threads * rounds * 24 * 8 / seconds(all_threads, repetitions)


def _operands(sizes: Sequence[int]) -> list[Array]:
    """Random words that lie as in the registers of a run: one after another in one mapping, each at
    a multiple of 64 bytes, in huge pages where there are any."""
    starts = np.cumsum([0, *(-(-n // 8) * 8 for n in sizes)]).tolist()
    memory = mmap.mmap(-1, 8 * starts[-1], mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    words = np.frombuffer(memory, np.uint64)
    words[:] = np.random.default_rng(1).integers(0, 2**64, words.size, dtype=np.uint64)
    return [words[at : at + n] for at, n in zip(starts, sizes, strict=False)]


def products(
    kind: str, repetitions: int, *, batch: int = 128, threads: int = 1, ring: int = 64
) -> dict[str, Any]:
    """10^9 multiply-adds a second of LeNet's matrix products (`gemm`) or convolutions (`conv`).

    In the ring 2^64 with AVX-512 also as a fraction of the peak (`of_peak`), and that of the sum of
    two products, which the parties of rep3 make (`both_of_peak`), with twice the operands.
    """
    kernels = load()
    level = best_level(kernels)
    ops = kernels.ring(ring, level)
    assert ops is not None
    top = peak(repetitions, threads) if ring == 64 else None
    pool = kernels.lib.par_create(threads)
    limbs = ring // 64
    shapes: dict[str, dict[str, Any]] = {}

    def call(function: Any, sizes: Any, shape: Any, count: int = 1) -> float:
        d, *factors = _operands([n * limbs for n in (sizes[0], *count * sizes[1:])])
        pairs = terms([(factors[2 * i], factors[2 * i + 1]) for i in range(count)])
        arguments = (pointer(d), pairs, len(pairs), ct.addressof(shape), 0, pool)
        return seconds(lambda: function(*arguments), repetitions)

    empty = call(ops.gemm, (1, 1, 1), Gemm(0, 1, 1, 0, 0))

    def time_one(name: str, function: Any, sizes: Any, shape: Any, inner: int, work: int) -> None:
        rates = [n * work / (call(function, sizes, shape, n) - empty) / 1e9 for n in (1, 2)]
        shapes[name] = {"inner": inner, "gmacs": round(rates[0], 2), "of_peak": None}
        shapes[name] |= {"both_gmacs": round(rates[1], 2), "both_of_peak": None}

    for name, sides in GEMMS.items() if kind == "gemm" else ():
        m, k, n = _gemm_sizes(batch, *sides)
        shape, sizes = Gemm(m, k, n, *sides[2:]), (m * n, m * k, k * n)
        time_one(name, ops.gemm, sizes, shape, k, m * k * n)
    for name, geometry in CONVS.items() if kind == "conv" else ():
        c = Conv(batch, *geometry)
        x, w = c.batch * c.cin * c.h * c.w, c.cout * c.cin * c.kh * c.kw
        y, taps = c.batch * c.cout * c.oh * c.ow, c.cin * c.kh * c.kw
        time_one(f"{name} forward", ops.conv, (y, x, w), c, taps, y * taps)
        if c.cin > 1:  # the first layer needs no gradient of its input
            time_one(f"{name} dx", ops.conv_dx, (x, y, w), c, c.cout * c.kh * c.kw, y * taps)
        time_one(f"{name} dw", ops.conv_dw, (w, y, x), c, c.batch * c.oh * c.ow, y * taps)
    kernels.lib.par_destroy(pool)
    if top is not None:
        top = max(top, peak(repetitions, threads) or top)
        for found in shapes.values():
            found["of_peak"] = round(found["gmacs"] * 1e9 / top, 3)
            found["both_of_peak"] = round(found["both_gmacs"] * 1e9 / top, 3)
    peak_gmacs = round(top / 1e9, 2) if top else None
    common = {"kernels": level, "threads": threads, "ring": ring, "peak_gmacs": peak_gmacs}
    return common | {"shapes": shapes}


def _gemm_sizes(batch: int, x: int, y: int, ta: int, tb: int) -> tuple[int, int, int]:
    """(m, k, n) of a row of GEMMS: the batch is the inner length of a weight's gradient."""
    return (x, batch, y) if ta else (batch, x, y)


def aes(repetitions: int, blocks: int = 1 << 12) -> dict[str, Any]:
    """GB/s of pseudo-random words (AES-128 in counter mode) by every implementation there is."""
    kernels, rates = load(), {}
    out, key = np.zeros(2 * blocks, np.uint64), (ct.c_uint8 * 176)()
    for level in LEVELS[: LEVELS.index(best_level(kernels)) + 1]:
        function, words = getattr(kernels.lib, f"aes_blocks_{AES[level]}"), pointer(out)

        def run(function: Any = function, words: int = words) -> None:
            function(key, 0, 0, words, blocks)

        rates[AES[level]] = round(16 * blocks / seconds(run, repetitions) / 1e9, 2)
    return {"bytes": 16 * blocks, "gb_per_second": rates}


def elements(repetitions: int, n: int = 1 << 16) -> dict[str, Any]:
    """Nanoseconds an element (a word of 64 bits) of the loops that are not products."""
    kernels = load()
    level = best_level(kernels)
    ring, bits = kernels.ring(64, level), kernels.bits(level)
    assert ring is not None and bits is not None
    x, y, planes = (np.arange(n, dtype=np.uint64) for _ in range(3))
    p, q, r, stride = pointer(x), pointer(y), pointer(planes), n // 64
    actions: dict[str, Callable[[], Any]] = {
        "add": lambda: ring.add(q, p, p, n),
        "mul": lambda: ring.mul(q, p, p, n),
        "shr_nearest": lambda: ring.shr_nearest(q, p, 16, n),
        "slice 32 bits": lambda: bits.slice(r, stride, p, 64, n, 0, 32),
        "unslice 32 bits": lambda: bits.unslice(p, 64, r, stride, n, 0, 32),
    }
    rates = {name: round(seconds(f, repetitions) / n * 1e9, 3) for name, f in actions.items()}
    return {"kernels": level, "elements": n, "nanoseconds": rates}
