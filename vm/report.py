"""The report of a run: rounds, bytes and seconds, by source line and by layer.

`load` reads a run's folder; `summary` makes one JSON-able table of it, with predictions beside the
measured figures when the caller has them; `render` prints that table. Bytes are payload before TLS,
MB = 10^6. Parties' figures are joined as the busiest party's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sequester.compiler.isa import codec
from sequester.compiler.isa.program import Program

from . import material
from .errors import ConfigError


@dataclass(frozen=True)
class Prediction:
    """What the compiler's cost model says: rounds of the whole run, and by instruction the bytes
    each party sends over all executions; upper bounds unless `exact`."""

    rounds: int
    sent: Sequence[Sequence[int]]
    exact: bool


@dataclass(frozen=True)
class RunFolder:
    """A run's folder, read: `info` is run.json, `parties` the counters by party."""

    info: dict[str, Any]
    program: Program
    parties: dict[int, dict[str, Any]]
    ledger: list[dict[str, Any]]


def load(folder: Path) -> RunFolder:
    """Read a run's folder. Raises ConfigError if it is none."""
    try:
        info = json.loads((folder / "run.json").read_text())
        program = codec.decode((folder / "program.sqb").read_bytes())
        found = sorted(folder.glob("party-*/counters.json"))
        parties = {
            int(path.parent.name.removeprefix("party-")): json.loads(path.read_text())
            for path in found
        }
        ledger = json.loads((found[0].parent / "ledger.json").read_text()) if found else []
    except FileNotFoundError as e:
        raise ConfigError(f"{folder}: not the folder of a run: no {Path(e.filename).name}") from e
    except (OSError, ValueError) as e:
        raise ConfigError(f"{folder}: not the folder of a run: {e}") from e
    if not parties:
        raise ConfigError(f"{folder}: the run has not finished, so it has no counters")
    return RunFolder(info, program, parties, ledger)


def summary(run: RunFolder, predicted: Prediction | None) -> dict[str, Any]:
    """All figures of the report as one table of JSON values.

    `hidden_share`: of the time during which a party awaited at least one message, the share in
    which it was not blocked but computed, over all parties; None if nobody ever awaited one.
    """
    totals = {i: p["totals"] for i, p in run.parties.items()}
    sent = {i: sum(t["sent"]) for i, t in totals.items()}
    compute = {i: sum(p["compute_ns"]) / 1e9 for i, p in run.parties.items()}
    wait = {i: sum(p["wait_ns"]) / 1e9 for i, p in run.parties.items()}
    awaited = [t["awaited_ns"] / 1e9 for t in totals.values()]
    measured = {
        "rounds": max(t["rounds"] for t in totals.values()),
        "sent_bytes": [sent[i] for i in sorted(sent)],
        "wire_bytes": [sum(totals[i]["wire_sent"]) for i in sorted(sent)],
        "seconds": max(t["run_ns"] for t in totals.values()) / 1e9,
        "setup_seconds": max(t["setup_ns"] for t in totals.values()) / 1e9,
        "compute_seconds": max(compute.values()),
        "wait_seconds": max(wait.values()),
        "awaited_seconds": sum(awaited) / len(awaited),
        "hidden_share": 1 - sum(wait.values()) / sum(awaited) if sum(awaited) else None,
        "peak_bytes": max(t["peak_bytes"] for t in totals.values()),
        "predicted_peak_bytes": max(t["predicted_peak_bytes"] for t in totals.values()),
        "peak_rss": max(p["peak_rss"] for p in run.parties.values()),
    }
    table: dict[str, Any] = {"run": run.info, "measured": measured}
    if predicted is not None:
        by_party = [sum(row[i] for row in predicted.sent) for i in range(run.info["parties"])]
        table["predicted"] = {
            "rounds": predicted.rounds,
            "sent_bytes": [by_party[i] for i in sorted(sent)],
            "exact": predicted.exact,
        }
    table["lines"] = _grouped(run, predicted, lambda i: _line(run.program, i))
    table["layers"] = _grouped(
        run, predicted, lambda i: run.program.strings[run.program.lines[i].scope] or "(no layer)"
    )
    table["ledger"] = run.ledger
    return table


def preprocessing(info: dict[str, Any]) -> dict[str, Any]:
    """What preprocessing.json says of a run's material; empty if it is no longer there."""
    try:
        table: dict[str, Any] = json.loads(
            (Path(info["preprocessing"]) / material.FILE).read_text()
        )
    except (OSError, ValueError):
        return {}
    return table


def _line(program: Program, index: int) -> str:
    where = program.lines[index]
    return f"{program.strings[where.file]}:{where.line}"


def _grouped(
    run: RunFolder, predicted: Prediction | None, key: Callable[[int], str]
) -> list[dict[str, Any]]:
    """Figures by `key` of the instruction, in order of first appearance, idle rows left out."""
    groups: dict[str, list[int]] = {}
    for index in range(len(run.program.code)):
        groups.setdefault(key(index), []).append(index)
    rows = []
    for name, members in groups.items():
        parties = run.parties.values()
        row = {
            "name": name,
            "executed": max(sum(p["executed"][i] for i in members) for p in parties),
            "rounds": max(sum(p["rounds"][i] for i in members) for p in parties),
            "sent_bytes": max(sum(sum(p["sent"][i]) for i in members) for p in parties),
            "compute_seconds": max(sum(p["compute_ns"][i] for i in members) for p in parties) / 1e9,
            "wait_seconds": max(sum(p["wait_ns"][i] for i in members) for p in parties) / 1e9,
        }
        if predicted is not None:
            columns = zip(*(predicted.sent[i] for i in members), strict=True)
            by_party = [sum(column) for column in columns]
            row["predicted_sent_bytes"] = max((by_party[i] for i in run.parties), default=0)
        if row["executed"]:
            rows.append(row)
    return rows


