"""Training on shares: one resumable run of `sequester`, its curve written down as it grows."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sequester import source
from sequester.compiler.compile import Compiled
from sequester.compiler.cost import cost_module
from sequester.vm import data, runs
from sequester.vm.errors import SequesterError
from sequester.vm.results import write_json

from .cells import Cell

_LINE = re.compile(r"epoch (\d+): mean loss (-?[\d.]+), test accuracy ([\d.]+) %")
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """An epoch (from 1): mean loss of its batches, test accuracy in percent, and, of training on
    shares, what it took: seconds with the evaluation, rounds, MB sent by party 0."""

    epoch: int
    loss: float
    accuracy: float
    seconds: float
    rounds: int = 0
    mb: float = 0.0


class Curve:
    """Rows kept in a file of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        if path.exists():
            self.rows = [Row(**json.loads(line)) for line in path.read_text().splitlines()]

    def add(self, row: Row) -> None:
        """Append an epoch; one that is done again after a resumption replaces what follows it."""
        self.rows = [r for r in self.rows if r.epoch < row.epoch] + [row]
        text = "".join(json.dumps(asdict(r)) + "\n" for r in self.rows)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)


class _Recorder:
    """Turns the events of party 0 into rows: what is between two printed epochs is one epoch's."""

    def __init__(self, curve: Curve, tell: Tell) -> None:
        self.curve, self.tell = curve, tell
        self.last = (0.0, 0, 0)
        self.waiting: list[re.Match[str]] = []

    def on_event(self, party: int, event: dict[str, Any]) -> None:
        if party != 0:
            return
        if event["event"] == "print":
            found = _LINE.fullmatch(event["line"])
            if found:
                self.waiting.append(found)
        elif event["event"] == "progress":
            now = (event["seconds"], event["rounds"], event["bytes_sent"])
            if self.last == (0.0, 0, 0) or not event["loops"] and not self.waiting:
                self.last = now  # not yet in the first loop: sharing the inputs is no epoch's
            while self.waiting:
                self._row(self.waiting.pop(0), now)

    def _row(self, found: re.Match[str], now: tuple[float, int, int]) -> None:
        seconds, rounds, sent = (b - a for a, b in zip(self.last, now, strict=True))
        epoch, loss, accuracy = int(found[1]) + 1, float(found[2]), float(found[3])
        row = Row(epoch, loss, accuracy, round(seconds, 2), int(rounds), round(sent / 1e6, 3))
        self.curve.add(row)
        self.last = now
        self.tell(f"epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.2f} %, {seconds:.0f} s")


def inputs(cell: Cell, folder: Path, scratch: Path) -> tuple[str, ...]:
    """`--input` options: the data set, or pictures of it drawn at random written into `scratch`."""
    if not cell.part:
        return tuple(f"0:{name}={folder}" for name in ("train", "test"))
    import numpy as np

    specs = []
    for name in ("train", "test"):
        path = scratch / f"{name}.npz"
        if not path.exists():
            x, y = data.sources(name, folder)
            count = cell.part if name == "train" else max(cell.part, 1000)
            # Folders of images come sorted by class.
            some = np.random.default_rng(cell.seed).permutation(x.shape[0])[:count]
            np.savez(path, x=x.read()[some], y=y.read()[some])
        specs.append(f"0:{name}={path}")
    return tuple(specs)


def compiled(cell: Cell, specs: tuple[str, ...], words: tuple[str, ...] | None = None) -> Compiled:
    """The program of a cell; `words` in place of its own options. What is emulated is rep3."""
    protocol = "rep3" if cell.protocol == "emulate" else cell.protocol
    flags = source.Flags(
        cell.words() if words is None else words,
        specs,
        ring="field" if cost_module(protocol).RING == "field" else str(cell.ring),
        rounding=cell.rounding,
    )
    return source.compile_file(cell.program, flags, protocol)


def train(cell: Cell, data_folder: Path, work: Path, threads: int, tell: Tell) -> None:
    """Train a cell to its end, from where an earlier try got to; `work`/secret.json says that it is
    done, with the run's figures. Raises what a run raises."""
    done = work / "secret.json"
    if done.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    specs = inputs(cell, data_folder, work)
    recorder = _Recorder(Curve(work / "secret.jsonl"), tell)
    settings = runs.Settings(
        protocol=cell.protocol,
        inputs=specs,
        threads=threads,
        seed=cell.seed,
        timeout=60.0,
        checkpoint_every=1,
    )
    folder = _interrupted(work)
    if folder is not None:
        tell(f"goes on with {folder.name}")
        runs.resume(folder, settings, recorder.on_event)
    else:
        folder = _fresh(work)
        runs.run(cell.program.stem, compiled(cell, specs).data, folder, settings, recorder.on_event)
    measured = source.summary(folder)["measured"]
    info = json.loads((folder / "run.json").read_text())
    write_json(
        done,
        {
            "resumed": len(info.get("resumed", [])),
            "threads": info["threads"],
            "channel": info["channel"],
            "seconds": round(measured["seconds"], 1),
            "rounds": measured["rounds"],
            "mb_sent": [round(b / 1e6, 1) for b in measured["sent_bytes"]],
        },
    )


def _interrupted(work: Path) -> Path | None:
    """The folder of an interrupted run of which all parties have saved an epoch."""
    for folder in sorted(work.glob("run-*")):
        with contextlib.suppress(SequesterError):
            parties = range(runs.resumable(folder)["parties"])
            if all(any(folder.glob(f"party-{i}/checkpoints/state-*[0-9]")) for i in parties):
                return folder
    return None


def _fresh(work: Path) -> Path:
    """The folder of a new run."""
    number = 0
    while (work / f"run-{number}").exists():
        number += 1
    return work / f"run-{number}"
