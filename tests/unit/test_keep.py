"""Selections by bits that are kept: which they are, and that no selection waits for it."""

from __future__ import annotations

from sequester.compiler.ir.graph import Config, Loc
from sequester.compiler.isa.table import BY_NAME
from sequester.compiler.passes import keep
from sequester.compiler.passes.lir import Code, Op, Ref, Reg

LOC = Loc("a.py", 1)


class Block:
    """Ops on registers of eight elements."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.bits = Reg("b", 8)

    def emit(self, name: str, *args: object) -> None:
        self.ops.append(Op(BY_NAME[name], list(args), LOC))

    def select(self, x: Reg, bits: Reg | None = None) -> Reg:
        out = Reg("s", 8)
        self.emit("select", None, Ref(out), Ref(bits or self.bits), Ref(x), 8)
        return out

    def sum(self, x: Reg, y: Reg) -> Reg:
        out = Reg("s", 8)
        self.emit("sadd", Ref(out), Ref(x), Ref(y), 8)
        return out

    def names(self) -> list[str]:
        return [op.name for op in keep.run(Code(Config(), body=self.ops)).body]


def test_a_selection_that_waits_anyway_uses_kept_bits() -> None:
    b, x = Block(), Reg("s", 8)
    b.select(b.sum(b.select(x), x))
    assert b.names() == ["select_keep", "sadd", "select_kept"]
    first, _, second = b.ops
    assert first.named()["k"] == second.named()["k"] != first.named()["d"]


def test_selections_that_can_run_together_stay() -> None:
    b, x = Block(), Reg("s", 8)
    b.sum(b.select(x), b.select(x))
    assert b.names() == ["select", "select", "sadd"]


def test_other_bits_are_not_kept() -> None:
    b, x = Block(), Reg("s", 8)
    b.select(b.select(x), Reg("b", 8))
    assert b.names() == ["select", "select"]


def test_bits_that_changed_are_not_kept() -> None:
    b, x = Block(), Reg("s", 8)
    y = b.select(x)
    b.emit("bfill", Ref(b.bits), 1, 1, 8)
    b.select(y)
    assert b.names() == ["select", "bfill", "select"]


def test_dependences_pass_through_nested_blocks() -> None:
    b, x = Block(), Reg("s", 8)
    y = b.select(x)
    inner, z = Block(), Reg("s", 8)
    inner.emit("sadd", Ref(z), Ref(y), Ref(y), 8)
    b.ops.append(Op(BY_NAME["loop"], [Ref(Reg("c", 1)), 2], LOC, (inner.ops,)))
    b.select(z)
    assert b.names() == ["select_keep", "loop", "select_kept"]
