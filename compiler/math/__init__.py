"""Functions of secret values, written in the language: importing this registers all lowerings.

Every function states its domain, its error and its rounds; `docs/math.md` has the measured errors.
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
