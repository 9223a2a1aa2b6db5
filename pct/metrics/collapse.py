"""Cosines between the representations of a text and of its reduced texts (the paper's section 3.4, collapse)."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduction import words_to_remove
from pct.explaining.removal import RemovalPlan, RemovalResult
from pct.metrics.base import Column, Metric, TextBlock


class Collapse(Metric):
    """The mean over t = 1..m of cos(r(X), r(X_t)) on either side; separation: cos_unimportant - cos_important."""

    names = ("cos_important", "cos_unimportant", "separation")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        steps = (words_to_remove(counts, share) for share in self._shares)
        return RemovalPlan.first(counts, *steps) | RemovalPlan(cosines=True)

    def passes(self, counts: Column) -> Column:
        """See `Metric.passes`: the representation of the whole text."""
        return np.ones_like(counts)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen = block.seen
        cosines = [
            block.of_several(_mean_cosine(side, words_to_remove(seen.counts, share)))
            for side, share in zip((seen.important, seen.unimportant), self._shares, strict=True)
        ]
        return dict(zip(self.names, (*cosines, cosines[1] - cosines[0]), strict=True))

    @property
    def _shares(self) -> tuple[float, float]:
        return self.options.p_important, self.options.p_unimportant


def _mean_cosine(side: RemovalResult, steps: Column) -> Column:
    t = np.arange(side.cosine.shape[1])
    reached = (t >= 1) & (t <= steps[:, None])
    return np.where(reached, side.cosine, 0).sum(1) / np.maximum(steps, 1)
