"""Random attacks: `python scripts/attacks.py --protocol rep3 --count 1000`.

One party of a protocol changes, drops, repeats, delays or replays what it sends, or goes on with
what it changed, in a program that uses every instruction; what the others then do is counted
(tests/protocols/attacks.py says how).
Under a malicious protocol nothing may be WRONG, HANG or CRASH; under a semi-honest one much is
WRONG, which shows that the attacks are real. Writes docs/results/attacks-PROTOCOL.json with --save.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.protocols.attacks import Report, Target  # noqa: E402
from tests.protocols.machine import PARTIES, RINGS  # noqa: E402
from tests.vm.runner import build  # noqa: E402


@click.command()
@click.option("--protocol", required=True)
@click.option("--parties", type=int, default=0, help="0: the protocol's least.")
@click.option("--ring", type=click.Choice(["64", "128", "127"]), help="127: the field.")
@click.option("--count", type=int, default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--workers", type=int, default=4, show_default=True, help="Runs side by side.")
@click.option("--minutes", type=float, help="Begin no attack after so many.")
@click.option("--save", is_flag=True, help="Write docs/results/attacks-PROTOCOL.json.")
def main(
    protocol: str,
    parties: int,
    ring: str | None,
    count: int,
    seed: int,
    workers: int,
    minutes: float | None,
    save: bool,
) -> None:
    """Attack a protocol, and count what happens."""
    parties = parties or PARTIES[protocol][0]
    bits = int(ring or RINGS[protocol][0])
    runner = build("test")
    began = time.monotonic()

    shown = 0

    def progress(report: Report) -> None:
        nonlocal shown
        for outcome, attack, said in report.bad[shown:]:
            click.echo(f"{outcome}: {attack}: {said}", err=True)
        shown = len(report.bad)
        done = report.outcomes.total()
        if done % 100 == 0:
            rate = done / (time.monotonic() - began)
            click.echo(f"{done} attacks, {rate:.1f} a second: {dict(report.outcomes)}", err=True)

    with tempfile.TemporaryDirectory() as folder:
        target = Target(runner, Path(folder), protocol, parties, bits)
        seconds = None if minutes is None else 60 * minutes
        report = target.run(count, seed, workers, progress, seconds)
    result = {
        "protocol": protocol,
        "parties": parties,
        "ring_bits": bits,
        "attacks": report.outcomes.total(),
        "seed": seed,
        "outcomes": dict(sorted(report.outcomes.items())),
        "by_kind": {k: dict(sorted(v.items())) for k, v in sorted(report.by_kind.items())},
    }
    text = json.dumps(result, indent=1)
    click.echo(text)
    if save:
        folder_of_results = ROOT / "docs" / "results"
        folder_of_results.mkdir(exist_ok=True)
        (folder_of_results / f"attacks-{protocol}-{bits}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
