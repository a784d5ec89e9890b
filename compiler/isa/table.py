"""The instruction table: the one place where an instruction of the bytecode is defined.

From these rows come the encoder and decoder, the assembler, `runtime_c/vm/isa.h` and
`docs/isa.md` (both generated, committed, and compared by a test), the loader's validation, def/use
sets for scheduling and register allocation, and the names that cost rules are written for.

An instruction is a run of 64-bit little-endian words: `opcode | length << 32` (length in words,
this one included), then one word an operand in the order of its row; an operand of kind `dims` or
`ranges` is its count, followed by that many signed words.

Register files and what an address means:

* `s`: arithmetic shares; the address is an element index.
* `b`: bit shares, bit-sliced; the address is a 64-bit word index. A value of *n* elements and
  *p* planes takes *p* x `plane_words(n)` words; plane *i* holds bit *i* of every element.
* `c`: clear ring words; the address is an element index.

Interactive instructions (`interactive=True`) have a handle as their first operand and only *start*
a round machine; `join` waits for it. Between the two the destination is undefined, sources and
destination must stay untouched, and the destination may overlap no source.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def plane_words(n: int) -> int:
    """64-bit words in one plane of n bits: padded to 512 bits, so that planes stay aligned."""
    return (n + 511) // 512 * 8


@dataclass(frozen=True)
class Product:
    """n elements, the product of the named operands (a b register also has planes, see below)."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Strided:
    """Elements touched by an index space `shape` walked with `strides` (both `dims` operands)."""

    shape: str
    strides: str


Extent = Product | Strided | None


@dataclass(frozen=True)
class Operand:
    """One operand: its name, kind and, for registers, how many elements it covers.

    Kinds: `{s,b,c}{r,w,rw}` register read, written, or both; `n` a count or size (0 <= n < 2^40);
    `imm` a signed 64-bit immediate; `flag` 0 or 1; `h` a handle; `party`; `str`, `in`, `out`,
    `pool`: indices into sections of the file; `dims` a list of signed words; `ranges` a list of
    triples (register file 0 s, 1 b, 2 c; address; elements or words), ascending and disjoint.
    """

    name: str
    kind: str
    extent: Extent = None
    planes: str | None = None

    @property
    def file(self) -> str | None:
        """The register file 's', 'b' or 'c', or None for an immediate."""
        return self.kind[0] if self.kind[0] in "sbc" and self.kind[1:] in ("r", "w", "rw") else None

    @property
    def reads(self) -> bool:
        return self.file is not None and "r" in self.kind[1:]

    @property
    def writes(self) -> bool:
        return self.file is not None and "w" in self.kind[1:]

    def elements(self, args: Mapping[str, Any]) -> int:
        """How many elements a register operand without strides covers (of each plane), given the
        values of the other operands by name."""
        assert isinstance(self.extent, Product)
        return math.prod(int(args[name]) for name in self.extent.names)


@dataclass(frozen=True)
class Instr:
    """One row: number, name, operands, properties, and its meaning in one line."""

    code: int
    name: str
    operands: tuple[Operand, ...]
    doc: str
    interactive: bool = False
    effect: bool = False  # control flow, input or output: never moved, merged or deleted
    group: str = ""

    def operand(self, name: str) -> Operand:
        return next(o for o in self.operands if o.name == name)


def _parse(spec: str) -> tuple[Operand, ...]:
    """`d:sw[n] a:sr[M*K] b:br[p,n] x:cr[shape/sstr] n:n` -> operands."""
    out = []
    for item in spec.split():
        name, kind = item.split(":", 1)
        extent: Extent = None
        planes = None
        if "[" in kind:
            kind, inner = kind[:-1].split("[")
            if "," in inner:
                planes, inner = inner.split(",")
            if "/" in inner:
                extent = Strided(*inner.split("/"))
            else:
                extent = Product(tuple(x for x in inner.split("*") if x != "1"))
        out.append(Operand(name, kind, extent, planes))
    return tuple(out)


_CONV = "B:n C:n H:n W:n O:n KH:n KW:n OH:n OW:n SH:n SW:n PH:n PW:n"
_ROUND = "m:n mode:flag"

