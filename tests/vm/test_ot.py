"""Oblivious transfer: every transfer right for all choices, on every instruction-set path; what is
sent and what a pad hides looks uniform; hostile points are refused."""

from __future__ import annotations

import ctypes as ct
import hashlib
import struct
from typing import Any

import numpy as np
import pytest

from .kernels import LEVELS, Array, pointer
from .transfers import Check, Pair, bits_of, build, key

DEPTHS = (1, 2, 4, 5, 7, 8)
WORDS = (1, 2, 63, 64, 65, 130)
POINT = 33


@pytest.fixture(scope="session")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return build(tmp_path_factory.mktemp("ot"))


def random(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, 2**64, n, dtype=np.uint64)


@pytest.mark.parametrize("depth", DEPTHS)
def test_rows(lib: Any, depth: int) -> None:
    """V = Q + c Delta, both ways, at sizes around the borders of pieces."""
    pair = Pair(lib, depth).set_up()
    for sender in range(2):
        send, receive = pair.stream(sender, True), pair.stream(1 - sender, False)
        delta = np.array(send.seeds.contents.delta, np.uint64)
        assert send.seeds.contents.trees == -(-128 // depth)
        assert sum(send.seeds.contents.depth[: send.seeds.contents.trees]) == 128
        for words in WORDS:
            for first in (0, 5):
                choice, message = random(words, words), pair.message(1 - sender, words)
                v, q = (np.full(128 * words + 1, 7, np.uint64) for _ in range(2))
                s, r = ct.byref(send), ct.byref(receive)
                lib.ot_receive_rows(
                    r, 4, first, pointer(choice), words, pointer(message), pointer(v)
                )
                lib.ot_send_rows(s, 4, first, pointer(message), words, pointer(q))
                assert v[-1] == q[-1] == 7
                c = bits_of(choice).astype(np.uint64)[:, None]
                got = (v[:-1] ^ q[:-1]).reshape(-1, 2)
                assert (got == c * delta).all()
    pair.free()


def transfer(pair: Pair, level: str, words: int, seed: int, purpose: int = 1 << 20) -> Array:
    """Pads of one plane: the receiver's, both of the sender's, and the message."""
    send, receive = (pair.stream(0, True, level), pair.stream(1, False, level))
    choice, message = random(words, seed), pair.message(1, words)
    pads = np.zeros((3, 64 * words, 2), np.uint64)
    r, s = ct.byref(receive), ct.byref(send)
    pair.lib.ot_receive_pads(
        r, purpose, 2, pointer(choice), words, pointer(message), pointer(pads[0])
    )
    pair.lib.ot_send_pads(
        s, purpose, 2, pointer(message), words, pointer(pads[1]), pointer(pads[2])
    )
    c = bits_of(choice)[:, None]
    assert (pads[0] == np.where(c, pads[2], pads[1])).all()
    assert (pads[1] != pads[2]).any(axis=1).all()
    return np.concatenate([pads.reshape(-1), message])


def test_pads(lib: Any) -> None:
    """The pad of the choice; the same whatever kernels compute it."""
    pair = Pair(lib, 4).set_up()
    for words in WORDS:
        want = transfer(pair, "portable", words, 3)
        for level in LEVELS[1:]:
            if lib.bits_by_name(level.encode()):
                assert (transfer(pair, level, words, 3) == want).all()
    assert (transfer(pair, "portable", 9, 3) != transfer(pair, "portable", 9, 3, 5)).any()
    pair.free()


@pytest.mark.parametrize("choices, count", [(4, 8), (4, 2), (4, 1), (3, 2), (2, 3), (1, 1), (1, 2)])
def test_blocks(lib: Any, choices: int, count: int) -> None:
    """1 of 2^choices: every message is chosen, and the receiver has its pad and no other."""
    pair = Pair(lib, 7).set_up()
    send, receive = pair.stream(0, True), pair.stream(1, False)
    for words in WORDS:
        choice = random(choices * words, words)
        message = pair.message(1, words, choices)
        mine = np.zeros(count * words, np.uint64)
        theirs = np.zeros((count << choices) * words, np.uint64)
        lib.ot_receive_block(
            ct.byref(receive), choices, count, 6, 1, pointer(choice), words, words,
            pointer(message), pointer(mine),
        )  # fmt: skip
        lib.ot_send_block(
            ct.byref(send), choices, count, 6, 1, pointer(message), words, pointer(theirs)
        )
        planes = bits_of(choice.reshape(choices, words))
        index = (planes.T @ (1 << np.arange(choices))).astype(int)
        pads = bits_of(theirs.reshape(1 << choices, count, words))
        got = bits_of(mine.reshape(count, words))
        at = np.arange(64 * words)
        assert (got == pads[index, :, at].T).all()
        if words < 63:
            continue
        assert set(index) == set(range(1 << choices))
        for other in range(1, 1 << choices):  # independent of all others: agrees half the time
            agree = (got == pads[index ^ other, :, at].T).mean()
            assert abs(agree - 0.5) < 5 * 0.5 / np.sqrt(got.size)
    pair.free()


def test_uniform(lib: Any) -> None:
    """Messages and pads as bits, whatever the choices: no bias. Two instances differ."""
    pair = Pair(lib, 8).set_up()
    words = 64
    for choice in (np.zeros(words, np.uint64), ~np.zeros(words, np.uint64)):
        seen = []
        for instance in (1, 2):
            receive = pair.stream(1, False, instance=instance)
            message, pad = pair.message(1, words), np.zeros(128 * words, np.uint64)
            lib.ot_receive_pads(
                ct.byref(receive), 0, 0, pointer(choice), words, pointer(message), pointer(pad)
            )
            seen.append(np.concatenate([message, pad]))
        for block in (*seen, seen[0] ^ seen[1]):
            ones = bits_of(block.reshape(-1, 16)).astype(float)
            assert abs(ones.mean() - 0.5) < 5 * 0.5 / np.sqrt(ones.size)
            each = ones.mean(axis=0)
            assert (abs(each - 0.5) < 6 * 0.5 / np.sqrt(len(ones))).all()
    pair.free()


def test_setups_differ(lib: Any) -> None:
    """Of the same keys the same messages, of others others; each direction its own."""
    first, again, other = (Pair(lib, 4, seed).set_up() for seed in (1, 1, 2))
    assert first.sent == again.sent
    for i in range(2):
        assert all(a != b for a, b in zip(first.sent[i][:3], other.sent[i][:3], strict=True))
    assert first.sent[0][0] != first.sent[1][0]
    deltas = {tuple(p.seeds(i, True).contents.delta) for p in (first, other) for i in range(2)}
    assert len(deltas) == 4
    for pair in (first, again, other):
        pair.free()


def hostile(own: bytes) -> dict[str, tuple[bytes, bytes]]:
    """Points that no honest party sends, and what is said."""
    x = bytes(31) + b"\x05"  # 5^3 - 3 * 5 + b is no square
    return {
        "zeros": (bytes(POINT), b"no point"),
        "infinity": (b"\0" + own[1:], b"no point"),
        "off the curve": (b"\x02" + x, b"no point"),
        "past the field": (b"\x02" + b"\xff" * 32, b"no point"),
        "uncompressed": (b"\x04" + own[1:], b"no point"),
    }


def square(x: int) -> bool:
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    return pow(x**3 - 3 * x + b, (p - 1) // 2, p) == 1


@pytest.mark.parametrize("name", hostile(bytes(POINT)))
def test_hostile_points(lib: Any, name: str) -> None:
    pair = Pair(lib, 4)
    points = [pair.meet(i, 0, None)[1] for i in range(2)]
    bad, says = hostile(points[1][:POINT])[name]
    if name == "off the curve":
        while square(int.from_bytes(bad[1:], "big")):
            bad = bad[:-1] + bytes([bad[-1] + 1])
    status, _, error = pair.meet(0, 1, put(points[1], 9, bad))
    assert (status, error.party) == (3, 1) and says in error.message
    status, answer, _ = pair.meet(1, 1, points[0])
    assert status == 0
    for place in (4, 5):  # a transfer's r_0 and r_1
        status, _, error = pair.meet(0, 2, put(answer, place, bad))
        assert (status, error.party) == (3, 1) and says in error.message
    pair.free()


def put(points: bytes, i: int, point: bytes) -> bytes:
    return points[: POINT * i] + point + points[POINT * (i + 1) :]


def hashed(number: int, c: int, r: bytes) -> bytes:
    """H_c(r) of a transfer from party 0, who extends as the receiver, to party 1."""
    for tries in range(256):
        x, sign = (
            hashlib.sha256(
                f"sequester base {name}".encode().ljust(32, b"\0")
                + struct.pack("<III", 1, 0, number)
                + r
                + bytes([c, tries])
            ).digest()
            for name in ("point", "sign")
        )
        if square(int.from_bytes(x, "big")):
            return bytes([2 | sign[0] & 1]) + x
    raise AssertionError("a hash in two is a point")


@pytest.mark.parametrize("c", [0, 1])
def test_points_that_cancel(lib: Any, c: int) -> None:
    """r_c = -H_c(r_(1-c)): the pad of c would be no point's."""
    pair, number = Pair(lib, 4), 3
    points = [pair.meet(i, 0, None)[1] for i in range(2)]
    _, answer, _ = pair.meet(1, 1, points[0])
    at = 2 * number + 1 - c
    point = hashed(number, c, answer[POINT * at : POINT * (at + 1)])
    minus = bytes([point[0] ^ 1]) + point[1:]
    status, _, error = pair.meet(0, 2, put(answer, 2 * number + c, minus))
    assert (status, error.party) == (3, 1) and b"points that cancel" in error.message
    pair.free()


def test_trees_that_are_not_well_formed(lib: Any) -> None:
    """A wrong sum shows iff the other side reads it: who sends it has guessed a bit of Delta, or is
    caught. A wrong digest always shows."""
    digests = 128 * 32
    for place in (*range(0, digests, 197), digests + 5, digests + 8 * 32 + 1, 2 * digests + 1):
        pair = Pair(lib, 4)
        came: Any = (None, None)
        for exchange in range(3):
            came = [pair.meet(i, exchange, came[i])[1] for i in range(2)][::-1]
        wrong = came[0][:place] + bytes([came[0][place] ^ 4]) + came[0][place + 1 :]
        status, _, error = pair.meet(0, 3, wrong)
        delta, (base, side) = pair.seeds(0, True).contents.delta, divmod(place // 16, 2)
        unread = place < digests and side == int(delta[base // 64]) >> base % 64 & 1
        unused = digests + 32 * 32 <= place < 2 * digests  # there are 32 trees
        assert not unused and status == (0 if unread else 7)
        if not unread:
            assert error.party == 1 and b"not well-formed" in error.message
        pair.free()


class Checked:
    """Rows of one direction, and the sums of both sides. wrong: added to what the receiver tells
    of tree `tree`, so that its choices there are others."""

    def __init__(self, lib: Any, depth: int, words: int, wrong: Array | None = None, tree: int = 0):
        self.lib, self.pair = lib, Pair(lib, depth).set_up()
        self.send, self.receive = self.pair.stream(0, True), self.pair.stream(1, False)
        self.weights = key(lib, 123)
        self.choice, self.mask = random(words, 5), random(1, 6)
        self.sums = Check(), Check()  # the sender's, the receiver's
        self.rows: list[Array] = []
        for purpose, choice in enumerate((self.choice, self.mask)):
            n, message = len(choice), self.pair.message(1, len(choice))
            v, q = np.zeros(128 * n, np.uint64), np.zeros(128 * n, np.uint64)
            lib.ot_receive_rows(
                ct.byref(self.receive), purpose, 0, pointer(choice), n, pointer(message), pointer(v)
            )
            if wrong is not None and purpose == 0:
                message.reshape(-1, n)[tree] ^= wrong
            lib.ot_send_rows(ct.byref(self.send), purpose, 0, pointer(message), n, pointer(q))
            self.rows += [v, q]
        for side, own in enumerate((None, self.choice)):
            row, mask_row = self.rows[1 - side], self.rows[3 - side]
            sums = ct.byref(self.sums[side])
            for at in range(0, words, 3):  # in pieces
                n = min(3, words - at)
                part = row[128 * at : 128 * (at + n)].copy()
                chosen = None if own is None else own[at : at + n].copy()
                where = None if chosen is None else pointer(chosen)
                lib.ot_check_add(sums, ct.byref(self.weights), 64 * at, where, pointer(part), n)
            where = None if own is None else pointer(self.mask)
            lib.ot_check_mask(sums, where, pointer(mask_row))

    def fits(self) -> bool:
        sums = map(ct.byref, self.sums)
        return bool(self.lib.ot_check_fits(next(sums), self.send.seeds, next(sums)))

    def weight(self, j: int) -> int:
        out = np.zeros(1, np.uint64)
        self.lib.prg_words(ct.byref(self.weights), 0, j, pointer(out), 1)
        return int(out[0])


@pytest.mark.parametrize("depth", [1, 7])
@pytest.mark.parametrize("words", [1, 5, 64])
def test_check_of_choices(lib: Any, depth: int, words: int) -> None:
    """It passes; what is told are sums of the weights that random choices hide."""
    honest = Checked(lib, depth, words)
    assert honest.fits()
    chosen = np.flatnonzero(bits_of(honest.choice))
    told = int(honest.mask[0])
    for j in chosen:
        told ^= honest.weight(int(j))
    assert told == honest.sums[1].choice
    for field in ("choice", "column"):
        other = Checked(lib, depth, words)
        sums = other.sums[1]
        if field == "choice":
            sums.choice ^= 1 << 9
        else:
            sums.column[77] ^= 1
        assert not other.fits()
        other.pair.free()
    honest.pair.free()


@pytest.mark.parametrize("tree", [0, 1, 63])
def test_another_choice_in_one_tree(lib: Any, tree: int) -> None:
    """It passes for who has guessed both bits of Delta that the tree is for, for nobody else."""
    words, j = 3, 70
    wrong = np.zeros(words, np.uint64)
    wrong[j // 64] = np.uint64(1 << j % 64)
    cheat = Checked(lib, 2, words, wrong, tree)
    delta = cheat.send.seeds.contents.delta
    bits = [int(delta[b // 64]) >> b % 64 & 1 for b in (2 * tree, 2 * tree + 1)]
    honest = list(cheat.sums[1].column)
    passed = []
    for guess in range(4):
        for i in range(2):
            error = cheat.weight(j) * (guess >> i & 1)
            cheat.sums[1].column[2 * tree + i] = honest[2 * tree + i] ^ error
        if cheat.fits():
            passed.append(guess)
    assert passed == [bits[0] | bits[1] << 1]
    cheat.pair.free()
