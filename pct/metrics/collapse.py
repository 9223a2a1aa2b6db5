"""Cosines between the representations of a text and of its reduced texts (the paper's section 3.4, collapse)."""

from __future__ import annotations

import numpy as np

from pct.explaining.removal import RemovalPlan, mean_of_steps
from pct.metrics.base import Column, Metric, TextBlock


class Collapse(Metric):
    """The mean over t = 1..m of cos(r(X), r(X_t)) on either side; separation: cos_unimportant - cos_important."""

    names = ("cos_important", "cos_unimportant", "separation")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.first(counts, *self.options.steps(counts)) | RemovalPlan(cosines=True)

    def passes(self, counts: Column) -> Column:
        """See `Metric.passes`: the representation of the whole text."""
        return np.ones_like(counts)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen = block.seen
        sides = zip((seen.important, seen.unimportant), self.options.steps(seen.counts), strict=True)
        cosines = [block.of_several(mean_of_steps(side.cosine, steps)) for side, steps in sides]
        return dict(zip(self.names, (*cosines, cosines[1] - cosines[0]), strict=True))
