"""Authenticated bits from oblivious transfer, for spdz2k without a dealer: all parties here, each
with its own keys; what cheaters do to the rows, and what the checks say."""

from __future__ import annotations

import ctypes as ct
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from ..vm.kernels import RUNTIME, Array, pointer
from ..vm.transfers import P, Pair, bits_of, build, key


class Sum(ct.Structure):
    _fields_ = [("value", ct.c_uint64), ("mac", ct.c_uint64)]


@pytest.fixture(scope="session")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Any:
    room = RUNTIME / "protocols"
    lib = build(tmp_path_factory.mktemp("auth"), room / "spdz2k_auth.c", room / "dzk_gf.c")
    word, size = ct.c_uint64, ct.c_size_t
    lib.spdz2k_auth_own.argtypes = [P, word, P, size]
    lib.spdz2k_auth_add.argtypes = [P, P, P, size, P]
    lib.spdz2k_auth_weigh.argtypes = [P, P, P, word, P, P, size, P]
    lib.spdz2k_auth_mask.argtypes = [P, P, P, P]
    lib.spdz2k_auth_sigma.argtypes = [P, word, word]
    lib.spdz2k_auth_sigma.restype = word
    return lib


def random(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


class Parties:
    """Bits of all parties, `words` words and one more that hides them, and their MACs.

    lies: (i, j) -> what is added to party i's choices towards j. wrong: (i, j, tree) -> what is
    added to its message of one tree.
    """

    def __init__(
        self,
        lib: Any,
        n: int,
        words: int,
        lies: dict[tuple[int, int], Array] | None = None,
        wrong: dict[tuple[int, int, int], Array] | None = None,
    ):
        self.lib, self.n, self.words = lib, n, words
        self.ops = lib.bits_select()
        self.delta = [random(2, 100 + i) for i in range(n)]
        self.bits = [random(words + 1, 200 + i) for i in range(n)]
        scratch = np.zeros(64 * (words + 1), np.uint64)
        self.mac = [np.zeros(64 * (words + 1), np.uint64) for _ in range(n)]
        for i in range(n):
            mine, mac = pointer(self.bits[i]), pointer(self.mac[i])
            lib.spdz2k_auth_own(mac, int(self.delta[i][0]), mine, words + 1)
        for i, j in permutations(range(n), 2):  # i chooses
            pair = Pair(lib, 7, 10 * i + j, (self.delta[j], self.delta[i])).set_up()
            choice = self.bits[i] ^ (lies or {}).get((i, j), np.uint64(0))
            send, receive = pair.stream(0, True), pair.stream(1, False)
            message, size = pair.message(1, words + 1), 128 * (words + 1)
            v, q = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
            lib.ot_receive_rows(
                ct.byref(receive), 0, 0, pointer(choice), words + 1, pointer(message), pointer(v)
            )
            for (a, b, tree), added in (wrong or {}).items():
                if (a, b) == (i, j):
                    message.reshape(-1, words + 1)[tree] ^= added
            lib.ot_send_rows(ct.byref(send), 0, 0, pointer(message), words + 1, pointer(q))
            for party, row in ((i, v), (j, q)):
                mac = pointer(self.mac[party])
                lib.spdz2k_auth_add(self.ops, mac, pointer(row), words + 1, pointer(scratch))
            pair.free()

    def sums(self, seed: int) -> list[Sum]:
        weights, out = key(self.lib, seed), [Sum() for _ in range(self.n)]
        scratch = np.zeros(64 * self.words, np.uint64)
        for x, bits, mac in zip(out, self.bits, self.mac, strict=True):
            planes = mac.reshape(64, -1)
            first, last = planes[:, :-1].copy(), planes[:, -1].copy()
            self.lib.spdz2k_auth_weigh(
                self.ops,
                ct.byref(x),
                ct.byref(weights),
                7,
                pointer(bits),
                pointer(first),
                self.words,
                pointer(scratch),
            )
            hides = bits[-1:].copy()
            self.lib.spdz2k_auth_mask(self.ops, ct.byref(x), pointer(hides), pointer(last))
        return out

    def fits(self, seed: int = 1) -> bool:
        sums = self.sums(seed)
        opened = int(np.bitwise_xor.reduce([np.uint64(x.value) for x in sums]))
        sigma = (
            self.lib.spdz2k_auth_sigma(ct.byref(x), int(d[0]), opened)
            for x, d in zip(sums, self.delta, strict=True)
        )
        return int(np.bitwise_xor.reduce([np.uint64(s) for s in sigma])) == 0


@pytest.mark.parametrize("n", [2, 3, 4])
def test_sums_are_macs(lib: Any, n: int) -> None:
    words = 5
    all_ = Parties(lib, n, words)
    delta = np.bitwise_xor.reduce([d[0] for d in all_.delta])
    bits = np.bitwise_xor.reduce(all_.bits)
    mac = np.bitwise_xor.reduce(all_.mac).reshape(64, -1)
    for k in range(64):
        assert (mac[k] == (bits if int(delta) >> k & 1 else 0)).all()
    assert all_.fits(1) and all_.fits(2)


def test_what_is_told_is_hidden(lib: Any) -> None:
    """A party's value is the weighted sum of its bits, less a word that serves nothing else."""
    all_, weights = Parties(lib, 2, 3), key(lib, 1)
    weight = np.zeros(64 * 3, np.uint64)
    lib.prg_words(ct.byref(weights), 0, 7, pointer(weight), len(weight))
    for x, bits in zip(all_.sums(1), all_.bits, strict=True):
        chosen = weight[bits_of(bits[:-1]).astype(bool)]
        assert x.value == int(np.bitwise_xor.reduce(chosen) ^ bits[-1])


@pytest.mark.parametrize("at", [0, 63, 3 * 64 + 5])
def test_other_bits_to_another_party(lib: Any, at: int) -> None:
    """Of the last word too, which has no random weights."""
    lie = np.zeros(4, np.uint64)
    lie[at // 64] = np.uint64(1 << at % 64)
    assert not Parties(lib, 3, 3, lies={(1, 2): lie}).fits()
    # To all alike: then it has those bits, and knows it.
    cheat = Parties(lib, 3, 3, lies={(1, 0): lie, (1, 2): lie})
    assert not cheat.fits()
    cheat = Parties(lib, 3, 3, lies={(1, 0): lie, (1, 2): lie})
    cheat.bits[1] ^= lie
    for k in range(64):
        if int(cheat.delta[1][0]) >> k & 1:
            cheat.mac[1].reshape(64, -1)[k] ^= lie
    assert cheat.fits()


@pytest.mark.parametrize("tree", [0, 5, 8])
def test_other_bits_in_one_tree(lib: Any, tree: int) -> None:
    """Of those that give Delta's low half; where Delta has no bits there it is no error."""
    wrong = np.zeros(4, np.uint64)
    wrong[1] = 1 << 9
    all_ = Parties(lib, 2, 3, wrong={(0, 1, tree): wrong})
    depth = [128 // 19 + (t < 128 % 19) for t in range(19)]
    first = sum(depth[:tree])
    assert int(all_.delta[1][0]) >> first & ((1 << depth[tree]) - 1)
    assert not all_.fits()


@pytest.mark.parametrize("what", ["value", "mac"])
def test_errors_of_what_is_opened(lib: Any, what: str) -> None:
    all_ = Parties(lib, 2, 3)
    sums = all_.sums(1)
    setattr(sums[0], what, getattr(sums[0], what) ^ 1 << 20)
    opened = sums[0].value ^ sums[1].value
    sigma = [
        lib.spdz2k_auth_sigma(ct.byref(x), int(d[0]), opened)
        for x, d in zip(sums, all_.delta, strict=True)
    ]
    assert sigma[0] != sigma[1]
