"""Texts that contain the padding token literally. Some models skip it."""

from __future__ import annotations

import numpy as np

from pct.text.tokens import Ints, Tokens


def texts_with_padding(tokens: Tokens) -> Ints:
    """The indices of the texts that have the padding token in a word."""
    occurrences = np.flatnonzero((tokens.ids == tokens.padding) & (tokens.word_ids >= 0))
    return np.unique(np.searchsorted(tokens.starts, occurrences, side="right") - 1)


def padding_skipped(text: int) -> ValueError:
    """The error for a text, by its index, with a padding token that the model skips."""
    return ValueError(
        f"text {text} holds the padding token, which this model skips: the prediction cannot be explained; remove the "
        "token from the text"
    )
