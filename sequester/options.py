"""What several commands share: the options of compiling, and the exit codes of mistakes."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

# exit codes: the author's program; bytecode; configuration, certificates or inputs
AUTHOR, REFUSED, CONFIG = 3, 4, 5
OPEN = {"ignore_unknown_options": True}

INPUT = click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="PARTY:NAME=FILE",
    help="An input: .npy, .npz (array K becomes NAME.K), IDX (.gz too), .csv, or a folder with "
    "NAME-images* and NAME-labels* (NAME.x and NAME.y). IDX pictures become floats in [0, 1].",
)


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """PROGRAM (.py or .sqb), what follows it, and the options of compiling, gathered in `flags`."""

    @click.argument("program", required=False, type=click.Path(path_type=Path))
    @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF PROGRAM]")
    @INPUT
    @click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="PARTY:NAME=A,B,C",
        help="Shape of an input whose file is elsewhere.",
    )
    @click.option(
        "--ring",
        type=click.Choice(["64", "128", "field"]),
        help="Compute mod 2^64, 2^128, or 2^127 - 1 [default: 64, or what the protocol needs].",
    )
    @click.option("-f", "f", type=int, help="Fractional bits (16; ring 128: 32).")
    @click.option("-k", "k", type=int, help="Bits of a number (31; ring 128: 63).")
    @click.option(
        "--rounding",
        type=click.Choice(["probabilistic", "nearest"]),
        default="probabilistic",
        show_default=True,
        help="Of products.",
    )
    @click.option("--without", multiple=True, metavar="PASS", help="Leave an optional pass out.")
    @click.option("--checked", is_flag=True, help="In emulate: check ranges, name the line.")
    @click.option("-h", "--help", "wants_help", is_flag=True, help="Show this message and exit.")
    @functools.wraps(command)
    def wrapper(program: Path | None, wants_help: bool, **given: Any) -> Any:
        from . import source

        if wants_help or (program is None and given.get("resumed") is None):
            _help(program, wants_help)
        names = [field.name for field in dataclasses.fields(source.Flags)]
        flags = source.Flags(**{name: given.pop(name) for name in names})
        return command(program=program, flags=flags, **given)

    return wrapper  # fmt: skip


def _help(program: Path | None, wanted: bool) -> None:
    """The command's help, with the options of the program when one is named; ends the command."""
    from . import source

    context = click.get_current_context()
    click.echo(context.get_help())
    if program is not None and program.suffix == ".py":
        click.echo(f"\nOptions of {program}:")
        for option in source.load(program).options:
            click.echo(f"  {source.describe(option)}")
    context.exit(0 if wanted else 2)


def meant_here(words: Sequence[str], *missing: str) -> None:
    """Raise UsageError if an option for the program looks like one that this command lacks."""
    for word in words:
        for name in difflib.get_close_matches(word.partition("=")[0], missing, 1):
            raise click.UsageError(f"no option {word}; do you mean {name}?")
