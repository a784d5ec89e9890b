"""A tiny network, digits of 8 x 8 pixels and one hidden layer, trained from beginning to end under
every protocol: processes of their own, TLS, nothing dealt or prepared but by the protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sequester import source
from tests.protocols.machine import FIELD, PARTIES, RINGS

from .test_programs import digits, numbers, run

EPOCHS, TRAIN, TEST = 2, 64, 32
TINY = f"""\
from sequester import Parties, nn, program

@program
def tiny():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    opt = nn.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    nn.fit(model, Parties().dataset("train"), opt, epochs={EPOCHS}, batch=16, classes=10,
           test=Parties().dataset("test"), test_batch=16)
"""


def small_digits(folder: Path) -> tuple[str, ...]:
    """The sample's digits, the mean of each 3 x 3 pixels of their middle, split by two parties."""
    specs = []
    for key, found in digits(TRAIN, TEST).items():
        assert isinstance(found, dict)
        middle = found["x"][:, :, 2:26, 2:26]
        x = middle.reshape(-1, 1, 8, 3, 8, 3).mean(axis=(3, 5))
        for party, part in enumerate((slice(0, len(x) // 2), slice(len(x) // 2, None))):
            path = folder / f"{party}-{key[2:]}.npz"
            np.savez(path, x=x[part], y=found["y"][part])
            specs.append(f"{party}:{key[2:]}={path}")
    return tuple(specs)


@pytest.mark.parametrize("protocol", [name for name in PARTIES if name != "emulate"])
def test_trains_as_emulated(protocol: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    inputs = small_digits(tmp_path)
    flags = source.Flags((), inputs, rounding="nearest")  # in the protocol's own ring or field
    plain = replace(flags, ring="field" if RINGS[protocol][0] == FIELD else "64")
    made = source.compile_file(tmp_path / "tiny.py", flags, protocol)
    same = source.compile_file(tmp_path / "tiny.py", plain, "emulate")
    emulated, _ = run(tmp_path, "tiny", same, inputs, "emulate")
    lines, _ = run(tmp_path, "tiny", made, inputs, protocol)
    assert lines == emulated and len(lines) == EPOCHS
    losses = [numbers([line])[1] for line in lines]
    assert losses[-1] < losses[0]
    table = source.summary(tmp_path / protocol)
    assert table["predicted"]["exact"]
    assert table["measured"]["rounds"] == table["predicted"]["rounds"]
    assert table["measured"]["sent_bytes"] == table["predicted"]["sent_bytes"]
    assert len(table["measured"]["sent_bytes"]) == PARTIES[protocol][0]
