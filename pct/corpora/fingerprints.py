"""Hashes that identify the data of a run, and the number of rows of each class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.splits import UNLABELLED
from pct.tasks import kind_of_labels

if TYPE_CHECKING:
    from pct.corpora.splits import Split


def corpus_fingerprint(splits: Mapping[str, Split]) -> str:
    """A hash (16 hexadecimal characters) of all texts and labels, in order. splits: in the order of `SPLITS`."""
    return _hash([name, split.texts, split.labels.tolist()] for name, split in splits.items())


def split_fingerprint(split: Split, classes: Sequence[str]) -> str:
    """A hash (16 hexadecimal characters) of texts, labels and class names, in order."""
    return _hash([[list(classes), np.asarray(split.labels).tolist()], split.texts])


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


def _hash(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()[:16]
