"""Every word of every stream hides one value: over all instructions, tasks, planes and levels."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ..vm.runner import build
from .attacks import program
from .machine import PARTIES, RINGS

# What a party may draw again, for values that it makes again, or that are made to cancel: in the
# same step ("twice"; "setup": before the first task) or in a later one ("steps"), by purpose; the
# protocol's header lists these.
AGAIN: dict[str, set[tuple[str, int]]] = {
    "rep3": set(),
    # a check's coin, sent and then known; its challenges, sent and then used
    "rep3-mal": {("steps", 0), ("steps", 258)},
    # M2 and M3 occur with both signs in what one role sends; alpha is the factor of two products;
    # rho, alpha and their masks are made again by who verifies late; both hashes of an opening
    # between the same two parties have the same keys
    "rep4": {
        *(("twice", purpose) for purpose in (1, 2, 5)),
        *(("steps", purpose) for purpose in (4, 5, 6, 7, 0x80000000)),
    },
    # the dealer needs the mask between two hops of a shuffle before and after it
    "dealer": {("twice", 0x1001)},
    # what a reply's noise and factor are made of, once for each prime; masks of `and` and of forms,
    # to hide what is opened and then for the result; what stands for a seed that a tree lacks
    "semi2k": {
        *(("twice", 0x200 + 4 * party + stream) for party in range(3) for stream in range(2)),
        *(("steps", purpose) for purpose in (4, *range(0x20000, 0x20040))),
        ("setup", 0),
    },
    "shamir": set(),
    "shamir-mal": set(),
    # the same with masks of values and of MACs; the mask of a product, and then its MAC
    "spdz2k-dealt": {("twice", purpose) for purpose in (1, *range(0x1000, 0x1006))},
}
CASES = [(p, PARTIES[p][0], ring) for p in AGAIN for ring in RINGS[p]] + [("semi2k", 3, 64)]
PARTS = {("semi2k", 2): 8, ("semi2k", 3): 200}  # of words, where there are too many for one run


@pytest.mark.parametrize("flavour", ["test", pytest.param("chunks", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("protocol", "parties", "ring"), CASES)
def test_no_mask_serves_twice(
    protocol: str, parties: int, ring: int, flavour: str, tmp_path: Path
) -> None:
    check(
        protocol, parties, ring, build(flavour), f"0/{PARTS.get((protocol, parties), 1)}", tmp_path
    )


@pytest.mark.slow
@pytest.mark.parametrize("part", range(1, 8))
def test_no_mask_of_two_parties_serves_twice(part: int, tmp_path: Path) -> None:
    """The other words of semi2k."""
    check("semi2k", 2, 64, build("test"), f"{part}/8", tmp_path)


def check(protocol: str, parties: int, ring: int, runner: Path, part: str, folder: Path) -> None:
    path, *options = program(ring, parties).write(folder)
    command = [str(runner), path, protocol, str(parties), *options, "--masks", part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    drawn = re.search(r"^masks (\d+)$", done.stdout, re.M)
    assert drawn and int(drawn[1]) > 10_000
    again = re.findall(r"^(tasks|steps|twice|setup) (\d+) \d+$", done.stdout, re.M)
    assert {(way, int(purpose)) for way, purpose in again} <= AGAIN[protocol]
