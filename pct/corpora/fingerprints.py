"""What a split is known by: a hash of its rows, and how many there are of each class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.splits import UNLABELLED

if TYPE_CHECKING:
    from pct.corpora.loading import Split


def split_fingerprint(split: Split, classes: Sequence[str]) -> str:
    """Sixteen characters that are equal where texts, labels and the names of the classes are, in order."""
    digest = hashlib.sha256(json.dumps([list(classes), np.asarray(split.labels).tolist()]).encode())
    digest.update(json.dumps(split.texts).encode())
    return digest.hexdigest()[:16]


def label_counts(split: Split, classes: Sequence[str]) -> dict[str, int]:
    """How many rows each class has."""
    labels = np.asarray(split.labels, np.int64)
    counts = np.bincount(labels[labels != UNLABELLED], minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def describe_split(split: Split, classes: Sequence[str]) -> dict[str, Any]:
    """Fingerprint and label counts, as a run's about.json has them for each split of its corpus."""
    return {"fingerprint": split_fingerprint(split, classes), "labels": label_counts(split, classes)}
