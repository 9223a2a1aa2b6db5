"""AOPC scaled by the least and the largest AOPC of any order of removal in a text (Edin et al., ACL 2025)."""

from __future__ import annotations

import numpy as np

from pct.explaining.beam import BEAM, best_of_each
from pct.explaining.removal import RemovalPlan, Removals
from pct.metrics.base import Column, Metric, TextBlock

EXACT = 7  # words; for shorter texts all subsets are run, at most 126
CELLS_AT_ONCE = 2**25  # size of the masks of removed words of one step's candidates


class NormalisedAopc(Metric):
    """(AOPC - lower) / (upper - lower), AOPC the mean drop over t = 1..N - 1; 0 where the bounds are equal."""

    names = ("naopc_comp", "naopc_suff")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`. `columns` runs the reduced texts of the bounds itself."""
        return RemovalPlan.first(counts, counts - 1, counts - 1)

    def passes(self, counts: Column) -> Column:
        """See `Metric.passes`: all subsets of a short text; for a long one, two beam searches, which at step
        t = 1..N - 1 try each remaining word of each of the BEAM best candidates."""
        few = np.minimum(counts, EXACT)
        searched = 2 * BEAM * ((counts + 2) * (counts - 1) // 2)
        return np.where(counts > EXACT, searched, 2**few - 2)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen = block.seen
        key = ("aopc_bounds", seen.labels.tobytes())  # the bounds do not depend on the saliency: computed once
        if key not in seen.texts.shared:
            seen.texts.shared[key] = aopc_bounds(seen)
        lower, upper = seen.texts.shared[key]
        width = upper - lower
        columns = {}
        for name, side in (("naopc_comp", seen.important), ("naopc_suff", seen.unimportant)):
            above = side.mean_drop(seen.counts - 1) - lower
            columns[name] = block.of_several(np.divide(above, width, out=np.zeros(len(width)), where=width > 0))
        return columns


def aopc_bounds(seen: Removals) -> tuple[Column, Column]:
    """The least and the largest mean drop over t = 1..N - 1 of any order of removal.

    Exact up to `EXACT` words; above, by a beam search that keeps the `BEAM` best sums at each step.

    Returns:
        (texts,) each; 0 for texts of one word.
    """
    lower, upper = np.zeros(len(seen.counts)), np.zeros(len(seen.counts))
    for n in range(2, EXACT + 1):
        text = np.flatnonzero(seen.counts == n)
        if len(text):
            lower[text], upper[text] = _exact_bounds(seen, text, n)
    long = np.flatnonzero(seen.counts > EXACT)
    most = max(CELLS_AT_ONCE // (2 * BEAM * seen.saliency.shape[1] ** 2), 1)
    for start in range(0, len(long), most):
        text = long[start : start + most]
        lower[text], upper[text] = _searched_bounds(seen, text)
    return lower, upper


def _exact_bounds(seen: Removals, text: Column, n: int) -> tuple[Column, Column]:
    """By dynamic programming over subsets: the best sum of a subset is its drop plus the best sum of a subset with one
    word less."""
    subsets = np.arange(2**n)
    members = (subsets[:, None] >> np.arange(n)) & 1 == 1
    inner = subsets[1:-1]
    removed = np.zeros((len(inner), seen.saliency.shape[1]), bool)
    removed[:, :n] = members[inner]
    drop = seen.drop(np.repeat(text, len(inner)), np.tile(removed, (len(text), 1))).reshape(len(text), -1)
    least, most = np.zeros((len(text), 2**n)), np.zeros((len(text), 2**n))
    for subset in inner:  # in increasing order, so that the smaller subsets of a subset come first
        before = subset ^ (1 << np.flatnonzero(members[subset]))
        least[:, subset] = drop[:, subset - 1] + least[:, before].min(1)
        most[:, subset] = drop[:, subset - 1] + most[:, before].max(1)
    last = members.sum(1) == n - 1
    return least[:, last].min(1) / (n - 1), most[:, last].max(1) / (n - 1)


def _searched_bounds(seen: Removals, text: Column) -> tuple[Column, Column]:
    """Both searches at once: owners 0..texts - 1 search for the least sum, the others for the largest."""
    texts, counts = np.tile(text, 2), np.tile(seen.counts[text], 2)
    sign = np.repeat([-1.0, 1.0], len(text))
    owner, score = np.arange(len(texts)), np.zeros(len(texts))
    removed = np.zeros((len(texts), seen.saliency.shape[1]), bool)
    bounds = np.zeros(len(texts))
    for t in range(1, int(counts.max(initial=1))):
        unfinished = counts[owner] > t
        owner, score, removed = owner[unfinished], score[unfinished], removed[unfinished]
        parent, word = np.nonzero(~removed & (np.arange(removed.shape[1]) < counts[owner][:, None]))
        child, owner = removed[parent], owner[parent]
        child[np.arange(len(child)), word] = True
        total = score[parent] + sign[owner] * seen.drop(texts[owner], child)
        best, slot = best_of_each(owner, total, child, BEAM)
        owner, score, removed = owner[best], total[best], child[best]
        done = (slot == 0) & (counts[owner] == t + 1)
        bounds[owner[done]] = (sign[owner] * score)[done] / t
    return bounds[: len(text)], bounds[len(text) :]
