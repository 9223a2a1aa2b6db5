"""The files from which a run resumes: settings, history, checkpoint."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pct.corpora.splits import Corpus
from pct.layout import CHECKPOINT, HISTORY, MODEL, REPORT, SETTINGS, Record
from pct.models import TextModel
from pct.settings import Settings
from pct.training.runs import changed_settings
from pct.writing import atomic_write, write_text


@dataclass
class EpochState:
    """How far an epoch is, and what its record will say about its steps so far.

    Attributes:
        step: the steps that are done.
        sums: of each part of the loss.
        counts: the steps in which each part occurred.
        seconds: of these steps.
        generators: the states of the random number generators after them; empty before the first step.
    """

    step: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    generators: dict[str, Any] = field(default_factory=dict)


def generator_states(device: torch.device) -> dict[str, Any]:
    """The states of the generators of torch, also of its GPU, numpy and Python, as JSON types."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  some libraries use it
    states = {"python": random.getstate(), "numpy": [name, np.asarray(keys).tolist(), *rest]}
    states["torch"] = torch.get_rng_state().numpy().tobytes().hex()
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device).numpy().tobytes().hex()
    return states


def restore_generators(states: dict[str, Any], device: torch.device) -> None:
    """Sets the generators to what `generator_states` returned; an empty dictionary changes nothing."""
    if not states:
        return
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(tuple(states["numpy"]))  # noqa: NPY002
    torch.set_rng_state(_bytes(states["torch"]))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(_bytes(states["cuda"]), device)


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)


def open_run(folder: Path, settings: Settings, corpus: Corpus, start: str = "") -> Path:
    """Creates a run's folder and writes its settings.

    Args:
        folder: of the run.
        settings: of the run.
        corpus: its texts.
        start: a digest of the starting weights; empty if they are drawn.

    Raises:
        ValueError: the folder holds a run with other settings, texts or starting weights, or a damaged run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(".tmp??????"):  # of safetensors, in a process that was killed
        unfinished.unlink()
    path = folder / SETTINGS
    about = {"settings": settings.to_dict(), "fingerprint": corpus.fingerprint, "source": corpus.source, "start": start}
    trained = any((folder / name).exists() for name in (CHECKPOINT, HISTORY, MODEL, REPORT))
    if trained and path.is_file():  # else the training failed before its first step, and another may take the folder
        try:
            changed = changed_settings(path, settings, corpus, start)
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(f"{path} is damaged ({problem}); remove {folder} to train again") from problem
        if changed:
            raise ValueError(f"{folder} holds a run with other settings ({'; '.join(changed)}); give another folder")
    write_text(path, json.dumps(about, indent=2))
    return folder


class Checkpoint(NamedTuple):
    """A copy of the state of a run, on the CPU.

    Attributes:
        tensors: by name.
        state: the rest, as JSON.
    """

    tensors: dict[str, Tensor]
    state: str


def checkpoint_of(
    history: list[Record],
    model: TextModel,
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    epoch: EpochState | None = None,
) -> Checkpoint:
    """The checkpoint of a run.

    Args:
        history: one record for each finished epoch.
        model: the current model.
        best: the weights of the best epoch by name; empty if they are not kept.
        optimizer: Adam or AdamW.
        epoch: of the unfinished epoch; None after an epoch.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for number, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": v for k, v in slots.items()}
    state: dict[str, Any] = {"history": history}
    if epoch is not None:
        tensors |= {f"sum.{k}": v for k, v in epoch.sums.items()}
        state["epoch"] = {k: getattr(epoch, k) for k in ("step", "counts", "seconds", "generators")}
    return Checkpoint({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, json.dumps(state))


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint as safetensors, atomically. Raises OSError if it cannot be written."""
    try:
        with atomic_write(path) as unfinished:
            save_file(checkpoint.tensors, unfinished, {"state": checkpoint.state})
    except (OSError, SafetensorError) as problem:
        raise OSError(
            f"the checkpoint {path} could not be written ({problem}); free disk space and start again"
        ) from problem


class CheckpointWriter:
    """Writes the checkpoints of a run, one after another, in a thread.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.thread = ThreadPoolExecutor(1)
        self.last: Future[None] | None = None

    def start(self, checkpoint: Checkpoint) -> None:
        """Starts to write a checkpoint, once the last one is written. Raises OSError as `wait`."""
        self.wait()
        self.last = self.thread.submit(write_checkpoint, self.path, checkpoint)

    def wait(self) -> None:
        """Waits until the last checkpoint is written. Raises OSError if it could not be written."""
        last, self.last = self.last, None
        if last is not None:
            last.result()


def load_checkpoint(
    path: Path, model: TextModel, optimizer: torch.optim.Optimizer
) -> tuple[list[Record], dict[str, Tensor], EpochState | None]:
    """Loads a checkpoint into model and optimizer.

    Returns:
        The history, the best epoch's weights, and the state of the unfinished epoch, if it was written within one.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with safe_open(path, "pt", device=str(model.device)) as saved:
            state = json.loads(saved.metadata()["state"])
            history, epoch = list(state["history"]), None
            parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "sum": {}}
            for key in saved.keys():  # noqa: SIM118  not a dict
                kind, name = key.split(".", 1)
                parts[kind][name] = saved.get_tensor(key)
        if "epoch" in state:
            epoch = EpochState(**state["epoch"] | {"sums": parts["sum"], "counts": Counter(state["epoch"]["counts"])})
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict(
            {"state": _slots(parts["optimizer"]), "param_groups": optimizer.state_dict()["param_groups"]}
        )
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise _damaged(path, problem) from problem
    return history, parts["best"], epoch


def check_checkpoint(path: Path) -> None:
    """Raises ValueError if a checkpoint is damaged, as far as its length and its header tell."""
    try:
        with safe_open(path, "pt") as saved:
            json.loads(saved.metadata()["state"])
    except (SafetensorError, KeyError, TypeError, ValueError) as problem:
        raise _damaged(path, problem) from problem


def _damaged(path: Path, problem: Exception) -> ValueError:
    return ValueError(f"{path} is damaged ({' '.join(str(problem).split())}); remove it to train again")


def _slots(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Adam's state by the index of the weight."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, slot = name.split(".", 1)
        slots.setdefault(int(number), {})[slot] = tensor
    if any(set(slot) != {"step", "exp_avg", "exp_avg_sq"} for slot in slots.values()):
        raise ValueError("the optimizer's state is incomplete")
    return slots
