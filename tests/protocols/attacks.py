"""Random attacks on a protocol: one party changes what it sends, the others must not be fooled.

Every attack is one run of a program that uses every interactive instruction, with rounding to
nearest, so that there is one right result. The rules are those of `runtime_c/tests/tamper.h`: a
cheater changes frames that it sends, or goes on with what it changed.
"""

from __future__ import annotations

import math
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .machine import Script, Words, room, signed

N = 260  # elements: blocks of 64 for every role, and a block that is not full
PATIENCE = 5  # seconds of silence after which parties give a run up
OUTCOMES = ("detected", "told", "ended", "right", "WRONG", "HANG", "CRASH")


def program(ring: int, parties: int = 3) -> Script:
    """Every interactive instruction; each party gets an output, all get some."""
    s, bits = Script(ring, owners=min(parties, 3)), room(ring)
    rng = np.random.default_rng(7)
    x, y = (_words(rng, N, bits // 2 - 2, ring) for _ in range(2))
    a, b, e = s.secret(x), s.secret(y), s.secret(_words(rng, N, bits - 4, ring))
    d, k = (s.reg("s", N) for _ in range(2))
    _products(s, a, b, e, d)
    bit, low, c = s.reg("b", N), s.reg("b", N, 6), s.reg("c", N)
    s.start(f"ltz d={bit} a={a} n={N} bits={bits // 2}")
    s.start(f"select d={d} b={bit} a={b} n={N}")
    s.output(d, N, to=str(s.owners - 1))
    s.start(f"select_keep d={d} k={k} b={bit} a={a} n={N}")
    s.start(f"select_kept d={d} k={k} b={bit} a={b} n={N}")
    s.output(d, N, to="all")
    s.start(f"eqz d={bit} a={a} n={N} bits=7")
    s.output_bits(bit, 1, N, to="1")
    s.start(f"a2b d={low} a={a} n={N} bits=6")
    words = s.reg("s", 3 * N)
    s.start(f"b2a d={words} a={low} p=3 n={N}")
    s.output(words, 3 * N, to="0")
    both, noise = s.reg("b", N, 6), s.reg("b", N, 6)
    s.start(f"randbit d={noise} p=6 n={N}")
    s.code += [f"bxor d={low} a={low} b={noise} p=6 n={N}"]
    s.start(f"and d={both} a={low} b={noise} p=6 n={N}")
    s.code += [f"bxor d={both} a={both} b={noise} p=6 n={N}"]  # noise & ~(low ^ noise)
    s.start(f"and d={noise} a={both} b={low} p=6 n={N}")  # 0
    s.start(f"openb d={c} a={noise} p=6 n={N}")
    s.output_clear(c, N)
    s.start(f"ltz d={bit} a={b} n={N} bits={bits}")
    s.start(f"b2a d={words} a={bit} p=1 n={N}")
    s.start(f"open d={c} a={words} n={N}")
    s.output_clear(c, N)
    shuffle(s, a, d)
    return s


def _words(rng: np.random.Generator, n: int, bits: int, ring: int) -> Words:
    values = [int.from_bytes(rng.bytes(ring // 8), "little") % (1 << bits) for _ in range(n)]
    return signed(np.array([v - (1 << (bits - 1)) for v in values], dtype=object), ring)


def _products(s: Script, a: str, b: str, e: str, d: str) -> None:
    s.start(f"mul d={d} a={a} b={b} n={N} m=16 mode=1")
    s.output(d, N, to="0")
    s.start(f"mul_add d={d} a={a} b={b} n={N} m=0 mode=0 e={e}")
    s.output(d, N, to="1")
    s.start(f"trunc d={d} a={e} n={N} m=9 mode=1")
    s.output(d, N, to=str(s.owners - 1))
    s.start(f"matmul d={d} a={a} b={b} M=13 K=20 N=13 ta=0 tb=1 m=16 mode=1")
    s.start(f"matmul_add d={d} a={a} b={b} M=13 K=20 N=13 ta=0 tb=1 m=16 mode=1 e={e}")
    s.output(d, 169, to="0")
    sizes = "B=5 C=2 H=5 W=5 O=2 KH=3 KW=3 OH=5 OW=5 SH=1 SW=1 PH=1 PW=1"
    for name, operands, size in (
        ("conv2d", f"x={a} w={b}", 250),
        ("conv2d_dx", f"g={a} w={b}", 250),
        ("conv2d_dw", f"g={a} x={b}", 36),
    ):
        s.start(f"{name} d={d} {operands} {sizes} m=12 mode=1")
        s.output(d, size, to="all")
        s.start(f"{name}_add d={d} {operands} {sizes} m=0 mode=0 e={e}")
        s.output(d, size, to="1")


def shuffle(s: Script, a: str, d: str) -> None:
    """The last output: shuffled rows, right in every order."""
    order = s.reg("c", 1)
    s.code += [f"cfill d={order} imm=5 n=1"]
    s.start(f"shuffle d={d} a={a} order={order} n={N} len=1")
    s.output(d, N, to="all")


@dataclass(frozen=True)
class Attack:
    """Rules of one cheater: for frames, and for what it goes on with."""

    cheater: int
    rules: tuple[str, ...]
    cheats: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The actions, in order."""
        actions = [rule.split(":")[3] for rule in self.rules]
        return "+".join(sorted(actions + ["own " + c.split(":")[1] for c in self.cheats]))


@dataclass
class Report:
    """Outcomes by kind of attack, and the rules of those that should not be."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[tuple[str, Attack, str]] = field(default_factory=list)

    def add(self, attack: Attack, outcome: str, said: str) -> None:
        self.outcomes[outcome] += 1
        self.by_kind.setdefault(attack.kind, Counter())[outcome] += 1
        if outcome.isupper():
            self.bad.append((outcome, attack, said[-400:]))


class Target:
    """A program under a protocol, and what happens when a party of it cheats."""

    def __init__(
        self,
        runner: Path,
        folder: Path,
        protocol: str,
        parties: int,
        ring: int,
        script: Script | None = None,
        trusted: int | None = None,
    ):
        """script: another program; in its last output rows may have any order. trusted: a party
        that neither cheats nor is protected."""
        script = script or program(ring)
        self.rows = script.outputs - 1
        self.trusted, self.wide = trusted, -(-min(ring, 128) // 64)
        path, *options = script.write(folder)
        self.command = [str(runner), path, protocol, str(parties), *options]
        self.command += ["--timeout", str(PATIENCE)]
        self.parties = parties
        done = self._run(Attack(0, ("0:0:0:drop",)))  # nobody sends to itself
        assert done is not None and done.returncode == 0, done
        self.right = self._outputs(done.stdout)
        found = re.findall(r"^frames (\d+) (\d+) (\d+)$", done.stdout, re.M)
        self.frames = {
            (int(i), int(j)): int(n) for i, j, n in found if int(n) and int(i) != trusted
        }
        made = re.findall(r"^made (\d+) (\w+) (\d+)$", done.stdout, re.M)
        self.made = {(int(p), kind): int(n) for p, kind, n in made if int(p) != trusted}

    def _run(self, attack: Attack) -> subprocess.CompletedProcess[str] | None:
        command = [*self.command, *(x for r in attack.rules for x in ("--tamper", r))]
        command += [x for r in attack.cheats for x in ("--cheat", r)]
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=60 + 10 * PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return None

    def outcome(self, attack: Attack) -> tuple[str, str]:
        """One of OUTCOMES, and what the parties said.

        detected: an honest party's check failed; told: only the cheater's own, and it said so;
        ended: a message was missing, or malformed; right: all honest parties have right results.
        """
        done = self._run(attack)
        if done is None:
            return "HANG", ""
        if not 0 <= done.returncode <= 8:
            return "CRASH", done.stderr
        status = dict(re.findall(r"^status (\d+) (\d+)$", done.stdout, re.M))
        honest = [p for p in range(self.parties) if p not in (attack.cheater, self.trusted)]
        for (out, party), words in self._outputs(done.stdout).items():
            if party in honest and words != self.right[out, party]:
                return "WRONG", f"output {out} of party {party}"
        if any(status[str(p)] == "7" for p in honest):
            return "detected", done.stderr
        if all(status[str(p)] == "0" for p in honest):
            return "right", ""
        if any(status[str(p)] == "8" for p in honest):
            return "CRASH", done.stderr
        return ("told" if "cheating detected" in done.stderr else "ended"), done.stderr

    def _outputs(self, text: str) -> dict[tuple[int, int], list[str]]:
        """(output, party) -> words; of the rows without their order."""
        found = re.findall(r"^output (\d+) party (\d+):(.*)$", text, re.M)
        outputs = {(int(out), int(party)): words.split() for out, party, words in found}
        return {k: sorted(w) if k[0] == self.rows else w for k, w in outputs.items()}

    def cheat(self, rng: random.Random, cheater: int, kind: str, value: int) -> str:
        """A rule for words of a kind, any of those that the cheater makes."""
        word = self.wide * rng.randrange(1 << 16)
        return f"{cheater}:{kind}:{rng.randrange(self.made[cheater, kind])}:{word}:{value}"

    def attack(self, rng: random.Random) -> Attack:
        """A random attack: one rule, or two of one cheater."""
        if rng.random() < 0.3:
            kinds = [k for k in sorted(self.made) if k[1] != "input"]  # which would be another one
            cheater, kind = rng.choice(kinds)
            value = rng.choice([1, (1 << 64) - 1, 1 << 63, rng.randrange(1 << 64)])
            cheats = [self.cheat(rng, cheater, kind, value)]
            if rng.random() < 0.4:  # what may cancel
                cheats.append(self.cheat(rng, cheater, kind, (1 << 64) - value))
            return Attack(cheater, (), tuple(cheats))
        (cheater, peer), count = rng.choice(sorted(self.frames.items()))
        rule = _rule(rng, cheater, peer, rng.randrange(count), self.parties)
        rules = [rule]
        second = rng.random()
        others = [q for p, q in self.frames if p == cheater and q != peer]
        if second < 0.15 and others:  # the same to another party, or what may cancel
            _, _, frame, action, *numbers = rule.split(":")
            if action == "add" and rng.random() < 0.5:
                numbers[1] = str((1 << 64) - int(numbers[1]))
            rules.append(":".join([str(cheater), str(rng.choice(others)), frame, action, *numbers]))
        elif second < 0.3:  # anything else, anywhere
            q = rng.choice([*others, peer])
            frame = rng.randrange(self.frames[cheater, q])
            rules.append(_rule(rng, cheater, q, frame, self.parties))
        return Attack(cheater, tuple(rules))

    def run(
        self,
        count: int,
        seed: int,
        workers: int,
        progress: Callable[[Report], None] | None = None,
        seconds: float | None = None,
        first: int = 0,
    ) -> Report:
        """Random attacks `first` to `count`, several at a time; none begins after so many seconds.
        The i-th attack of a seed is the same in every run."""
        rng, report = random.Random(seed), Report()
        attacks = [self.attack(rng) for _ in range(count)][first:]
        end = math.inf if seconds is None else time.monotonic() + seconds

        def one(attack: Attack) -> tuple[str, str] | None:
            return self.outcome(attack) if time.monotonic() < end else None

        with ThreadPoolExecutor(workers) as pool:
            for attack, result in zip(attacks, pool.map(one, attacks), strict=True):
                if result is not None:
                    report.add(attack, *result)
                if result is not None and progress is not None:
                    progress(report)
        return report


def _rule(rng: random.Random, cheater: int, peer: int, frame: int, parties: int) -> str:
    draw = rng.random()
    word = rng.randrange(1 << 16)
    value = rng.choice([1, (1 << 64) - 1, 1 << 63, 1 << 32, rng.randrange(1 << 64)])
    action = (
        f"flip:{rng.randrange(1 << 20)}"
        if draw < 0.4
        else f"add:{word}:{value}"
        if draw < 0.65
        else f"fill:{rng.choice([0, 255])}"
        if draw < 0.7
        else f"noise:{rng.randrange(1 << 63)}"
        if draw < 0.78
        else "twice"
        if draw < 0.83
        else f"replay:{rng.randrange(1, 60)}"
        if draw < 0.91
        else f"swap:{rng.randrange(parties)}"
        if draw < 0.97
        else f"delay:{rng.randrange(1, 4)}"
        if draw < 0.985
        else "drop"
    )
    return f"{cheater}:{peer}:{frame}:{action}"
