"""The additions on bits of replicated protocols: what they deal, return and combine.

A and B are cut into blocks of four bits; the monomials of a block's bits are dealt, what the block
generates and propagates ("forms") is made replicated, and a prefix tree of AND gates combines the
blocks (`rep3_plan_make` of runtime_c/protocols/rep3_adder.c).
"""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 4  # bits of an addition whose monomials are dealt together


@dataclass(frozen=True)
class Addition:
    """What an addition of bits costs: planes dealt, planes returned, AND gates of each round."""

    monomials: int
    forms: int
    by_level: tuple[int, ...]

    @property
    def gates(self) -> int:
        return sum(self.by_level)

    @property
    def levels(self) -> int:
        return len(self.by_level)

    @property
    def rounds(self) -> int:
        return 2 + self.levels


def levels_of(nodes: int) -> int:
    return max(nodes - 1, 0).bit_length()


def tree_gates(nodes: int, everycarry: bool) -> tuple[int, ...]:
    """Gates of the prefix tree over g and p; only those below the last carry unless everycarry."""
    gates = [0] * levels_of(nodes)
    for level in range(len(gates)):
        for j in range(nodes):
            last = (j + 1) % (2 << level) == 0 or j + 1 == nodes
            if j >> level & 1 and (everycarry or last):
                gates[level] += 2 if j >= 2 << level else 1
    return tuple(gates)


def sizes_of(bits: int) -> list[int]:
    """Bits in each block."""
    return [min(BLOCK, bits - lo) for lo in range(0, bits, BLOCK)]


def carry(bits: int) -> Addition:
    """The carry out of an addition of `bits` bits."""
    sizes = sizes_of(bits)
    nb = len(sizes)
    dealt = sum(2**s - 1 for s in sizes)
    return Addition(dealt, max(2 * nb - 1, 1), tree_gates(nb, False))


def sign(bits: int) -> Addition:
    """Bit `bits` - 1 of a sum; the top bit is dealt where no gate can take it along."""
    below = carry(bits - 1)
    top = 1 if len(sizes_of(bits - 1)) <= 1 else 0
    return Addition(below.monomials + top, below.forms, below.by_level)


def zero(bits: int) -> Addition:
    """Whether all propagates of `bits` bits are one."""
    sizes = sizes_of(bits)
    nb = len(sizes)
    gates = []
    for level in range(levels_of(nb)):
        nodes = -(-nb >> level)
        gates.append(nodes // 2)
    return Addition(sum(2**s - 1 for s in sizes), nb, tuple(gates))


def total(bits: int) -> Addition:
    """All bits of a sum."""
    sizes = sizes_of(bits)
    nodes = len(sizes) - 1
    last = sum(s - 1 for s in sizes[1:])  # bits that take in the carry into their block by a gate
    forms = bits + last + max(2 * nodes - 1, 0)
    gates = tree_gates(nodes, True) + ((last,) if last else ())
    return Addition(sum(2**s - 1 for s in sizes), forms, gates)
