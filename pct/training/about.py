"""The contents of a run's about.json: corpus, machine, time, code and versions."""

from __future__ import annotations

import hashlib
import math
import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pct import __version__
from pct.classifier import Classifier
from pct.corpora.fingerprints import describe_split
from pct.corpora.splits import Corpus
from pct.layout import MODEL, WEIGHTS, Record
from pct.settings import Settings
from pct.training.code_version import code_version
from pct.training.memory import peak_mb
from pct.training.runs import best_epoch, settings_hash

PACKAGES = ("torch", "numpy", "safetensors", "transformers", "tokenizers", "datasets", "mlflow")


def describe_run(
    settings: Settings,
    corpus: Corpus,
    classifier: Classifier,
    history: list[Record],
    folder: Path,
    seconds: dict[str, float],
    start: datetime,
) -> dict[str, Any]:
    """The contents of a run's about.json.

    Args:
        settings: of the run.
        corpus: its texts.
        classifier: the trained model.
        history: one record per epoch.
        folder: the run's folder, with the model.
        seconds: the time of each part of the run.
        start: the start of the run.
    """
    device = classifier.model.device
    peak = {"process": peak_mb()}
    if device.type == "cuda":
        peak["device"] = torch.cuda.max_memory_allocated(device) / 2**20
    with (folder / MODEL / WEIGHTS).open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()[:16]
    return {
        "settings_hash": settings_hash(settings),
        "corpus": {
            "name": corpus.name,
            "source": corpus.source,
            "fingerprint": corpus.fingerprint,
            "classes": corpus.classes,
            "sizes": {name: len(split) for name, split in corpus.splits.items()},
            "splits": {name: describe_split(split, corpus.classes) for name, split in corpus.splits.items()},
        },
        "weights": digest,
        "epochs": len(history),
        "epoch_kept": best_epoch(history, settings.best_by) if settings.restore_best else len(history),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "peak_memory_mb": {part: size for part, size in peak.items() if math.isfinite(size)},
        "seconds": seconds,
        "started": start.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "platform": platform.platform(),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    versions = {"pct": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
