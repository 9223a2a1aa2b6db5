"""IR# and UR#: the number of words removed until the predicted class changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.explaining.removal import RemovalPlan
from pct.metrics.base import Column, Estimate, Metric, TextBlock, share_of, text_of_rows
from pct.metrics.column_files import stored


class Flips(Metric):
    """The smallest t at which the prediction changes, N - 1 where it never does: most and least salient words first."""

    names = ("ir", "ur")
    needs_classes = "a number has no class that a removal could change"

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan(until_flip=True)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        flips = {"ir": block.seen.important.flips(), "ur": block.seen.unimportant.flips()}
        removed = {name: np.where(steps > 0, steps, block.seen.counts - 1) for name, steps in flips.items()}
        return {name: block.of_several(steps.astype(np.float64)) for name, steps in removed.items()}


class FlipRates(Flips):
    """Whether the prediction changes on any reduced text, down to one word: most and least salient words first."""

    names = ("ir_rate", "ur_rate")

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        sides = {"ir_rate": block.seen.important, "ur_rate": block.seen.unimportant}
        return {name: block.of_several((side.flips() > 0).astype(np.float64)) for name, side in sides.items()}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`. Shares, with Wilson's interval."""
        groups = text_of_rows(columns)
        return {name: share_of(stored(columns, name), groups) for name in self.names if name in columns}
