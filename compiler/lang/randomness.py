"""Random numbers beyond `uniform` and `permutation`: integers, normal numbers, secret ones."""

from __future__ import annotations

from ..ir.types import arith as arith_type
from ..ir.types import bits
from . import arith, convert
from .builder import current
from .functions import random_bits, uniform
from .tensor import Operators, Tensor, emit, wrap

_TERMS = 12  # uniform numbers in a normal one: of variance 1/12 each
_TERM_BITS = 8  # of each when they are secret
_ORDERS = 1 << 52  # names of orders, exact in float64
_SPARE_BITS = 20  # by which secret integers are closer to uniform


def randint(low: int, high: int, shape: tuple[int, ...]) -> Tensor:
    """Public uniform integers in [low, high), the same at all parties: clear.

    Raises:
        ProgramError: an empty range.
    """
    b = current()
    if not low < high:
        raise b.error(f"uniform integers in the empty range [{low}, {high})")
    t = arith_type(False, tuple(shape), 0)
    return emit("uniform", lo=low, hi=high, stream=b.stream(), type=t)


def normal(shape: tuple[int, ...]) -> Tensor:
    """Public numbers of mean 0 and variance 1, the same at all parties: clear.

    The sum of 12 uniform numbers in [-1/2, 1/2), a normal distribution but for its tails, which end
    at 6.
    """
    return uniform(-0.5, 0.5, (_TERMS, *shape)).sum(0)


def secret_uniform(shape: tuple[int, ...]) -> Tensor:
    """Secret uniform numbers in [0, 1) with f bits, which nobody knows. Rounds: one b2a."""
    f = current().config.f
    return _fraction(_integer(shape, f), f)


def secret_normal(shape: tuple[int, ...]) -> Tensor:
    """Secret numbers of mean 0 and variance 1, which nobody knows: as `normal`, with terms of 8
    bits, so in steps of 2^-8. Costs 96 random bits a number. Rounds: one b2a."""
    total = _integer((_TERMS, *shape), _TERM_BITS).sum(0)
    middle = _TERMS * ((1 << _TERM_BITS) - 1) / 2
    f = current().config.f
    fine = emit("scale", total, imm=1 << f, f=f)
    return arith.scaled(fine - middle, 2.0**-_TERM_BITS)


def secret_randint(n: int, shape: tuple[int, ...]) -> list[Tensor]:
    """Secret integers in [0, n), which nobody knows, as bits: the lowest first.

    floor(u n / 2^m) for a uniform u of m = log2(n) + 20 bits: uniform but for 2^-20. A power of two
    takes random bits as they are. Rounds: none, or a b2a and an a2b.
    """
    count = max(1, (n - 1).bit_length())
    if n & (n - 1) == 0:
        return [random_bits(*shape) for _ in range(n.bit_length() - 1)]
    u = _integer(shape, count + _SPARE_BITS)
    scaled = emit("scale", u, imm=n, f=0)
    planes = emit("a2b", scaled, bits=2 * count + _SPARE_BITS)
    low = count + _SPARE_BITS
    return [emit("planes", planes, lo=low + i, hi=low + i + 1) for i in range(count)]


def _integer(shape: tuple[int, ...], count: int) -> Tensor:
    return convert.compose(emit("randbit", type=bits(tuple(shape), count)))


def _fraction(x: Tensor, f: int) -> Tensor:
    """Integers below 2^f as numbers below 1: the same ring elements."""
    return wrap(current().emit("scale", [x.node], imm=1, f=f), 0, f)


def shuffle(*tensors: Operators) -> tuple[Tensor, ...]:
    """The rows of secret tensors in an order that nobody knows, the same for all of them.

    The order is named by a public random number: among q shuffles two have the same order with a
    probability of q^2 / 2^53, which matters only where the results of both are opened.

    Bytes a party under rep3: two words an element. Rounds: 3, for all tensors together.

    Raises:
        ProgramError: tensors that are clear or bits, or have different numbers of rows.
    """
    b = current()
    found = [t.read() for t in tensors]
    rows = {t.shape[0] if t.shape else None for t in found}
    if len(rows) != 1 or None in rows:
        raise b.error(f"{len(found)} tensors of shapes {', '.join(str(t.shape) for t in found)} to "
                      "be shuffled together", "they need the same number of rows")  # fmt: skip
    if any(not t.secret or t.type.bit for t in found):
        raise b.error("a shuffle of clear numbers or of bits",
                      "permutation(n) is a public order; bits convert: x.to(sint)")  # fmt: skip
    order = randint(0, _ORDERS, ())
    return tuple(emit("shuffle", t, order) for t in found)
