"""What a party keeps of a run: counters, the ledger of openings, and the outputs it may see.

`counters.json` and `ledger.json` hold nothing secret. `outputs.npz` has mode 0600, is written whole
or not at all, and only when the party receives at least one output.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from sequester.compiler.isa import ledger
from sequester.compiler.isa.program import Program

from . import data, native


def write_counters(folder: Path, run: native.Run, peak_rss: int) -> list[native.Counter]:
    """Write the counters of a finished run into `folder`. `peak_rss` is in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    counters = run.counters()
    write_json(
        folder / "counters.json",
        {
            "totals": dataclasses.asdict(run.totals()),
            "material": run.material_id(),
            "peak_rss": peak_rss,
            "executed": [c.executed for c in counters],
            "compute_ns": [c.compute_ns for c in counters],
            "wait_ns": [c.wait_ns for c in counters],
            "rounds": [c.rounds for c in counters],
            "sent": [c.sent for c in counters],
        },
    )
    return counters


def write(folder: Path, program: Program, run: native.Run, counters: list[native.Counter]) -> None:
    """Write the ledger and the outputs of a finished run into `folder`."""
    rows = ledger.recorded(program, [c.executed for c in counters])
    write_json(folder / "ledger.json", [dataclasses.asdict(row) for row in rows])
    outputs = _outputs(program, run)
    if outputs:
        buffer = io.BytesIO()
        np.savez(buffer, **outputs)  # type: ignore[arg-type]
        write_private(folder / "outputs.npz", buffer.getvalue())


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON, whole or not at all."""
    write_private(path, json.dumps(value, indent=1).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _outputs(program: Program, run: native.Run) -> dict[str, data.Array]:
    found = {}
    bits = program.meta.word_bits
    for index, row in enumerate(program.outputs):
        words = run.output(index, bits)
        if words is not None:
            name = program.strings[row.name]
            found[name] = data.from_words(words, f=row.f, shape=row.shape, word_bits=bits)
    return found
