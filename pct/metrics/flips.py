"""IR# and UR#: how many words go until the predicted class changes."""

from __future__ import annotations

import numpy as np

from pct.explaining.removal import RemovalPlan, RemovalResult
from pct.metrics.base import Column, Metric, TextBlock
from pct.registry import metrics


@metrics.register("ir", "ur")
class Flips(Metric):
    """The smallest t whose reduced text is predicted otherwise, N - 1 where none is: most, and least, salient first."""

    names = ("ir", "ur")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan(until_flip=True)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        sides = {"ir": block.seen.important, "ur": block.seen.unimportant}
        return {name: block.of_several(removed_until_flip(side, block.seen.counts)) for name, side in sides.items()}


def removed_until_flip(side: RemovalResult, counts: Column) -> Column:
    """(texts,) the words removed until the prediction changes; N - 1 where it never does."""
    flips = side.flips()
    return np.where(flips > 0, flips, counts - 1).astype(np.float64)
