"""Mistakes of a program's author, told with the line of their program."""

from __future__ import annotations

from ..ir.graph import Loc


class ProgramError(Exception):
    """What was found in the author's program, where, and what to write instead.

    Attributes:
        message: what was found.
        loc: the author's line, if known.
        hint: what to write instead; may be empty.
    """

    def __init__(self, message: str, loc: Loc | None = None, hint: str = "") -> None:
        self.message = message
        self.loc = loc
        self.hint = hint
        where = f"{loc}: " if loc is not None else ""
        super().__init__(where + message + (f"\n  hint: {hint}" if hint else ""))


class UnknownName(ProgramError, AttributeError):
    """A name that a tensor, a module or a package does not have."""
