"""Input reduction with a beam (Feng et al. 2018): several partial removals are kept at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.reduced_texts import ReducedTexts
from pct.text.tokens import Bools, Ints

BEAM = 5


def beam_ranks(texts: ReducedTexts, labels: Ints, saliency: Any, important: bool, width: int = BEAM) -> Ints:
    """The step at which each word is removed when `width` partial removals are kept at each step.

    Each is continued by its `width` most (important) or least salient words, with saliency computed again. Of all
    continuations, those are kept that lower the confidence most (important), or keep it highest. The result is the
    order of the best one when one word is left. Of equal ones the earlier removal counts, then the earlier candidate.

    Args:
        texts: the texts.
        labels: (texts,) the class explained.
        saliency: (texts, words) of the whole texts.
        important: whether the most salient words go, or the least.
        width: the number that is kept.

    Returns:
        (texts, words) ranks from 1; words beyond a text's N come last.
    """
    counts, words = texts.tokens.counts, saliency.shape[1]
    sign = -1.0 if important else 1.0
    ranks = np.full((len(counts), width, words), np.iinfo(np.int32).max, np.int64)
    held = np.arange(width) < np.ones((len(counts), 1))  # at first the whole text alone
    for t in range(1, int(counts.max(initial=1))):
        row = np.flatnonzero(counts > t)
        text, beam = np.nonzero(held[row])
        text = row[text]
        gone = ranks[text, beam] < t
        now = saliency[text] if t == 1 else texts.explain(text, gone, labels[text])[1]
        left = ~gone & (np.arange(words) < counts[text][:, None])
        keys = np.where(left, sign * now, np.inf)
        best = np.argsort(keys, axis=1, kind="stable")[:, :width]
        parent, candidate = np.nonzero(np.isfinite(np.take_along_axis(keys, best, 1)))
        child = ranks[text[parent], beam[parent]]
        child[np.arange(len(child)), best[parent, candidate]] = t
        owner = text[parent]
        confidence = texts.probabilities(owner, child <= t)[np.arange(len(owner)), labels[owner]]
        kept, slot = best_of_each(owner, sign * confidence, child <= t, width)
        held[row] = False
        held[owner[kept], slot] = True
        ranks[owner[kept], slot] = child[kept]
    order = np.argsort(np.argsort(ranks[:, 0], axis=1, kind="stable"), axis=1, kind="stable")
    return order + 1


def best_of_each(owner: Ints, score: npt.NDArray[Any], gone: Bools, width: int) -> tuple[Ints, Ints]:
    """The `width` rows of each owner with the highest scores; of rows that lack the same words, the best one.

    Args:
        owner: (rows,) the text of each row, ascending.
        score: (rows,), the earlier row first where they are equal.
        gone: (rows, words).
        width: the number that an owner keeps.

    Returns:
        The rows that are kept, and the index of each among those of its owner, from 0.
    """
    order = np.lexsort((np.arange(len(owner)), -score, owner))
    code = np.random.default_rng(0).integers(1, 2**63, gone.shape[1], np.uint64)
    sets = (gone * code).sum(1, dtype=np.uint64) ^ (owner.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    _, first = np.unique(sets[order], return_index=True)
    order = order[np.sort(first)]
    starts = np.searchsorted(owner[order], owner[order])
    slot = np.arange(len(order)) - starts
    return order[slot < width], slot[slot < width]
