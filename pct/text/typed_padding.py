"""Texts with the padding token typed in them, which some models skip."""

from __future__ import annotations

import numpy as np

from pct.text.tokens import Ints, Tokens


def texts_with_padding(tokens: Tokens) -> Ints:
    """(texts,) the places of the texts that have the padding token in a word."""
    typed = np.flatnonzero((tokens.ids == tokens.padding) & (tokens.word_ids >= 0))
    return np.unique(np.searchsorted(tokens.starts, typed, side="right") - 1)


def padding_skipped(text: int) -> ValueError:
    """The error for a text, by its place, whose typed padding token the model skips."""
    return ValueError(
        f"text {text} holds the padding token, which this model skips: what it predicts of the other words cannot be "
        "explained then; remove the token from the text"
    )
