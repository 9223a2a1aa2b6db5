"""A ranking of words -> the reduced texts, as index arithmetic on a whole batch.

The order in which a text loses its words is given as ranks: `rank[i, w] = t` says that word w of text i goes at step t,
counted from 1. Reduction is cumulative: the t-th reduced text lacks every word of rank t or less. This is numpy, for
evaluation, explanation and serving; `pct.reduced_batch` does the same in torch, on the device, for training.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


def words_to_remove(counts: Ints, share: float) -> Ints:
    """m = ceil(share * N), at least 1 and at most N - 1; so 0 for texts of one word. counts, result: (texts,).

    Raises ValueError for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of words to remove must be in (0, 1], got {share}")
    # 0.1 * 70 is 7.000000000000001: the margin keeps rounding from removing an eighth word
    wanted = np.ceil(share * counts - 1e-9).astype(np.int64)
    removed: Ints = np.minimum(np.maximum(wanted, 1), np.maximum(counts - 1, 0))
    return removed


def removal_ranks(saliency: Floats, counts: Ints, important: bool) -> Ints:
    """The step at which each word goes: most salient first, or least; ties go by position, the earlier word first.

    saliency: (texts, words), anything beyond a text's N words. Returns (texts, words), 1..N, and N + 1.. beyond.
    """
    beyond = np.arange(saliency.shape[1]) >= counts[:, None]
    keys = np.where(beyond, np.inf, -saliency if important else saliency)
    order = np.argsort(keys, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, saliency.shape[1] + 1)[None], axis=1)
    return ranks


def reduce_rows(ids: Ints, words: Ints, ranks: Ints, text: Ints, step: Ints, padding: int) -> tuple[Ints, Ints]:
    """Reduced texts as padded rows: row r is text `text[r]` without its words of rank `step[r]` or less.

    ids, words: (texts, length), as `Tokens.rows` gives them. ranks: (texts, words). text, step: (rows,).
    Returns ids and word maps (rows, length), moved to the left and the words counted anew; -2 marks padding.
    """
    of_token = np.where(words >= 0, np.take_along_axis(ranks, np.maximum(words, 0), 1), np.iinfo(np.int64).max)
    of_token[words == -2] = 0
    keep = of_token[text] > step[:, None]
    source = words[text]
    gone = np.cumsum(_word_is_gone(ranks, text, step), axis=1)
    fresh = np.where(source >= 0, source - np.take_along_axis(gone, np.maximum(source, 0), 1), source)
    rows, columns = np.nonzero(keep)
    place = np.cumsum(keep, axis=1)[rows, columns] - 1
    out_ids = np.full(keep.shape, padding, np.int64)
    out_words = np.full(keep.shape, -2, np.int64)
    out_ids[rows, place] = ids[text][rows, columns]
    out_words[rows, place] = fresh[rows, columns]
    return out_ids, out_words


def _word_is_gone(ranks: Ints, text: Ints, step: Ints) -> npt.NDArray[np.bool_]:
    gone: npt.NDArray[np.bool_] = ranks[text] <= step[:, None]
    return gone


def steps_of(counts: Ints) -> tuple[Ints, Ints]:
    """For m = counts reduced texts each: the text (0, 0, .., 1, ..) and the step (1, 2, .., 1, ..) of every row."""
    text = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return text, np.arange(len(text)) - first + 1
