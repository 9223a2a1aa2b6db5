"""The names of the files of a run and of a model. This module needs no torch."""

from __future__ import annotations

from typing import Any

# a run's folder
MODEL = "model"  # the folder of its classifier
ADAPTER = "adapter"  # the folder of its LoRA adapter
CHECKPOINT, HISTORY, SETTINGS = "checkpoint.safetensors", "history.jsonl", "settings.json"
REPORT, PER_TEXT, ABOUT, LOCK = "report.json", "per_text.parquet", "about.json", ".lock"
# a classifier's folder
ADAPTER_CONFIG = "adapter_config.json"  # of an adapter's folder, in the format of the peft library
WEIGHTS, CONFIG = "model.safetensors", "classifier.json"

Record = dict[str, Any]  # of an epoch: a line of HISTORY
