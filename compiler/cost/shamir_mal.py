"""Costs of `shamir-mal`, Shamir's secret sharing with verified multiplications:
docs/protocols/shamir-mal.md counts the same.

An instruction costs the same at every execution. The checks are apart (`Verification`): they are of
all multiplications since the last one, and come before openings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import Cost, Setting, is_product, result_size
from .shamir import (
    BLOCK,
    NUMBER,
    Traffic,
    adder,
    adder_levels,
    deal_input,
    elements,
    log2_up,
    shuffle_hops,
    shuffle_width,
    tree_sizes,
)

PARTIES = 3
VERIFIED = True
RING = "field"
LIMIT = 1 << 21  # bits of elements of which multiplications may wait to be verified
SHUFFLE_CHUNK = 1 << 22  # elements of a task, where a column has fewer
EXTENSION = 8  # bytes of an element of the field in which gates are checked


class _Traffic(Traffic):
    """Bytes between parties, and the lengths of the inner products that are to be verified."""

    def __init__(self, parties: int):
        super().__init__(parties)
        self.sets = len(self.all_sets())
        self.wraps = self.sets.bit_length()
        self.length = {NUMBER: 0, BLOCK: 0}

    def multiply(self, n: int, size: int) -> None:
        super().multiply(n, size)
        if size in self.length:
            self.length[size] += self.times * n

    def share_again(self, n: int) -> None:
        """A multiplication that is verified as a whole: matrix products."""
        super().multiply(n, NUMBER)

    def open_core(self, size: int) -> None:
        for i in range(self.core):
            for j in range(self.core):
                self.add(i, j, size)

    def open_checked(self, size: int, to: int | None) -> None:
        for q in range(self.n) if to is None else (to,):
            for i in range(self.core):
                self.add(i, q, size)


def _sum(t: _Traffic, words: int, width: int, low: int, first: int) -> None:
    adder(t, words, t.sets + 1, width, first, False, low)


def _convert(t: _Traffic, count: int, words: int, planes: int) -> None:
    t.open_core(planes * words * BLOCK)
    terms = t.sets
    while terms > 1:
        t.multiply(terms // 2 * planes * count, NUMBER)
        terms -= terms // 2


def _convert_rounds(t: _Traffic) -> int:
    return 2 * log2_up(t.sets)


def _round(t: _Traffic, n: int, m: int) -> int:
    j = t.wraps
    for task in t.tasks(n):
        t.open_core(task.count * NUMBER)
        _sum(t, task.words, m + 2 * j, j, m + j)
        _convert(t, task.count, task.words, 2 * j)
    return 1 + 2 * adder_levels(t.sets + 1, m + 2 * j, False) + _convert_rounds(t)


def _product(t: _Traffic, name: str, n: int, a: Mapping[str, Any]) -> int:
    kind = name.removesuffix("_add")
    for task in t.tasks(n):
        t.share_again(task.count)
    t.length[NUMBER] += _inner(kind, n, a)
    m = 0 if kind == "select_kept" else a["m"]
    return 2 + (_round(t, n, m) if m else 0)


def _inner(kind: str, n: int, a: Mapping[str, Any]) -> int:
    """The length of the inner product that a product comes to."""
    match kind:
        case "matmul":
            return int(a["K"])
        case "conv2d":
            return int(a["C"] * a["KH"] * a["KW"])
        case "conv2d_dx":
            return int(a["O"] * a["KH"] * a["KW"])
        case "conv2d_dw":
            return int(a["B"] * a["OH"] * a["OW"])
        case _:
            return n


def _compare(t: _Traffic, name: str, n: int, bits: int) -> int:
    j = t.wraps
    for task in t.tasks(n):
        t.open_core(task.count * NUMBER)
        _sum(t, task.words, bits + j, 0, bits + j - 1 if name == "ltz" else j)
        for gates in tree_sizes(bits) if name == "eqz" else ():
            t.multiply(gates * task.words, BLOCK)
    levels = adder_levels(t.sets + 1, bits + j, False)
    return 1 + 2 * levels + (2 * log2_up(bits) if name == "eqz" else 0)


def _bits_to_numbers(t: _Traffic, n: int, planes: int, selects: bool) -> int:
    for task in t.tasks(n):
        _convert(t, task.count, task.words, planes)
        if selects:
            t.multiply(task.count, NUMBER)
    return _convert_rounds(t) + 2 * selects


def _gates(t: _Traffic, n: int, planes: int) -> int:
    for task in t.tasks(n):
        t.multiply(planes * task.words, BLOCK)
    return 2


def _opening(t: _Traffic, n: int, planes: int, to: int | None) -> int:
    for task in t.tasks(n):
        t.open_checked(planes * task.words * BLOCK if planes else task.count * NUMBER, to)
    return 1


def _shuffle(t: _Traffic, rows: int, columns: int) -> int:
    """The hops, with a random column in each task; the rows before and behind each are verified."""
    if not rows:
        return 0
    tasks = -(-columns // shuffle_width(rows, SHUFFLE_CHUNK))
    t.length[NUMBER] += (t.sets + 1) * rows * tasks
    return shuffle_hops(t, rows * (columns + tasks))


def _instruction(name: str, a: Mapping[str, Any], parties: int) -> tuple[_Traffic, int]:
    """What an instruction sends, and its rounds."""
    t = _Traffic(parties)
    rules: dict[str, Callable[[int], int]] = {
        "trunc": lambda n: _round(t, n, a["m"]),
        "ltz": lambda n: _compare(t, name, n, a["bits"]),
        "eqz": lambda n: _compare(t, name, n, a["bits"]),
        "a2b": lambda n: _compare(t, name, n, a["bits"]),
        "b2a": lambda n: _bits_to_numbers(t, n, a["p"], False),
        "select": lambda n: _bits_to_numbers(t, n, 1, True),
        "select_keep": lambda n: _bits_to_numbers(t, n, 1, True),
        "and": lambda n: _gates(t, n, a["p"]),
        "randbit": lambda n: 0,
        "open": lambda n: _opening(t, n, 0, None),
        "openb": lambda n: _opening(t, n, a["p"], None),
        "output": lambda n: _opening(t, n, 0, a["party"]),
        "outputb": lambda n: _opening(t, n, a["p"], a["party"]),
        "shuffle": lambda n: _shuffle(t, n, a["len"]),
        "input": lambda n: deal_input(t, n, a["party"]),
    }
    if is_product(name) or name == "select_kept":
        rules[name] = lambda n: _product(t, name, n, a)
    if name not in rules:
        raise ValueError(f"shamir-mal has no instruction {name}")
    n = elements(name, a)
    rounds = rules[name](n)
    return t, rounds if n else 0


def _due(name: str, a: Mapping[str, Any], sets: int) -> int:
    """Bits of elements, as `smal_account` of runtime_c/protocols/shamir_mal.c counts them."""
    if is_product(name):
        return result_size(name, a) * (1 + int(a["m"]))
    each = {"trunc": "m", "ltz": "bits", "eqz": "bits", "a2b": "bits", "b2a": "p", "and": "p"}
    if name in each:
        return int(a["n"]) * (int(a[each[name]]) + (name == "trunc"))
    if name == "shuffle":
        return int(a["n"]) * int(a["len"]) * (sets + 1)
    return int(a["n"]) if name.startswith("select") else 0


def cost(name: str, args: Mapping[str, Any], setting: Setting) -> Cost:
    """The cost of one execution of the interactive instruction `name`, but for checks.

    Raises ValueError if the protocol does not offer the instruction.
    """
    t, rounds = _instruction(name, args, setting.parties)
    return t.cost(rounds)


class Verification:
    """The checks of a run: what waits for one, and what each one costs."""

    def __init__(self, setting: Setting):
        self.parties = setting.parties
        self.numbers = self.blocks = self.due = 0

    def statements(self, name: str, args: Mapping[str, Any]) -> tuple[int, ...]:
        """What one execution adds, for `step`."""
        t = _instruction(name, args, self.parties)[0]
        return t.length[NUMBER], t.length[BLOCK], _due(name, args, t.sets)

    def step(self, opening: bool, added: tuple[int, ...]) -> Cost | None:
        """An instruction begins: what is verified first, if anything."""
        waits = self.numbers or self.blocks
        check = self._check() if (waits if opening else self.due > LIMIT) else None
        self.numbers += added[0]
        self.blocks += added[1]
        self.due += added[2]
        return check

    def _check(self) -> Cost:
        t = _Traffic(self.parties)
        lengths = ((self.numbers, NUMBER), (64 * self.blocks, EXTENSION))
        sides = [(log2_up(n) + 1, size) for n, size in lengths if n]
        self.numbers = self.blocks = self.due = 0
        levels = max(count for count, _ in sides)
        for level in range(levels):
            for count, size in sides:
                if level < count:
                    t.multiply(2, size)
        t.open_core((levels + 1) * (8 + 2 * EXTENSION) + 3 * sum(size for _, size in sides))
        return t.cost(3 + 4 * levels)
