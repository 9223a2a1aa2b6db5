"""The names of the files of a run and of a model, and the cache folder. This module needs no torch."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

# a run's folder
MODEL = "model"  # the folder of its classifier
ADAPTER = "adapter"  # the folder of its LoRA adapter
CHECKPOINT, HISTORY, SETTINGS = "checkpoint.safetensors", "history.jsonl", "settings.json"
REPORT, PER_TEXT, ABOUT = "report.json", "per_text.parquet", "about.json"
# a classifier's folder
ADAPTER_CONFIG = "adapter_config.json"  # of an adapter's folder, in the format of the peft library
WEIGHTS, CONFIG = "model.safetensors", "classifier.json"

Record = dict[str, Any]  # of an epoch: a line of HISTORY


def cache_folder() -> Path:
    """PCT_CACHE_DIR, else pct/ in the user's cache folder."""
    folder = os.environ.get("PCT_CACHE_DIR")
    return Path(folder) if folder else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pct"


def temporary_file() -> BinaryIO:
    """A new file in the cache folder, which is deleted when it is closed."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
