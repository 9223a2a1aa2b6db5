"""Runs of a small corpus that break off, and what two runs are compared by."""

import json
from pathlib import Path

from pct.corpora.splits import Corpus
from tests.pct.small import small_corpus

MEASURED = {"step_seconds", "words_per_second", "memory_mb", "validation_seconds"}


class Stop(Exception):
    """What a test throws into a run."""


def corpus() -> Corpus:
    return small_corpus(96, 32)  # of 6 batches of 16


def history(folder: Path) -> list[dict[str, object]]:
    """The records of a run, without what a clock measured."""
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in MEASURED} for record in records]
