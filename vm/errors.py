"""What can go wrong when a program is run, and the exit code of each kind.

Three owners: the author of a program (`AuthorError`, `RefusedError`), another party or the network
(`PeerError`, `CheatError`), whoever started the run (`ConfigError`, `Stopped`); the rest is ours.
Each class also derives from the nearest built-in exception.
"""

from __future__ import annotations


class SequesterError(Exception):
    """Base of everything the runtime raises. `exit_code` is what the command line ends with."""

    exit_code = 1


class AuthorError(SequesterError, ArithmeticError):
    """The program did at run time what it may not: range, index, division by zero."""

    exit_code = 3


class RefusedError(SequesterError, ValueError):
    """Bytecode refused: corrupted, hostile, not the pinned one, or not runnable here."""

    exit_code = 4


class ConfigError(SequesterError, ValueError):
    """Configuration, certificates or inputs; the message names the key or the file."""

    exit_code = 5


class PeerError(SequesterError, ConnectionError):
    """Another party or the network: closed, silent, babbling, disagreeing. `party` is its index."""

    exit_code = 6

    def __init__(self, message: str, party: int | None = None) -> None:
        super().__init__(message)
        self.party = party


class CheatError(PeerError):
    """A check of a malicious protocol failed: nothing was opened."""

    exit_code = 7


class OutOfMemory(SequesterError, MemoryError):
    """An allocation failed."""

    exit_code = 8


class InternalError(SequesterError, RuntimeError):
    """A broken invariant: a fault of Sequester, not of the program or a party."""

    exit_code = 1


class Stopped(SequesterError):
    """The run was interrupted from outside."""

    exit_code = 130
