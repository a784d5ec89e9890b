"""Every table of docs/performance.md: measured by `collect`, written by `markdown`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sequester.vm import native, runs

from . import channel, kernels, protocol, threads, training, transfers
from .build import ROOT
from .training import Case, Measured

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- begin of tables: bench.py all --write -->", "<!-- end of tables -->"
OFF = (
    ("everything on", ()),
    ("without `overlap`", ("overlap",)),
    ("without `merge_rounds`", ("merge_rounds",)),
)
# Steps under other protocols than rep3: protocol, network, batch.
OTHERS = (
    ("rep4", "A", 128), ("rep4", "C", 100), ("rep3-mal", "A", 100), ("rep3-mal", "C", 100),
    ("shamir", "A", 100), ("shamir-mal", "A", 100), ("dealer", "A", 128), ("semi2k", "A", 128),
    ("spdz2k-dealt", "A", 128),
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much to measure."""

    nets: tuple[str, ...] = ("A", "B", "C", "D", "alexnet")
    wan: tuple[str, ...] = ("A", "C")
    batch: int = 128
    batches: int = 5
    repetitions: int = 5
    elements: int = 1 << 20
    megabytes: int = 100
    rounds: int = 2000
    rtt: float = 40.0
    mbit: float = 100.0


def collect(sizes: Sizes, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures as one table of JSON values. `say` hears what is being measured."""

    def case(net: str, **more: Any) -> Case:
        batches = min(sizes.batches, 3) if net == "alexnet" else sizes.batches
        return replace(Case(net, batch=sizes.batch, batches=batches), **more)

    table: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": _machine()}
    trained: dict[str, Measured] = {}
    table["train"], table["infer"], table["networks"] = [], [], []
    for net in sizes.nets:
        say(f"train {net}")
        trained[net] = training.measure(case(net), sizes.repetitions)
        table["train"].append(trained[net].result | trained[net].overlap)
    for net in sizes.nets:
        say(f"infer {net}")
        measured = training.measure(case(net, infer=True), sizes.repetitions)
        table["infer"].append(measured.result | measured.overlap)
    table["protocols"] = []
    for protocol_name, net, batch in OTHERS:
        if net in sizes.nets:
            say(f"train {net}, {protocol_name}")
            one = case(net, protocol=protocol_name, batch=min(batch, sizes.batch))
            measured = training.measure(one, min(sizes.repetitions, 3))
            table["protocols"].append(measured.result | measured.overlap)
    table["micro"] = _micro(sizes, say)
    table["roofline"] = [
        roofline(trained[net], table["micro"]) for net in ("C", "A") if net in trained
    ]
    wan = f"{sizes.rtt:g} ms, {sizes.mbit:g} Mbit/s"
    for net in sizes.wan:
        for network, link in (("loopback", {}), (wan, {"rtt": sizes.rtt, "mbit": sizes.mbit})):
            say(f"train {net}, {network}, everything on and without passes")
            batches = min(sizes.batches, 3) if link else sizes.batches
            cases = [case(net, without=without, batches=batches, **link) for _, without in OFF]
            repetitions = min(sizes.repetitions, 3) if link else sizes.repetitions
            by_turns = training.measure_by_turns(cases, repetitions)
            for (name, _), one in zip(OFF, by_turns, strict=True):
                row = {"network": network, "compiled": name, **one.result, **one.overlap}
                table["networks"].append(row)
    return table


def _micro(sizes: Sizes, say: Callable[[str], None]) -> dict[str, Any]:
    times = sizes.repetitions
    micro: dict[str, Any] = {}
    for kind in ("gemm", "conv"):
        say(f"micro {kind}")
        micro[kind] = kernels.products(kind, times, batch=sizes.batch)
    for name in protocol.OPS:
        say(f"micro {name}")
        micro[name] = protocol.measure(name, sizes.elements, 31, times)
    say("micro threads")
    micro["threads"] = threads.measure(times, native.cpus(), batch=sizes.batch, n=sizes.elements)
    say("micro aes, elements, ot, channel, round")
    micro["aes"] = kernels.aes(times)
    micro["elements"] = kernels.elements(times)
    micro["ot"] = transfers.measure(times, max(1, sizes.elements >> 16))
    micro["channel"] = channel.measure(times, sizes.megabytes)
    wan_rounds = max(2, sizes.rounds // 40)
    micro["round"] = [
        protocol.latency(times, sizes.rounds),
        protocol.latency(times, sizes.rounds, plain=True),
        protocol.latency(1, wan_rounds, rtt=sizes.rtt, mbit=sizes.mbit),
    ]
    return micro


def _machine() -> dict[str, str]:
    caches = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((folder / f).read_text().strip() for f in ("level", "type", "size"))
        caches.append(f"L{level} {kind.lower()} {size}")
    return {
        "machine": runs.machine(),
        "caches": ", ".join(caches) or "caches unknown",
        "kernels": kernels.best_level(kernels.load()),
    }


def roofline(step: Measured, micro: dict[str, Any]) -> dict[str, Any]:
    """Where the seconds of a training step go if all cores were always busy.

    Floors: multiply-adds, six for each one in the clear (three parties, two products of shares
    each), at the peak of registers; bytes of all parties at the processor time that TLS takes.
    Parts: what protocols take for the same work by themselves, without their messages, and the time
    of instructions that have none. The rest is products below the peak, scheduling, and waiting.
    """
    cores, work = native.cpus(), step.work
    sent = sum(step.result["mb_sent_per_party"]) / 1e3
    floor_bytes = sent * micro["channel"]["tls"]["cpu_seconds_per_gb"] / cores
    shapes = [*micro["gemm"]["shapes"].values(), *micro["conv"]["shapes"].values()]
    peak = micro["gemm"]["peak_gmacs"] or max(s["gmacs"] for s in shapes)
    floor = {
        "multiply-adds": 6 * work["macs"] / (peak * 1e9) / cores,
        "bytes over TLS": floor_bytes,
    }
    parts = {}
    for kind in protocol.OPS:
        rate = micro[kind]["local_million_per_second"] * 1e6
        parts[f"{kind}: {work[kind] / 1e6:.2f} million"] = 3 * work[kind] / rate / cores
    parts["local instructions"] = step.local / cores
    seconds = step.result["seconds_per_batch"]
    return {
        "net": step.result["net"],
        "macs": work["macs"],
        "gb_sent_by_all": round(sent, 4),
        "floor": {name: round(s, 4) for name, s in floor.items()},
        "protocols": {name: round(s, 4) for name, s in parts.items()},
        "measured": seconds,
        "rest": round(seconds - sum(floor.values()) - sum(parts.values()), 4),
    }


# ---- as text ----


def write(table: dict[str, Any]) -> None:
    """Put the tables into docs/performance.md, in place of those there."""
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{markdown(table)}\n{END}{after}")


def markdown(table: dict[str, Any]) -> str:
    """The tables as Markdown, with their headings."""
    machine = table["machine"]
    parts = [
        f"Measured {table['date']} on: {machine['machine']}; {machine['caches']}; "
        f"{machine['kernels']} kernels.\n",
        "### Training steps, all three parties on this machine over TLS\n",
        _networks(table["train"]),
        "### Inference, 100 pictures\n",
        _networks(table["infer"]),
        "### A training step under other protocols\n",
        _protocols(table["protocols"]),
        "### The worth of merging rounds and of overlap\n",
        _off(table["networks"]),
        "### Products, of one party on one core\n",
        _products(table["micro"]),
        "### Instructions of `rep3`\n",
        _instructions(table["micro"]),
        "### Threads of one party\n",
        _threads(table["micro"]["threads"]),
        "### AES, channels, rounds\n",
        _rest(table["micro"]),
        "### Roofline of a step\n",
        *map(_roofline, table["roofline"]),
    ]
    return "\n".join(parts)


def _rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _networks(rows: list[dict[str, Any]]) -> str:
    head = ("network", "batch", "s", "MB a party", "rounds", "memory MB", "compile s", "hidden")
    return _rows(head, (
        (r["net"], r["batch"], f"{r['seconds_per_batch']:.3f}",
         f"{max(r['mb_sent_per_party']):.1f}", f"{r['rounds_per_batch']:g}",
         f"{max(r['peak_memory_mb']):.0f}", f"{r['compile_seconds']:.1f}",
         _percent(r["hidden_share"]))
        for r in rows
    ))  # fmt: skip


def _protocols(rows: list[dict[str, Any]]) -> str:
    head = ("protocol", "parties", "network", "batch", "s", "MB a party", "rounds", "memory MB")
    return _rows(head, (
        (r["protocol"], r["parties"], r["net"], r["batch"], f"{r['seconds_per_batch']:.3f}",
         f"{max(r['mb_sent_per_party']):.1f}", f"{r['rounds_per_batch']:g}",
         f"{max(r['peak_memory_mb']):.0f}")
        for r in rows
    ))  # fmt: skip


def _off(rows: list[dict[str, Any]]) -> str:
    head = ("network", "link", "compiled", "s", "least to most", "rounds", "hidden")
    return _rows(head, (
        (r["net"], r["network"], r["compiled"], f"{r['seconds_per_batch']:.3f}",
         "{:.3f} to {:.3f}".format(*r["least_and_most"]),
         f"{r['rounds_per_batch']:g}", _percent(r["hidden_share"]))
        for r in rows
    ))  # fmt: skip


def _products(micro: dict[str, Any]) -> str:
    peak = micro["gemm"]["peak_gmacs"]
    shapes = {**micro["gemm"]["shapes"], **micro["conv"]["shapes"]}
    head = ("product", "inner length", "10^9 multiply-adds/s", "of the peak", "sum of two")
    table = _rows(head, (
        (name, s["inner"], s["gmacs"], _percent(s["of_peak"]), _percent(s["both_of_peak"]))
        for name, s in shapes.items()
    ))  # fmt: skip
    text = f"{peak} · 10^9 multiply-adds a second" if peak else "not measured here"
    return f"{table}\nPeak of a loop on registers alone: {text}.\n"


def _instructions(micro: dict[str, Any]) -> str:
    names = ("instruction", "million", "bytes", "rounds", "local million/s", "run million/s")
    return _rows(names, (
        (name, f"{m['elements'] / 1e6:.2f}", f"{m['bytes_per_element']:.3f}", m["rounds"],
         m["local_million_per_second"], m["run_million_per_second"])
        for name in protocol.OPS for m in (micro[name],)
    ))  # fmt: skip


def _threads(found: dict[str, Any]) -> str:
    head = ("work", f"speed with {found['threads']} threads over speed with one")
    return _rows(head, found["speedup"].items())


def _rest(micro: dict[str, Any]) -> str:
    rows: list[tuple[object, ...]] = []
    for name, rate in micro["aes"]["gb_per_second"].items():
        rows.append((f"AES-128-CTR, {name}, one core", f"{rate} GB/s"))
    for name, ns in micro["elements"]["nanoseconds"].items():
        rows.append((f"{name}, one core", f"{ns} ns an element"))
    for tree, m in micro["ot"]["millions_per_second"].items():
        rows.append(
            (f"correlated OTs over loopback, {tree}", f"{m['correlated']} million a second")
        )
    for kind, m in micro["channel"].items():
        rate, cost = m["mb_per_second"], m["cpu_seconds_per_gb"]
        rows.append((f"{kind.upper()}, six directions together", f"{rate} MB/s"))
        rows.append((f"{kind.upper()}, processor time, both ends", f"{cost} s/GB"))
    for m in micro["round"]:
        link = f", {m['rtt_ms']:g} ms, {m['mbit']:g} Mbit/s" if m["rtt_ms"] else ""
        rows.append((f"a round, {m['channel']}{link}", f"{m['microseconds_per_round']:,} µs"))
    return _rows(("what", "figure"), rows)


def _roofline(r: dict[str, Any]) -> str:
    rows: list[tuple[object, ...]] = []
    for name, s in r["floor"].items():
        rows.append((f"floor: {name}", f"{s:.4f}", _percent(s / r["measured"])))
    for name, s in r["protocols"].items():
        rows.append((name, f"{s:.4f}", _percent(s / r["measured"])))
    rows.append(("rest", f"{r['rest']:.4f}", _percent(r["rest"] / r["measured"])))
    rows.append(("measured", f"{r['measured']:.4f}", "100%"))
    head = f"Network {r['net']}: {r['macs'] / 1e9:.3f} · 10^9 multiply-adds in the clear, "
    return f"{head}{r['gb_sent_by_all']} GB sent by all.\n\n{_rows(('s a step', 's', ''), rows)}"
