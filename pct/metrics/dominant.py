"""Metrics that a single text dominates: the text that accounts for most of a metric's standard error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pct.metrics.base import Column
from pct.text.plurals import plural

MOST = 0.5  # of the sum of squares about the mean
FEWEST = 4  # texts; among fewer, one text always has a large share


class Dominant(NamedTuple):
    """A text that dominates a metric.

    Attributes:
        text: its position in the split, from 0.
        value: the metric of this text.
        share: its share of the metric's sum of squares about the mean, on which the standard error is based.
        words: the number of words of the text.
        median: of the metric over all texts.
    """

    text: int
    value: float
    share: float
    words: int
    median: float

    def __str__(self) -> str:
        return (
            f"text {self.text} ({plural(self.words, 'word')}, {self.value:.4g}) has {self.share:.0%} of its error; the "
            f"median is {self.median:.4g}"
        )


def dominant_texts(columns: Mapping[str, Column], names: Mapping[str, float]) -> dict[str, Dominant]:
    """For each metric that one text dominates, that text.

    Args:
        columns: (texts,) by name, `index` and `n` among them.
        names: of the metrics; metrics with only two values (right or wrong) are skipped.
    """
    dominant = {}
    for name in names:
        values = np.asarray(columns.get(name, ()), np.float64)
        positions = np.flatnonzero(np.isfinite(values))
        numbers = values[positions]
        if len(numbers) < FEWEST or len(np.unique(numbers)) < 3:
            continue
        squares = (numbers - numbers.mean()) ** 2
        worst = int(squares.argmax())
        share = float(squares[worst] / squares.sum())
        if share > MOST:
            row = int(positions[worst])
            text = int(columns["index"][row]) if "index" in columns else row
            words = int(columns["n"][row]) if "n" in columns else 0
            dominant[name] = Dominant(text, float(numbers[worst]), share, words, float(np.median(numbers)))
    return dominant
