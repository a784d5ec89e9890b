"""The static report of a program: rounds and bytes, as a run will count them.

The clock is simulated as the virtual machine keeps it: a machine started at time t with r rounds
ends at t + r, its join sets the clock to the later of both, and the growth counts for the joined
instruction. Under a verified protocol an opening first waits for all that was started, as if it
were joined there, and so does a check that is due. Blocks join what they start, so a loop's body
adds the same each time. Branches are bounded by the dearer one, loops with a `breakz` by all their
trips: `exact` says whether the figures are equalities or upper bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..isa.ledger import executions
from ..isa.program import ALL, Insn, Program
from . import WHOLE, Cost, CostModule, Setting, cost_module

OPENINGS = frozenset({"open", "openb", "output", "outputb"})
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Entry:
    """The cost of one instruction of the file: executions, rounds at its join, bytes [from][to]."""

    executed: int
    rounds: int
    sent: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Report:
    """Costs of a whole program under one protocol."""

    protocol: str
    parties: int
    exact: bool
    rounds: int
    sent: tuple[tuple[int, ...], ...]
    entries: tuple[Entry, ...]

    @property
    def busiest(self) -> int:
        """Bytes sent by the party that sends most."""
        return max(map(sum, self.sent), default=0)


class MissingParty(ValueError):
    """The program names a party that is not there."""


def report(
    program: Program, protocol: str, parties: int | None = None, *, phase: str = WHOLE
) -> Report:
    """Simulate a program's rounds and bytes; ValueError for an unknown or unfit protocol,
    MissingParty if it has too few parties.

    phase: only what is sent before a run (PREPARE), or in one that was prepared (ONLINE): without
    a dealer, and the parties are all others.
    """
    module = cost_module(protocol)
    m = program.meta
    n = module.PARTIES if parties is None else parties
    owners = [row.party for row in program.inputs] + [row.party for row in program.outputs]
    named = [party for party in owners if party != ALL]
    if max(named, default=0) >= n > 1:  # a single process plays everybody
        raise MissingParty(f"the program names party {max(named)}; {protocol} has {n} parties here")
    setting = Setting(n, m.ring_bits, m.k, m.f, m.stat, phase)
    costs = [
        module.cost(insn.instr.name, _with_party(program, insn), setting)
        if insn.instr.interactive
        else Cost(0, ((0,) * n,) * n)
        for insn in program.code
    ]
    clock = _Clock(program, [c.rounds for c in costs], module, setting)
    clock.run()
    times = [times for times, _ in executions(program)]
    entries = tuple(
        Entry(
            t, r + p.rounds, _add([tuple(tuple(t * b for b in row) for row in c.sent), p.sent], n)
        )
        for t, r, c, p in zip(times, clock.growth, costs, clock.proofs, strict=True)
    )
    exact = not any(i.instr.name in ("if", "breakz") for i in program.code)
    rounds = clock.now + sum(p.rounds for p in clock.proofs)
    return Report(protocol, n, exact, rounds, _add([e.sent for e in entries], n), entries)


def _with_party(program: Program, insn: Insn) -> dict[str, Any]:
    args = insn.named()
    if "in" in args:
        args["party"] = program.inputs[args["in"]].party
    if "out" in args:
        party = program.outputs[args["out"]].party
        args["party"] = None if party == ALL else party
    return args


def _add(matrices: list[tuple[tuple[int, ...], ...]], n: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(sum(m[i][j] for m in matrices) for j in range(n)) for i in range(n))


class _Clock:
    """The round clock of one walk through the program, and what verification adds to each
    instruction, where a protocol makes proofs apart: they are of what happened since the last one,
    so that loops are followed trip by trip. Both branches of an `if` are taken."""

    def __init__(self, program: Program, rounds: list[int], module: CostModule, setting: Setting):
        self.code = program.code
        self.rounds = rounds
        self.drains = OPENINGS if module.VERIFIED else frozenset()
        self.now = 0
        n = setting.parties
        self.proofs = [Cost(0, ((0,) * n,) * n)] * len(rounds)
        make = getattr(module, "Verification", None)
        self.verification: Any = make and make(setting=setting)
        self.adds = [
            self.verification.statements(i.instr.name, _with_party(program, i))
            if self.verification and i.instr.interactive
            else None
            for i in program.code
        ]
        self.finish: dict[int, tuple[int, int]] = {}  # handle -> (time, instruction)
        self.growth = [0] * len(rounds)

    def run(self) -> None:
        self._block(0, 1)

    def _block(self, i: int, factor: int) -> int:
        """Walk from instruction i to the end of its block, `factor` times over; what follows."""
        while self.code[i].instr.name not in ("end", "endloop", "else", "endif"):
            insn, name = self.code[i], self.code[i].instr.name
            if name == "loop":
                i = self._loop(i, insn.named()["trips"], factor)
            elif name == "if":
                i = self._if(i, factor)
            elif name == "join":
                self._advance(self.finish.pop(insn.named()["h"]), factor)
                i += 1
            else:
                if (factor and self._verify(i)) or name in self.drains:
                    for _, pending in sorted(self.finish.items()):
                        self._advance(pending, factor)
                if insn.instr.interactive:
                    self.finish[insn.named()["h"]] = (self.now + self.rounds[i], i)
                i += 1
        return i + 1

    def _advance(self, pending: tuple[int, int], factor: int) -> None:
        time, start = pending
        self.growth[start] += factor * max(time - self.now, 0)
        self.now = max(self.now, time)

    def _verify(self, i: int) -> bool:
        """Whether something is verified before instruction i begins."""
        adds = self.adds[i]
        if adds is None:
            return False
        proof = self.verification.step(self.code[i].instr.name in OPENINGS, adds)
        if proof is not None:
            had = self.proofs[i]
            sent = _add([had.sent, proof.sent], len(had.sent))
            self.proofs[i] = Cost(had.rounds + proof.rounds, sent)
        return proof is not None

    def _loop(self, i: int, trips: int, factor: int) -> int:
        if self.verification and trips:
            for _ in range(trips):
                after = self._block(i + 1, factor)
            return after
        before = self.now
        after = self._block(i + 1, factor * trips)
        self.now = before + trips * (self.now - before)
        return after

    def _if(self, i: int, factor: int) -> int:
        before, saved = self.now, list(self.growth)
        after = self._block(i + 1, factor)
        if self.code[after - 1].instr.name == "else":
            then, then_growth = self.now, self.growth
            self.now, self.growth = before, list(saved)
            after = self._block(after, factor)
            if then > self.now:
                self.now, self.growth = then, then_growth
        return after


def grouped(program: Program, rep: Report, key: Callable[[Program, int], Key]) -> dict[Key, Entry]:
    """Entries summed by a key of the instruction's index, in order of appearance."""
    groups: dict[Key, list[Entry]] = defaultdict(list)
    for i, entry in enumerate(rep.entries):
        groups[key(program, i)].append(entry)
    return {
        k: Entry(
            sum(e.executed for e in es),
            sum(e.rounds for e in es),
            _add([e.sent for e in es], rep.parties),
        )
        for k, es in groups.items()
    }


def by_line(program: Program, i: int) -> tuple[str, int]:
    """Key: source file and line."""
    line = program.lines[i]
    return program.strings[line.file], line.line


def by_scope(program: Program, i: int) -> str:
    """Key: layer."""
    return program.strings[program.lines[i].scope]


def by_instruction(program: Program, i: int) -> str:
    """Key: instruction name."""
    return program.code[i].instr.name
