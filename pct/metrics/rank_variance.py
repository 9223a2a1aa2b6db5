"""I-Var and U-Var: how far the ranks of the words left move when the most, or the least, salient word goes."""

from __future__ import annotations

import numpy as np

from pct.explaining.reduction import removal_ranks
from pct.explaining.removal import RemovalPlan, RemovalResult
from pct.metrics.base import Column, Metric, TextBlock
from pct.registry import metrics


@metrics.register("i_var", "u_var", "i_var_aligned", "u_var_aligned")
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
        for name, side in (("i_var", seen.important), ("u_var", seen.unimportant)):
            literal, aligned = rank_variance(ranks, side, seen.counts)
            found[name], found[f"{name}_aligned"] = block.of_several(literal), block.of_several(aligned)
        return found


def rank_variance(ranks: Column, side: RemovalResult, counts: Column) -> tuple[Column, Column]:
    """I-Var or U-Var of each text: the mean over the words left of (d_i - d'_i)^2, literal and aligned.

    ranks: (texts, words), d_i, 1 the most salient. d'_i: the same in the text without the first word of the side.
    Aligned, d_i is re-ranked among the words left.
    """
    width = ranks.shape[1]
    rows = np.arange(len(ranks))
    first = side.ranks.argmin(1)
    left = (np.arange(width) < counts[:, None]) & (np.arange(width) != first[:, None])
    after = removal_ranks(side.next_saliency, np.maximum(counts - 1, 0), True)
    # word w of the original is word w of the reduced text, or w - 1 behind the gap
    moved = np.clip(np.arange(width)[None] - (np.arange(width) > first[:, None]), 0, None)
    fresh = np.take_along_axis(after, moved, 1)
    close = ranks - (ranks > ranks[rows, first][:, None])
    size = np.maximum(counts - 1, 1)
    literal, aligned = (np.where(left, (d - fresh) ** 2, 0).sum(1) / size for d in (ranks, close))
    return literal, aligned
