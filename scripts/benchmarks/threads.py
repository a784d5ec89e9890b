"""What more threads gain one party: its products, and its local work of instructions."""

from __future__ import annotations

from typing import Any

from . import kernels, protocol


def measure(
    repetitions: int, threads: int, *, batch: int = 128, n: int = 1 << 20
) -> dict[str, Any]:
    """Speed with so many threads over speed with one: of the loop on registers that products are
    compared with (what the machine had to give just then), LeNet's products at this batch, and
    protocol.OPS on n elements. Without AVX-512 there is no such loop."""
    gains: dict[str, float] = {}
    for kind in ("gemm", "conv"):
        one, many = (
            kernels.products(kind, repetitions, batch=batch, threads=t) for t in (1, threads)
        )
        if one["peak_gmacs"]:
            peak = many["peak_gmacs"] / one["peak_gmacs"]
            gains["registers"] = round(max(peak, gains.get("registers", 0.0)), 2)
        for name, shape in one["shapes"].items():
            gains[name] = round(many["shapes"][name]["gmacs"] / shape["gmacs"], 2)
    for name in protocol.OPS:
        times = [protocol.passed(name, n, 31, max(repetitions, 20), t) for t in (1, threads)]
        gains[name] = round(times[0] / times[1], 2)
    return {"threads": threads, "speedup": gains}
