"""Speed of the kernels on this machine: `python scripts/bench_kernels.py [--threads N] [--json]`.

Products are in 10^9 multiply-adds a second, also as a fraction of what a loop of vpmullq and vpaddq
on registers alone reaches on as many threads; the rest in nanoseconds an element. The best of
several repetitions counts, since other work on the machine only ever slows one down.
"""

from __future__ import annotations

import argparse
import ctypes as ct
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from tests.vm.kernels import LEVELS, Conv, Gemm, Kernels, RingOps, build, pointer  # noqa: E402

BATCH = 128
GEMMS = {
    "fc1 forward": (BATCH, 800, 500, 0, 1),
    "fc1 dx": (BATCH, 500, 800, 0, 0),
    "fc1 dw": (500, BATCH, 800, 1, 0),
    "fc2 forward": (BATCH, 500, 10, 0, 1),
    "fc2 dx": (BATCH, 10, 500, 0, 0),
    "fc2 dw": (10, BATCH, 500, 1, 0),
    "square 768": (768, 768, 768, 0, 0),
}
CONVS = {
    "conv1": Conv(BATCH, 1, 28, 28, 20, 5, 5, 24, 24, 1, 1, 0, 0),
    "conv2": Conv(BATCH, 20, 12, 12, 50, 5, 5, 8, 8, 1, 1, 0, 0),
}


def best(action: Callable[[], Any], seconds: float = 0.3) -> float:
    """Seconds of the fastest of many calls."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def peak(directory: Path, threads: int) -> float | None:
    """Multiply-adds a second of the loop on registers, on all threads together."""
    out = directory / "peak.so"
    command = ["gcc", "-O3", "-fPIC", "-shared", "-o", str(out), str(HERE / "bench_kernels.c")]
    subprocess.run(command, check=True)
    loop = getattr(ct.CDLL(str(out)), "peak_avx512", None)
    if loop is None:
        return None
    loop.argtypes, loop.restype, rounds = [ct.c_uint64], ct.c_uint64, 1_000_000

    def all_threads() -> None:
        team = [threading.Thread(target=loop, args=(rounds,)) for _ in range(threads)]
        for t in team:
            t.start()
        for t in team:
            t.join()

    return threads * rounds * 24 * 8 / best(all_threads)


def products(ops: RingOps, pool: int) -> dict[str, float]:
    """Multiply-adds a second of every product of LeNet's training step."""
    rng, limbs, out = np.random.default_rng(1), int(ops.word) // 8, {}

    def rate(function: Any, sizes: tuple[int, int, int], shape: Any, work: int) -> float:
        d, a, b = (rng.integers(0, 2**64, n * limbs, dtype=np.uint64) for n in sizes)
        arguments = (pointer(d), pointer(a), pointer(b), ct.addressof(shape), 0, pool)
        return work / best(lambda: function(*arguments))

    for name, (m, k, n, ta, tb) in GEMMS.items():
        out[name] = rate(ops.gemm, (m * n, m * k, k * n), Gemm(m, k, n, ta, tb), m * k * n)
    for name, c in CONVS.items():
        x, w = c.batch * c.cin * c.h * c.w, c.cout * c.cin * c.kh * c.kw
        y = c.batch * c.cout * c.oh * c.ow
        work = y * c.cin * c.kh * c.kw
        out[f"{name} forward"] = rate(ops.conv, (y, x, w), c, work)
        out[f"{name} dx"] = rate(ops.conv_dx, (x, y, w), c, work)
        out[f"{name} dw"] = rate(ops.conv_dw, (w, y, x), c, work)
    return out


def elements(kernels: Kernels, level: str) -> dict[str, float]:
    """Nanoseconds an element (a word of 64 bits) of the rest."""
    n, ring, bits = 1 << 16, kernels.ring(64, level), kernels.bits(level)
    assert ring is not None and bits is not None
    x, y, planes = (np.arange(n, dtype=np.uint64) for _ in range(3))
    p, q, r, stride = pointer(x), pointer(y), pointer(planes), n // 64
    key = (ct.c_uint8 * 176)()
    name = dict(zip(LEVELS, ("portable", "aesni", "vaes"), strict=True))[level]
    aes = getattr(kernels.lib, f"aes_blocks_{name}")
    actions: dict[str, Callable[[], Any]] = {
        "add": lambda: ring.add(q, p, p, n),
        "mul": lambda: ring.mul(q, p, p, n),
        "shr_nearest": lambda: ring.shr_nearest(q, p, 16, n),
        "slice 32 bits": lambda: bits.slice(r, stride, p, 64, n, 0, 32),
        "unslice 32 bits": lambda: bits.unslice(p, 64, r, stride, n, 0, 32),
        "prg word": lambda: aes(key, 0, 0, q, n // 2),
    }
    return {name: best(action, 0.1) / n * 1e9 for name, action in actions.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--levels", default=",".join(LEVELS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    report: dict[str, Any] = {"threads": options.threads}
    with tempfile.TemporaryDirectory() as name:
        kernels = Kernels.load(build(Path(name)))
        pool = kernels.lib.par_create(options.threads)
        for level in options.levels.split(","):
            if kernels.bits(level) is None:
                continue
            if level == "avx512":
                report["peak"] = peak(Path(name), options.threads)
            for width in (64, 128):
                ops = kernels.ring(width, level)
                assert ops is not None
                report[f"{level} {width}"] = products(ops, pool)
            report[f"{level} elements"] = elements(kernels, level)
        kernels.lib.par_destroy(pool)
    if options.json:
        print(json.dumps(report))
        return
    top = report.get("peak")
    for key, value in report.items():
        if not isinstance(value, dict):
            print(f"{key}: {value if value is None or key != 'peak' else f'{value / 1e9:.1f}e9'}")
            continue
        print(f"-- {key}")
        for what, figure in value.items():
            if key.endswith("elements"):
                print(f"{what:18} {figure:8.3f} ns")
            else:
                share = f"{figure / top:6.0%} of peak" if top and key == "avx512 64" else ""
                print(f"{what:18} {figure / 1e9:8.2f}e9 MAC/s {share}")


if __name__ == "__main__":
    main()
