"""Table and plot of what was trained: from the records of the runs, and from nothing else."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .cells import ROOT, VARIANTS, Cell
from .secret import Curve, Row

TITLES = {"mnist": "MNIST", "protocols": "MNIST under several protocols", "cifar10": "CIFAR-10"}


def commit() -> str:
    """The commit of the working tree, with + if something in it but results is changed."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", ".", ":!docs/results")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def record(cell: Cell, work: Path) -> dict[str, Any] | None:
    """Everything recorded of a cell; None if nothing is there. `done`: both trainings ended."""
    curves = {kind: Curve(work / f"{kind}.jsonl").rows for kind in ("secret", "clear")}
    if not curves["secret"]:
        return None
    done = all((work / f"{kind}.json").exists() for kind in curves)
    table: dict[str, Any] = {"cell": asdict(cell), "done": done, **_figures(curves)}
    for kind in curves:
        path = work / f"{kind}.json"
        table[f"{kind}_run"] = json.loads(path.read_text()) if path.exists() else {}
        table[kind] = [asdict(row) for row in curves[kind]]
    return table | json.loads((work / "start.json").read_text())


def _figures(curves: dict[str, list[Row]]) -> dict[str, Any]:
    secret, clear = curves["secret"], curves["clear"]
    common = min(len(secret), len(clear))
    found: dict[str, Any] = {
        "epochs": len(secret),
        "best": max(r.accuracy for r in secret),
        "best_by_5": max(r.accuracy for r in secret[:5]),
        "last_5": _mean(secret[-5:]),
        "epoch_seconds": round(sum(r.seconds for r in secret) / len(secret), 1),
        "epoch_rounds": round(sum(r.rounds for r in secret) / len(secret)),
        "epoch_mb": round(sum(r.mb for r in secret) / len(secret), 1),
    }
    if common:
        same = _mean(secret[common - 5 if common > 5 else 0 : common])
        there = _mean(clear[common - 5 if common > 5 else 0 : common])
        found |= {"clear_best": max(r.accuracy for r in clear), "clear_last_5": _mean(clear[-5:])}
        found["below_clear"] = round(there - same, 3)
    return found


def _mean(rows: list[Row]) -> float:
    return round(sum(r.accuracy for r in rows) / len(rows), 3)


def write(title: str, records: list[dict[str, Any]], out: Path, note: str) -> list[Path]:
    """Write `title`.json, .csv, .md and .png into `out`; the paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{title}.{kind}" for kind in ("json", "csv", "md", "png")]
    paths[0].write_text(json.dumps(records, indent=1) + "\n")
    with paths[1].open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["cell", "training", *Row.__dataclass_fields__])
        for r in records:
            for kind in ("secret", "clear"):
                writer.writerows([_name(r), kind, *row.values()] for row in r[kind])
    paths[2].write_text(markdown(title, records, note))
    plot(title, records, paths[3])
    return paths


def _name(r: dict[str, Any]) -> str:
    c = r["cell"]
    extra = f", dropout {c['dropout']:g}" if c["dropout"] else ""
    extra += f", seed {c['seed']}" if c["seed"] != 1 else ""
    return f"{c['net']}, {c['optimizer']}, {c['protocol']}{extra}"


def markdown(title: str, records: list[dict[str, Any]], note: str) -> str:
    """The page."""
    lines = [
        f"# {TITLES[title]}: training on shares beside training in the clear",
        "",
        f"`scripts/reproduce.py {title}` made this page from its runs. Accuracies are of the whole "
        "test set, in percent; *below float* is how much the mean of the last five epochs lies "
        "under that of the same training in float32, from the same start on the same batches, "
        "after as many epochs. "
        "Seconds, rounds and MB are of an epoch, its evaluation included; MB = 10^6 bytes sent by "
        "party 0, all parties on one machine.",
        "",
    ]
    if note:
        lines += [note, ""]
    if title == "protocols":
        lines += [_apart(records), ""]
    lines += [f"![curves]({title}.png)", ""]
    head = ["network, optimiser, protocol", "epochs", "best by 5", "best", "mean of last 5",
            "float's best", "float's last 5", "below float", "s", "rounds", "MB"]  # fmt: skip
    lines += ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    for r in records:
        keys = ("best_by_5", "best", "last_5", "clear_best", "clear_last_5", "below_clear")
        shown = [f"{r[key]:.2f}" if key in r else "" for key in keys]
        state = "" if r["done"] else f" of {r['cell']['epochs']}"
        cost = [f"{r['epoch_seconds']:.1f}", f"{r['epoch_rounds']:,}", f"{r['epoch_mb']:,.1f}"]
        lines.append("| " + " | ".join([_name(r), f"{r['epochs']}{state}", *shown, *cost]) + " |")
    lines += ["", "| network, optimiser, protocol | settings | date | commit | machine |"]
    lines += ["|---|---|---|---|---|"]
    for r in records:
        where = [r["date"], f"`{r['commit']}`", r["machine"]]
        lines.append("| " + " | ".join([_name(r), _settings(r["cell"]), *where]) + " |")
    return "\n".join(lines) + "\n"


def _apart(records: list[dict[str, Any]]) -> str:
    """How far accuracies are from each other after as many epochs of the same training."""
    rows = [row for r in records for row in r["secret"]]
    parts = []
    for epoch in sorted({row["epoch"] for row in rows}):
        found = [row["accuracy"] for row in rows if row["epoch"] == epoch]
        if len(found) > 1:
            apart = max(found) - min(found)
            parts.append(f"{epoch}: {apart:.2f} points ({len(found)} protocols)")
    return (
        "The same training under each protocol: same start, batches and schedule, but coins of "
        "rounding of its own. Highest less lowest accuracy after epoch " + "; ".join(parts) + "."
    )


def _settings(c: dict[str, Any]) -> str:
    momentum = f", momentum {c['momentum']:g}" if c["optimizer"] == "sgd" else ""
    variant = "".join(f", {name.replace('_', ' ')}" for name in VARIANTS.get(c["net"], {}))
    part = f", {c['part']:,} of the pictures" if c["part"] else ""
    f = 16 if c["ring"] == 64 else 32
    return (
        f"lr {c['lr']:g}{momentum}, {c['schedule']}, batch {c['batch']}, f = {f}, "
        f"{c['rounding']} rounding, seed {c['seed']}{variant}{part}"
    )


def plot(title: str, records: list[dict[str, Any]], path: Path) -> None:
    """Test accuracy by epoch, one panel a network: shares solid, float dashed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    nets = sorted({r["cell"]["net"] for r in records})
    columns = min(2, len(nets))
    rows = -(-len(nets) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(6 * columns, 4 * rows), squeeze=False)
    for net, axis in zip(nets, axes.flat, strict=False):
        for i, r in enumerate([r for r in records if r["cell"]["net"] == net]):
            label = f"{r['cell']['optimizer']}, {r['cell']['protocol']}"
            for kind, style, name in (("secret", "o-", label), ("clear", "x--", f"{label}: float")):
                xs, ys = [row["epoch"] for row in r[kind]], [row["accuracy"] for row in r[kind]]
                axis.plot(xs, ys, style, color=f"C{i}", label=name, linewidth=1.5, markersize=3)
        axis.set(title=f"network {net}", xlabel="epoch", ylabel="test accuracy, %")
        axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    for axis in list(axes.flat)[len(nets) :]:
        axis.remove()
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
