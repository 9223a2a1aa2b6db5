"""The names of the files of a run and of a model, and of models; the cache folder. This module needs no torch."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

# a run's folder
MODEL = "model"  # the folder of its classifier
EXPORTED = "exported"  # the folder of its ONNX graphs
ADAPTER = "adapter"  # the folder of its LoRA adapter
MEASURED = "measured"  # the folder of its measurements under other conditions
FIGURES = "figures"  # the folder of its figures
CHECKPOINT, HISTORY, SETTINGS = "checkpoint.safetensors", "history.jsonl", "settings.json"
REPORT, PER_TEXT, ABOUT = "report.json", "per_text.parquet", "about.json"
# a classifier's folder
ADAPTER_CONFIG = "adapter_config.json"  # of an adapter's folder, in the format of the peft library
WEIGHTS, CONFIG = "model.safetensors", "classifier.json"
# a registered model
CHAMPION = "champion"  # the alias of its best version

Record = dict[str, Any]  # of an epoch: a line of HISTORY


def may_be_on_the_hub(name: str) -> bool:
    """Whether a name that is no path here has the form of one on the Hugging Face hub."""
    return not Path(name).exists() and re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) is not None


def cache_folder() -> Path:
    """PCT_CACHE_DIR, else pct/ in the user's cache folder."""
    folder = os.environ.get("PCT_CACHE_DIR")
    return Path(folder) if folder else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pct"


def temporary_file() -> BinaryIO:
    """A new file in the cache folder, which is deleted when it is closed."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder)
