"""Whether a model is better than always predicting the largest class, and whether two accuracies differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.metrics.base import wilson
from pct.metrics.report import Report


class BesideLargestClass(NamedTuple):
    """An accuracy with its 95 % interval (Wilson 1927), and the share of the largest class."""

    accuracy: float
    low: float
    high: float
    share: float

    @property
    def learned(self) -> bool:
        """Whether the whole interval of the accuracy lies above the share."""
        return self.low > self.share

    def __str__(self) -> str:
        """The comparison in words."""
        baseline = f"always the largest class ({self.share:.3f})"
        if self.learned:
            return f"better than {baseline}"
        return f"{'no' if self.accuracy <= self.share else 'not significantly'} better than {baseline}"


def beside_largest_class(accuracy: float, counts: Sequence[int]) -> BesideLargestClass:
    """An accuracy beside the share of the largest class.

    Args:
        accuracy: on a split.
        counts: the split's texts by their true class.
    """
    texts = sum(counts)
    return BesideLargestClass(accuracy, *wilson(accuracy, texts), max(counts) / texts)


def learned_of(reports: Sequence[Report]) -> BesideLargestClass | None:
    """The mean accuracy of models, measured on the same texts, beside the largest class's share; None where the reports
    do not hold the labels."""
    labels = [r.columns["label"] for r in reports if "label" in r.columns and len(r.columns["label"])]
    if not labels:
        return None
    return beside_largest_class(float(np.mean([r.acc for r in reports])), np.bincount(labels[0]).tolist())


def differ_by_more_than_chance(one: tuple[float, int], other: tuple[float, int]) -> bool:
    """Whether two accuracies, each with its number of texts, differ by more than 1.96 standard errors of a difference
    of shares that are equal in truth (the pooled z-test)."""
    (p, n), (q, m) = one, other
    pooled = (p * n + q * m) / (n + m)
    return abs(p - q) > 1.96 * math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))


def saved_label_counts(corpus: dict[str, Any], split: str) -> list[int]:
    """The number of texts of each class in a split of a run's corpus, from `about.json`; empty where it has none."""
    labels: dict[str, int] = corpus.get("splits", {}).get(split, {}).get("labels", {})  # 0.1.0 did not count them
    return list(labels.values())
