"""Where the rooms meet: a program's file becomes bytecode, a run's folder becomes a report.

Everything here joins what `compiler` and `vm` know; neither of them imports the other.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sequester.compiler.compile import Compiled, Options, compile_graph
from sequester.compiler.cost import ONLINE, PREPARE, WHOLE, cost_module, masking
from sequester.compiler.cost.report import Report
from sequester.compiler.cost.report import report as predict
from sequester.compiler.ir.graph import Config, Graph, Loc
from sequester.compiler.isa import codec, ledger
from sequester.compiler.isa.program import FIELD, BytecodeError
from sequester.compiler.isa.program import Program as BytecodeProgram
from sequester.compiler.lang.errors import ProgramError
from sequester.compiler.lang.program import Option, Program
from sequester.vm import data, report
from sequester.vm.errors import ConfigError

from . import show
from .options import OPEN


@dataclass(frozen=True)
class Flags:
    """The options of compiling: see `sequester compile --help`. `words`: the program's own."""

    words: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    ring: str | None = None
    f: int | None = None
    k: int | None = None
    rounding: str = "probabilistic"
    without: tuple[str, ...] = ()
    checked: bool = False

    def config(self, protocol: str) -> Config:
        """What to compile for, under a protocol."""
        ring = self.ring or cost_module(protocol).RING
        k, f = (63, 32) if ring == "128" else (31, 16)
        k, f = self.k if self.k is not None else k, self.f if self.f is not None else f
        field, wide = ring == "field", ring == "wide"
        bits = 64 if field or wide else int(ring)
        return Config(ring_bits=bits, k=k, f=f, rounding=self.rounding, field=field, wide=wide)


def load(path: Path) -> Program:
    """The program in a Python file: the only one made there with `@program`, or the one `main`.

    Raises ProgramError, with file and line, for whatever goes wrong in the file.
    """
    sys.path.insert(0, str(path.parent))
    try:
        names = runpy.run_path(str(path))
    except ProgramError:
        raise
    except Exception as e:
        raise author_error(e, path) from e
    finally:
        sys.path.remove(str(path.parent))
    here = str(path.resolve())
    found = {
        name: value
        for name, value in names.items()
        if isinstance(value, Program)
        and str(Path(value.function.__code__.co_filename).resolve()) == here
    }
    if "main" in found:
        found = {"main": found["main"]}
    if len(found) != 1:
        what = ", ".join(found) or "none"
        raise ProgramError(
            f"{path}: one function decorated with @program is wanted, found: {what}",
            hint="decorate one with @program, or call the one that is meant `main`",
        )
    (program,) = found.values()
    _check_names(program, path)
    return program


def _check_names(program: Program, path: Path) -> None:
    """Refuse options that a command would take for its own: the program would never see them."""
    from . import cli

    takes = [c for c in cli.main.commands.values() if c.context_settings == OPEN]
    for command in takes:
        taken = {o.removeprefix("--").replace("-", "_") for p in command.params for o in p.opts}
        for option in program.options:
            if option.name in taken:
                line = program.function.__code__.co_firstlineno
                raise ProgramError(
                    f"the parameter {option.name} of {program.name} is an option of `sequester "
                    f"{command.name}`, too",
                    Loc(path.name, line),
                    hint="call it otherwise",
                )


def compile_file(path: Path, flags: Flags, protocol: str, *, explain: bool = False) -> Compiled:
    """Trace and compile a program; shapes come from the headers of inputs and from `--shape`.

    Raises ProgramError (the author's, with file and line), ConfigError (inputs).
    """
    level = debug_level()
    explain |= level >= 3
    program = load(path)
    shapes = {key: found.shape for key, found in data.parse_inputs(flags.inputs).items()}
    shapes |= data.parse_shapes(flags.shapes)
    try:
        off = frozenset(flags.without)
        config = flags.config(protocol)
        options = Options(off=off, protocol=protocol, checked=flags.checked, explain=explain)
    except ValueError as e:
        raise click.UsageError(str(e)) from None
    words = parse_options(program, flags.words)
    made = compile_graph(traced(path, program, config, shapes, words), options)
    # With less room products may need more roundings, and these again more of the masks.
    while config.field and (room := masking.widest(made.program)) < config.ring_bits:
        config = dataclasses.replace(config, ring_bits=room)
        made = compile_graph(traced(path, program, config, shapes, words), options)
    show.debug(made, level)
    return made


def traced(
    path: Path,
    program: Program,
    config: Config,
    shapes: dict[tuple[int, str], tuple[int, ...]],
    options: dict[str, Any],
) -> Graph:
    """The graph of a program; what its code raises becomes a ProgramError with its line."""
    try:
        return program.trace(config, shapes, **options)
    except (ProgramError, click.UsageError):
        raise
    except Exception as e:
        raise author_error(e, path) from e


def debug_level() -> int:
    """SEQUESTER_DEBUG, 0 if unset: see docs/debugging.md."""
    text = os.environ.get("SEQUESTER_DEBUG", "0")
    if not text.isdigit():
        raise ConfigError(f"SEQUESTER_DEBUG={text}: a level from 0 to 5 is wanted")
    return int(text)


