"""The stability of a saliency under small changes of the text or the seed."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from pct.explaining.predictor import Predictor
from pct.explaining.reduction import removal_ranks
from pct.metrics.base import Column
from pct.text.tokens import TOKEN_TYPE, Ints, Tokens


@runtime_checkable
class Neighbours(Protocol):
    """A predictor that can find tokens with similar embeddings."""

    def nearest_tokens(self, ids: Ints) -> Ints:
        """(n,) for each token id the nearest other one by the cosine of their embeddings; itself without one."""
        ...


class Replaced(NamedTuple):
    """Texts with one word replaced.

    Attributes:
        tokens: the texts.
        replaced: (texts,) bool, whether a word of the text could be replaced.
    """

    tokens: Tokens
    replaced: Column


def overlap(first: Column, second: Column, counts: Ints, top: Ints) -> Column:
    """The share of a text's `top` most salient words that two saliencies have in common, (texts,).

    Args:
        first: (texts, words).
        second: (texts, words).
        counts: (texts,) N.
        top: (texts,) the number of words compared; the share is NaN where it is 0.
    """
    width = max(first.shape[1], second.shape[1])
    sides = [np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in (first, second)]
    chosen = [removal_ranks(x, counts, True) <= top[:, None] for x in sides]
    both = (chosen[0] & chosen[1]).sum(1)
    return np.divide(both, top, out=np.full(len(top), np.nan), where=top > 0)


def replace_words(predictor: Predictor, tokens: Tokens, place: Ints) -> Replaced | None:
    """Each text with one of its words replaced by one with a similar embedding.

    The word is drawn among the known words of one token. None where the predictor does not implement `Neighbours`.

    Args:
        predictor: the model.
        tokens: the texts.
        place: (texts,) the position of each text in its split, which determines the drawn words.
    """
    if not isinstance(predictor, Neighbours):
        return None
    own = tokens.word_ids >= 0
    text = np.repeat(np.arange(len(tokens)), tokens.lengths)
    offset = np.concatenate([[0], np.cumsum(tokens.counts)])[:-1]
    word = np.where(own, tokens.word_ids + offset[text], 0)
    sizes = np.bincount(word[own], minlength=int(tokens.counts.sum()))
    single = np.flatnonzero(own & (sizes[word] == 1) & (tokens.ids % TOKEN_TYPE != tokens.unknown))
    keys = np.random.default_rng([0, *place.tolist()]).random(len(single))
    order = np.lexsort((keys, text[single]))
    texts, first = np.unique(text[single][order], return_index=True)
    drawn = single[order][first]
    nearest = predictor.nearest_tokens(tokens.ids[drawn])
    ids = tokens.ids.copy()
    ids[drawn] = nearest
    changed = np.zeros(len(tokens), bool)
    changed[texts] = nearest != tokens.ids[drawn]
    return Replaced(replace(tokens, ids=ids), changed)
