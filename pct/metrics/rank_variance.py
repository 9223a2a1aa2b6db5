"""I-Var and U-Var: how far the ranks of the other words move when the most or least salient word is removed."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduction import removal_ranks
from pct.explaining.removal import RemovalPlan
from pct.metrics.base import Column, Metric, TextBlock


class RankVariance(Metric):
    """The mean over the remaining words of (d_i - d'_i)^2; for `_aligned`, d_i is ranked among the remaining words."""

    names = ("i_var", "u_var", "i_var_aligned", "u_var_aligned")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan(next_saliency=True)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen, columns = block.seen, {}
        ranks = removal_ranks(seen.saliency, seen.counts, True)
        for name, side, important in (("i_var", seen.important, True), ("u_var", seen.unimportant, False)):
            removed = removal_ranks(seen.saliency, seen.counts, important).argmin(1)
            literal, aligned = rank_variance(ranks, removed, side.next_saliency, seen.counts)
            columns[name], columns[f"{name}_aligned"] = block.of_several(literal), block.of_several(aligned)
        return columns


def rank_variance(ranks: Column, removed: Column, after: Column, counts: Column) -> tuple[Column, Column]:
    """I-Var or U-Var of each text: the mean over the remaining words of (d_i - d'_i)^2, literal and aligned.

    Args:
        ranks: (texts, words), d_i, 1 the most salient.
        removed: (texts,) the word that is removed.
        after: (texts, words) the saliency without it.
        counts: (texts,) N.

    Returns:
        (texts,) each. Aligned, d_i is ranked again among the remaining words.
    """
    words = np.arange(ranks.shape[1])
    left = (words < counts[:, None]) & (words != removed[:, None])
    # removed words and padding rank last
    after_ranks = removal_ranks(np.where(left, after, -np.inf), counts, True)
    aligned_ranks = ranks - (ranks > np.take_along_axis(ranks, removed[:, None], 1))
    size = np.maximum(counts - 1, 1)
    literal, aligned = (np.where(left, (d - after_ranks) ** 2, 0).sum(1) / size for d in (ranks, aligned_ranks))
    return literal, aligned
