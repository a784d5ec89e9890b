#!/usr/bin/env python3
"""Train between three processes, kill -9 random ones at random moments, resume, and compare.

Every start but the last one ends by SIGKILL: of one party, of all of them, or of the launcher with
them. Under nearest rounding the weights and printed lines in the end must be those of a run that
nobody disturbed, bit for bit, although the program shuffles and, with --masks, drops out by secret
bits. No two runs draw the same secret bits; with --masks a run is therefore ended at its first
checkpoint, its folder copied, and one copy resumed in peace.

    python scripts/kill_and_resume.py --kills 10
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
ROWS, BATCH = 256, 32
PROGRAM = (
    f"BATCH = {BATCH}\n"
    + """
from sequester import Party, checkpoint, loop, nn, optim, output, print_, program, random_bits
from sequester import select


@program
def main(epochs: int = 40, masks: bool = True):
    x, y = Party(0).input("x"), Party(1).input("y")
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
    head = nn.Linear(16, 1)
    opt = optim.SGD([*model.parameters(), *head.parameters()], lr=0.02, momentum=0.9)
    for epoch in loop(epochs):
        total = loop.accumulator(0.0)
        batches = loop.batches(x, y, batch=BATCH)
        for xb, yb in batches:
            hidden = model(xb)
            if masks:
                hidden = select(random_bits(BATCH, 16), hidden) * 2.0
            error = head(hidden) - yb
            loss = (error * error).mean()
            opt.minimize(loss)
            total += loss
            checkpoint()
        print_("epoch {}: mean loss {:.6f}", epoch, (total / len(batches)).reveal())
    late = Party(2).input("late", shape=(4,))
    output("model", model)
    output("head", head)
    output("late", late * 2.0, to=2)
"""
)


class Training:
    """The program, its inputs, and the commands that run it."""

    def __init__(
        self, folder: Path, epochs: int, every: int, masks: bool, protocol: str = "rep3"
    ) -> None:
        self.protocol = protocol
        self.folder, self.every, self.iterations = folder, every, epochs * ROWS // BATCH
        self.program = folder / "train.sqb"
        rng = np.random.default_rng(1)
        x = rng.uniform(-1, 1, (ROWS, 12))
        y = np.sin(x @ rng.uniform(-1, 1, (12, 1)))
        arrays = {"0:x": x, "1:y": y, "2:late": np.arange(4.0)}
        self.inputs: list[str] = []
        for name, array in arrays.items():
            file = folder / (name[2:] + ".npy")
            np.save(file, array)
            self.inputs += ["--input", f"{name}={file}"]
        source = folder / "train.py"
        source.write_text(PROGRAM)
        words = [str(source), "--epochs", str(epochs), "--masks" if masks else "--no-masks"]
        words += [*self.inputs, "--rounding", "nearest"]
        subprocess.run(_command("compile", *words, "-o", str(self.program)), check=True)

    def start(self, out: Path, saved: bool) -> subprocess.Popen[bytes]:
        """A run into a new folder."""
        words = ["--protocol", self.protocol, "--seed", "7", "--out", str(out), *self.inputs]
        if saved:
            words += ["--checkpoint-every", str(self.every)]
        return _launch("run", str(self.program), *words)

    def resume(self, out: Path) -> subprocess.Popen[bytes]:
        """Go on with a run."""
        return _launch("run", "--resume", str(out))


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "sequester", *words]


def _launch(*words: str) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(_command(*words), stdout=quiet, stderr=subprocess.PIPE)


def parties(launcher: int) -> list[int]:
    """Process ids of a launcher's children."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
        return [int(pid) for pid in text.split()]
    return []


def checkpoints(out: Path) -> list[int]:
    """By party, the greatest checkpoint on disk; 0: none."""
    found = []
    for party in range(3):
        names = (out / f"party-{party}" / "checkpoints").glob("state-*[0-9]")
        found.append(max((int(p.name.partition("-")[2]) for p in names), default=0))
    return found


def kill(run: subprocess.Popen[bytes], rng: random.Random) -> str:
    """SIGKILL somebody; whom, in words."""
    children = parties(run.pid)
    what = rng.choice(["one party", "one party", "one party", "all parties", "everything"])
    victims = [rng.choice(children)] if what == "one party" and children else children
    if what == "everything" or not children:
        victims = [run.pid]  # the parties die with their parent
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return what if children else "the launcher"


def stopped(training: Training, out: Path, number: int) -> None:
    """A run that was killed as soon as all parties had checkpoint `number`."""
    run = training.start(out, saved=True)
    while min(checkpoints(out)) < number and run.poll() is None:
        time.sleep(0.005)
    run.kill()
    run.communicate()
    time.sleep(0.2)  # orphans of a killed launcher are gone by then


def await_moment(
    run: subprocess.Popen[bytes], out: Path, share: float, pace: float, rng: random.Random
) -> None:
    """Sleep until a random moment: one time in four while the parties start and connect, else
    within the next `share` iterations, each of which takes about `pace` seconds."""
    if rng.random() < 0.25:
        time.sleep(rng.uniform(0.0, 1.5))
        return
    target = max(checkpoints(out)) + rng.uniform(0.0, share)
    while max(checkpoints(out)) < target and run.poll() is None:
        time.sleep(0.005)
    time.sleep(rng.uniform(0.0, 2 * pace))


