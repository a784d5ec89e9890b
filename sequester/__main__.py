"""Entry point of the command `sequester`: runs the command line, turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback

import click

from .cli import main as cli
from .options import AUTHOR, CONFIG, REFUSED

OWN = ("sequester", "compiler", "vm")  # packages of which none can be missing


def main() -> None:
    """Run the command line and exit. One line for whatever goes wrong; a traceback for our faults
    only (or with SEQUESTER_DEBUG set)."""
    sys.exit(_code())


def _code() -> int:
    try:
        result = cli.main(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say("stopped", 130)
    except Exception as e:
        return _explain(e)


def _explain(e: Exception) -> int:
    from sequester.compiler.isa.program import BytecodeError
    from sequester.compiler.lang.errors import ProgramError
    from sequester.vm.errors import SequesterError

    if os.environ.get("SEQUESTER_DEBUG"):
        traceback.print_exc()
    if isinstance(e, SequesterError):
        return _say(str(e), e.exit_code)
    if isinstance(e, ProgramError):
        return _say(str(e), AUTHOR)
    if isinstance(e, BytecodeError):
        return _say(str(e), REFUSED)
    if isinstance(e, OSError):
        return _say(str(e), CONFIG)
    if isinstance(e, ModuleNotFoundError) and (e.name or "").split(".")[0] not in OWN:
        return _say(
            f"the package {e.name} is missing; scripts/setup.sh installs all into .venv, "
            "`. .venv/bin/activate` chooses it",
            CONFIG,
        )
    traceback.print_exc()
    return _say("this is a fault of Sequester itself; please report it with the lines above", 1)


def _say(message: str, code: int) -> int:
    click.echo(f"sequester: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
