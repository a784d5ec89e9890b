"""Scheduling: order, fewest rounds (by brute force), and when machines are joined."""

from __future__ import annotations

from collections.abc import Iterator

from graph_strategies import Drawn, graphs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sequester.compiler.ir.graph import Config, Loc
from sequester.compiler.isa.table import BY_NAME
from sequester.compiler.passes import codegen, schedule
from sequester.compiler.passes.lir import Code, Op, Ref, Reg, all_accesses, blocks, breaks

_SETTINGS = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
LOC = Loc("a.py", 1)


def spans(block: list[Op]) -> dict[Op, tuple[int, int]]:
    """Begin and end of every op of a scheduled block."""
    out = {op: (i, i) for i, op in enumerate(block) if op.waits is None}
    for i, op in enumerate(block):
        if op.waits is not None:
            out[op.waits] = (out[op.waits][0], i)
    return out


def rounds(block: list[Op]) -> int:
    """The round clock after a block, by the estimates of schedule.py."""
    clock, finish = 0, {}
    for op in block:
        if op.waits is not None:
            clock = max(clock, finish[op.waits])
        elif op.instr.interactive:
            finish[op] = clock + schedule.rounds_estimate(op)
    return clock


def machines(block: list[Op]) -> list[Op]:
    return [op for op in block if op.instr.interactive]


def conflict(x: Op, y: Op) -> bool:
    return any(
        a.meets(b) and (a.writes or b.writes) for a in all_accesses(x) for b in all_accesses(y)
    )


def check_block(before: list[Op], after: list[Op]) -> None:
    """Every pair of ops that touch a common place keeps its order and does not overlap in time."""
    where = spans(after)
    assert set(where) == set(before)
    for op in before:
        assert op.instr.interactive == (where[op][1] > where[op][0])
    for i, x in enumerate(before):
        for y in before[i + 1 :]:
            apart = where[x][1] < where[y][0]
            if conflict(x, y) or breaks(x) or breaks(y):
                assert apart, (x, y)
            if x.instr.effect and y.instr.effect:
                assert where[x][0] < where[y][0]


@given(drawn=graphs(), merge=st.booleans(), overlap=st.booleans())
@_SETTINGS
def test_order_is_kept_where_it_matters(drawn: Drawn, merge: bool, overlap: bool) -> None:
    code = codegen.run(drawn[0])
    before = [list(block) for block in blocks(code.body)]
    schedule.run(code, merge_rounds=merge, overlap=overlap)
    for old, new in zip(before, blocks(code.body), strict=True):
        check_block(old, new)


# ---- brute force ----

NAMES = ("mul", "ltz", "sadd", "open", "and")


@st.composite
def small_blocks(draw: st.DrawFn) -> list[Op]:
    """Up to six ops on a few registers."""
    files = {"s": [Reg("s", 8) for _ in range(4)], "b": [Reg("b", 8) for _ in range(3)]}
    files["c"] = [Reg("c", 8) for _ in range(2)]
    block = []
    for _ in range(draw(st.integers(1, 6))):
        row = BY_NAME[draw(st.sampled_from(NAMES))]
        used: list[Reg] = []
        args: list[object] = []
        for o in row.operands:
            if o.file:
                free = [r for r in files[o.file] if r not in used]
                reg = draw(st.sampled_from(free))
                used += [reg] if o.writes else []
                args.append(Ref(reg))
            else:
                values = {"n": 8, "p": 1, "bits": 32, "m": draw(st.sampled_from([0, 16]))}
                args.append(None if o.kind == "h" else values.get(o.name, 0))
        block.append(Op(row, args, LOC))
    return block


def orders(block: list[Op]) -> Iterator[list[tuple[str, Op]]]:
    """Every order of starts, joins and local ops that keeps conflicts apart."""
    before = {y: [x for x in block[:i] if conflict(x, y)] for i, y in enumerate(block)}

    def grow(done: list[tuple[str, Op]], started: set[Op], ended: set[Op]) -> Iterator[list]:  # type: ignore[type-arg]
        if len(ended) == len(block):
            yield done
        for op in block:
            if op not in started and all(x in ended for x in before[op]):
                finished = ended if op.instr.interactive else ended | {op}
                yield from grow([*done, ("start", op)], started | {op}, finished)
            elif op in started and op not in ended:
                yield from grow([*done, ("join", op)], started, ended | {op})

    yield from grow([], set(), set())


