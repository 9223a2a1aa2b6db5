"""Comprehensiveness and sufficiency: the drop in confidence when important or unimportant words are removed."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduction import ERASER_SHARES, words_to_remove
from pct.explaining.removal import RemovalPlan, RemovalResult
from pct.metrics.base import Column, Metric, TextBlock


class Comprehensiveness(Metric):
    """f_c(X) - f_c(X_t) without the t most salient words, mean over t = 1..m."""

    names = ("comp",)
    side = "important"

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.first(counts, **{self.side: self._steps(counts)})

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        side: RemovalResult = getattr(block.seen, self.side)
        return {self.names[0]: block.of_several(side.mean_drop(self._steps(block.seen.counts)))}

    def _steps(self, counts: Column) -> Column:
        return words_to_remove(counts, getattr(self.options, f"p_{self.side}"))


class Sufficiency(Comprehensiveness):
    """f_c(X) - f_c(X_t) without the t least salient words, mean over t = 1..m."""

    names = ("suff",)
    side = "unimportant"


class ComprehensivenessAopc(Metric):
    """ERASER's comprehensiveness: the mean over the shares of `ERASER_SHARES`."""

    names = ("comp_aopc",)
    side = "important"

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.at(counts, **{self.side: aopc_steps(counts)})

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        confidence = getattr(block.seen, self.side).confidence
        reached = np.take_along_axis(confidence, aopc_steps(block.seen.counts), 1)
        return {self.names[0]: block.of_several((confidence[:, :1] - reached).mean(1))}


class SufficiencyAopc(ComprehensivenessAopc):
    """ERASER's sufficiency: the mean over the shares of `ERASER_SHARES`."""

    names = ("suff_aopc",)
    side = "unimportant"


def aopc_steps(counts: Column) -> Column:
    """(texts, shares) the words removed at each of `ERASER_SHARES`."""
    return words_to_remove(counts[:, None], np.array(ERASER_SHARES))
