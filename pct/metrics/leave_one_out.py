"""Agreement of the saliency with the effect of leaving out each word."""

from __future__ import annotations

import numpy as np

from pct.metrics.base import TIE, Column, Metric, TextBlock

PAIRS_AT_ONCE = 2**22


class LeaveOneOut(Metric):
    """Kendall's tau-b, in a text, of the saliency and f_c(X) - f_c(X without word i); NaN where either is all ties."""

    names = ("tau_loo",)

    def passes(self, counts: Column) -> Column:
        """See `Metric.passes`."""
        return np.where(counts > 1, counts, 0)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen, words = block.seen, np.arange(block.seen.saliency.shape[1])
        text, word = np.nonzero((words < seen.counts[:, None]) & (seen.counts > 1)[:, None])
        drop = np.zeros(seen.saliency.shape)
        drop[text, word] = seen.drop(text, words == word[:, None])
        return {"tau_loo": block.of_several(kendall_tau_b(seen.saliency, drop, seen.counts))}


def kendall_tau_b(first: Column, second: Column, counts: Column) -> Column:
    """tau-b = (concordant - discordant) / sqrt(pairs untied in one * pairs untied in the other) (Kendall 1945).

    Args:
        first: (texts, words).
        second: (texts, words); values that differ by at most `TIE`, a rounding error, are tied.
        counts: (texts,) the words of each.

    Returns:
        (texts,), NaN where all pairs of either are tied.
    """
    words = np.arange(first.shape[1])
    tau = np.full(len(counts), np.nan)
    pieces = max(-(-len(counts) * len(words) ** 2 // PAIRS_AT_ONCE), 1)
    for some in np.array_split(np.arange(len(counts)), pieces):
        pairs = (words[:, None] < words) & (words < counts[some][:, None, None])
        one, other = (x[some][:, :, None] - x[some][:, None, :] for x in (first, second))
        one = np.where(pairs, np.sign(one), 0)
        other = np.where(pairs & (np.abs(other) > TIE), np.sign(other), 0)
        scale = np.sqrt((one != 0).sum((1, 2)) * (other != 0).sum((1, 2)))
        defined = scale > 0
        tau[some[defined]] = (one * other).sum((1, 2))[defined] / scale[defined]
    return tau
