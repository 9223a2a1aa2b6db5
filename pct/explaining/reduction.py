"""From a ranking of words to the reduced texts, as index arithmetic on a whole batch.

The order of removal is given as ranks: `rank[i, w] = t` means that word w of text i is removed at step t, from 1 on.
Reduction is cumulative: the t-th reduced text lacks every word of rank t or less. This module is numpy, for evaluation,
explanation and serving; `pct.methods.reduced_batch` does the same in torch, on the device, for training.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pct.text.tokens import Bools, Ints, Tokens, positions_of, replaced_by

Floats = npt.NDArray[np.floating]
ERASER_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of words, DeYoung et al. 2020


def words_to_remove(counts: Ints, share: float | Floats) -> Ints:
    """m = ceil(share * N), at least 1 and at most N - 1; so 0 for texts of one word. counts, result: (texts,).

    share: a number, or an array that broadcasts with counts. Raises ValueError for a share outside (0, 1].
    """
    check_share(share)
    # 0.28 * 25 is 7.000000000000001: without the margin, rounding would remove an eighth word
    wanted = np.ceil(share * counts - 1e-9).astype(np.int64)
    return np.minimum(np.maximum(wanted, 1), np.maximum(counts - 1, 0))


def check_share(share: float | Floats) -> None:
    """Raises ValueError for a share of words outside (0, 1]."""
    if not np.all((np.asarray(share) > 0) & (np.asarray(share) <= 1)):
        raise ValueError(f"the share of words to remove must be in (0, 1], got {share}")


def removal_ranks(saliency: Floats, counts: Ints, important: bool) -> Ints:
    """The step at which each word is removed: most salient first, or least; of equal ones the earlier word first.

    saliency: (texts, words), with any value beyond a text's N words. Returns (texts, words), 1..N, and N + 1.. beyond.
    """
    beyond = np.arange(saliency.shape[1]) >= counts[:, None]
    keys = np.where(beyond, np.inf, -saliency if important else saliency)
    order = np.argsort(keys, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, saliency.shape[1] + 1)[None], axis=1)
    return ranks


def reduce_tokens(
    ids: Ints, words: Ints, gone: Bools, counts: Ints, padding: int, replacement: int | None = None
) -> Tokens:
    """Texts without some of their words; the remaining words are numbered again from 0.

    Args:
        ids: (rows, length), as `Tokens.rows` gives them.
        words: (rows, length), likewise.
        gone: (rows, words), the words to remove.
        counts: (rows,) N of the whole texts.
        padding: the id that fills short rows.
        replacement: the id that replaces each removed token, which then belongs to no word; None closes the gap.
    """
    kept, real = _kept(words, gone)
    shown = kept if replacement is None else real
    row, column = np.nonzero(shown)
    word, before = words[row, column], np.cumsum(gone, axis=1)
    fresh = np.where(word >= 0, word - before[row, np.maximum(word, 0)], word)
    starts = np.concatenate([[0], np.cumsum(shown.sum(1))])
    left = counts - before[np.arange(len(counts)), counts - 1]
    if replacement is None:
        return Tokens(ids[shown], fresh, starts, left, padding)
    left_or_replaced = np.where(kept, ids, replaced_by(ids, replacement))[shown]
    return Tokens(left_or_replaced, np.where(kept[shown], fresh, -1), starts, left, padding)


def reduce_ids(ids: Ints, words: Ints, gone: Bools, replacement: int | None = None) -> tuple[Ints, Ints]:
    """`reduce_tokens` without the words: token ids (total,) and how many each row has (rows,)."""
    kept, real = _kept(words, gone)
    if replacement is None:
        return ids[kept], kept.sum(1)
    return np.where(kept, ids, replaced_by(ids, replacement))[real], real.sum(1)


def _kept(words: Ints, gone: Bools) -> tuple[Bools, Bools]:
    """(rows, length) each: the tokens that stay, specials included, and those that are not padding."""
    real = words != -2
    kept: Bools = real & ~(np.take_along_axis(gone, np.maximum(words, 0), 1) & (words >= 0))
    return kept, real


def steps_of(counts: Ints) -> tuple[Ints, Ints]:
    """For m = counts reduced texts each: the text (0, 0, .., 1, ..) and the step (1, 2, .., 1, ..) of every row."""
    return np.repeat(np.arange(len(counts)), counts), positions_of(counts) + 1
