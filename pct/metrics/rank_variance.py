"""I-Var and U-Var: how far the ranks of the words left move when the most, or the least, salient word goes."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduction import removal_ranks
from pct.explaining.removal import RemovalPlan
from pct.metrics.base import Column, Metric, TextBlock


class RankVariance(Metric):
    """The mean over the words left of (d_i - d'_i)^2, and `_aligned`, d_i ranked among the words left."""

    names = ("i_var", "u_var", "i_var_aligned", "u_var_aligned")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`."""
        return RemovalPlan(next_saliency=True)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen, found = block.seen, {}
        ranks = removal_ranks(seen.saliency, seen.counts, True)
        for name, side, important in (("i_var", seen.important, True), ("u_var", seen.unimportant, False)):
            gone = removal_ranks(seen.saliency, seen.counts, important).argmin(1)
            literal, aligned = rank_variance(ranks, gone, side.next_saliency, seen.counts)
            found[name], found[f"{name}_aligned"] = block.of_several(literal), block.of_several(aligned)
        return found


def rank_variance(ranks: Column, gone: Column, after: Column, counts: Column) -> tuple[Column, Column]:
    """I-Var or U-Var of each text: the mean over the words left of (d_i - d'_i)^2, literal and aligned.

    Args:
        ranks: (texts, words), d_i, 1 the most salient.
        gone: (texts,) the word that is removed.
        after: (texts, words) the saliency without it.
        counts: (texts,) N.

    Returns:
        (texts,) each. Aligned, d_i is ranked anew among the words left.
    """
    places = np.arange(ranks.shape[1])
    left = (places < counts[:, None]) & (places != gone[:, None])
    # what is not left ranks behind all that is
    fresh = removal_ranks(np.where(left, after, -np.inf), counts, True)
    close = ranks - (ranks > np.take_along_axis(ranks, gone[:, None], 1))
    size = np.maximum(counts - 1, 1)
    literal, aligned = (np.where(left, (d - fresh) ** 2, 0).sum(1) / size for d in (ranks, close))
    return literal, aligned