def mb(count: int) -> str:
    """Bytes as MB, to the byte when there are few."""
    return f"{count / 1e6:,.3f}" if count >= 1e5 else f"{count / 1e6:.6f}"


def masks(table: dict[str, Any], starts: int = 1) -> str:
    """What the openings under masks that hide statistically add up to in so many starts, each of
    which may open all of them; "" if there are none."""
    if not table["masked"]:
        return ""
    count, each = table["masked"], table["statistical_bits"]
    total = each - math.log2(count * starts)
    again = f" by {starts} starts" if starts > 1 else ""
    return (
        f"{count:,} values are opened under masks, each to 2^-{each}: 2^-{total:.0f} in all{again}"
    )


def render(table: dict[str, Any], console: Console, limit: int = 20) -> None:
    """Print a summary. Of lines and layers the `limit` costliest are shown."""
    _render_totals(table, console)
    for title, rows in (("By layer", table["layers"]), ("By source line", table["lines"])):
        rows = [r for r in rows if r["rounds"] or r["sent_bytes"] or r["compute_seconds"] > 1e-4]
        rows.sort(key=lambda r: -(r["compute_seconds"] + r["wait_seconds"]))
        _render_rows(title, rows, limit, console)
    opened = Table(title="Openings", title_justify="left", box=None, pad_edge=False)
    for name in ("line", "what", "values", "to", "times"):
        opened.add_column(name, justify="right" if name in ("values", "times") else "left")
    for row in table["ledger"]:
        values, times = f"{row['elements']:,}", f"{row['times']:,}"
        opened.add_row(row["line"], row["what"], values, row["to"], times)
    console.print(opened)


def _render_totals(table: dict[str, Any], console: Console) -> None:
    info, measured, predicted = table["run"], table["measured"], table.get("predicted")
    console.print(
        f"{info['program']}, {info['protocol']}, {info['parties']} parties, {info['channel']}, "
        f"{info['threads']} threads each; program {info['hash'][:16]}…",
        highlight=False,
    )
    totals = Table(box=None, pad_edge=False)
    for name in ("", "measured", "predicted"):
        totals.add_column(name, justify="right" if name else "left")
    sent = " / ".join(mb(b) for b in measured["sent_bytes"])
    if predicted:
        other = " / ".join(mb(b) for b in predicted["sent_bytes"])
        totals.add_row("rounds", f"{measured['rounds']:,}", f"{predicted['rounds']:,}")
        totals.add_row("MB sent, by party", sent, other)
    else:
        totals.add_row("rounds", f"{measured['rounds']:,}", "")
        totals.add_row("MB sent, by party", sent, "")
    peak, foreseen = measured["peak_bytes"] / 1e6, measured["predicted_peak_bytes"] / 1e6
    totals.add_row("peak of the runtime, MB", f"{peak:,.1f}", f"{foreseen:,.1f}")
    totals.add_row("peak of the process, MB", f"{measured['peak_rss'] / 1e6:,.1f}", "")
    totals.add_row("seconds", f"{measured['seconds']:.3f}", "")
    totals.add_row("  computing", f"{measured['compute_seconds']:.3f}", "")
    share = measured["wait_seconds"] / measured["seconds"] if measured["seconds"] else 0.0
    totals.add_row(f"  waiting ({share:.0%})", f"{measured['wait_seconds']:.3f}", "")
    if measured["hidden_share"] is not None:
        hidden = f"{measured['awaited_seconds']:.3f} ({measured['hidden_share']:.0%} hidden)"
        totals.add_row("  messages awaited", hidden, "")
    console.print(totals)
    hidden = masks(table, 1 + len(info.get("resumed", [])))
    if hidden:
        console.print(hidden, highlight=False)
    before = table.get("preprocessing")
    if before:
        sent = " / ".join(mb(b) for b in before.get("sent_bytes", before.get("dealt_bytes", [])))
        files = " / ".join(mb(b) for b in before["file_bytes"])
        console.print(
            f"before the run: {before.get('rounds', 0):,} rounds, {sent} MB sent, "
            f"{before['seconds']:.3f} s, {files} MB kept",
            highlight=False,
        )


def _render_rows(title: str, rows: list[dict[str, Any]], limit: int, console: Console) -> None:
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    shown.add_column("")
    for name in ("rounds", "MB sent", "predicted", "computing s", "waiting s"):
        shown.add_column(name, justify="right")
    for row in rows[:limit]:
        foreseen = row.get("predicted_sent_bytes")
        shown.add_row(
            row["name"],
            f"{row['rounds']:,}",
            mb(row["sent_bytes"]),
            "" if foreseen is None else mb(foreseen),
            f"{row['compute_seconds']:.3f}",
            f"{row['wait_seconds']:.3f}",
        )
    console.print(shown)
    if len(rows) > limit:
        console.print(f"… and {len(rows) - limit} more", highlight=False)
