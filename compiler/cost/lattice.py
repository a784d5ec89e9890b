"""Bytes of a product of tensors under lattice encryption: `runtime_c/lattice/product.c` in Python.

A product is a correlation of images by kernels, of matrices one of images of one pixel; several of
each share a polynomial, as many as make requests and replies shortest.
docs/protocols/semi2k.md says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

N = 8192  # coefficients of a polynomial
FRESH = N * 4 * 50 // 8  # bytes of an encryption
SLOPE = N * 74 // 8  # bytes of a result's part that the key multiplies
VALUE = 68  # bits of a result
TERMS = 4096  # polynomials in a sum


class Shape(NamedTuple):
    """Images, kernels, channels; rows and columns of an image with padding; outputs of a pair."""

    p: int
    q: int
    r: int
    h: int
    w: int
    outputs: int


def _parts(n: int, size: int) -> int:
    return -(-n // size)


def _sizes(n: int, largest: int) -> Iterator[int]:
    """The sizes to try: the smallest ones for each number of parts."""
    size = min(n, largest)
    while size:
        yield size
        if size == 1:
            return
        size = min(_parts(n, _parts(n, size) + 1), size - 1)


def _reply(s: Shape, p: int, q: int) -> int:
    def split(n: int, size: int) -> list[tuple[int, int]]:
        """(how many parts, elements in each)"""
        parts = _parts(n, size)
        return [(parts - 1, size), (1, n - (parts - 1) * size)]

    return sum(
        rows * columns * (SLOPE + -(-images * kernels * s.outputs * VALUE // 8))
        for rows, images in split(s.p, p)
        for columns, kernels in split(s.q, q)
    )


@cache
def plan(s: Shape) -> tuple[int, int]:
    """Bytes of a request and of its reply, of the plan of fewest; ValueError if none fits."""
    if s.h * s.w > N:
        raise ValueError(f"semi2k multiplies images of at most {N} elements with their padding")
    room, best = N // (s.h * s.w), (0, 0)
    for p in _sizes(s.p, room):
        for q in _sizes(s.q, room // p):
            inner = _parts(s.r, min(room // (p * q), s.r))
            for outer in (_parts(s.q, q), _parts(s.p, p)):
                both = ((1 + inner * outer) * FRESH, _reply(s, p, q))
                if inner < TERMS and (not best[0] or sum(both) < sum(best)):
                    best = both
    if not best[0]:
        raise ValueError("semi2k does not multiply tensors of so many channels")
    return best


def shape(name: str, args: Mapping[str, Any]) -> Shape | None:
    """What the product `name` (without `_add`) correlates; None if its sums have no terms."""
    a = args
    match name:
        case "matmul":
            s, empty = Shape(a["M"], a["N"], a["K"], 1, 1, 1), not a["K"]
        case "conv2d":
            h, w = (a["OH"] - 1) * a["SH"] + a["KH"], (a["OW"] - 1) * a["SW"] + a["KW"]
            s, empty = Shape(a["B"], a["O"], a["C"], h, w, a["OH"] * a["OW"]), not a["C"]
        case "conv2d_dx":
            h, w = a["H"] + a["KH"] - 1, a["W"] + a["KW"] - 1
            s, empty = Shape(a["B"], a["C"], a["O"], h, w, a["H"] * a["W"]), not a["O"]
        case _:
            h, w = (a["OH"] - 1) * a["SH"] + a["KH"], (a["OW"] - 1) * a["SW"] + a["KW"]
            s, empty = Shape(a["C"], a["O"], a["B"], h, w, a["KH"] * a["KW"]), not a["B"]
    return None if empty else s