_GROUPS: dict[str, list[tuple[int, str, str, str]]] = {
    "control": [
        (0x00, "end", "", "stop; the last instruction of every program"),
        (0x01, "loop", "c:cw[1] trips:n", "for C[c] in 0..trips-1: run to the matching endloop"),
        (0x02, "endloop", "", "end of the innermost loop's body"),
        (0x03, "breakz", "c:cr[1]", "if C[c] == 0: leave the innermost loop"),
        (0x04, "if", "c:cr[1]", "if C[c] == 0: skip to the matching else or endif"),
        (0x05, "else", "", "skip to the matching endif"),
        (0x06, "endif", "", "end of the innermost if"),
        (0x07, "join", "h:h", "wait until the machine started under handle h has finished"),
        (0x08, "checkpoint", "moving:ranges still:ranges",
         "a place to save and resume the run: live registers that the outermost loop here writes, "
         "and live ones that it does not"),
    ],
    "clear": [
        (0x10, "cset", "d:cw[n] pool:pool n:n", "C[d..] = pool words pool..pool+n-1"),
        (0x11, "cfill", "d:cw[n] imm:imm n:n", "C[d..] = imm, n times"),
        (0x12, "cadd", "d:cw[n] a:cr[n] b:cr[n] n:n", "C[d] = C[a] + C[b]"),
        (0x13, "csub", "d:cw[n] a:cr[n] b:cr[n] n:n", "C[d] = C[a] - C[b]"),
        (0x14, "cmul", "d:cw[n] a:cr[n] b:cr[n] n:n", "C[d] = C[a] * C[b]"),
        (0x15, "cdiv", "d:cw[n] a:cr[n] b:cr[n] n:n", "C[d] = floor(C[a] / C[b]), signed"),
        (0x16, "cmod", "d:cw[n] a:cr[n] b:cr[n] n:n", "C[d] = C[a] - C[b] * floor(C[a] / C[b])"),
        (0x17, "cshr", "d:cw[n] a:cr[n] m:n n:n", "C[d] = (C[a] + 2^(m-1)) >> m, signed; m >= 1"),
        (0x18, "cltz", "d:cw[n] a:cr[n] n:n", "C[d] = 1 if C[a] < 0 else 0"),
        (0x19, "ceqz", "d:cw[n] a:cr[n] n:n", "C[d] = 1 if C[a] == 0 else 0"),
        (0x1A, "cmuli", "d:cw[n] a:cr[n] imm:imm n:n", "C[d] = C[a] * imm"),
        (0x1B, "caddi", "d:cw[n] a:cr[n] imm:imm n:n", "C[d] = C[a] + imm"),
        (0x1C, "ccopy", "d:cw[shape/dstr] a:cr[shape/sstr] shape:dims dstr:dims sstr:dims",
         "C[d + i.dstr] = C[a + i.sstr] for every index i of shape"),
        (0x1D, "cacc", "d:crw[shape/dstr] a:cr[shape/sstr] shape:dims dstr:dims sstr:dims",
         "C[d + i.dstr] += C[a + i.sstr] for every index i of shape"),
        (0x1E, "cgather", "d:cw[rows*len] a:cr[src*len] idx:cr[rows] rows:n len:n src:n",
         "row i of d = row C[idx+i] of a, 0 <= C[idx+i] < src"),
        (0x1F, "cmatmul", "d:cw[M*N] a:cr[M*K] b:cr[K*N] M:n K:n N:n ta:flag tb:flag",
         "C[d] = op(C[a]) @ op(C[b]); ta, tb: the operand is stored transposed"),
        (0x20, "cperm", "d:cw[n] stream:imm n:n",
         "a permutation of 0..n-1 from the program's public randomness"),
        (0x21, "cuniform", "d:cw[n] lo:imm hi:imm stream:imm n:n",
         "uniform integers in [lo, hi) from the program's public randomness"),
    ],
    "share": [
        (0x30, "sadd", "d:sw[n] a:sr[n] b:sr[n] n:n", "S[d] = S[a] + S[b]"),
        (0x31, "ssub", "d:sw[n] a:sr[n] b:sr[n] n:n", "S[d] = S[a] - S[b]"),
        (0x32, "saddc", "d:sw[n] a:sr[n] b:cr[n] n:n", "S[d] = S[a] + C[b]"),
        (0x33, "smulc", "d:sw[n] a:sr[n] b:cr[n] n:n", "S[d] = S[a] * C[b]"),
        (0x34, "smuli", "d:sw[n] a:sr[n] imm:imm n:n", "S[d] = S[a] * imm"),
        (0x35, "saddi", "d:sw[n] a:sr[n] imm:imm n:n", "S[d] = S[a] + imm"),
        (0x36, "sset", "d:sw[n] a:cr[n] n:n", "S[d] = the public value C[a]"),
        (0x37, "sfill", "d:sw[n] imm:imm n:n", "S[d..] = the public value imm, n times"),
        (0x38, "scopy", "d:sw[shape/dstr] a:sr[shape/sstr] shape:dims dstr:dims sstr:dims",
         "S[d + i.dstr] = S[a + i.sstr] for every index i of shape"),
        (0x39, "sacc", "d:srw[shape/dstr] a:sr[shape/sstr] shape:dims dstr:dims sstr:dims",
         "S[d + i.dstr] += S[a + i.sstr] for every index i of shape"),
        (0x3A, "sgather", "d:sw[rows*len] a:sr[src*len] idx:cr[rows] rows:n len:n src:n",
         "row i of d = row C[idx+i] of a, 0 <= C[idx+i] < src"),
        (0x3B, "sscatter", "d:srw[dst*len] a:sr[rows*len] idx:cr[rows] rows:n len:n dst:n",
         "row C[idx+i] of d += row i of a, 0 <= C[idx+i] < dst"),
        (0x3C, "smatmulc", "d:sw[M*N] a:sr[M*K] b:cr[K*N] M:n K:n N:n ta:flag tb:flag",
         "S[d] = op(S[a]) @ op(C[b])"),
        (0x3D, "scmatmul", "d:sw[M*N] a:cr[M*K] b:sr[K*N] M:n K:n N:n ta:flag tb:flag",
         "S[d] = op(C[a]) @ op(S[b])"),
    ],
    "bit": [
        (0x50, "bxor", "d:bw[p,n] a:br[p,n] b:br[p,n] p:n n:n", "B[d] = B[a] ^ B[b]"),
        (0x51, "bnot", "d:bw[p,n] a:br[p,n] p:n n:n", "B[d] = ~B[a]"),
        (0x52, "bfill", "d:bw[p,n] bit:flag p:n n:n", "every bit of B[d] = the public bit"),
        (0x53, "bset", "d:bw[p,n] a:cr[n] p:n n:n", "plane i of B[d] = bit i of the public C[a]"),
        (0x54, "bcopy",
         "d:bw[p,dn] a:br[p,an] p:n dn:n an:n doff:n aoff:n shape:dims dstr:dims sstr:dims",
         "per plane: bit doff + i.dstr of d (dn bits) = bit aoff + i.sstr of a (an bits); "
         "other bits of d become 0"),
        (0x55, "bmove", "d:bw[p,n] a:br[p,n] p:n n:n", "B[d] = B[a], whole planes"),
        (0x56, "bandc", "d:bw[p,n] a:br[p,n] b:cr[n] p:n n:n",
         "plane i of B[d] = plane i of B[a] & bit i of the public C[b]"),
    ],
    "interactive": [
        (0x80, "mul", f"h:h d:sw[n] a:sr[n] b:sr[n] n:n {_ROUND}",
         "S[d] = round(S[a] * S[b] / 2^m); mode 0 probabilistic, 1 nearest; m = 0: no rounding"),
        (0x81, "matmul",
         f"h:h d:sw[M*N] a:sr[M*K] b:sr[K*N] M:n K:n N:n ta:flag tb:flag {_ROUND}",
         "S[d] = round(op(S[a]) @ op(S[b]) / 2^m); ta, tb: the operand is stored transposed"),
        (0x82, "conv2d",
         f"h:h d:sw[B*O*OH*OW] x:sr[B*C*H*W] w:sr[O*C*KH*KW] {_CONV} {_ROUND}",
         "S[d] = round(conv2d(S[x], S[w]) / 2^m), NCHW and OIHW, stride SH x SW, padding PH x PW"),
        (0x83, "conv2d_dx",
         f"h:h d:sw[B*C*H*W] g:sr[B*O*OH*OW] w:sr[O*C*KH*KW] {_CONV} {_ROUND}",
         "the gradient of conv2d for its input, given the gradient g of its output"),
        (0x84, "conv2d_dw",
         f"h:h d:sw[O*C*KH*KW] g:sr[B*O*OH*OW] x:sr[B*C*H*W] {_CONV} {_ROUND}",
         "the gradient of conv2d for its weight, given the gradient g of its output"),
        (0x85, "trunc", f"h:h d:sw[n] a:sr[n] n:n {_ROUND}",
         "S[d] = round(S[a] / 2^m), signed; m >= 1; |S[a]| < 2^(ring bits - 2)"),
        (0x86, "ltz", "h:h d:bw[1,n] a:sr[n] n:n bits:n",
         "B[d] = the sign bit of S[a] mod 2^bits (bit bits-1); 1 <= bits <= ring bits"),
        (0x87, "eqz", "h:h d:bw[1,n] a:sr[n] n:n bits:n",
         "B[d] = 1 if S[a] mod 2^bits == 0 else 0"),
        (0x88, "select", "h:h d:sw[n] b:br[1,n] a:sr[n] n:n", "S[d] = S[a] if B[b] else 0"),
        (0x89, "b2a", "h:h d:sw[p*n] a:br[p,n] p:n n:n",
         "S[d + i*n + j] = bit j of plane i of B[a], as 0 or 1"),
        (0x8A, "a2b", "h:h d:bw[bits,n] a:sr[n] n:n bits:n", "plane i of B[d] = bit i of S[a]"),
        (0x8B, "and", "h:h d:bw[p,n] a:br[p,n] b:br[p,n] p:n n:n", "B[d] = B[a] & B[b]"),
        (0x8C, "open", "h:h d:cw[n] a:sr[n] n:n", "C[d] = S[a], revealed to all"),
        (0x8D, "openb", "h:h d:cw[n] a:br[p,n] p:n n:n",
         "C[d] = sum of 2^i * plane i of B[a], revealed to all; p <= ring bits"),
        (0x8E, "randbit", "h:h d:bw[p,n] p:n n:n", "B[d] = random bits that nobody knows"),
        (0x8F, "input", "h:h d:sw[n] in:in n:n",
         "S[d] = the whole input `in` of its party, shared"),
        (0x90, "output", "h:h out:out a:sr[n] n:n",
         "output `out` = S[a], revealed to its receivers"),
        (0x91, "outputb", "h:h out:out a:br[p,n] p:n n:n",
         "output `out` = sum of 2^i * plane i of B[a], revealed to its receivers"),
        (0x92, "shuffle", "h:h d:sw[n*len] a:sr[n*len] order:cr[1] n:n len:n",
         "the n rows of S[a] in a secret order into S[d]: equal C[order] and n, equal orders"),
        (0x98, "select_keep", "h:h d:sw[n] k:sw[n] b:br[1,n] a:sr[n] n:n",
         "select; S[k] = what the protocol keeps of B[b]: only select_kept may read it"),
        (0x99, "select_kept", "h:h d:sw[n] k:sr[n] b:br[1,n] a:sr[n] n:n",
         "select by the bits of which select_keep has put into S[k] what is kept"),
        (0x9A, "mul_add", f"h:h d:sw[n] a:sr[n] b:sr[n] n:n {_ROUND} e:sr[n]",
         "mul, with S[e] added to the product before it is rounded"),
        (0x9B, "matmul_add",
         f"h:h d:sw[M*N] a:sr[M*K] b:sr[K*N] M:n K:n N:n ta:flag tb:flag {_ROUND} e:sr[M*N]",
         "matmul, with S[e] added to the product before it is rounded"),
        (0x9C, "conv2d_add",
         f"h:h d:sw[B*O*OH*OW] x:sr[B*C*H*W] w:sr[O*C*KH*KW] {_CONV} {_ROUND} e:sr[B*O*OH*OW]",
         "conv2d, with S[e] added to the product before it is rounded"),
        (0x9D, "conv2d_dx_add",
         f"h:h d:sw[B*C*H*W] g:sr[B*O*OH*OW] w:sr[O*C*KH*KW] {_CONV} {_ROUND} e:sr[B*C*H*W]",
         "conv2d_dx, with S[e] added to the product before it is rounded"),
        (0x9E, "conv2d_dw_add",
         f"h:h d:sw[O*C*KH*KW] g:sr[B*O*OH*OW] x:sr[B*C*H*W] {_CONV} {_ROUND} e:sr[O*C*KH*KW]",
         "conv2d_dw, with S[e] added to the product before it is rounded"),
    ],
    "io": [
        (0xC0, "coutput", "out:out a:cr[n] n:n", "output `out` = C[a], at every receiver"),
        (0xC1, "ptext", "str:str", "append a string to the line being printed; \\n ends the line"),
        (0xC2, "pval", "a:cr[n] n:n f:n fmt:str",
         "append C[a]/2^f to the line being printed, formatted by fmt (a C-like %.4f or %d)"),
    ],
}  # fmt: skip

INSTRUCTIONS: tuple[Instr, ...] = tuple(
    Instr(
        code, name, _parse(spec), doc,
        interactive=group == "interactive",
        effect=group in ("control", "io") or name in ("input", "output", "outputb"),
        group=group,
    )
    for group, rows in _GROUPS.items()
    for code, name, spec, doc in rows
)  # fmt: skip

BY_NAME: dict[str, Instr] = {i.name: i for i in INSTRUCTIONS}
BY_CODE: dict[int, Instr] = {i.code: i for i in INSTRUCTIONS}


def table_hash() -> bytes:
    """16 bytes that change whenever encoding or meaning of any row does."""
    rows = [
        f"{i.code} {i.name} "
        + " ".join(f"{o.name}:{o.kind}:{o.extent}:{o.planes}" for o in i.operands)
        + f" {i.doc}"
        for i in INSTRUCTIONS
    ]
    return hashlib.sha256("\n".join(rows).encode()).digest()[:16]
