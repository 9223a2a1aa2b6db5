"""The corpora with names of their own: from the folder that PCT_DATA_DIR names, else from the hub."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pct.corpora.rows import Table
from pct.corpora.source import Rows

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
TEST_ONLY = ("sst_rationales",)  # for measuring: they have no other split


def needed_splits(name: str) -> tuple[str, ...]:
    """The splits without which a named corpus is not whole."""
    return ("test",) if name in TEST_ONLY else ("train", "test")


def local_folder(name: str) -> Path | None:
    """The folder of a named corpus, with <split>.jsonl.gz, or None. Raises FileNotFoundError for half a corpus."""
    root = os.environ.get("PCT_DATA_DIR", "")
    if not root:
        return None
    folder = Path(root) / name
    missing = [k for k in needed_splits(name) if not (folder / f"{k}.jsonl.gz").is_file()]
    if len(missing) == 1 < len(needed_splits(name)):
        raise FileNotFoundError(
            f"PCT_DATA_DIR has {folder} without {missing[0]}.jsonl.gz; add it, or unset PCT_DATA_DIR"
        )
    return None if missing else folder


def with_shares(table: Table) -> Table:
    """A table whose column `share` holds the annotators' shares, with the name that a `Split` has for them."""

    def rows() -> Rows:
        for number, row in table.rows:
            yield number, {**row, "rationale_share": row.get("share")} if isinstance(row, Mapping) else row

    return replace(table, rows=rows())


def reviews_with_marks(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """ERASER's movie reviews, as the hub has them, as rows of text, label and rationale.

    There, `evidences` are the marked spans as texts without their places: each is marked wherever its words stand in
    the review. Raises ValueError, with the row, for one that does not stand there.
    """
    return [
        {"text": row["review"], "label": row["label"], "rationale": _marked(row["review"], row["evidences"], number)}
        for number, row in enumerate(rows, 1)
    ]


def _marked(review: str, evidences: Iterable[str], number: int) -> list[int]:
    words = review.split()
    # a word is found whole: between spaces
    spaced = f" {' '.join(words)} "
    marks = [0] * len(words)
    for evidence in evidences:
        sought = f" {' '.join(evidence.split())} "
        place, size = spaced.find(sought), sought.count(" ") - 1
        if place < 0:
            raise ValueError(f"movie_rationales, row {number}: the evidence {evidence!r:.80} is not in the review")
        while place >= 0:
            first = spaced.count(" ", 0, place)
            marks[first : first + size] = [1] * size
            place = spaced.find(sought, place + 1)
    return marks
