"""Comprehensiveness and sufficiency: the drop in confidence when important or unimportant words are removed."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduction import words_to_remove
from pct.explaining.removal import RemovalPlan, RemovalResult
from pct.metrics.base import Column, Metric, TextBlock

AOPC_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # DeYoung et al. 2020 (ERASER)


class Comprehensiveness(Metric):
    """f_c(X) - f_c(X_t) without the t most salient words, mean over t = 1..m."""

    names = ("comp",)

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.first(counts, important=words_to_remove(counts, self.options.p_important))

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        steps = words_to_remove(block.seen.counts, self.options.p_important)
        return {"comp": block.of_several(block.seen.important.mean_drop(steps))}


class Sufficiency(Metric):
    """f_c(X) - f_c(X_t) without the t least salient words, mean over t = 1..m."""

    names = ("suff",)

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.first(counts, unimportant=words_to_remove(counts, self.options.p_unimportant))

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        steps = words_to_remove(block.seen.counts, self.options.p_unimportant)
        return {"suff": block.of_several(block.seen.unimportant.mean_drop(steps))}


class ComprehensivenessAopc(Metric):
    """ERASER's comprehensiveness: the mean over the shares of `AOPC_SHARES`."""

    names = ("comp_aopc",)

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.at(counts, important=aopc_steps(counts))

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        return {"comp_aopc": block.of_several(drop_at(block.seen.important, aopc_steps(block.seen.counts)))}


class SufficiencyAopc(Metric):
    """ERASER's sufficiency: the mean over the shares of `AOPC_SHARES`."""

    names = ("suff_aopc",)

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan.at(counts, unimportant=aopc_steps(counts))

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        return {"suff_aopc": block.of_several(drop_at(block.seen.unimportant, aopc_steps(block.seen.counts)))}


def drop_at(side: RemovalResult, steps: Column) -> Column:
    """f_c(X) - f_c(X_t), the mean over the given steps. steps: (texts, any). Returns (texts,)."""
    reached = np.take_along_axis(side.confidence, steps, 1)
    mean: Column = (side.confidence[:, :1] - reached).mean(1)
    return mean


def aopc_steps(counts: Column) -> Column:
    """(texts, shares) the words removed at each of `AOPC_SHARES`."""
    return words_to_remove(counts[:, None], np.array(AOPC_SHARES))
