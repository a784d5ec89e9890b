"""The launcher's eye on the parties' processes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sequester.vm import launch
from sequester.vm.errors import PeerError, RefusedError


class LateWords:
    """A process that says why it ends between a look into its pipe and a look at its state."""

    def __init__(self) -> None:
        read, self.write = os.pipe()
        self.stdin = io.BytesIO()
        self.stdout = os.fdopen(read, "rb", buffering=0)
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            event = {
                "event": "error",
                "kind": "RefusedError",
                "message": "not this one",
                "party": -1,
            }
            os.write(self.write, json.dumps(event).encode() + b"\n")
            os.close(self.write)
            self.code = RefusedError.exit_code
        return self.code

    def wait(self, timeout: float | None = None) -> int | None:
        return self.poll()


def test_last_words_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.subprocess, "Popen", lambda *a, **more: LateWords())
    child = launch._Child(
        launch.Job(program="", folder=str(tmp_path), protocol="", parties=1), None
    )
    launch._pump([child], lambda party, event: None)
    assert isinstance(child.error, RefusedError) and "not this one" in str(child.error)


def test_who_is_ended_by_us_is_not_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One party gives up waiting for another, which still reads its data, and is killed for it."""
    code = (
        "import signal, sys, time\nsignal.signal(2, signal.SIG_IGN)\n"
        "me = __import__('json').loads(sys.stdin.read())['me']\n"
        'error = \'{"event": "error", "kind": "PeerError", "message": "lost", "party": 0}\'\n'
        "time.sleep(60) if me == 0 else (print(error, flush=True), sys.exit(6))\n"
    )
    popen = subprocess.Popen

    def start(words: object, **more: Any) -> Any:
        return popen([sys.executable, "-c", code], **more)

    monkeypatch.setattr(launch.subprocess, "Popen", start)
    job = launch.Job(program="", folder=str(tmp_path), protocol="", parties=2)
    with pytest.raises(PeerError, match="party 1: lost"):
        launch.run_local(job, lambda party, event: None, tls=False)
