"""One party's process before and after it gives its inputs to the runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sequester.compiler.isa.asm import assemble
from sequester.compiler.isa.codec import encode, program_hash
from sequester.vm import native, party
from sequester.vm.errors import RefusedError

TEXT = """
.meta domain=0 ring_bits=64 k=31 f=16 stat=40 rounding=0 s_size=512 b_size=0 c_size=64 \
handles=8 checked=0
.string ""
.string "x"
.string "y"
.string "prog.py"
.input name="x" party=0 f=0 shape=[3]
.output name="y" party=all f=0 planes=0 shape=[3]
.line "prog.py":1
input h=0 d=s0 in=0 n=3
join h=0
output h=0 out=0 a=s0 n=3
join h=0
end
"""


@pytest.fixture
def job(tmp_path: Path) -> party.Job:
    (tmp_path / "p.sqb").write_bytes(encode(assemble(TEXT)))
    np.save(tmp_path / "x.npy", np.array([1, 2, 3]))
    return party.Job(
        program=str(tmp_path / "p.sqb"),
        folder=str(tmp_path / "r"),
        protocol="emulate",
        parties=1,
        channel=native.MEMORY,
        inputs=(f"0:x={tmp_path / 'x.npy'}",),
        program_hash=program_hash((tmp_path / "p.sqb").read_bytes()),
    )


def test_a_program_changed_after_its_hash_was_checked_is_refused(job: party.Job) -> None:
    other = TEXT.replace('"prog.py":1', '"prog.py":2')
    Path(job.program).write_bytes(encode(assemble(other)))
    with pytest.raises(RefusedError, match=job.program_hash):
        party.run(job, lambda event: None)
    assert not Path(job.folder).exists()


def test_inputs_are_wiped_and_never_dumped(job: party.Job) -> None:
    """In a process of its own: that it may not dump core stays so to its end."""
    code = """
import ctypes, sys
from sequester.vm import data, party
prctl, seen = ctypes.CDLL(None).prctl, []
def to_words(*args, **named):
    seen.append((convert(*args, **named), prctl(3, 0, 0, 0, 0)))  # PR_GET_DUMPABLE
    return seen[0][0]
convert, data.to_words = data.to_words, to_words
party.run(party.Job.from_json(sys.stdin.read()), lambda event: None)
print(seen[0][0].tolist(), seen[0][1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=job.to_json(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[0, 0, 0] 0\n"
    assert np.load(Path(job.folder) / "outputs.npz")["y"].tolist() == [1, 2, 3]