def disturbed(
    training: Training, out: Path, kills: int, pace: float, seed: int, say: Callable[[str], Any]
) -> int:
    """Resume a run again and again, killed `kills` times; says a line about each, gives how many
    there were before the run ended."""
    rng = random.Random(seed)
    begin = time.monotonic()
    for i in range(kills):
        run = training.resume(out)
        left = training.iterations - max(checkpoints(out))
        await_moment(run, out, 0.8 * left / (kills - i), training.every * pace, rng)
        what = kill(run, rng) if run.poll() is None else "nobody"
        run.communicate(timeout=60)
        say(
            f"{time.monotonic() - begin:6.2f} s: killed {what}; exit {run.returncode}; "
            f"checkpoints {checkpoints(out)} of {training.iterations}"
        )
        if json.loads((out / "run.json").read_text())["status"] == "finished":
            return i
        time.sleep(0.2)
    run = training.resume(out)
    _, words = run.communicate(timeout=600)
    if run.returncode:
        raise SystemExit(f"the last start failed:\n{words.decode()}")
    return kills


def compare(
    folder: Path,
    kills: int,
    epochs: int,
    every: int,
    masks: bool,
    seed: int,
    keep: Callable[[str], Any] = str,
    protocol: str = "rep3",
) -> list[str]:
    """Differences between a disturbed and an undisturbed training; see the module.

    Raises SystemExit if a run fails, or ends before all kills. `keep` gets what is printed.
    """

    def say(line: str) -> None:
        click.echo(line)
        keep(line)

    folder.mkdir()
    training = Training(folder, epochs, every, masks, protocol)
    whole, killed = folder / "whole", folder / "killed"
    stopped(training, killed, every)
    begin = time.monotonic()
    if masks:
        shutil.copytree(killed, whole)
        run = training.resume(whole)
    else:
        run = training.start(whole, saved=False)
    _, words = run.communicate()
    if run.returncode:
        raise SystemExit(f"the undisturbed run failed:\n{words.decode()}")
    seconds = time.monotonic() - begin
    say(f"undisturbed, {'secret masks' if masks else 'no masks'}: {seconds:.2f} s")
    done = disturbed(training, killed, kills, seconds / training.iterations, seed, say)
    if done < kills:
        raise SystemExit(f"the run ended after {done} kills: give more --epochs")
    return differences(whole, killed)


def differences(a: Path, b: Path) -> list[str]:
    """What two runs of the same training do not have in common: nothing, if all is well."""
    found = []
    for party in range(3):
        name = f"party-{party}/outputs.npz"
        with np.load(a / name) as one, np.load(b / name) as two:
            if set(one) != set(two):
                found.append(f"{name}: other arrays")
            found += [f"{name}: {k}" for k in one if not np.array_equal(one[k], two[k])]
    if (a / "printed.txt").read_text() != (b / "printed.txt").read_text():
        found.append("printed.txt")
    return found


@click.command()
@click.option("--kills", type=click.IntRange(1), default=10, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=200, show_default=True)
@click.option("--every", type=click.IntRange(1), default=5, show_default=True, help="Batches.")
@click.option("--masks/--no-masks", default=True, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the kills.")
@click.option("--write", is_flag=True, help="Leave what was found in docs/results.")
def main(kills: int, epochs: int, every: int, masks: bool, seed: int, write: bool) -> None:
    """Kill and resume; exit code 1 if anything differs from the undisturbed run."""
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        found = compare(Path(name) / "runs", kills, epochs, every, masks, seed, lines.append)
    lines += found or ["weights and printed lines are those of the undisturbed run, bit for bit"]
    click.echo("\n".join(lines[-max(1, len(found)) :]))
    if write:
        words = f"--kills {kills} --epochs {epochs} --every {every} --seed {seed}"
        RESULTS.mkdir(exist_ok=True)
        name = "resume_masks.md" if masks else "resume.md"
        (RESULTS / name).write_text(page(words + (" --masks" if masks else " --no-masks"), lines))
    sys.exit(1 if found else 0)


def page(words: str, lines: list[str]) -> str:
    """The page about one run of this script."""
    from reproduction.tables import commit

    from sequester.vm import runs

    where = f"{time.strftime('%Y-%m-%d')}, commit `{commit()}`, {runs.machine().rsplit(',', 1)[0]}"
    shown = "\n".join(lines)
    return f"""# Killed again and again, and resumed

`scripts/kill_and_resume.py {words} --write` made this page: {where}.

A small network is trained under `rep3` by three processes over TLS, with nearest rounding, batches
in a public random order and, with `--masks`, dropout by secret bits. Every start but the last one
ends by SIGKILL, of one party, of all, or of the launcher; then `sequester run --resume` goes on
from the last checkpoint that all parties have.

```text
{shown}
```
"""


if __name__ == "__main__":
    main()
