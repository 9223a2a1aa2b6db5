"""The named corpora, in the folder PCT_DATA_DIR or on the hub."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pct.corpora.rows import Table
from pct.corpora.source import Rows
from pct.settings import HUB_PREFIX

CLASSES = {
    "planted": ["negative", "positive"],
    "mr": ["negative", "positive"],
    "imdb": ["negative", "positive"],
    "ag_news": ["World", "Sports", "Business", "Sci/Tech"],
    "movie_rationales": ["negative", "positive"],
    "sst_rationales": ["negative", "positive"],
}
HUB = {
    "mr": "cornell-movie-review-data/rotten_tomatoes",
    "imdb": "stanfordnlp/imdb",
    "ag_news": "fancyzhang/ag_news",
    "movie_rationales": "eraser-benchmark/movie_rationales",
}
TEST_ONLY = ("sst_rationales",)  # corpora for measuring, with only a test split


def required_splits(name: str) -> tuple[str, ...]:
    """The splits that a named corpus must have."""
    return ("test",) if name in TEST_ONLY else ("train", "test")


def local_folder(name: str) -> Path | None:
    """The folder of a named corpus, with <split>.jsonl.gz, or None. Raises FileNotFoundError if one file is missing."""
    root = os.environ.get("PCT_DATA_DIR", "")
    if not root:
        return None
    folder = Path(root) / name
    required = required_splits(name)
    missing = [k for k in required if not (folder / f"{k}.jsonl.gz").is_file()]
    if len(missing) == 1 < len(required):
        raise FileNotFoundError(
            f"PCT_DATA_DIR has {folder} without {missing[0]}.jsonl.gz; add it, or unset PCT_DATA_DIR"
        )
    return None if missing else folder


def load_hub(corpus: str) -> tuple[Any, str]:
    """Downloads a corpus. Returns its splits by name, and its name on the hub.

    corpus: a name of `pct.corpora.named.HUB`, or hub:OWNER/NAME, hub:OWNER/NAME:CONFIGURATION. Raises ImportError
    without datasets, and FileNotFoundError with the remedies if the download fails.
    """
    files = " and ".join(f"{corpus}/{split}.jsonl.gz" for split in required_splits(corpus))
    remedy = f"set PCT_DATA_DIR to a folder that has {files}"
    if corpus in TEST_ONLY:
        raise FileNotFoundError(f"corpus {corpus} is not on the hub: {remedy}")
    if corpus.startswith(HUB_PREFIX):
        remedy = "download its files and give them as train_file, with the corpus files"
    name, _, configuration = HUB.get(corpus, corpus.removeprefix(HUB_PREFIX)).partition(":")
    try:
        from datasets import load_dataset
    except ImportError:
        raise ImportError(f"corpus {corpus} is on the hub: pip install 'pct-explain[data]', or {remedy}") from None
    try:
        return load_dataset(*filter(None, (name, configuration))), name
    except Exception as problem:  # the hub's client raises many types: offline, not found, timeout
        raise FileNotFoundError(
            f"corpus {corpus} cannot be downloaded from the hub ({name}: {type(problem).__name__}); {remedy}, or use "
            "corpus=planted"
        ) from problem


def with_shares(table: Table) -> Table:
    """The table with its column `share` copied to `rationale_share`, the name in `Split`."""

    def rows() -> Rows:
        for number, row in table.rows:
            yield number, {**row, "rationale_share": row.get("share")} if isinstance(row, Mapping) else row

    return replace(table, rows=rows())


def reviews_with_marks(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Converts ERASER's movie reviews in the hub's format to rows of text, label and rationale.

    The hub's `evidences` are the texts of the marked spans, without offsets. Every occurrence of an evidence in the
    review is marked. Raises ValueError if an evidence does not occur in its review.
    """
    return [
        {"text": row["review"], "label": row["label"], "rationale": _marked(row["review"], row["evidences"], number)}
        for number, row in enumerate(rows, 1)
    ]


def _marked(review: str, evidences: Iterable[str], number: int) -> list[int]:
    words = review.split()
    # the spaces prevent matches inside words
    spaced = f" {' '.join(words)} "
    marks = [0] * len(words)
    for evidence in evidences:
        phrase = f" {' '.join(evidence.split())} "
        start, size = spaced.find(phrase), phrase.count(" ") - 1
        if start < 0:
            raise ValueError(f"movie_rationales, row {number}: the evidence {evidence!r:.80} is not in the review")
        while start >= 0:
            first = spaced.count(" ", 0, start)
            marks[first : first + size] = [1] * size
            start = spaced.find(phrase, start + 1)
    return marks