def bytecode(path: Path, flags: Flags, protocol: str) -> bytes:
    """The bytecode in a `.sqb` file, or what a `.py` file is compiled to."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if path.suffix == ".py":
        return compile_file(path, flags, protocol).data
    if flags.words:
        raise click.UsageError(f"{path} is compiled; {flags.words[0]} is an option of compiling")
    data = path.read_bytes()
    try:
        codec.decode(data)
    except BytecodeError as e:
        raise BytecodeError(f"{path}, {e.where}", e.reason) from None
    return data


def inspection(bytecode: bytes, protocol: str) -> dict[str, Any]:
    """What a program reads, opens and costs, as JSON values."""
    code = codec.decode(bytecode)
    costs = costs_of(code, protocol, None)
    inputs = [
        {"party": row.party, "name": code.strings[row.name], "shape": row.shape, "f": row.f}
        for row in code.inputs
    ]
    table: dict[str, Any] = {
        "hash": codec.program_hash(bytecode),
        "ring": "field" if code.meta.domain == FIELD else code.meta.ring_bits,
        "k": code.meta.k,
        "f": code.meta.f,
        "rounding": ("probabilistic", "nearest")[code.meta.rounding],
        "instructions": len(code.code),
        "inputs": inputs,
        "openings": [dataclasses.asdict(row) for row in ledger.openings(code)],
    } | _masks(code, protocol)
    if costs is not None:
        sent = [sum(row) for row in costs.sent]
        table["costs"] = {
            "protocol": protocol, "rounds": costs.rounds, "sent_bytes": sent, "exact": costs.exact,
        }  # fmt: skip
        table["phases"] = phases(code, protocol, costs.parties)
    return table


def _masks(code: BytecodeProgram, protocol: str) -> dict[str, Any]:
    """How many values a run opens, at most, under masks that hide statistically; bits of each."""
    masked = code.meta.domain == FIELD and masking.hides(protocol)
    return {
        "masked": masking.masked_openings(code) if masked else 0,
        "statistical_bits": code.meta.stat,
    }


def phases(program: BytecodeProgram, protocol: str, parties: int) -> dict[str, Any]:
    """Rounds and bytes by party before a run and in it, if anything can be prepared. `parties`:
    with a dealer."""
    module = cost_module(protocol)
    if not getattr(module, "PREPARES", False):
        return {}
    before = predict(program, protocol, parties, phase=PREPARE)
    computing = parties - getattr(module, "DEALERS", 0)
    found = {PREPARE: before, ONLINE: predict(program, protocol, computing, phase=ONLINE)}
    return {
        phase: {"rounds": costs.rounds, "sent_bytes": [sum(row) for row in costs.sent]}
        for phase, costs in found.items()
    }


def summary(folder: Path) -> dict[str, Any]:
    """The report of a finished run, predictions beside the measured figures."""
    run = report.load(folder)
    phase = ONLINE if run.info.get("preprocessing") else WHOLE
    costs = costs_of(run.program, run.info["protocol"], run.info["parties"], phase=phase)
    predicted = None
    if costs is not None:
        sent = [[sum(row) for row in entry.sent] for entry in costs.entries]
        predicted = report.Prediction(costs.rounds, sent, costs.exact)
    table = report.summary(run, predicted) | _masks(run.program, run.info["protocol"])
    if phase == ONLINE:
        table["preprocessing"] = report.preprocessing(run.info)
    return table


def costs_of(
    program: BytecodeProgram, protocol: str, parties: int | None, *, phase: str = WHOLE
) -> Report | None:
    """Predicted costs, or None if the protocol has no cost model for the program."""
    try:
        return predict(program, protocol, parties, phase=phase)
    except ValueError:
        return None


def author_error(e: Exception, path: Path) -> Exception:
    """An error that an author's own code raised, told with its line; `e` itself if it is ours."""
    if isinstance(e, SyntaxError) and e.filename == str(path):
        return ProgramError(f"{e.msg}: {(e.text or '').strip()}", Loc(path.name, e.lineno or 0))
    frames = [f for f in traceback.extract_tb(e.__traceback__) if f.filename == str(path)]
    last = traceback.extract_tb(e.__traceback__)[-1].filename
    if not frames or (last != str(path) and Path(last).is_relative_to(Path(__file__).parent)):
        return e
    return ProgramError(f"{type(e).__name__}: {e}", Loc(path.name, frames[-1].lineno or 0))


def parse_options(program: Program, words: Sequence[str]) -> dict[str, Any]:
    """`--epochs 2 --lr=0.1 --no-shuffle` -> values of the program's options."""
    known = {o.name: o for o in program.options}
    values: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, eq, text = word.removeprefix("--").replace("-", "_", 64).partition("=")
        text = word.partition("=")[2]
        off = name.startswith("no_") and name not in known
        option = known.get(name[3:] if off else name)
        if not word.startswith("--") or option is None or (off and option.type is not bool):
            near = difflib.get_close_matches(name, known, 1)
            hint = f" (do you mean --{near[0].replace('_', '-')}?)" if near else ""
            listed = "; ".join(describe(o) for o in program.options) or "none"
            raise click.UsageError(f"no option {word}{hint}; this program's options: {listed}")
        if option.type is bool and not eq:
            values[option.name] = not off
            continue
        if not eq:
            if not rest:
                raise click.UsageError(f"{word} needs a value: {describe(option)}")
            text = rest.pop(0)
        values[option.name] = _value(option, text)
    return values


def describe(option: Option) -> str:
    """One option as `--epochs INTEGER (1)`."""
    flag = option.name.replace("_", "-")
    if option.type is bool:
        return f"--{flag}/--no-{flag} ({str(option.default).lower()})"
    kind = {int: "INTEGER", float: "NUMBER", str: "TEXT"}[option.type]
    return f"--{flag} {kind} ({option.default})"


def _value(option: Option, text: str) -> Any:
    try:
        if option.type is bool:
            return {"true": True, "false": False}[text.lower()]
        return option.type(text)
    except (ValueError, KeyError):
        raise click.UsageError(f"{text!r} does not fit {describe(option)}") from None
