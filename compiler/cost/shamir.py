"""Costs of `shamir`, Shamir's secret sharing among n parties: docs/protocols/shamir.md counts
the same.

Every number here is exact: rounds are those that the machines of `runtime_c/protocols/shamir*.c`
declare, and bytes follow from sizes alone. A vector is cut into tasks of 192 blocks of 64 elements,
and what a task multiplies or opens into one part for each party of the core (the first 2 t + 1).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import Cost, Setting, is_product, result_size

PARTIES = 3
VERIFIED = False
MASKED = True
RING = "field"
CHUNK = 192  # blocks of a task
NUMBER, BLOCK = 16, 32  # bytes of a share: of a number, of 64 bits
SHUFFLE_CHUNK = 1 << 18  # elements of a task, where a column has fewer


def log2_up(n: int) -> int:
    """The least l with 2^l >= n."""
    return max(n - 1, 0).bit_length()


@dataclass(frozen=True)
class Task:
    """Sizes of a task, and of its parts: (blocks, elements)."""

    words: int
    count: int
    parts: tuple[tuple[int, int], ...]


class Traffic:
    """Bytes between n parties while an instruction is added up; what is added counts `times`."""

    def __init__(self, parties: int):
        self.n = parties
        self.t = (parties - 1) // 2
        self.core = 2 * self.t + 1
        self.times = 1
        self.sent = [[0] * parties for _ in range(parties)]

    def tasks(self, n: int) -> Iterator[Task]:
        """The tasks over n elements, equal ones once with `times` set."""
        full, rest = divmod(-(-n // 64), CHUNK)
        if rest == 0 and n % 64 and full:  # the last task is not full after all
            full, rest = full - 1, CHUNK
        last = n - full * CHUNK * 64
        for times, words, count in ((full, CHUNK, CHUNK * 64), (1, rest, last)):
            if times and words:
                self.times = times
                yield self._task(words, count)
        self.times = 1

    def _task(self, words: int, count: int) -> Task:
        cuts = [words * q // self.core for q in range(self.core + 1)]
        parts = tuple(
            (hi - lo, min(64 * hi, count) - min(64 * lo, count))
            for lo, hi in zip(cuts[:-1], cuts[1:], strict=True)
        )
        return Task(words, count, parts)

    def add(self, sender: int, receiver: int, size: int) -> None:
        if sender != receiver:
            self.sent[sender][receiver] += self.times * size

    def deal(self, dealer: int, size: int, drawn: int | None = None) -> None:
        """All of the core but the dealer and the `drawn` parties after it (t unless said) get a
        message; a dealer outside of the core comes before party 0."""
        place = dealer if dealer < self.core else -1
        for j in range((self.t if drawn is None else drawn) + 1, self.core + (place < 0)):
            self.add(dealer, (place + j) % self.core, size)

    def king(self, king: int, size: int) -> None:
        for q in range(self.core):
            self.add(q, king, size)

    def multiply(self, n: int, size: int) -> None:
        """n products of shares of `size` bytes."""
        groups = -(-n // self.core)
        dealings = (self.t * groups + self.t) // (self.t + 1)
        for q in range(self.core):
            count = n * (q + 1) // self.core - n * q // self.core
            self.deal(q, dealings * size, self.t + 1)
            self.king(q, count * size)
            self.deal(q, count * size)

    def all_sets(self) -> list[tuple[int, ...]]:
        """Sets of t + 1 parties of the core."""
        return list(itertools.combinations(range(self.core), self.t + 1))

    def open(self, size: int, to: int | None) -> None:
        for q in range(self.n) if to is None else (to,):
            for j in range(self.t + 1):
                self.add((q + j) % self.core if q < self.core else j, q, size)

    def cost(self, rounds: int) -> Cost:
        return Cost(rounds, tuple(tuple(row) for row in self.sent))


# ---- sums of numbers shared bit by bit, and bits as numbers ----


def _reductions(numbers: int) -> Iterator[int]:
    """How many numbers each level has that makes them two."""
    while numbers > 2:
        yield numbers
        numbers -= numbers // 3


def adder_levels(numbers: int, width: int, zero: bool) -> int:
    """Multiplications one after another that a sum takes."""
    if width == 1:
        return 0
    return len(list(_reductions(numbers))) + 1 + log2_up(width if zero else width - 1)


def _tree(width: int, first: int, low: int) -> list[int]:
    """Gates of each level of the prefix tree: those that a carry into a place < low or >= first
    needs."""
    n = width - 1
    generate, carry = [i + 1 >= first or i + 1 < low for i in range(n)], [False] * n
    levels = []
    for level in reversed(range(log2_up(n))):
        count = 0
        for i in range(n):
            if i >> level & 1:
                j = (i >> level << level) - 1
                count += carry[i] + generate[i]
                carry[j] |= carry[i]
                carry[i] |= generate[i]
                generate[j] |= generate[i]
        levels.append(count)
    return levels[::-1]


def tree_sizes(n: int) -> Iterator[int]:
    """Products of each level of a tree over n factors."""
    while n > 1:
        yield n // 2
        n -= n // 2


def adder(
    t: Traffic, words: int, numbers: int, width: int, first: int, zero: bool, low: int = 0
) -> None:
    """A sum of numbers that are shared bit by bit: planes below `low` and from `first` on."""
    if width == 1:
        return
    for now in _reductions(numbers):
        t.multiply(now // 3 * (width - 1) * words, BLOCK)
    t.multiply((width - 1) * words, BLOCK)
    for gates in tree_sizes(width) if zero else _tree(width, first, low):
        t.multiply(gates * words, BLOCK)


def _convert(t: Traffic, task: Task, planes: int) -> None:
    for q, (_, elements) in enumerate(task.parts):
        for j in range(t.t + 1):
            t.deal((q + j) % t.core, planes * elements * NUMBER)
    terms = t.t + 1
    while terms > 1:
        t.multiply(terms // 2 * planes * task.count, NUMBER)
        terms -= terms // 2


# ---- instructions ----


def _round(t: Traffic, n: int, m: int, nearest: bool) -> int:
    """Rounds; m = 0: a multiplication."""
    numbers = t.t + nearest
    width = m + log2_up(numbers)
    for task in t.tasks(n):
        if not m:
            t.multiply(task.count, NUMBER)
            continue
        for q, (blocks, elements) in enumerate(task.parts):
            low = m * blocks * BLOCK if numbers > 1 else 0
            for j in range(t.t):
                t.deal((q + j + 1) % t.core, elements * NUMBER + low)
            t.king(q, elements * NUMBER)
            t.deal(q, elements * NUMBER + (low if nearest else 0))
        if numbers > 1:
            adder(t, task.words, numbers, width, m, False)
            _convert(t, task, width - m)
    if not m or numbers == 1:
        return 2
    return 3 + 2 * adder_levels(numbers, width, False) + 2 * log2_up(t.t + 1)


def _compare(t: Traffic, name: str, n: int, bits: int) -> int:
    zero, first = name == "eqz", bits - 1 if name == "ltz" else 0
    for task in t.tasks(n):
        for q, (blocks, elements) in enumerate(task.parts):
            for j in range(t.t):
                t.deal((q + j + 1) % t.core, bits * blocks * BLOCK)
            t.king(q, elements * NUMBER)
            t.deal(q, bits * blocks * BLOCK)
        adder(t, task.words, t.t + 1, bits, first, zero)
    return 2 + 2 * adder_levels(t.t + 1, bits, zero)


def _bits_to_numbers(t: Traffic, n: int, planes: int, selects: bool) -> int:
    for task in t.tasks(n):
        _convert(t, task, planes)
        if selects:
            t.multiply(task.count, NUMBER)
    return 1 + 2 * log2_up(t.t + 1) + 2 * selects


def _opening(t: Traffic, n: int, planes: int, to: int | None) -> int:
    for task in t.tasks(n):
        t.open(planes * task.words * 8 if planes else task.count * NUMBER, to)
    return 1


def _gates(t: Traffic, n: int, planes: int) -> int:
    for task in t.tasks(n):
        t.multiply(planes * task.words, BLOCK)
    return 2


def _randbit(t: Traffic, n: int, planes: int) -> int:
    for task in t.tasks(n):
        for d in range(t.t + 1):
            t.deal(d, planes * task.words * BLOCK)
    return 1


def _shuffle(t: Traffic, rows: int, columns: int) -> int:
    """Seeds of orders from the first party of each set of t + 1, to all tasks; then a hop a set."""
    if not rows:
        return 0
    width = shuffle_width(rows, SHUFFLE_CHUNK)
    sets = t.all_sets()
    for first, *others in sets:
        for q in others:
            t.add(first, q, 16 * -(-columns // width))
    return 1 + shuffle_hops(t, rows * columns)


def shuffle_width(rows: int, chunk: int) -> int:
    """Columns of a task."""
    return chunk // rows if rows < chunk else 1


def shuffle_hops(t: Traffic, n: int) -> int:
    """A hop for each set of t + 1: its parties deal n numbers. Rounds."""
    sets = t.all_sets()
    for members in sets:
        for q in members:
            t.deal(q, n * NUMBER)
    return len(sets)


def deal_input(t: Traffic, n: int, party: int) -> int:
    """An input; rounds."""
    for task in t.tasks(n):
        t.deal(party, task.count * NUMBER)
    return 1


def elements(name: str, a: Mapping[str, Any]) -> int:
    """How many elements an instruction computes, if it has anything to compute at all."""
    if not a.get("p", 1) or not a.get("len", 1):
        return 0
    return result_size(name, a) if is_product(name) else int(a["n"])


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """The cost of one execution of the interactive instruction `name`.

    Raises ValueError if the protocol does not offer the instruction.
    """
    t, a = Traffic(setting.parties), args
    rules: dict[str, Callable[[int], int]] = {
        "ltz": lambda n: _compare(t, name, n, a["bits"]),
        "eqz": lambda n: _compare(t, name, n, a["bits"]),
        "a2b": lambda n: _compare(t, name, n, a["bits"]),
        "b2a": lambda n: _bits_to_numbers(t, n, a["p"], False),
        "select": lambda n: _bits_to_numbers(t, n, 1, True),
        "select_keep": lambda n: _bits_to_numbers(t, n, 1, True),
        "select_kept": lambda n: _round(t, n, 0, False),
        "and": lambda n: _gates(t, n, a["p"]),
        "randbit": lambda n: _randbit(t, n, a["p"]),
        "open": lambda n: _opening(t, n, 0, None),
        "openb": lambda n: _opening(t, n, a["p"], None),
        "output": lambda n: _opening(t, n, 0, a["party"]),
        "outputb": lambda n: _opening(t, n, a["p"], a["party"]),
        "shuffle": lambda n: _shuffle(t, n, a["len"]),
        "input": lambda n: deal_input(t, n, a["party"]),
    }
    if is_product(name) or name == "trunc":
        rules[name] = lambda n: _round(t, n, a["m"], bool(a["mode"]))
    if name not in rules:
        raise ValueError(f"shamir has no instruction {name}")
    n = elements(name, a)
    rounds = rules[name](n)
    return t.cost(rounds if n else 0)
