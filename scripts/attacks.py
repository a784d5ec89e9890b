"""Random attacks: `python scripts/attacks.py --protocol rep3 --count 1000`.

One party of a protocol changes, drops, repeats, delays or replays what it sends, or goes on with
what it changed, in a program that uses every instruction; what the others then do is counted
(tests/protocols/attacks.py says how).
Under a malicious protocol nothing may be WRONG, HANG or CRASH; under a semi-honest one much is
WRONG, which shows that the attacks are real. With --save what is found goes to
docs/results/attacks-PROTOCOL-BITS.json, after every 20 attacks too; with --resume the run goes on
from that file, at the commit and with the seed that it names. --out says another folder.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sequester.vm import runs  # noqa: E402
from tests.protocols.attacks import Report, Target  # noqa: E402
from tests.protocols.machine import PARTIES, RINGS  # noqa: E402
from tests.vm.runner import build  # noqa: E402

sys.path.insert(1, str(ROOT / "scripts"))
from reproduction.tables import commit  # noqa: E402


@click.command()
@click.option("--protocol", required=True)
@click.option("--parties", type=int, default=0, help="0: the protocol's least.")
@click.option("--ring", type=click.Choice(["64", "128", "127"]), help="127: the field.")
@click.option("--count", type=int, default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--workers", type=int, default=4, show_default=True, help="Runs side by side.")
@click.option("--minutes", type=float, help="Begin no attack after so many.")
@click.option("--save", is_flag=True, help="Write attacks-PROTOCOL-BITS.json.")
@click.option("--resume", is_flag=True, help="Go on from that file, and write it.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "docs" / "results",
    help="The folder of that file; docs/results if not given.",
)
def main(
    protocol: str,
    parties: int,
    ring: str | None,
    count: int,
    seed: int,
    workers: int,
    minutes: float | None,
    save: bool,
    resume: bool,
    out: Path,
) -> None:
    """Attack a protocol, and count what happens."""
    parties = parties or PARTIES[protocol][0]
    bits = int(ring or RINGS[protocol][0])
    path = out / f"attacks-{protocol}-{bits}.json"
    result: dict[str, Any] = {
        "protocol": protocol,
        "parties": parties,
        "ring_bits": bits,
        "attacks": 0,
        "seed": seed,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": runs.machine().rsplit(",", 1)[0],
        "outcomes": {},
        "by_kind": {},
    }
    before = Report()
    if resume:
        before = known(path, result)
    first = before.outcomes.total()
    runner = build("test")
    began = time.monotonic()
    shown = 0

    def progress(report: Report) -> None:
        nonlocal shown
        for outcome, attack, said in report.bad[shown:]:
            click.echo(f"{outcome}: {attack}: {said}", err=True)
        shown = len(report.bad)
        done = report.outcomes.total()
        if done % 20 == 0:
            rate = done / (time.monotonic() - began)
            click.echo(f"{done} attacks, {rate:.1f} a second: {dict(report.outcomes)}", err=True)
            if save or resume:
                write(path, result, before, report)

    with tempfile.TemporaryDirectory() as folder:
        target = Target(runner, Path(folder), protocol, parties, bits)
        seconds = None if minutes is None else 60 * minutes
        report = target.run(count, seed, workers, progress, seconds, first)
    if save or resume:
        write(path, result, before, report)
    click.echo(as_text(result, before, report))


def known(path: Path, result: dict[str, Any]) -> Report:
    """What an earlier run found; it must have made the same attacks on the same code."""
    if not path.exists():
        raise click.UsageError(f"--resume: there is no {path.name} to go on from")
    found, report = json.loads(path.read_text()), Report()
    for key in ("protocol", "parties", "ring_bits", "seed", "commit"):
        if found.get(key) != result[key]:
            said = f"{path.name} has the {key} {found.get(key)}, this run {result[key]}"
            raise click.UsageError(f"--resume: {said}")
    report.outcomes.update(found["outcomes"])
    for kind, outcomes in found["by_kind"].items():
        report.by_kind[kind] = Counter(outcomes)
    return report


def as_text(result: dict[str, Any], before: Report, report: Report) -> str:
    """The file's text: both runs together."""
    outcomes = before.outcomes + report.outcomes
    kinds = {k: Counter(v) for k, v in before.by_kind.items()}
    for kind, found in report.by_kind.items():
        kinds[kind] = kinds.get(kind, Counter()) + found
    table = {
        "attacks": outcomes.total(),
        "outcomes": dict(sorted(outcomes.items())),
        "by_kind": {k: dict(sorted(v.items())) for k, v in sorted(kinds.items())},
    }
    return json.dumps(result | table, indent=1)


def write(path: Path, result: dict[str, Any], before: Report, report: Report) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(as_text(result, before, report) + "\n")
    fresh.replace(path)


if __name__ == "__main__":
    main()
