"""A ranking of words -> the reduced texts, as index arithmetic on a whole batch.

The order in which a text loses its words is given as ranks: `rank[i, w] = t` says that word w of text i goes at step t,
counted from 1. Reduction is cumulative: the t-th reduced text lacks every word of rank t or less. This is numpy, for
evaluation, explanation and serving; `pct.methods.reduced_batch` does the same in torch, on the device, for training.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pct.text.tokens import Tokens

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


def words_to_remove(counts: Ints, share: float | Floats) -> Ints:
    """m = ceil(share * N), at least 1 and at most N - 1; so 0 for texts of one word. counts, result: (texts,).

    share: one, or an array that broadcasts with counts. Raises ValueError for a share outside (0, 1].
    """
    check_share(share)
    # 0.28 * 25 is 7.000000000000001: the margin keeps rounding from removing an eighth word
    wanted = np.ceil(share * counts - 1e-9).astype(np.int64)
    removed: Ints = np.minimum(np.maximum(wanted, 1), np.maximum(counts - 1, 0))
    return removed


def check_share(share: float | Floats) -> None:
    """Raises ValueError for a share of words outside (0, 1]."""
    if not np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)):
        raise ValueError(f"the share of words to remove must be in (0, 1], got {share}")


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


def reduce_tokens(ids: Ints, words: Ints, ranks: Ints, text: Ints, step: Ints, padding: int) -> Tokens:
    """Reduced texts: row r is text `text[r]` without its words of rank `step[r]` or less.

    ids, words: (texts, length), as `Tokens.rows` gives them. ranks: (texts, words). text, step: (rows,).
    The words that are left are counted anew.
    """
    keep = _kept(words, ranks, text, step)
    gone = np.cumsum(ranks[text] <= step[:, None], axis=1)
    row, column = np.nonzero(keep)
    word = words[text[row], column]
    fresh = np.where(word >= 0, word - gone[row, np.maximum(word, 0)], word)
    counts = words.max(1)[text] + 1 - gone[:, -1]
    starts = np.concatenate([[0], np.cumsum(keep.sum(1))])
    return Tokens(ids[text[row], column], fresh, starts, counts, padding)


def reduce_ids(ids: Ints, words: Ints, ranks: Ints, text: Ints, step: Ints) -> tuple[Ints, Ints]:
    """`reduce_tokens` without the words: token ids (total,) and how many each row has (rows,)."""
    keep = _kept(words, ranks, text, step)
    return ids[text][keep], keep.sum(1)


def reduce_rows(ids: Ints, words: Ints, ranks: Ints, text: Ints, step: Ints, padding: int) -> tuple[Ints, Ints]:
    """`reduce_tokens` as padded rows: ids and word maps, both (rows, longest); -2 marks padding."""
    return reduce_tokens(ids, words, ranks, text, step, padding).rows(np.arange(len(text)))


def _kept(words: Ints, ranks: Ints, text: Ints, step: Ints) -> npt.NDArray[np.bool_]:
    # a special token outlives every step, padding none
    of_token = np.where(words >= 0, np.take_along_axis(ranks, np.maximum(words, 0), 1), np.iinfo(np.int64).max)
    of_token[words == -2] = 0
    keep: npt.NDArray[np.bool_] = of_token[text] > step[:, None]
    return keep


def steps_of(counts: Ints) -> tuple[Ints, Ints]:
    """For m = counts reduced texts each: the text (0, 0, .., 1, ..) and the step (1, 2, .., 1, ..) of every row."""
    text = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return text, np.arange(len(text)) - first + 1