def best_rounds(block: list[Op]) -> int:
    """Fewest rounds of any valid order: the longest chain of conflicts."""
    finish: dict[Op, int] = {}
    for i, y in enumerate(block):
        begin = max((finish[x] for x in block[:i] if conflict(x, y)), default=0)
        finish[y] = begin + (schedule.rounds_estimate(y) if y.instr.interactive else 0)
    return max(finish.values())


@given(block=small_blocks())
@_SETTINGS
def test_rounds_are_the_longest_chain(block: list[Op]) -> None:
    code = Code(Config(), body=list(block))
    schedule.run(code)
    check_block(block, code.body)
    assert rounds(code.body) == best_rounds(block)
    alone = schedule.run(Code(Config(), body=list(block)), overlap=False)
    check_block(block, alone.body)
    assert rounds(alone.body) == rounds(code.body)
    for overlap in (False, True):
        one = schedule.run(Code(Config(), body=list(block)), merge_rounds=False, overlap=overlap)
        check_block(block, one.body)
        assert rounds(one.body) == sum(map(schedule.rounds_estimate, machines(block)))


@given(block=small_blocks())
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
def test_no_order_at_all_has_fewer_rounds(block: list[Op]) -> None:
    block = block[:4]
    fewest = None
    for order in orders(block):
        clock, finish = 0, {}
        for kind, op in order:
            if kind == "join":
                clock = max(clock, finish[op])
            else:
                finish[op] = clock + (schedule.rounds_estimate(op) if op.instr.interactive else 0)
        fewest = clock if fewest is None else min(fewest, clock)
    assert fewest == rounds(schedule.run(Code(Config(), body=list(block))).body)


def test_independent_machines_share_their_rounds() -> None:
    a, b = Reg("s", 8), Reg("s", 8)
    ops = [
        Op(BY_NAME["mul"], [None, Ref(Reg("s", 8)), Ref(a), Ref(b), 8, 16, 0], LOC)
        for _ in range(5)
    ]
    code = schedule.run(Code(Config(), body=list(ops)))
    assert [op.name for op in code.body] == ["mul"] * 5 + ["join"] * 5
    assert rounds(code.body) == 2


def test_local_work_fills_the_wait_only_with_overlap() -> None:
    """`sfill` is needed by nobody, `sadd` by the second product."""
    s = [Reg("s", 8) for _ in range(5)]
    block = [
        Op(BY_NAME["mul"], [None, Ref(s[0]), Ref(s[1]), Ref(s[1]), 8, 16, 0], LOC),
        Op(BY_NAME["sadd"], [Ref(s[2]), Ref(s[1]), Ref(s[1]), 8], LOC),
        Op(BY_NAME["mul"], [None, Ref(s[3]), Ref(s[2]), Ref(s[2]), 8, 16, 0], LOC),
        Op(BY_NAME["sfill"], [Ref(s[4]), 0, 8], LOC),
    ]

    def names(merge_rounds: bool, overlap: bool) -> list[str]:
        code = Code(Config(), body=list(block))
        schedule.run(code, merge_rounds=merge_rounds, overlap=overlap)
        return [op.name for op in code.body]

    assert names(True, True) == ["mul", "sadd", "mul", "sfill", "join", "join"]
    assert names(True, False) == ["sadd", "mul", "mul", "join", "join", "sfill"]
    assert names(False, True) == ["mul", "sadd", "sfill", "join", "mul", "join"]
    assert names(False, False) == ["sadd", "mul", "join", "mul", "join", "sfill"]


def test_nothing_moves_past_a_break() -> None:
    """Neither starts nor local ops after it may come before, and all machines are joined first."""
    s = [Reg("s", 8) for _ in range(4)]
    c = Reg("c", 1)
    block = [
        Op(BY_NAME["mul"], [None, Ref(s[0]), Ref(s[1]), Ref(s[1]), 8, 0, 0], LOC),
        Op(BY_NAME["if"], [Ref(c)], LOC, ([Op(BY_NAME["breakz"], [Ref(c)], LOC)], [])),
        Op(BY_NAME["mul"], [None, Ref(s[2]), Ref(s[1]), Ref(s[1]), 8, 0, 0], LOC),
        Op(BY_NAME["sfill"], [Ref(s[3]), 0, 8], LOC),
    ]
    code = schedule.run(Code(Config(), body=list(block)))
    names = [op.name for op in code.body]
    assert names[:3] == ["mul", "join", "if"]
    check_block(block, code.body)
