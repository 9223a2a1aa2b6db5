"""AOPC between the least and the most that any order of removal reaches in a text (Edin et al., ACL 2025)."""

from __future__ import annotations

import numpy as np

from pct.explaining.beam import BEAM, best_of_each
from pct.explaining.removal import RemovalPlan, Removals
from pct.metrics.base import Column, Metric, TextBlock

EXACT = 7  # words, up to which every subset is run: 126 of them
CELLS_AT_ONCE = 2**25  # of what is gone in the candidates of one step


class NormalisedAopc(Metric):
    """(AOPC - lower) / (upper - lower), AOPC the mean drop over t = 1..N - 1; 0 where the bounds are equal."""

    names = ("naopc_comp", "naopc_suff")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`. The bounds' reduced texts are asked for beside it."""
        return RemovalPlan.first(counts, counts - 1, counts - 1)

    def passes(self, counts: Column) -> Column:
        """See `Metric.passes`: all subsets of a short text; of a long one, two searches for the BEAM best at each step
        t = 1..N - 1, each of which has lost t - 1 words and may lose any other."""
        few = np.minimum(counts, EXACT)
        searched = 2 * BEAM * ((counts + 2) * (counts - 1) // 2)
        return np.where(counts > EXACT, searched, 2**few - 2)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen = block.seen
        key = ("aopc_bounds", seen.labels.tobytes())  # they depend on the texts alone: found once for all saliencies
        if key not in seen.texts.shared:
            seen.texts.shared[key] = aopc_bounds(seen)
        lower, upper = seen.texts.shared[key]
        width = upper - lower
        found = {}
        for name, side in (("naopc_comp", seen.important), ("naopc_suff", seen.unimportant)):
            above = side.mean_drop(seen.counts - 1) - lower
            found[name] = block.of_several(np.divide(above, width, out=np.zeros(len(width)), where=width > 0))
        return found


def aopc_bounds(seen: Removals) -> tuple[Column, Column]:
    """The least and the most that the mean drop over t = 1..N - 1 comes to in any order of removal.

    Exact up to `EXACT` words; above, by a search that keeps the `BEAM` best sums at each step.

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
    """Over subsets, not orders: the best sum that ends in a subset is its drop and the best of those a word smaller."""
    subsets = np.arange(2**n)
    members = (subsets[:, None] >> np.arange(n)) & 1 == 1
    inner = subsets[1:-1]
    gone = np.zeros((len(inner), seen.saliency.shape[1]), bool)
    gone[:, :n] = members[inner]
    drop = seen.drop(np.repeat(text, len(inner)), np.tile(gone, (len(text), 1))).reshape(len(text), -1)
    least, most = np.zeros((len(text), 2**n)), np.zeros((len(text), 2**n))
    for subset in inner:  # a subset's number is above those of its parts
        before = subset ^ (1 << np.flatnonzero(members[subset]))
        least[:, subset] = drop[:, subset - 1] + least[:, before].min(1)
        most[:, subset] = drop[:, subset - 1] + most[:, before].max(1)
    last = members.sum(1) == n - 1
    return least[:, last].min(1) / (n - 1), most[:, last].max(1) / (n - 1)


def _searched_bounds(seen: Removals, text: Column) -> tuple[Column, Column]:
    """Both searches in one: owners 0..texts - 1 look for the least, the others for the most."""
    texts, counts = np.tile(text, 2), np.tile(seen.counts[text], 2)
    sign = np.repeat([-1.0, 1.0], len(text))
    owner, score = np.arange(len(texts)), np.zeros(len(texts))
    gone = np.zeros((len(texts), seen.saliency.shape[1]), bool)
    found = np.zeros(len(texts))
    for t in range(1, int(counts.max(initial=1))):
        going = counts[owner] > t
        owner, score, gone = owner[going], score[going], gone[going]
        parent, word = np.nonzero(~gone & (np.arange(gone.shape[1]) < counts[owner][:, None]))
        child, owner = gone[parent], owner[parent]
        child[np.arange(len(child)), word] = True
        total = score[parent] + sign[owner] * seen.drop(texts[owner], child)
        kept, slot = best_of_each(owner, total, child, BEAM)
        owner, score, gone = owner[kept], total[kept], child[kept]
        done = (slot == 0) & (counts[owner] == t + 1)
        found[owner[done]] = (sign[owner] * score)[done] / t
    return found[: len(text)], found[len(text) :]
