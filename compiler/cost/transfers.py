"""What `semi2k` sends for bits: oblivious transfers of two parties, and what they carry.

The counterpart of `runtime_c/protocols/semi2k_adder.c`, `semi2k_bits.c`, `semi2k_mul.c`,
`semi2k_round.c`, `semi2k_select.c` and `semi2k_shuffle.c`. In each half of a task's blocks one
party is the sender: party 0 in the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import Setting
from .additions import levels_of, sizes_of
from .masked import Traffic
from .rep3 import blocks

DEPTH = 7  # SEMI2K_DEPTH
TREES = -(-128 // DEPTH)  # bits that a choice costs
BLOCK = 512  # SEMI2K_BLOCK
_BLOCK = 8  # bytes of 64 bits
_RUN = 8  # gates of a group, at most


@dataclass(frozen=True)
class _Addition:
    """Planes of choices, messages and forms in a half; groups, and gates by level, in all."""

    choices: int
    messages: int
    forms: int
    groups: int
    gates: tuple[int, ...]


def _tree(nodes: int, every: bool, zero: bool) -> tuple[list[int], list[int]]:
    """Groups and gates of each level. Gates of a group have an operand in common.

    Those are the two of a node, or, up to _RUN together, those of all nodes that need one only.
    """
    groups, gates = [0] * levels_of(nodes), [0] * levels_of(nodes)
    for level in range(len(gates)):
        single = 0
        for j in range(nodes):
            last = (j + 1) % (2 << level) == 0 or j + 1 == nodes
            if not j >> level & 1 or not (every or last):
                continue
            if zero or j >= 2 << level:
                groups[level] += 1
                gates[level] += 1 if zero else 2
            else:
                single += 1
        groups[level] += -(-single // _RUN)
        gates[level] += single
    return groups, gates


def _addition(kind: str, bits: int) -> _Addition:
    total, zero = kind == "a2b", kind == "eqz"
    added = bits - (kind == "ltz")
    sizes = sizes_of(added)
    if not sizes:
        return _Addition(0, 1, 1, 0, ())
    messages = forms = 0
    for j, size in enumerate(sizes):
        ends = total and j + 1 == len(sizes)
        count = 0 if ends else 1 if zero or not j else 2
        count += (size - 1) * (2 if j else 1) if total else 0
        messages += (count << size) + total
        forms += count + total
    groups, gates = _tree(len(sizes) - total, total, zero)
    last = [size - 1 for size in sizes[1:] if size > 1] if total else []
    if last:
        groups, gates = [*groups, len(last)], [*gates, sum(last)]
    return _Addition(added, messages, forms, sum(groups), tuple(gates))


def _sum(kind: str, bits: int, parties: int) -> Iterator[int]:
    """Planes of each `and` that adds the summands of more than two parties (semi2k_many.c)."""
    zero, low = kind == "eqz", bits - 1
    if low:
        yield from [low] * (parties - 1)
        if not zero:
            yield low
    nodes = bits if zero else low
    for level in range(levels_of(nodes)):
        pairs = 0
        for j in range(nodes):
            last = (j + 1) % (2 << level) == 0 or j + 1 == nodes
            if j >> level & 1 and (kind == "a2b" or last):
                pairs += 2 if not zero and j >= 2 << level else 1
        yield pairs


def network(n: int) -> tuple[int, tuple[int, ...]]:
    """Rows, with those that fill up blocks, and depths of the trees of each layer of a shuffle."""
    bits = (n - 1).bit_length()
    if n <= BLOCK:
        return n, (max(bits, 1),)
    wide = 1 << (bits + 1) // 2
    high = -(-n // wide)
    depths = ((bits + 1) // 2, max((high - 1).bit_length(), 1))
    return wide * high, (*depths, depths[0])


class Transfers(Traffic):
    """Traffic of `semi2k`."""

    def __init__(self, setting: Setting, n: int):
        super().__init__(setting, n, False)

    def _halves(self) -> Iterator[tuple[int, int, list[int], list[int]]]:
        """(how many, blocks, blocks and elements that each party sends) of tasks."""
        for times, elements, words in self._tasks():
            half = (words + 1) // 2
            first = min(elements, 64 * half)
            yield times, words, [half, words - half], [first, elements - first]

    def _exchange(self, times: int, sizes: list[int]) -> None:
        for i in range(2):
            self.sent[i][1 - i] += times * sizes[i]

    def _add(self, addition: _Addition, prepared: bool = False) -> None:
        """prepared: rounds of its preparation are those of something else."""
        gates = sum(addition.gates)
        for times, words, sends, _ in self._halves():
            takes = [sends[1], sends[0]]
            with self.prepares():
                choices = [addition.choices * t + addition.groups * words for t in takes]
                self._exchange(times, [_BLOCK * (TREES * c + gates * words) for c in choices])
            planes = [addition.messages * sends[i] + addition.forms * takes[i] for i in range(2)]
            self._exchange(times, [_BLOCK * (p + gates * words) for p in planes])
        with self.prepares():
            self.rounds += 0 if prepared else 2
        self.rounds += 2 + len(addition.gates)

    def _all(self, size: int) -> None:
        """From each party to each."""
        for i in range(self.online):
            self.broadcast(i, size)

    def add(self, kind: str, bits: int) -> None:
        """ltz, eqz, a2b."""
        if self.online == 2:
            self._add(_addition(kind, bits))
            return
        for planes in _sum(kind, bits, self.online):
            self.both(planes)
            self.open(0, planes)

    def round(self, m: int, nearest: bool) -> None:
        """By m bits: parts of the result; of more than two parties all of it."""
        if self.online > 2:
            bits = 8 * self.word
            self.add("a2b", bits)
            self.numbers(bits - m)
            self.open(self.word, bits - m)
            return
        bits = 2 if nearest else 1
        unit = -(-m // 8) + (self.word if nearest else 0)
        for times, words, sends, elements in self._halves():
            with self.prepares():
                choices = [_BLOCK * TREES * bits * takes for takes in reversed(sends)]
                self._exchange(times, [choices[i] + unit * elements[i] for i in range(2)])
            self._exchange(times, [_BLOCK * words] * 2)
        with self.prepares():
            self.rounds += 2
        if nearest:
            self._add(_addition("carry", m), True)
        else:
            self.rounds += 1

    def select(self, kept: bool) -> None:
        """Parts of masks' products, and (not `kept`) of the bits' masks."""
        if self.online > 2:
            self._turns(1, 1 if kept else 2)
            return
        with self.prepares():
            for times, words, _, elements in self._halves():
                every = _BLOCK * TREES * words + self.word * sum(elements)
                self._exchange(times, [every + (0 if kept else self.word * e) for e in elements])
            self.rounds += 2

    def numbers(self, planes: int) -> None:
        """Parts of the masks of `planes` bits an element, as numbers."""
        if self.online > 2:
            self._turns(planes, 1)
            return
        with self.prepares():
            for times, _, sends, elements in self._halves():
                choices = [_BLOCK * TREES * words for words in reversed(sends)]
                sizes = [planes * (choices[i] + self.word * elements[i]) for i in range(2)]
                self._exchange(times, sizes)
            self.rounds += 2

    def multiply(self) -> None:
        """Parts of the products of masks of words, bit by bit."""
        bits = 8 * self.word
        answers = sum(-(-(bits - k) // 8) for k in range(bits))
        size = _BLOCK * TREES * bits * blocks(self.n) + answers * self.n
        with self.prepares():
            self._all(size)
            self.rounds += 2

    def shuffle(self, columns: int) -> None:
        """Each party orders the rows, layer after layer, and tells the result."""
        rows, depths = network(self.n)
        size = self.n * columns * self.word
        choices = _BLOCK * TREES * blocks(rows) * sum(depths)
        messages = sum(rows * (4 * self.word * depth + columns * self.word) for depth in depths)
        with self.prepares():
            self._all(choices + messages)
            self.rounds += 1 + self.online * len(depths)
        self._all(size)
        self.rounds += self.online

    def _turns(self, planes: int, words: int) -> None:
        """Each party multiplies its bits by words of all others, one after another."""
        with self.prepares():
            self._all(planes * (_BLOCK * TREES * blocks(self.n) + words * self.word * self.n))
            self.rounds += 1 + self.online

    def both(self, planes: int) -> None:
        """Parts of products of masks of bits."""
        with self.prepares():
            self._all(_BLOCK * (TREES + 1) * planes * blocks(self.n))
            self.rounds += 2
