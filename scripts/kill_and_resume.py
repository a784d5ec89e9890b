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
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
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
        batches = loop.batches(x, y, batch=32)
        for xb, yb in batches:
            hidden = model(xb)
            if masks:
                hidden = select(random_bits(32, 16), hidden) * 2.0
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


class Training:
    """The program, its inputs, and the commands that run it."""

    def __init__(self, folder: Path, epochs: int, every: int, masks: bool) -> None:
        self.folder, self.every = folder, every
        self.program = folder / "train.sqb"
        rng = np.random.default_rng(1)
        x = rng.uniform(-1, 1, (256, 12))
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
        words = ["--protocol", "rep3", "--seed", "7", "--out", str(out), *self.inputs]
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


def first_checkpoint(training: Training, out: Path) -> None:
    """A run that was killed as soon as all parties had a checkpoint."""
    run = training.start(out, saved=True)
    while not min(checkpoints(out)) and run.poll() is None:
        time.sleep(0.005)
    run.kill()
    run.communicate()
    time.sleep(0.2)  # orphans of a killed launcher are gone by then


def disturbed(training: Training, out: Path, kills: int, most: float, seed: int) -> list[str]:
    """Resume a run, with `kills` kills within `most` seconds of a start; a line about each."""
    rng = random.Random(seed)
    told = []
    for _ in range(kills):
        run = training.resume(out)
        wait = rng.uniform(0.0, most)
        time.sleep(wait)
        what = kill(run, rng) if run.poll() is None else "nobody: it had ended"
        run.communicate(timeout=60)
        told.append(
            f"{wait:5.2f} s: killed {what}; exit {run.returncode}; checkpoints {checkpoints(out)}"
        )
        if not run.returncode:
            return told
        time.sleep(0.2)
    run = training.resume(out)
    _, words = run.communicate(timeout=600)
    if run.returncode:
        raise SystemExit(f"the last start failed:\n{words.decode()}")
    return told


def compare(folder: Path, kills: int, epochs: int, every: int, masks: bool, seed: int) -> list[str]:
    """Differences between a disturbed and an undisturbed training; see the module."""
    folder.mkdir()
    training = Training(folder, epochs, every, masks)
    whole, killed = folder / "whole", folder / "killed"
    begin = time.monotonic()
    first_checkpoint(training, killed)
    if masks:
        shutil.copytree(killed, whole)
        run = training.resume(whole)
    else:
        run = training.start(whole, saved=False)
    _, words = run.communicate()
    if run.returncode:
        raise SystemExit(f"the undisturbed run failed:\n{words.decode()}")
    seconds = time.monotonic() - begin
    click.echo(f"undisturbed, {'secret masks' if masks else 'no masks'}: {seconds:.2f} s")
    for line in disturbed(training, killed, kills, max(2.0, 2 * seconds / kills), seed):
        click.echo(line)
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
def main(kills: int, epochs: int, every: int, masks: bool, seed: int) -> None:
    """Kill and resume; exit code 1 if anything differs from the undisturbed run."""
    with tempfile.TemporaryDirectory() as name:
        found = compare(Path(name) / "runs", kills, epochs, every, masks, seed)
    click.echo("\n".join(found) or "weights and printed lines are those of the undisturbed run")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
