"""The same training in the clear: PyTorch in float32, from the same start, on the same batches. It
is done once for all cells that differ in their protocol, rounding or ring.

Initial weights and permutations are the program's own: both follow from its public seed. Dropout is
not the same, since on shares nobody knows what is dropped.
"""

from __future__ import annotations

import hashlib
import json
import runpy
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sequester import nn, source
from sequester.compiler.ir import reference
from sequester.compiler.ir.graph import Graph
from sequester.vm import data, runs
from sequester.vm.results import write_json

from . import secret
from .cells import VARIANTS, Cell
from .secret import Curve, Row, Tell


def train(cell: Cell, data_folder: Path, work: Path, threads: int, tell: Tell) -> None:
    """Train the twin of a cell, from where an earlier try got to (`work`/clear.pt), or take that of
    a cell beside it; its curve is `work`/clear.jsonl, `work`/clear.json says that it is done."""
    done = work / "clear.json"
    if done.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads or torch.get_num_threads())
    torch.manual_seed(cell.seed)
    specs = secret.inputs(cell, data_folder, work)
    sets = {name: source.read() for (_, name), source in data.parse_inputs(specs).items()}
    train_x, test_x = (torch.from_numpy(sets[n]).float() for n in ("train.x", "test.x"))
    train_y, test_y = (torch.from_numpy(sets[n]) for n in ("train.y", "test.y"))
    curve, saved = Curve(work / "clear.jsonl"), work / "clear.pt"
    digest = _digest(cell, train_x, train_y, test_x, test_y)
    if not _take(work, digest):
        _train(cell, specs, ((train_x, train_y), (test_x, test_y)), curve, saved, tell)
        info = {"torch": torch.__version__, "epochs": cell.epochs, "digest": digest}
        write_json(done, info)
    saved.unlink(missing_ok=True)


def _digest(cell: Cell, *arrays: Any) -> str:
    """Of what is trained, how, and on what."""
    found = hashlib.sha256(repr(cell.twin).encode())
    for array in arrays:
        found.update(np.ascontiguousarray(array.numpy()))
    return found.hexdigest()


def _take(work: Path, digest: str) -> bool:
    """Copy the finished training with this digest of another cell, if there is one."""
    for done in sorted(work.parent.glob("*/clear.json")):
        info = json.loads(done.read_text())
        if info.get("digest") == digest:
            shutil.copyfile(done.with_suffix(".jsonl"), work / "clear.jsonl")
            write_json(work / done.name, info)
            return True
    return False


def _train(
    cell: Cell, specs: tuple[str, ...], sets: tuple[Any, Any], curve: Curve, saved: Path, tell: Tell
) -> None:
    """Train to the end; `sets`: pictures and labels to train on, and to test on."""
    model = start(cell, specs)
    optimizer = _optimizer(cell, model)
    rates = _schedule(cell, optimizer)
    before = _load(saved, model, optimizer, rates)
    for epoch, order in enumerate(permutations(cell, specs), 1):
        if epoch <= before:
            continue
        begin = time.monotonic()
        loss = _epoch(cell, model, optimizer, *sets[0], torch.from_numpy(order))
        if rates is not None:
            rates.step()
        accuracy = _accuracy(model, *sets[1])
        curve.add(Row(epoch, loss, accuracy, round(time.monotonic() - begin, 2)))
        _save(saved, epoch, model, optimizer, rates)
        tell(f"in the clear, epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.2f} %")


def _save(path: Path, epoch: int, *parts: Any) -> None:
    """What the next epochs follow from: the states of the model, the optimiser and the schedule,
    and PyTorch's randomness (dropout's)."""
    states = [part and part.state_dict() for part in parts]
    fresh = path.with_suffix(".new")
    torch.save({"epoch": epoch, "states": states, "random": torch.get_rng_state()}, fresh)
    fresh.replace(path)


def _load(path: Path, *parts: Any) -> int:
    """Go on from what was saved; the epochs that are done."""
    if not path.exists():
        return 0
    found = torch.load(path, weights_only=True)
    for part, state in zip(parts, found["states"], strict=True):
        if part is not None:
            part.load_state_dict(state)
    torch.set_rng_state(found["random"])
    return int(found["epoch"])


def start(cell: Cell, specs: tuple[str, ...]) -> Any:
    """The network as a PyTorch module with the weights that the program starts from.

    The program without any epoch gives its model out untrained; on real numbers that run is exact.
    """
    shapes = {key: (2, *found.shape[1:]) for key, found in data.parse_inputs(specs).items()}
    words = [w for w in cell.words() if not w.startswith(("--epochs=", "--batch="))]
    program = source.load(cell.program)
    options = source.parse_options(program, (*words, "--epochs=0", "--batch=2", "--save"))
    graph = program.trace(shapes=shapes, **options)
    zeros = {key: np.zeros(shape) for key, shape in shapes.items()}
    found = reference.run(graph, zeros, mode="float", public_seed=runs.public_seed(cell.seed))
    network = runpy.run_path(str(cell.program))["network"]
    kinds: dict[str, Any] = dict(VARIANTS.get(cell.net, {}))
    kinds |= {"dropout": cell.dropout} if cell.dropout else {}
    return nn.to_torch(lambda: network(**kinds), found.outputs)


def permutations(cell: Cell, specs: tuple[str, ...]) -> Iterator[np.ndarray[Any, Any]]:
    """The order of the training pictures in each epoch, as the program takes it."""
    shapes = {key: found.shape for key, found in data.parse_inputs(specs).items()}
    program = source.load(cell.program)
    graph = program.trace(shapes=shapes, **source.parse_options(program, cell.words()))
    stream = _stream(graph, shapes[0, "train.x"][0])
    coins = reference.PublicRandomness(runs.public_seed(cell.seed))
    for _ in range(cell.epochs):
        yield np.array(coins.permutation(stream, shapes[0, "train.x"][0]))


def _stream(graph: Graph, rows: int) -> int:
    """The stream of public randomness that the shuffles take."""
    found = [n.attrs["stream"] for n in graph.walk() if n.op == "perm" and n.attrs["n"] == rows]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} permutations of {rows} rows in the program, not one")
    return int(found[0])


def _optimizer(cell: Cell, model: Any) -> Any:
    if cell.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=cell.lr, momentum=cell.momentum)
    if cell.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=cell.lr)
    amsgrad = {"adam": False, "amsgrad": True}[cell.optimizer]
    return torch.optim.Adam(model.parameters(), lr=cell.lr, amsgrad=amsgrad)


def _schedule(cell: Cell, optimizer: Any) -> Any:
    """The twin of `nn.schedule_named`."""
    if cell.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=cell.epochs)
    if cell.schedule == "constant":
        return None
    raise RuntimeError(f"the schedule {cell.schedule} has no twin here")


def _epoch(cell: Cell, model: Any, optimizer: Any, x: Any, y: Any, order: Any) -> float:
    """Train on all whole batches; the mean loss."""
    model.train()
    total, batches = 0.0, len(order) // cell.batch
    for i in range(batches):
        rows = order[i * cell.batch : (i + 1) * cell.batch]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / batches


def _accuracy(model: Any, x: Any, y: Any) -> float:
    """Percentage classified right."""
    model.eval()
    with torch.no_grad():
        parts = zip(x.split(500), y.split(500), strict=True)
        right = sum(int((model(a).argmax(1) == b).sum()) for a, b in parts)
    return 100.0 * right / len(x)
