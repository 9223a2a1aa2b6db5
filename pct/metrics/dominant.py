"""Means that one text makes: the text that has most of a metric's error, and the median beside the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pct.metrics.base import Column

MOST = 0.5  # of the sum of squares about the mean
FEWEST = 4  # of fewer texts one always has much of it


class Dominant(NamedTuple):
    """text: its place in the split, from 0. value: its own. share: of the metric's sum of squares about the mean, from
    which the standard error is made. words: of the text. median: of the metric over all texts."""

    text: int
    value: float
    share: float
    words: int
    median: float

    def __str__(self) -> str:
        """A sentence."""
        return (
            f"text {self.text} ({self.words} words, {self.value:.4g}) has {self.share:.0%} of its error; the median is "
            f"{self.median:.4g}"
        )


def dominant_texts(columns: Mapping[str, Column], names: Mapping[str, float]) -> dict[str, Dominant]:
    """By metric the text that has most of its error, of those metrics where one has.

    Args:
        columns: (texts,) by name, `index` and `n` among them.
        names: of the metrics; one of two values (right or wrong) is left out.
    """
    found = {}
    for name in names:
        values = np.asarray(columns.get(name, ()), np.float64)
        places = np.flatnonzero(np.isfinite(values))
        known = values[places]
        if len(known) < FEWEST or len(np.unique(known)) < 3:
            continue
        squares = (known - known.mean()) ** 2
        worst = int(squares.argmax())
        share = float(squares[worst] / squares.sum())
        if share > MOST:
            text = int(places[worst])
            own = [int(columns[k][text]) if k in columns else other for k, other in (("index", text), ("n", 0))]
            found[name] = Dominant(own[0], float(known[worst]), share, own[1], float(np.median(known)))
    return found
