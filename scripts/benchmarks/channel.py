"""Throughput of the channels, and what a byte costs in processor time."""

from __future__ import annotations

import re
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sequester.vm import certs

from .build import RUNTIME, executable

DIRECTIONS = 6  # three parties, each to each


def measure(repetitions: int, megabytes: int) -> dict[str, Any]:
    """For TCP and TLS: MB/s that all six directions reach together, and seconds of processor time
    for each GB sent and received, both ends together; medians. Frames of 1 MiB."""
    source = RUNTIME / "tests" / "net_test.c"
    words = ("-DSEQ_TEST", "-lssl", "-lcrypto")
    program = executable("net_test", [source], ("net/*.c", "error.c"), *words)
    result = {}
    with tempfile.TemporaryDirectory(prefix="sequester-") as keys:
        certs.create(Path(keys), 3, days=1)
        for kind in ("tcp", "tls"):
            samples = [_sample(program, kind, keys, megabytes) for _ in range(repetitions)]
            result[kind] = {
                "mb_per_second": round(statistics.median(rate for rate, _ in samples)),
                "cpu_seconds_per_gb": round(statistics.median(cpu for _, cpu in samples), 3),
            }
    return result


def _sample(program: Path, kind: str, keys: str, megabytes: int) -> tuple[float, float]:
    before = _cpu_of_children()
    words = [str(program), "speed", kind, keys, str(megabytes)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = re.search(r": (\d+) MB/s", done.stdout)
    assert found, done.stdout
    gigabytes = DIRECTIONS * megabytes * (1 << 20) / 1e9
    return DIRECTIONS * float(found[1]), (_cpu_of_children() - before) / gigabytes


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
