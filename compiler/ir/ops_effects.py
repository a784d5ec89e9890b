"""Rows: inputs, outputs, variables, printing and control flow. The executor knows their meaning."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Config
from .ops import Attrs, any_secret, need, op
from .types import Type, arith


def _input(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    t: Type = a["input"].type
    need(t.secret and not t.bit, "an input is a secret arithmetic value")
    return t


def _load(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    t: Type = a["var"].type
    return t


def _store(x: Sequence[Type], a: Attrs, c: Config) -> None:
    need(x[0] == a["var"].type, f"a value {x[0]} stored into {a['var'].name}: {a['var'].type}")


def _reveal(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(x[0].secret, "this value is clear already")
    return arith(False, x[0].shape, x[0].f)


def _output(x: Sequence[Type], a: Attrs, c: Config) -> None:
    t = a["output"].type
    need((t.shape, t.f, t.bit, t.planes) == (x[0].shape, x[0].f, x[0].bit, x[0].planes),
         f"the output is declared {t}, not {x[0]}")  # fmt: skip


def _print(x: Sequence[Type], a: Attrs, c: Config) -> None:
    for t in x:
        need(not t.secret, "a secret value cannot be printed", "print x.reveal()")
    for piece in a["pieces"]:
        need(isinstance(piece, str) or 0 <= piece[0] < len(x), f"bad piece {piece!r}")


def _loop(x: Sequence[Type], a: Attrs, c: Config) -> Type:
    need(a["trips"] >= 0, f"a loop of {a['trips']} iterations")
    return arith(False, ())


def _while(x: Sequence[Type], a: Attrs, c: Config) -> None:
    need(a["max_trips"] >= 0, f"a loop of {a['max_trips']} iterations")


def _nothing(x: Sequence[Type], a: Attrs, c: Config) -> None:
    pass


def _condition(x: Sequence[Type], a: Attrs, c: Config) -> None:
    need(not x[0].secret, "a branch on a secret value",
         "both branches must run: use where(condition, a, b)")  # fmt: skip
    need(x[0].size == 1 and x[0].f == 0, f"a condition of type {x[0]}")


op("input", _input, attrs="input", interactive=lambda n: True, effect=True, arity=0)
op("load", _load, attrs="var", memory=True, arity=0)
op("store", _store, attrs="var", effect=True, memory=True)
op("reveal", _reveal, interactive=lambda n: True, effect=True)
op("output", _output, attrs="output", interactive=any_secret, effect=True)
op("print", _print, attrs="pieces", effect=True, arity=None)
op("checkpoint", _nothing, effect=True, arity=0)
op("loop", _loop, attrs="trips", effect=True, arity=0)
op("while", _while, attrs="max_trips", effect=True, arity=0)
op("break_if_zero", _condition, effect=True)
op("if", _condition, effect=True)
