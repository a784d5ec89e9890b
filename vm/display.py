"""What a person sees while a program runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import linecache
import re
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sequester.compiler.isa.program import Program

PLAIN_INTERVAL = 10.0


class Display:
    """Shows the events of a run (see `party.py`). A context manager; `on_event` feeds it.

    Loops are named as in the author's file if it lies in `folder`, else by their lines. What the
    program prints is kept in `lines` and, unless `quiet`, goes to standard output; all else goes to
    `console`.
    """

    def __init__(
        self, console: Console, program: Program, folder: Path, quiet: bool = False
    ) -> None:
        self.quiet = quiet
        self.lines: list[str] = []
        self.console, self.names = console, _loop_names(program, folder)
        self.live = Live(
            console=console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.recent: deque[tuple[float, float]] = deque(maxlen=20)
        self.plain_at = 0.0

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, t: TracebackType | None
    ) -> None:
        self.live.stop()

    def on_event(self, party: int, event: dict[str, Any]) -> None:
        """Party 0 speaks for all: progress and prints are the same at every party."""
        if party != 0:
            return
        if event["event"] == "print":
            self.lines.append(event["line"])
            if self.quiet:
                return
            if self.live.is_started and sys.stdout.isatty():
                self.console.print(Text(event["line"]))
            else:
                print(event["line"], flush=True)
        elif event["event"] == "progress":
            text = self._line(event)
            if self.live.is_started:
                self.live.update(Text(text, style="cyan"))
            elif event["loops"] and time.monotonic() - self.plain_at > PLAIN_INTERVAL:
                self.plain_at = time.monotonic()
                self.console.print(Text(text))

    def _line(self, event: dict[str, Any]) -> str:
        if event["phase"] < 2:
            return "connecting the parties …"
        loops = event["loops"]
        parts = []
        for depth, (i, trips, line) in enumerate(loops):
            before = sum(other == line for _, _, other in loops[:depth])
            named = self.names.get(line, [])[before:]
            parts.append(f"{named[0] if named else f'loop of line {line}'} {i + 1}/{trips}")
        if self.lines:
            parts.append(self.lines[-1])
        rate, left = self._pace(event["seconds"], loops)
        if rate:
            parts.append(f"{rate:.2f}/s")
        if left is not None:
            parts.append(f"{int(left) // 60}:{int(left) % 60:02d} left")
        parts.append(f"{event['rounds']:,} rounds, {event['bytes_sent'] / 1e6:,.1f} MB sent")
        if event["checkpoint"]:
            parts.append(f"checkpoint {event['checkpoint']:,}")
        return " · ".join(parts)

    def _pace(self, seconds: float, loops: list[list[int]]) -> tuple[float, float | None]:
        """Innermost iterations a second of late, and seconds left of the outermost loop."""
        if not loops:
            self.recent.clear()
            return 0.0, None
        done, whole = 0, 1
        for i, trips, _ in loops:
            done, whole = done * trips + i, whole * trips
        if self.recent and done < self.recent[-1][1]:
            self.recent.clear()
        if not self.recent or done > self.recent[-1][1]:
            self.recent.append((seconds, done))
        first, last = self.recent[0], self.recent[-1]
        if last[1] == first[1] or last[0] <= first[0]:
            return 0.0, None
        rate = (last[1] - first[1]) / (last[0] - first[0])
        return rate, max(0.0, (whole - last[1]) / rate - (seconds - last[0]))


def _loop_names(program: Program, folder: Path) -> dict[int, list[str]]:
    """What to call the loops that a line begins, the outer one first: `batch`, the loop's variable,
    or nothing if the author's file is unreadable or says no more."""
    names = {}
    for insn, where in zip(program.code, program.lines, strict=True):
        if insn.instr.name == "loop":
            text = linecache.getline(str(folder / program.strings[where.file]), where.line)
            found = re.match(r"\s*for\s+([\w, ]+?)\s+in\b(.*)", text)
            if found:
                plain = "step" if found[1] == "_" else found[1]
                names[where.line] = ["batch" if "batch" in found[2] else plain]
            elif re.search(r"\bfit\(", text):
                names[where.line] = ["epoch", "batch"]
    return names
