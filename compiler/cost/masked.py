"""What `dealer` and `semi2k` share: the traffic of openings of masked values.

The counterpart of `runtime_c/protocols/masked*.c`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from . import ONLINE, PREPARE, WHOLE, Cost, Setting
from .rep3 import blocks

CHUNK = 512  # blocks of 64 elements in a task
DIRECT = 3  # computing parties up to which everybody sends to everybody


class Traffic:
    """Bytes between parties while an instruction on n elements is added up."""

    def __init__(self, setting: Setting, n: int, deals: bool):
        self.dealer = deals and setting.phase != ONLINE  # is a party of the run
        self.online = setting.parties - self.dealer
        self.word = setting.ring_bits // 8
        self.n = n
        self.phase = setting.phase
        self.rounds = 0
        self.sent = [[0] * setting.parties for _ in range(setting.parties)]
        self._other = (0, [[0] * setting.parties for _ in range(setting.parties)])

    @contextmanager
    def prepares(self) -> Iterator[None]:
        """What is counted in it depends on masks alone, and may be sent before a run."""
        online = (self.rounds, self.sent)
        self.rounds, self.sent = self._other
        yield
        self._other = (self.rounds, self.sent)
        self.rounds, self.sent = online

    def deal(self, size: int) -> None:
        with self.prepares():
            if self.dealer:
                self.sent[self.online][self.online - 1] += size

    def _tasks(self) -> Iterator[tuple[int, int, int]]:
        """(how many, elements, blocks) of tasks."""
        full, rest = divmod(blocks(self.n), CHUNK)
        if full:
            yield full - (not rest), CHUNK * 64, CHUNK
        yield 1, self.n - (full - (not rest)) * CHUNK * 64, rest or CHUNK

    def open(self, unit: int, planes: int = 1, to: int | None = -1) -> None:
        """Openings of `unit` bytes an element and plane, or (0) of planes of bits.

        to: a party, None for all, -1 for all that compute.
        """
        for times, elements, words in self._tasks():
            count, size = (planes * elements, unit) if unit else (planes * words, 8)
            self.open_count(times, count, size, to)
        self.opened(to)

    def opened(self, to: int | None = -1) -> None:
        dealer = self.dealer and (to is None or to == self.online)
        kings = self.online > DIRECT and (to is None or to < 0)
        self.rounds += 1 + kings + dealer

    def open_count(self, times: int, count: int, size: int, to: int | None = -1) -> None:
        """Openings of `count` elements of `size` bytes."""
        n = self.online
        receivers = range(n + (self.dealer and to is None)) if to is None or to < 0 else (to,)
        kings = n > DIRECT and len(receivers) > 1
        for i in range(n):
            part = count * (i + 1) // n - count * i // n if kings else count
            for j in receivers:
                if i != j:
                    self.sent[i][j] += times * size * part
            for j in range(n if kings else 0):
                if i != j:
                    part = count * (j + 1) // n - count * j // n
                    self.sent[i][j] += times * size * part

    def broadcast(self, sender: int, size: int) -> None:
        for j in range(self.online):
            if j != sender:
                self.sent[sender][j] += size

    def same(self, protocol: str, name: str, args: Mapping[str, Any]) -> None:
        """Instructions that cost the same in all protocols of masked values.

        Raises ValueError for any other one.
        """
        match name:
            case "randbit":
                pass
            case "open" | "output":
                self.open(self.word, to=args.get("party"))
            case "openb" | "outputb":
                self.open(0, args["p"], to=args.get("party"))
            case "input":
                self.broadcast(args["party"], self.n * self.word)
                self.rounds += 1
            case _:
                raise ValueError(f"{protocol} does not offer the instruction {name!r}")

    def cost(self) -> Cost:
        counted = []
        if self.phase in (WHOLE, ONLINE):
            counted.append((self.rounds, self.sent))
        if self.phase in (WHOLE, PREPARE):
            counted.append(self._other)
        n = len(self.sent)
        sent = tuple(tuple(sum(s[i][j] for _, s in counted) for j in range(n)) for i in range(n))
        return Cost(sum(rounds for rounds, _ in counted) if self.n else 0, sent)
