"""The hinge: what metrics, explanations and the service need of a model, be it torch or ONNX Runtime. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pct.words import Ints, Tokens, split_all

Floats = npt.NDArray[np.float32]
Texts = Sequence[str] | Sequence[Sequence[str]]

# Real tokens in a batch: large enough to fill the cores, small enough to stay in their caches.
TOKENS_A_BATCH = 4096


@runtime_checkable
class Predictor(Protocol):
    """A model as seen through arrays. Everything else (batching, reduction, curves, metrics) is built on these."""

    classes: list[str]

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """Word lists as tokens."""
        ...

    def forward(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> Floats:
        """ids, mask: (batch, length). Returns probabilities (batch, classes)."""
        ...

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """ids, words: (batch, length), the map -1 at specials and -2 at padding. classes: (batch,), None: predicted.

        Returns probabilities (batch, classes) and saliency (batch, most words).
        """
        ...


def batches(lengths: Ints, budget: int = TOKENS_A_BATCH) -> list[Ints]:
    """Rows sorted by length and cut into batches of about `budget` tokens; every row is in exactly one."""
    order = np.argsort(lengths, kind="stable")
    out: list[Ints] = []
    start = 0
    sizes = lengths[order]
    while start < len(order):
        # the longest row of a batch sets its width: widths grow, so the count that fits only shrinks
        fits = np.arange(1, len(order) - start + 1) * np.maximum(sizes[start:], 1) <= budget
        stop = start + max(int(fits.sum()), 1)
        out.append(order[start:stop])
        start = stop
    return out


def predict_tokens(predictor: Predictor, tokens: Tokens) -> Floats:
    """Probabilities (texts, classes), in the texts' order."""
    out = np.zeros((len(tokens), len(predictor.classes)), np.float32)
    for index in batches(tokens.lengths):
        ids, words = tokens.rows(index)
        out[index] = predictor.forward(ids, words > -2)
    return out


def explain_tokens(predictor: Predictor, tokens: Tokens, classes: Ints | None = None) -> tuple[Floats, Floats]:
    """Probabilities (texts, classes) and saliency (texts, most words), in the texts' order."""
    probabilities = np.zeros((len(tokens), len(predictor.classes)), np.float32)
    saliency = np.zeros((len(tokens), int(tokens.counts.max(initial=1))), np.float32)
    for index in batches(tokens.lengths):
        ids, words = tokens.rows(index)
        chosen = None if classes is None else classes[index]
        probabilities[index], part = predictor.explain_rows(ids, words, chosen)
        saliency[index, : part.shape[1]] = part
    return probabilities, saliency


def predict_rows(predictor: Predictor, ids: Ints, words: Ints) -> Floats:
    """Probabilities of padded rows; rows that are equal run once."""
    lengths = (words > -2).sum(1)
    # padding is part of the row, so two rows are equal only when their tokens and lengths are
    key = np.ascontiguousarray(np.concatenate([np.where(words > -2, ids, -1), lengths[:, None]], 1, dtype=np.int32))
    _, first, inverse = np.unique(key.view(np.dtype((np.void, key.strides[0]))), return_index=True, return_inverse=True)
    out = np.zeros((len(first), len(predictor.classes)), np.float32)
    for part in batches(lengths[first]):
        rows = first[part]
        width = int(lengths[rows].max())
        out[part] = predictor.forward(ids[rows, :width], words[rows, :width] > -2)
    return out[inverse.reshape(-1)]


class TextInterface:
    """`predict` and `saliency` on texts, for any class that is a `Predictor`."""

    def predict(self: Predictor, texts: Texts) -> Floats:
        """Probabilities (n, classes) of strings or word lists, softmax(logits).

        Raises ValueError for a text without words, TypeError for what is not a text.
        """
        return predict_tokens(self, self.tokens(split_all(texts)))

    def saliency(self: Predictor, texts: Texts, classes: Sequence[int] | None = None) -> list[Floats]:
        """One array a text, one number a word (N, the words that survive max_length).

        classes: the class explained for each text; the predicted one where None. Raises ValueError for a class that
        the model does not have, or for another number of classes than texts.
        """
        words = split_all(texts)
        chosen = None if classes is None else check_classes(classes, len(words), len(self.classes))
        tokens = self.tokens(words)
        _, scores = explain_tokens(self, tokens, chosen)
        return [row[:n] for row, n in zip(scores, tokens.counts, strict=True)]


def check_classes(classes: Sequence[int] | Ints, texts: int, known: int) -> Ints:
    """Class indices as an array. Raises ValueError for one outside 0..known - 1, or another count than of texts."""
    chosen = np.asarray(classes, dtype=np.int64)
    if chosen.shape != (texts,):
        raise ValueError(f"{texts} texts need {texts} class indices, got an array of shape {chosen.shape}")
    outside = chosen[(chosen < 0) | (chosen >= known)]
    if len(outside):
        raise ValueError(f"label {outside[0]} is outside the model's classes 0..{known - 1}")
    return chosen
