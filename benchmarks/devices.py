"""A training step by two processes against one, with one CPU thread each."""

import json
import os
import socket
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from benchmarks.common import Row, classifier, corpus
from pct.methods.base import make_method
from pct.settings import Settings
from pct.text.words import split_all
from pct.training.batches import batch_indices, make_batch
from pct.training.devices import DividedRows
from pct.training.optimizers import train_step

METHODS = ("normal", "removal_margin", "pct")
STEPS, BATCH = 6, 32


def main() -> Row:
    """One table: milliseconds per step of each method, and the speed-up."""
    one, two = (step_seconds(processes) for processes in (1, 2))
    rows = [
        {"method": method, "ms a step, one process": 1e3 * one[method], "two": 1e3 * two[method],
         "speed-up": one[method] / two[method]}
        for method in METHODS
    ]  # fmt: skip
    return {"tables": {f"Training minilm with batches of {BATCH} texts": rows}}


def step_seconds(processes: int) -> dict[str, float]:
    """Seconds per step of each method."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        mp.spawn(train_steps, (processes, port, Path(folder)), nprocs=processes)
        seconds: dict[str, float] = json.loads((Path(folder) / "seconds.json").read_text())
    return seconds


def train_steps(rank: int, processes: int, port: int, folder: Path) -> None:
    """Trains in one of the processes; the first writes the seconds per step."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    untrained = classifier("minilm")
    split = corpus().splits["train"]
    settings = Settings(model="bert", batch_size=BATCH)
    tokens = untrained.tokenizer.encode(split_all(split.texts, settings.words), settings.max_length)
    index = batch_indices(tokens.lengths, BATCH, 0, 1)[: STEPS + 1]
    batches = [make_batch(tokens, split.labels, rows, torch.device("cpu")) for rows in index]
    model = untrained.model.train()
    torch.set_num_threads(1)  # after `classifier`, which sets another number
    DividedRows(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    seconds = {}
    for name in METHODS:
        method = make_method(settings.replace(method=name))
        train_step(model, method, optimizer, batches[0], settings)  # warm-up
        start = time.perf_counter()
        for batch in batches[1:]:
            train_step(model, method, optimizer, batch, settings)
        seconds[name] = (time.perf_counter() - start) / STEPS
    if rank == 0:
        (folder / "seconds.json").write_text(json.dumps(seconds))
    dist.destroy_process_group()
