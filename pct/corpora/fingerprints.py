"""Hashes that identify the data of a run, and the number of rows of each class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.splits import UNLABELLED
from pct.corpora.text_file import ROWS_PER_CHUNK
from pct.tasks import kind_of_labels

if TYPE_CHECKING:
    from pct.corpora.splits import Labels, Split


def corpus_fingerprint(splits: Mapping[str, Split]) -> str:
    """A hash (16 hexadecimal characters) of all texts and labels, in order. splits: in the order of `SPLITS`."""
    return _hash(
        chain([f"[{json.dumps(name)}, "], _json(split.texts), [", "], _json(split.labels), ["]"])
        for name, split in splits.items()
    )


def split_fingerprint(split: Split, classes: Sequence[str]) -> str:
    """A hash (16 hexadecimal characters) of texts, labels and class names, in order."""
    return _hash([[f"[{json.dumps(list(classes))}, "], _json(np.asarray(split.labels)), ["]"], _json(split.texts)])


def marks_fingerprint(split: Split) -> str:
    """A hash (16 hexadecimal characters) of the marks of words."""
    return _hash(_json(marks or []) for marks in (split.rationale, split.shortcut, split.rationale_share))


def label_counts(split: Split, classes: Sequence[str]) -> dict[str, int]:
    """The number of rows of each class or label; empty for numbers."""
    if kind_of_labels(split.labels).number:
        return {}
    labels = np.asarray(split.labels, np.int64)
    if labels.ndim == 2:
        return dict(zip(classes, labels.sum(0).tolist(), strict=True))
    counts = np.bincount(labels[labels != UNLABELLED], minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def describe_split(split: Split, classes: Sequence[str]) -> dict[str, Any]:
    """Fingerprint and label counts of a split, for a run's about.json."""
    return {"fingerprint": split_fingerprint(split, classes), "labels": label_counts(split, classes)}


def _hash(parts: Iterable[Iterable[str]]) -> str:
    digest = hashlib.sha256()
    for piece in chain.from_iterable(parts):
        digest.update(piece.encode())
    return digest.hexdigest()[:16]


def _json(values: Sequence[Any] | Labels) -> Iterator[str]:
    """The values as a JSON list, in pieces, so that memory does not grow with their number."""
    yield "["
    for start in range(0, len(values), ROWS_PER_CHUNK):
        piece = values[start : start + ROWS_PER_CHUNK]
        rows = piece.tolist() if isinstance(piece, np.ndarray) else piece
        yield (", " if start else "") + json.dumps(rows, default=methodcaller("tolist"))[1:-1]
    yield "]"
