"""Every command of scripts/bench.py, small; the relay's network; and what the report calls hidden.

Speed is not tested, only that figures are there, add up and are not absurd.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, environment

TRAIN_KEYS = {
    "net", "protocol", "parties", "mb_sent_per_party", "rounds_per_batch", "peak_memory_mb",
    "batch", "seconds_per_batch", "least_and_most", "compile_seconds", "compile_peak_mb", "machine",
}  # fmt: skip


def bench(*words: object) -> dict[str, Any]:
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "scripts" / "bench.py"),
            *map(str, words),
            "--runs=1",
            "--json",
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    table: dict[str, Any] = json.loads(done.stdout)
    return table


@pytest.mark.parametrize("net", ["A", "B", "D"])
def test_train(net: str) -> None:
    result = bench("train", "--net", net, "--batch", 4, "--batches", 2)
    assert set(result) == TRAIN_KEYS
    assert result["net"] == net and result["batch"] == 4 and result["parties"] == 3
    assert result["seconds_per_batch"] > 0 and min(result["mb_sent_per_party"]) > 0.01


def test_all_of_a_data_set() -> None:
    result = bench("train", "--net", "A", "--batch", 2000, "--data", ROOT / "programs" / "data")
    assert set(result) == TRAIN_KEYS and len(result["peak_memory_mb"]) == 3


def test_infer_costs_less_than_training() -> None:
    result = bench("infer", "--net", "A", "--batches", 2)
    trained = bench("train", "--net", "A", "--batch", 100, "--batches", 2)
    assert set(result) == TRAIN_KEYS and result["batch"] == 100
    assert 0 < result["rounds_per_batch"] < trained["rounds_per_batch"]
    assert max(result["mb_sent_per_party"]) < max(trained["mb_sent_per_party"])


def test_relay_delays_and_paces() -> None:
    words = ("train", "--net", "A", "--batch", 32, "--batches", 2, "--rtt", 20, "--mbit", 20)
    result = bench(*words)
    assert set(result) == TRAIN_KEYS | {"rtt_ms", "mbit"}
    delay = result["rounds_per_batch"] * 0.01
    assert result["seconds_per_batch"] > 0.9 * delay
    sent = max(result["mb_sent_per_party"]) * 8 / 20
    assert result["seconds_per_batch"] > 0.5 * sent


def test_merging_is_worth_rounds() -> None:
    words = ("train", "--net", "A", "--batch", 4, "--batches", 2)
    plain = bench(*words, "--without", "merge_rounds")
    assert plain.pop("without") == ["merge_rounds"]
    assert plain["rounds_per_batch"] > bench(*words)["rounds_per_batch"]


def test_round() -> None:
    near = bench("micro", "round", "--rounds", 20)
    far = bench("micro", "round", "--rounds", 5, "--rtt", 30)
    assert near["channel"] == "TLS 1.3" and near["microseconds_per_round"] > 0
    assert far["microseconds_per_round"] > 14_900


@pytest.mark.parametrize(
    "name, least, rounds",
    [
        ("comparison", 4, 5),
        ("truncation", 8, 2),
        ("product", 8, 2),
        ("and", 0.125, 1),
        ("select", 8, 2),
    ],
)
def test_instruction(name: str, least: float, rounds: int) -> None:
    result = bench("micro", name, "--elements", 1 << 14)
    assert least <= result["bytes_per_element"] < 40
    assert 1 <= result["rounds"] <= rounds
    assert result["local_million_per_second"] > 0 and result["run_million_per_second"] > 0


@pytest.mark.parametrize("name", ["gemm", "conv"])
def test_products(name: str) -> None:
    result = bench("micro", name, "--batch", 2)
    assert len(result["shapes"]) in (5, 6)
    for shape in result["shapes"].values():
        assert shape["gmacs"] > 0 and shape["inner"] > 1
        assert (shape["of_peak"] is None) == (result["peak_gmacs"] is None)


def test_threads() -> None:
    result = bench("micro", "threads", "--batch", 2, "--elements", 1 << 12)
    assert {"fc1 forward", "conv2 dw", "comparison", "select"} < set(result["speedup"])
    assert min(result["speedup"].values()) > 0


def test_kernels_and_channel() -> None:
    assert min(bench("micro", "aes")["gb_per_second"].values()) > 0
    assert min(bench("micro", "elements")["nanoseconds"].values()) > 0
    transfers = bench("micro", "ot", "--millions", 1)["millions_per_second"]
    assert all(row["correlated"] > 0 and row["random"] > 0 for row in transfers.values())
    channel = bench("micro", "channel", "--megabytes", 1)
    for kind in ("tcp", "tls"):
        assert channel[kind]["mb_per_second"] > 0 and channel[kind]["cpu_seconds_per_gb"] > 0


def test_all_makes_every_table() -> None:
    words = ("all", "--nets", "A", "--wan", "A", "--batch", 4, "--batches", 2)
    table = bench(*words, "--elements", 1 << 12, "--megabytes", 1, "--rounds", 50, "--rtt", 4)
    tables = {"date", "machine", "train", "infer", "protocols", "networks", "micro", "roofline"}
    assert tables == set(table) and len(table["protocols"]) == 7
    assert [row["net"] for row in table["roofline"]] == ["A"]
    layers = (784 * 128, 128 * 128, 128 * 10)  # the input needs no gradient
    expected = 4 * (3 * sum(layers) - layers[0])
    assert expected <= table["roofline"][0]["macs"] < 1.2 * expected
    assert len(table["networks"]) == 6
    parts = table["roofline"][0]["protocols"]
    assert parts["local instructions"] > 0
    for row in [*table["train"], *table["networks"]]:
        assert 0 <= row["hidden_share"] <= 1
        assert row["wait_seconds"] > 0 and row["awaited_seconds"] <= row["seconds"]


def test_page_has_the_place_for_tables() -> None:
    page = Path(ROOT / "docs" / "performance.md").read_text()
    begin, end = "<!-- begin of tables: bench.py all --write -->", "<!-- end of tables -->"
    assert page.count(begin) == page.count(end) == 1 and page.index(begin) < page.index(end)
