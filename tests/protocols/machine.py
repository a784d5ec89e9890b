"""Small programs of interactive instructions, run by the C runner; values as NumPy object arrays.

A `Script` gathers inputs, registers, instructions and outputs; `run` returns the outputs and, for
every instruction, what it sent and the rounds it took, beside what the cost rules predict.
"""

from __future__ import annotations

import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sequester.compiler.cost import PREPARE, WHOLE
from sequester.compiler.cost.report import Report, report
from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode
from sequester.compiler.isa.table import plane_words

Words = np.ndarray[Any, np.dtype[np.object_]]
# Numbers of parties that each protocol is tested with, the default first; rings of its domain.
FIELD, PRIME = 127, 2**127 - 1  # the field, in place of a ring's bits
WIDE = 192  # the same: numbers mod 2^64 in words of 128 bits
PARTIES: dict[str, tuple[int, ...]] = {
    "emulate": (1,),
    "rep3": (3,),
    "rep3-mal": (3,),
    "rep4": (4,),
    "shamir": (3, 4, 5, 10),
    "dealer": (3, 4, 10),
    "semi2k": (2, 3, 5),
    "shamir-mal": (3, 4, 5),
    "spdz2k-dealt": (3, 4, 5),
}
TRUSTED = {"spdz2k-dealt"}  # the last party, who neither cheats nor is protected
RINGS: dict[str, tuple[int, ...]] = {
    "emulate": (64, 128, FIELD),
    "rep3": (64, 128),
    "rep3-mal": (64,),
    "rep4": (64, 128),
    "shamir": (FIELD,),
    "dealer": (64, 128),
    "semi2k": (64,),
    "shamir-mal": (FIELD,),
    "spdz2k-dealt": (WIDE,),
}


def room(ring: int) -> int:
    """Bits that values may have which are rounded, compared or taken apart, and two more."""
    return 64 if ring in (FIELD, WIDE) else ring


def signed(x: Words, bits: int) -> Words:
    if bits == WIDE:
        bits = 64
    half, modulus = (PRIME >> 1, PRIME) if bits == FIELD else (1 << (bits - 1), 1 << bits)
    return np.asarray((x + half) % modulus - half, dtype=object)


@dataclass
class Run:
    """Outputs by index; measured rounds, and bytes [from][to] by instruction."""

    outputs: dict[int, Words]
    rounds: set[int]
    sent: list[list[list[int]]]
    predicted: Report


@dataclass
class Script:
    """A program under construction. Registers are named by the text of their address."""

    bits: int
    code: list[str] = field(default_factory=list)
    inputs: list[Words] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    outputs: int = 0
    handles: int = 1
    owners: int = 3  # parties that take turns to own inputs
    stat: int = 40  # the statistical parameter; test builds allow less
    top: dict[str, int] = field(default_factory=lambda: {"s": 0, "b": 0, "c": 0})

    def reg(self, file: str, n: int, planes: int = 1) -> str:
        """A fresh register of n elements (file b: n bits by planes)."""
        at = self.top[file]
        self.top[file] += planes * plane_words(n) if file == "b" else -(-n // 8) * 8
        return f"{file}{at}"

    def start(self, instruction: str) -> None:
        self.code += [instruction.replace(" ", " h=0 ", 1), "join h=0"]

    def secret(self, x: Words) -> str:
        """A secret register with the values x, from an input of the next party in turn."""
        n, i = len(x), len(self.inputs)
        self.inputs.append(x)
        self.heads.append(f'.input party={i % self.owners} name="x" f=0 shape=[{n}]')
        d = self.reg("s", n)
        self.start(f"input d={d} in={i} n={n}")
        return d

    def _out(self, n: int, planes: int, to: str) -> int:
        self.outputs += 1
        self.heads.append(f'.output name="x" party={to} f=0 planes={planes} shape=[{n}]')
        return self.outputs - 1

    def output(self, a: str, n: int, to: str = "0") -> int:
        out = self._out(n, 0, to)
        self.start(f"output out={out} a={a} n={n}")
        return out

    def output_bits(self, a: str, planes: int, n: int, to: str = "0") -> int:
        out = self._out(n, planes, to)
        self.start(f"outputb out={out} a={a} p={planes} n={n}")
        return out

    def output_clear(self, a: str, n: int) -> int:
        out = self._out(n, 0, "all")
        self.code.append(f"coutput out={out} a={a} n={n}")
        return out

    def text(self) -> str:
        meta = (
            f".meta domain={ {FIELD: 1, WIDE: 2}.get(self.bits, 0) } ring_bits={room(self.bits)} "
            f"k={room(self.bits) // 2 - 1} f=16 stat={self.stat} rounding=1"
            + "".join(f" {f}_size={n + 8}" for f, n in self.top.items())
            + f" handles={self.handles} checked=0"
        )
        order = sorted(self.heads, key=lambda h: h.startswith(".output"))
        return "\n".join([meta, '.string "x"', *order, '.line "x":1', *self.code, "end", ""])

    def write(self, folder: Path) -> list[str]:
        """Write program and inputs; the program and the options that a runner takes for them."""
        path = folder / "program.sqb"
        path.write_bytes(encode(assemble(self.text())))
        options = [str(path)]
        for i, x in enumerate(self.inputs):
            file = folder / f"input{i}"
            size = 8 if self.bits == 64 else 16
            file.write_bytes(b"".join((v % (1 << 8 * size)).to_bytes(size, "little") for v in x))
            options += ["--input", f"{i}={file}"]
        return options

    def run(
        self, runner: Path, folder: Path, protocol: str, parties: int = 0, phase: str = WHOLE
    ) -> Run:
        """Run it; asserts that it ends well and that all receivers got the same.

        parties: 0 for the protocol's default. phase: PREPARE makes material in the folder, ONLINE
        uses it.
        """
        program = assemble(self.text())
        path, *options = self.write(folder)
        parties = parties or PARTIES[protocol][0]
        command = [str(runner), path, protocol, str(parties), "--counters", *options]
        if phase != WHOLE:
            for i in range(parties):
                (folder / f"party-{i}").mkdir(exist_ok=True)
            command += ["--material", str(folder), *["--make"] * (phase == PREPARE)]
        patience = 300 + self.top["s"] / 5000  # seconds
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=patience, check=False
        )
        assert done.returncode == 0, done.stderr
        predicted = report(program, protocol, parties, phase=phase)
        sent = [[[0] * parties for _ in range(parties)] for _ in program.code]
        result = Run({}, set(), sent, predicted)
        for line in done.stdout.splitlines():
            _read(result, line.split(), parties)
        return result


