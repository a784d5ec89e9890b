"""What a run leaves of what it printed: the lines, the numbers in them, and their curves.

A printed line such as

    epoch 3: mean loss 0.0412, test accuracy 98.91 %

(a name and a whole number, a colon, and names with numbers) is a row of metrics.csv. Every name is
a column, and in curves.png a curve over the name in front. A line of names with numbers alone, such
as `loss 0.0412`, is counted: the third one has 3 in the column `print`. Other lines are only kept.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_ROW = re.compile(r"([A-Za-z][\w ]*?) (-?\d+): (.+)")
_ITEM = re.compile(r"([A-Za-z][\w ]*?) ([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?: %)?")
_NUMBER = re.compile(r"\b\d")  # in a name without a place it would be another name each time
Row = dict[str, float]


def parse(line: str) -> Row | None:
    """The numbers in a printed line, if it has it what they are plotted over first; None: not such
    a line."""
    found = _ROW.fullmatch(line.strip())
    row = {} if found is None else {found[1]: float(found[2])}
    for text in (line.strip() if found is None else found[3]).split(", "):
        item = _ITEM.fullmatch(text)
        if item is None or found is None and _NUMBER.search(item[1]):
            return None
        row[item[1]] = float(item[2])
    return row


class Record:
    """Keeps printed.txt, metrics.csv and curves.png of a run in its folder.

    A run that is resumed goes on in the same files, from where the checkpoint was: they are made
    anew of the lines that the checkpoint holds, as some may not have arrived here, and others
    will be printed again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = folder / "printed.txt"
        self.rows: list[Row] = []
        self.columns: list[str] = []
        self.printed: Counter[tuple[str, ...]] = Counter()  # names of lines that say no place

    def on_event(self, event: dict[str, Any]) -> None:
        """Take an event of one party (see `party.py`)."""
        if event["event"] == "printed":
            self._start(event["lines"])
        elif event["event"] == "print":
            with self.lines.open("a", encoding="utf-8") as file:
                file.write(event["line"] + "\n")
            self._take(event["line"])

    def close(self) -> None:
        """Draw the curves, if there is anything to draw."""
        if self.rows:
            plot(self.rows, self.folder / "curves.png")

    def _start(self, before: list[str]) -> None:
        (self.folder / "metrics.csv").unlink(missing_ok=True)
        if before or self.lines.exists():
            self.lines.write_text("".join(line + "\n" for line in before), encoding="utf-8")
        for line in before:
            self._take(line)

    def _take(self, line: str) -> None:
        row = parse(line)
        if row is None:
            return
        if _ROW.fullmatch(line.strip()) is None:
            self.printed[tuple(row)] += 1
            row = {"print": float(self.printed[tuple(row)]), **row}
        self.rows.append(row)
        fresh = [name for name in row if name not in self.columns]
        self.columns += fresh
        new = self.rows if fresh else [row]
        with (self.folder / "metrics.csv").open("w" if fresh else "a", newline="") as file:
            table = csv.DictWriter(file, self.columns)
            if fresh:
                table.writeheader()
            table.writerows({k: f"{v:.10g}" for k, v in row.items()} for row in new)


def curves(rows: Iterable[Row]) -> dict[tuple[str, str], tuple[list[float], list[float]]]:
    """By name and what it is plotted over: both lists. Several rows of one number (the batches of
    an epoch) are spread evenly up to the next. Single points are left out if there are others."""
    found: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for row in rows:
        (over, x), *values = row.items()
        for name, value in values:
            xs, ys = found.setdefault((name, over), ([], []))
            xs.append(x)
            ys.append(value)
    for xs, _ in found.values():
        for x in set(xs):
            same = [i for i, other in enumerate(xs) if other == x]
            for place, i in enumerate(same):
                xs[i] = x + place / len(same)
    return {key: c for key, c in found.items() if len(c[0]) > 1} or found


def plot(rows: list[Row], path: Path) -> None:
    """Draw one panel a name."""
    import matplotlib  # large: only where a picture is drawn

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = curves(rows)
    figure, axes = pyplot.subplots(len(found), 1, squeeze=False, figsize=(7, 2.8 * len(found)))
    for axis, ((name, over), (xs, ys)) in zip(axes[:, 0], found.items(), strict=True):
        axis.plot(xs, ys, marker="o" if len(xs) < 60 else "", markersize=3)
        axis.set_xlabel(over)
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
