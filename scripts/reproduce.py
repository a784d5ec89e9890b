#!/usr/bin/env python3
"""Reproduce the published trainings: `python scripts/reproduce.py mnist --data FOLDER`.

Each training is one run on shares, and beside it the same training in float32 with PyTorch, from
the same start on the same batches. Both are written down epoch by epoch in --work; a training that
was interrupted goes on from its last epoch when the command is given again, and one that is done is
not done again. Table and plot go to --out after every training, made from these records alone.

Needs PyTorch and matplotlib (`pip install torch matplotlib`). Goes on in .venv by itself.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))

try:
    import click
    from reproduction import secret, tables
    from reproduction.cells import DATA, PLANS, SAMPLED, Cell, quick

    from sequester.vm import native, runs
    from sequester.vm.errors import SequesterError
except ImportError:
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists() or Path(sys.prefix) == ROOT / ".venv":
        sys.exit("reproduce: run scripts/setup.sh first")
    os.execv(python, [str(python), *sys.argv])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", type=click.Choice(list(PLANS)))
@click.option(
    "--data",
    "data_folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the data set: MNIST's IDX files (`sequester data mnist --dest FOLDER` fetches "
    "them), CIFAR-10's batches or folders of images. Default: the sample of MNIST that ships.",
)
@click.option("--net", help="Only this network: " + ", ".join(n for d in DATA.values() for n in d))
@click.option("--optim", help="Only this optimiser: sgd, adam, adamw, amsgrad.")
@click.option("--protocol", help="Only this protocol.")
@click.option("--epochs", type=click.IntRange(1), help="Other than planned.")
@click.option("--lr", type=float, help="Other than planned.")
@click.option("--dropout", type=float, help="Of network C, other than planned; 0: none.")
@click.option("--seed", type=click.IntRange(0), help="Other than planned.")
@click.option("--rounding", type=click.Choice(["probabilistic", "nearest"]))
@click.option("--ring", type=click.Choice(["64", "128"]), help="f = 16 or f = 32.")
@click.option("--part", type=click.IntRange(16), help="Only so many training pictures.")
@click.option("--quick", "small", is_flag=True, help="64 pictures, 2 epochs: to see that it works.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Of a party (0: a fair part).")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder for runs and records of one page (runs/reproduce/WHAT).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ROOT / "docs" / "results",
    help="Folder for table and plot (docs/results).",
)
@click.option("--note", default="", help="A remark for the page, such as where the data is from.")
@click.option("--list", "listed", is_flag=True, help="Only say what would be trained.")
@click.option("--table", "only_table", is_flag=True, help="Train nothing; write the results.")
def main(
    what: str,
    data_folder: Path | None,
    small: bool,
    threads: int,
    work: Path | None,
    out: Path,
    note: str,
    listed: bool,
    only_table: bool,
    **chosen: Any,
) -> None:
    """Train the networks of a published table on shares, each beside its twin in float."""
    cells = _chosen(what, chosen)
    cells = [quick(cell) for cell in cells] if small else cells
    if listed:
        for cell in cells:
            click.echo(f"{cell.name}: {cell}")
        return
    work = work or ROOT / "runs" / "reproduce" / what
    folder = data_folder or ROOT / "programs" / "data"
    if data_folder is None and what not in SAMPLED:
        raise click.UsageError("--data is missing: the folder of the data set")
    if only_table:
        _write(what, work, out, note)
        return
    for cell in cells:
        try:
            _train(cell, folder, work / cell.name, threads)
        finally:
            _write(what, work, out, note)


def _chosen(what: str, chosen: dict[str, Any]) -> list[Cell]:
    """The planned trainings that fit, changed as asked for; or a new one, fully named."""
    keys = {"net": chosen.pop("net"), "optimizer": chosen.pop("optim")}
    keys["protocol"] = chosen.pop("protocol")
    keys = {key: value for key, value in keys.items() if value is not None}
    if keys.get("net", DATA[what][0]) not in DATA[what]:
        raise click.UsageError(f"--net: {what} has {', '.join(DATA[what])}")
    cells = [c for c in PLANS[what] if all(getattr(c, k) == v for k, v in keys.items())]
    if not cells:  # not planned: as the plan has the network with this optimiser, or at all
        like = [c for c in PLANS[what] if c.net == keys.get("net", c.net)]
        like = [c for c in like if c.optimizer == keys.get("optimizer")] or like
        cells = [dataclasses.replace(like[0], **keys)]
        if cells[0].optimizer != like[0].optimizer and chosen["lr"] is None:
            raise click.UsageError("--lr is missing: this training is not planned")
    changes = {key: value for key, value in chosen.items() if value is not None}
    if "ring" in changes:
        changes["ring"] = int(changes["ring"])
    return [dataclasses.replace(cell, **changes) for cell in cells]


def _train(cell: Cell, folder: Path, work: Path, threads: int) -> None:
    """Train a cell and its twin, from where they are."""
    from reproduction import clear

    work.mkdir(parents=True, exist_ok=True)
    start = work / "start.json"
    if not start.exists():
        info = {
            "date": time.strftime("%Y-%m-%d"),
            "commit": tables.commit(),
            "machine": runs.machine().rsplit(",", 1)[0],
            "settings": dataclasses.asdict(cell),
        }
        start.write_text(json.dumps(info))
    click.echo(f"{cell.name}: {cell}", err=True)

    def tell(line: str) -> None:
        click.echo(f"  {line}", err=True)

    clear.train(cell, folder, work, threads or native.cpus(), tell)
    try:
        secret.train(cell, folder, work, threads, tell)
    except SequesterError as error:
        click.echo(f"{cell.name}: {error}\nthe same command goes on with it", err=True)
        sys.exit(error.exit_code)


def _write(what: str, work: Path, out: Path, note: str) -> None:
    """Results of all that was trained of a data set, in the order of the plan."""
    nets = DATA[what]
    found = []
    for start in work.glob("*/start.json"):
        cell = Cell(**json.loads(start.read_text())["settings"])
        row = tables.record(cell, start.parent) if cell.net in nets else None
        if row is not None:
            found.append(row)
    planned = list(dict.fromkeys(cell.protocol for cell in PLANS[what]))
    order = {protocol: i for i, protocol in enumerate(planned)}
    found.sort(key=lambda r: (r["cell"]["net"], order.get(r["cell"]["protocol"], len(order)),
                              r["cell"]["optimizer"], r["cell"]["seed"]))  # fmt: skip
    if found:
        for path in tables.write(what, found, out, note):
            click.echo(f"wrote {path.name}", err=True)


if __name__ == "__main__":
    main()
