"""A slow interpreter of bytecode on clear values, for tests of the compiler's back end.

It is stricter than a machine has to be: while an interactive instruction is pending its destination
holds rubbish, and it fails if a source changed between start and join.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sequester.compiler.ir import numeric
from sequester.compiler.ir.numeric import Field, Ring
from sequester.compiler.ir.ops_shape import secret_order
from sequester.compiler.ir.reference import PublicRandomness
from sequester.compiler.isa.program import FIELD, Insn, Program, span
from sequester.compiler.isa.table import plane_words


class Machine:
    """One run of a program. `outputs`: name -> ring integers; `lines`: what was printed."""

    def __init__(self, program: Program, inputs: Mapping[tuple[int, str], Any]):
        self.program = program
        m = program.meta
        kind = Field if m.domain == FIELD else Ring
        self.ring = kind(m.ring_bits, np.random.default_rng(1))
        self.files = {
            "s": self.ring.array(np.full(m.s_size, 77)),
            "c": self.ring.array(np.full(m.c_size, 99)),
            "b": np.full(m.b_size * 64, 1, np.uint8),  # one entry a bit
        }
        for row in program.memory:
            size = row.planes * plane_words(row.elements) * 64 if row.file == 1 else row.elements
            at = row.address * 64 if row.file == 1 else row.address
            self.files["sbc"[row.file]][at : at + size] = 0
        self.inputs = inputs
        self.outputs: dict[str, Any] = {}
        self.lines: list[str] = [""]
        self.public = PublicRandomness(bytes(16))
        self.pending: dict[int, tuple[Insn, list[Any], dict[str, Any]]] = {}
        self.kept: dict[int, Any] = {}  # by handle: what a select_keep keeps
        self.executed = [0] * len(program.code)

    def run(self) -> Machine:
        self._block(0)
        assert not self.pending
        self.lines = self.lines[:-1] if not self.lines[-1] else self.lines
        return self

    # ---- control ----

    def _match(self, i: int) -> int:
        """Index of the else, endif or endloop that closes the block starting after i."""
        depth = 0
        while True:
            i += 1
            name = self.program.code[i].instr.name
            if depth == 0 and name in ("else", "endif", "endloop"):
                return i
            depth += (name in ("loop", "if")) - (name in ("endloop", "endif"))

    def _block(self, i: int) -> bool:
        """Run from i to the end of the block; True if a breakz left the loop."""
        code = self.program.code
        while code[i].instr.name not in ("end", "endloop", "else", "endif"):
            name, args = code[i].instr.name, code[i].named()
            self.executed[i] += 1
            if name == "loop":
                for trip in range(args["trips"]):
                    self.files["c"][args["c"]] = trip
                    if self._block(i + 1):
                        break
                i = self._match(i)
            elif name == "if":
                other = self._match(i)
                taken = bool(self.files["c"][args["c"]] != 0)
                if taken and self._block(i + 1):
                    return True
                i = other
                if code[i].instr.name == "else":
                    if not taken and self._block(i + 1):
                        return True
                    i = self._match(i)
            elif name == "breakz":
                if self.files["c"][args["c"]] == 0:
                    return True
            elif name == "join":
                self._join(args["h"])
            elif code[i].instr.interactive:
                self._start(code[i], args)
            else:
                self._write(code[i], args, self._compute(code[i], args))
            i += 1
        return False

    # ---- start and join ----

    def _start(self, insn: Insn, args: dict[str, Any]) -> None:
        assert args["h"] not in self.pending
        result = self._compute(insn, args)
        self.pending[args["h"]] = (insn, self._sources(insn, args), {"result": result, **args})
        for k, o in enumerate(insn.instr.operands):
            if o.writes:
                region = self._region(insn, k, args)
                region[...] = 1 - region[...]

    def _join(self, handle: int) -> None:
        insn, before, args = self.pending.pop(handle)
        after = self._sources(insn, args)
        assert all((p == q).all() for p, q in zip(before, after, strict=True)), insn
        self._write(insn, args, args["result"])

    def _sources(self, insn: Insn, args: dict[str, Any]) -> list[Any]:
        reads = [k for k, o in enumerate(insn.instr.operands) if o.reads]
        return [self._region(insn, k, args).copy() for k in reads]

    def _region(self, insn: Insn, k: int, args: dict[str, Any]) -> Any:
        o = insn.instr.operands[k]
        low, high = span(insn.instr, k, args)
        scale = 64 if o.file == "b" else 1
        at = args[o.name]
        return self.files[o.file][(at + low) * scale : (at + high) * scale]  # type: ignore[index]

    def _write(self, insn: Insn, args: dict[str, Any], result: Any) -> None:
        for o in insn.instr.operands:
            if o.writes and result is not None:
                if insn.instr.name == "select_keep" and o.name == "k":
                    self.files["s"][args["k"] : args["k"] + args["n"]] = self.kept[args["h"]]
                elif o.file == "b":
                    self._put_bits(args[o.name], result)
                elif "dstr" not in args and "dst" not in args:
                    at = args[o.name]
                    flat = np.asarray(result).ravel()
                    self.files[o.file][at : at + flat.size] = flat  # type: ignore[index]

    def _bits(self, at: int, planes: int, n: int) -> Any:
        words = plane_words(n)
        flat = self.files["b"][at * 64 : (at + planes * words) * 64]
        return flat.reshape(planes, words * 64)[:, :n].copy()

    def _put_bits(self, at: int, value: Any) -> None:
        planes, n = value.shape
        words = plane_words(n)
        flat = self.files["b"][at * 64 : (at + planes * words) * 64]
        flat.reshape(planes, words * 64)[:, :n] = value

    # ---- meaning ----

    def _compute(self, insn: Insn, args: dict[str, Any]) -> Any:
        name = insn.instr.name
        operands: dict[str, Any] = {}
        for k, o in enumerate(insn.instr.operands):
            if o.file in ("s", "c") and o.reads:
                operands[o.name] = self._region(insn, k, args).copy()
            elif o.file == "b" and o.reads:
                planes = 1 if o.planes == "1" else args[o.planes]
                operands[o.name] = self._bits(args[o.name], planes, args.get("an", args.get("n")))
        if name in ("scopy", "ccopy", "sacc", "cacc"):
            return self._walk(insn.instr.name, args)
        name = name.removesuffix("_add")
        method = getattr(self, "_i_" + name, None) or getattr(self, "_i_" + name[1:])
        return method(args, **{k: v for k, v in operands.items() if k not in "de"})

    def _walk(self, name: str, args: dict[str, Any]) -> None:
        file = self.files[name[0]]
        source = file.copy()
        for index in np.ndindex(*args["shape"]):
            d = args["d"] + sum(i * s for i, s in zip(index, args["dstr"], strict=True))
            a = args["a"] + sum(i * s for i, s in zip(index, args["sstr"], strict=True))
            assert min(d, a) >= 0
            value = int(source[a]) + (int(file[d]) if name.endswith("acc") else 0)
            file[d] = self.ring.array(np.array(value, dtype=object))

    def _round(self, value: Any, g: dict[str, Any]) -> Any:
        if "e" in g:
            added = self.files["s"][g["e"] : g["e"] + value.size]
            value = self.ring.add(value, added.reshape(value.shape))
        return self.ring.trunc(value, g["m"], g["mode"] == 1)

    def _i_set(self, g: dict[str, Any], a: Any = None) -> Any:
        if a is not None:
            return a
        return self.ring.array(np.array(self.program.pool[g["pool"] : g["pool"] + g["n"]]))

    def _i_fill(self, g: dict[str, Any]) -> Any:
        return self.ring.array(np.full(g["n"], g["imm"], dtype=object))

    def _i_add(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return self.ring.add(a, b)

    _i_addc = _i_add

    def _i_sub(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return self.ring.sub(a, b)

    def _i_mul(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        value = self.ring.mul(a, b)
        return self._round(value, g) if "m" in g else value

    _i_mulc = _i_cmul = _i_mul

    def _i_muli(self, g: dict[str, Any], a: Any) -> Any:
        return self.ring.scale(a, g["imm"], 0)

    def _i_addi(self, g: dict[str, Any], a: Any) -> Any:
        return self.ring.add(a, self.ring.array(np.array(g["imm"], dtype=object)))

    def _i_div(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return self.ring.array(a // b)

    def _i_mod(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return self.ring.array(a % b)

    def _i_cshr(self, g: dict[str, Any], a: Any) -> Any:
        return self.ring.trunc(a, g["m"], True)

    def _i_trunc(self, g: dict[str, Any], a: Any) -> Any:
        return self._round(a, g)

    def _i_cltz(self, g: dict[str, Any], a: Any) -> Any:
        return self.ring.array((a < 0).astype(np.int64))

    def _i_ceqz(self, g: dict[str, Any], a: Any) -> Any:
        return self.ring.array((a == 0).astype(np.int64))

    def _i_gather(self, g: dict[str, Any], a: Any, idx: Any) -> Any:
        return a.reshape(g["src"], g["len"])[idx.astype(np.int64)]

    def _i_sscatter(self, g: dict[str, Any], a: Any, idx: Any) -> None:
        d = self.files["s"][g["d"] : g["d"] + g["dst"] * g["len"]].reshape(g["dst"], g["len"])
        for row, at in zip(a.reshape(g["rows"], g["len"]), idx, strict=True):
            d[int(at)] = self.ring.add(d[int(at)], row)

    def _i_matmul(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        a = a.reshape((g["K"], g["M"]) if g["ta"] else (g["M"], g["K"]))
        b = b.reshape((g["N"], g["K"]) if g["tb"] else (g["K"], g["N"]))
        value = self.ring.matmul(a.T if g["ta"] else a, b.T if g["tb"] else b)
        return self._round(value, g) if "m" in g else value

    _i_cmatmul = _i_matmulc = _i_matmul

    @staticmethod
    def _conv(g: dict[str, Any]) -> tuple[Any, ...]:
        x = (g["B"], g["C"], g["H"], g["W"])
        w = (g["O"], g["C"], g["KH"], g["KW"])
        out = (g["B"], g["O"], g["OH"], g["OW"])
        return x, w, out, (g["SH"], g["SW"]), (g["PH"], g["PW"])

    def _i_conv2d(self, g: dict[str, Any], x: Any, w: Any) -> Any:
        xs, ws, _, stride, padding = self._conv(g)
        z = numeric.conv2d(self.ring, x.reshape(xs), w.reshape(ws), stride, padding)
        return self._round(z, g)

    def _i_conv2d_dx(self, g: dict[str, Any], w: Any, **rest: Any) -> Any:
        xs, ws, out, stride, padding = self._conv(g)
        gradient = self.files["s"][g["g"] : g["g"] + np.prod(out)].reshape(out)
        return self._round(
            numeric.conv2d_dx(self.ring, gradient, w.reshape(ws), xs, stride, padding), g
        )

    def _i_conv2d_dw(self, g: dict[str, Any], x: Any, **rest: Any) -> Any:
        xs, ws, out, stride, padding = self._conv(g)
        gradient = self.files["s"][g["g"] : g["g"] + np.prod(out)].reshape(out)
        return self._round(
            numeric.conv2d_dw(self.ring, gradient, x.reshape(xs), ws, stride, padding), g
        )

    def _i_perm(self, g: dict[str, Any]) -> Any:
        return self.ring.array(np.array(self.public.permutation(g["stream"], g["n"])))

    def _i_uniform(self, g: dict[str, Any]) -> Any:
        values = self.public.uniform(g["stream"], g["n"], g["lo"], g["hi"])
        return self.ring.array(np.array(values, dtype=object))

    # ---- bits ----

    def _i_bxor(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return a ^ b

    def _i_and(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return a & b

    def _i_bnot(self, g: dict[str, Any], a: Any) -> Any:
        return 1 - a

    def _i_bmove(self, g: dict[str, Any], a: Any) -> Any:
        return a

    def _i_bfill(self, g: dict[str, Any]) -> Any:
        return np.full((g["p"], g["n"]), g["bit"], np.uint8)

    def _split(self, a: Any, planes: int) -> Any:
        return np.stack([np.array([(int(v) >> i) & 1 for v in a], np.uint8) for i in range(planes)])

    def _i_bset(self, g: dict[str, Any], a: Any) -> Any:
        return self._split(a, g["p"])

    def _i_bandc(self, g: dict[str, Any], a: Any, b: Any) -> Any:
        return a & self._split(b, g["p"])

    def _i_bcopy(self, g: dict[str, Any], a: Any) -> Any:
        out = np.zeros((g["p"], g["dn"]), np.uint8)
        for index in np.ndindex(*g["shape"]):
            to = g["doff"] + sum(i * s for i, s in zip(index, g["dstr"], strict=True))
            at = g["aoff"] + sum(i * s for i, s in zip(index, g["sstr"], strict=True))
            out[:, to] = a[:, at]
        return out

    def _i_ltz(self, g: dict[str, Any], a: Any) -> Any:
        return self._split(a, g["bits"])[-1:]

    def _i_eqz(self, g: dict[str, Any], a: Any) -> Any:
        return 1 - self._split(a, g["bits"]).max(axis=0, keepdims=True)

    def _i_select(self, g: dict[str, Any], b: Any, a: Any) -> Any:
        return np.where(b[0] == 1, a, self.ring.zeros(()))

    def _i_select_keep(self, g: dict[str, Any], b: Any, a: Any) -> Any:
        self.kept[g["h"]] = self.ring.array(b[0].astype(np.int64))
        return self._i_select(g, b, a)

    def _i_select_kept(self, g: dict[str, Any], k: Any, b: Any, a: Any) -> Any:
        assert (k == b[0]).all()
        return self._i_select(g, b, a)

    def _i_b2a(self, g: dict[str, Any], a: Any) -> Any:
        return self.ring.array(a.astype(np.int64))

    def _i_a2b(self, g: dict[str, Any], a: Any) -> Any:
        return self._split(a, g["bits"])

    def _i_shuffle(self, g: dict[str, Any], a: Any, order: Any) -> Any:
        rows = a.reshape(g["n"], g["len"])
        return rows[secret_order(int(order[0]), g["n"])]

    def _i_randbit(self, g: dict[str, Any]) -> Any:
        return self.ring.random_bits((g["p"], g["n"]))

    # ---- inputs and outputs ----

    def _i_open(self, g: dict[str, Any], a: Any) -> Any:
        return a

    def _i_openb(self, g: dict[str, Any], a: Any) -> Any:
        total = sum(plane.astype(object) * (1 << i) for i, plane in enumerate(a))
        return self.ring.array(total)

    def _i_input(self, g: dict[str, Any]) -> Any:
        row = self.program.inputs[g["in"]]
        given = np.asarray(self.inputs[row.party, self.program.strings[row.name]])
        return self.ring.encode(given, row.f) if row.f else self.ring.array(given)

    def _i_output(self, g: dict[str, Any], a: Any) -> None:
        row = self.program.outputs[g["out"]]
        self.outputs[self.program.strings[row.name]] = a.reshape(row.shape).copy()

    _i_coutput = _i_output

    def _i_outputb(self, g: dict[str, Any], a: Any) -> None:
        self._i_output(g, self._i_openb(g, a))

    def _i_ptext(self, g: dict[str, Any]) -> None:
        parts = self.program.strings[g["str"]].split("\n")
        self.lines[-1] += parts[0]
        self.lines += parts[1:]

    def _i_pval(self, g: dict[str, Any], a: Any) -> None:
        fmt = self.program.strings[g["fmt"]]
        values = self.ring.decode(a, g["f"]) if g["f"] else [int(v) for v in a]
        self.lines[-1] += ", ".join(fmt % v for v in values)
