"""What a run leaves behind after each epoch, and what another process goes on from: settings, history, checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pct.corpora.loading import Corpus
from pct.layout import SETTINGS, Record
from pct.models import TextModel
from pct.settings import Settings
from pct.writing import atomic_write, write_text


def open_run(folder: Path, settings: Settings, corpus: Corpus) -> Path:
    """Makes a run's folder and writes its settings there.

    Raises:
        ValueError: the folder holds a run with other settings or on other texts, or a damaged one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS
    about = {"settings": settings.to_dict(), "fingerprint": corpus.fingerprint, "source": corpus.source}
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            old = {"fingerprint": before["fingerprint"], **Settings.from_saved(before["settings"]).to_dict()}
        except (ValueError, KeyError, TypeError) as problem:
            raise ValueError(f"{path} is damaged ({problem}); remove {folder} to train anew") from problem
        new = {"fingerprint": corpus.fingerprint, **settings.to_dict()}
        changed = [f"{k}: {old.get(k)!r} -> {v!r}" for k, v in new.items() if old.get(k) != v]
        if changed:
            raise ValueError(f"{folder} holds a run with other settings ({'; '.join(changed)}); give another folder")
    write_text(path, json.dumps(about, indent=2))
    return folder


def save_checkpoint(
    path: Path, history: list[Record], model: TextModel, best: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Writes a checkpoint as safetensors, whole or not at all.

    Args:
        path: the file.
        history: one record an epoch so far.
        model: as it stands.
        best: the weights of the best epoch by name; empty where they are not kept.
        optimizer: one of the Adam kind.

    Raises:
        OSError: it could not be written.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for number, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": v for k, v in slots.items()}
    clean = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    try:
        with atomic_write(path) as unfinished:
            save_file(clean, unfinished, {"state": json.dumps({"history": history})})
    except (OSError, SafetensorError) as problem:
        raise OSError(f"the checkpoint {path} could not be written ({problem}); free disk and start again") from problem


def load_checkpoint(
    path: Path, model: TextModel, optimizer: torch.optim.Optimizer
) -> tuple[list[Record], dict[str, Tensor]]:
    """Puts what `save_checkpoint` wrote into model and optimizer; returns the history and the best epoch's weights.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        with safe_open(path, "pt", device=str(model.device)) as saved:
            history = list(json.loads(saved.metadata()["state"])["history"])
            parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
            for key in saved.keys():  # noqa: SIM118  not a dict
                kind, name = key.split(".", 1)
                parts[kind][name] = saved.get_tensor(key)
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict(
            {"state": _slots(parts["optimizer"]), "param_groups": optimizer.state_dict()["param_groups"]}
        )
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as problem:
        what = " ".join(str(problem).split())
        raise ValueError(f"{path} is damaged ({what}); remove it to train anew") from problem
    return history, parts["best"]


def _slots(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Adam's state by the number of the weight."""
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, slot = name.split(".", 1)
        slots.setdefault(int(number), {})[slot] = tensor
    if any(set(slot) != {"step", "exp_avg", "exp_avg_sq"} for slot in slots.values()):
        raise ValueError("the optimizer's state is not whole")
    return slots
