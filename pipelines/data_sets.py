"""What a run was trained and measured on, as MLflow's data sets: with schema, sizes, and where the rows lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pct.corpora.fingerprints import label_counts, split_fingerprint
from pct.corpora.loading import Split
from pct.settings import Settings
from pct.training.runs import Run

CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
FILES = {"train": "train_file", "validation": "validation_file", "test": "test_file"}


def run_data_sets(run: Run) -> dict[str, Any]:
    """The three splits of a run's corpus, each known by the hash of its texts and labels; MLflow's entities."""
    corpus = run.about["corpus"]
    known = corpus.get("splits", {})  # runs of version 0.1.0 have the hash of the whole corpus alone
    return {
        split: _data_set(
            f"{corpus['name']} {split}",
            known.get(split, {}).get("fingerprint", corpus["fingerprint"]),
            _source(run.settings, corpus["source"], split),
            {
                "num_rows": size,
                "classes": corpus["classes"],
                "labels": known.get(split, {}).get("labels"),
                **run.about.get("data", {}).get(split, {}),
            },
        )
        for split, size in corpus["sizes"].items()
    }


def measured_data_set(texts: Split, classes: Sequence[str], source: str) -> Any:
    """Texts that a model was measured on; MLflow's entity. source: a file, or the corpus and split in words."""
    profile = {"num_rows": len(texts), "classes": list(classes), "labels": label_counts(texts, classes)}
    return _data_set(source, split_fingerprint(texts, classes), _location(source), profile)


def as_input(data: Any, context: str) -> Any:
    """A data set as an input of a run. context: training, validation, testing or evaluation."""
    from mlflow.entities import DatasetInput, InputTag

    return DatasetInput(data, [InputTag("mlflow.data.context", context)])


def _data_set(name: str, digest: str, source: tuple[str, dict[str, Any]], profile: dict[str, Any]) -> Any:
    from mlflow.entities import Dataset
    from mlflow.types import ColSpec, DataType, Schema

    columns = Schema([ColSpec(DataType.string, "text"), ColSpec(DataType.string, "label")])
    return Dataset(
        name,
        digest,
        source[0],
        json.dumps(source[1]),
        schema=json.dumps({"mlflow_colspec": columns.to_dict()}),
        profile=json.dumps({k: v for k, v in profile.items() if v is not None}),
    )


def _source(s: Settings, source: str, split: str) -> tuple[str, dict[str, Any]]:
    if s.corpus == "files":
        return _location(getattr(s, FILES[split]) or s.train_file)
    return _location(source)


def _location(where: str) -> tuple[str, dict[str, Any]]:
    """MLflow's kind of source, and its fields: a data set of the hub, a file, or what code made."""
    if where.startswith("hub:"):
        return "hugging_face", {"path": where.removeprefix("hub:").strip()}
    if "/" in where or "." in where:
        return "local", {"uri": where}
    return "code", {"tags": {"mlflow.source.name": where, "mlflow.source.type": "LOCAL"}}
