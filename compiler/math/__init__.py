"""Functions of secret values, written in the language: importing this registers all lowerings.

Every function states its domain and its rounds; `docs/math.md` has the bounds of errors, which
`scripts/math_errors.py` sets and the tests hold, and what was measured.
"""

from . import (
    compare,
    exponential,
    gaussian,
    logarithm,
    quotient,
    roots,
    sorting,
    statistics,
    trigonometry,
)

__all__ = [
    "compare",
    "exponential",
    "gaussian",
    "logarithm",
    "quotient",
    "roots",
    "sorting",
    "statistics",
    "trigonometry",
]