def _read(result: Run, words: list[str], parties: int) -> None:
    if words[0] == "output":
        values = np.array([int(w) for w in words[4:]], dtype=object)
        known = result.outputs.setdefault(int(words[1]), values)
        assert (known == values).all()
    elif words[0] == "counter":
        at = words.index("sent") + 1
        result.sent[int(words[2])][int(words[1])] = [int(w) for w in words[at : at + parties]]
    elif words[0] == "total":
        result.rounds.add(int(words[words.index("rounds") + 1]))


# ---- what travels, when all inputs are alike ----

ALIKE = 64 * 40  # elements: whole words of bits, as those past the last element are zeros
HANDSHAKE = 3  # messages


def every_instruction(value: int, ring: int, *, opens: bool = True, parties: int = 3) -> Script:
    """All inputs are `value`."""
    s = Script(ring, owners=min(parties, 3))
    same = np.full(ALIKE, value, dtype=object)
    x, y = s.secret(same), s.secret(same)
    d, k = s.reg("s", 3 * ALIKE), s.reg("s", ALIKE)
    shape = f"M={ALIKE // 8} K=8 N=8 ta=0 tb=1"
    for m, mode in ((0, 0), (16, 0), (16, 1)):
        s.start(f"mul d={d} a={x} b={y} n={ALIKE} m={m} mode={mode}")
        s.start(f"matmul d={d} a={x} b={y} {shape} m={m} mode={mode}")
    s.start(f"mul_add d={d} a={x} b={y} n={ALIKE} m=16 mode=0 e={y}")
    s.start(f"matmul_add d={d} a={x} b={y} {shape} m=0 mode=0 e={y}")
    for mode in (0, 1):
        s.start(f"trunc d={d} a={x} n={ALIKE} m=16 mode={mode}")
    b, c, noise = s.reg("b", ALIKE, 32), s.reg("c", ALIKE), s.reg("b", ALIKE, 12)
    for name in ("ltz", "eqz", "a2b"):
        s.start(f"{name} d={b} a={x} n={ALIKE} bits=32")
    s.start(f"and d={s.reg('b', ALIKE, 12)} a={b} b={b} p=12 n={ALIKE}")
    s.start(f"randbit d={noise} p=12 n={ALIKE}")
    s.start(f"b2a d={d} a={b} p=3 n={ALIKE}")
    s.start(f"select d={d} b={b} a={x} n={ALIKE}")
    s.start(f"select_keep d={d} k={k} b={b} a={x} n={ALIKE}")
    s.start(f"select_kept d={d} k={k} b={b} a={y} n={ALIKE}")
    s.code.append(f"cfill d={c} imm=7 n=1")
    s.start(f"shuffle d={d} a={x} order={c} n={ALIKE} len=1")
    if opens:
        s.start(f"openb d={c} a={b} p=32 n={ALIKE}")
        s.start(f"open d={c} a={d} n={ALIKE}")
    s.output(d, ALIKE)
    return s


def convolutions(value: int, ring: int) -> Script:
    """The other products, where all inputs are `value`."""
    s = Script(ring)
    x, w = (s.secret(np.full(n, value, dtype=object)) for n in (80 * 32, 64))
    d = s.reg("s", 80 * 32)
    sizes = "B=80 C=2 H=4 W=4 O=2 KH=3 KW=3 OH=4 OW=4 SH=1 SW=1 PH=1 PW=1"
    for m, mode in ((0, 0), (16, 0), (16, 1)):
        s.start(f"conv2d d={d} x={x} w={w} {sizes} m={m} mode={mode}")
        s.start(f"conv2d_dx d={d} g={x} w={w} {sizes} m={m} mode={mode}")
        s.start(f"conv2d_dw d={d} g={x} x={x} {sizes} m={m} mode={mode}")
    s.start(f"conv2d_add d={d} x={x} w={w} {sizes} m=16 mode=0 e={x}")
    s.output(d, 80 * 32)
    return s


def view(
    runner: Path, words: list[str], party: int, handshake: int = HANDSHAKE, size: int = 8
) -> Iterator[np.ndarray]:
    """Every message to a party as `size` bytes a row, but for those of the handshake."""
    command = [str(runner), *words, "--view", str(party)]
    greetings: dict[str, int] = defaultdict(int)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        stop = threading.Timer(300, process.kill)
        stop.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:  # one at a time: all together may be gigabytes
                if line.startswith("view "):
                    _, sender, data = line.split(" ")
                    greetings[sender] += 1
                    if greetings[sender] > handshake:
                        yield np.frombuffer(bytes.fromhex(data), np.uint8).reshape(-1, size)
        finally:
            stop.cancel()
    assert process.returncode == 0
