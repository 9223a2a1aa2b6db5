"""A `Predictor` of a function from texts to probabilities: its saliency is occlusion. No torch here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pct.explaining.predictor import Floats, TextInterface, rows_as_tokens
from pct.text.tokens import Ints, Tokens
from pct.text.words import NATURAL, as_document, check_rule

PADDING = 0


class _Piece(NamedTuple):
    """A word with the spaces before it; close: whether it follows a letter or digit without one, as ideographs do."""

    space: str
    word: str
    close: bool


class FunctionPredictor(TextInterface):
    """See `predictor_from`. A word is one token; ids are given to words as they come. Threads may share it."""

    explains_by = "occlusion"

    def __init__(self, predict_proba: Callable[[list[str]], Any], classes: Sequence[str], words: str = NATURAL) -> None:
        self.predict_proba, self.classes, self.word_rule = predict_proba, list(classes), words
        nothing = _Piece("", "", False)
        self._pieces: dict[int, _Piece] = {PADDING: nothing}
        self._ids: dict[_Piece, int] = {nothing: PADDING}
        self._fresh_ids = itertools.count(PADDING + 1)

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`. No text is cut."""
        documents = [as_document(text) for text in texts]
        counts = np.array([len(words) for words in documents], np.int64)
        pieces = (piece for words in documents for piece in _pieces(words.text, words.spans))
        ids = np.fromiter(map(self._id, pieces), np.int64, int(counts.sum()))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Tokens(ids, np.arange(len(ids)) - np.repeat(starts[:-1], counts), starts, counts, PADDING)

    def forward(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> Floats:
        """See `Predictor.forward`. Raises ValueError where the function gives no probabilities."""
        return self._ask([self._text(row[inside]) for row, inside in zip(ids, mask, strict=True)])

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`: by occlusion."""
        from pct.saliency import make_saliency

        return make_saliency("occlusion").explain_tokens(self, rows_as_tokens(ids, words, PADDING), classes)

    def _id(self, piece: _Piece) -> int:
        known = self._ids.get(piece)
        if known is not None:
            return known
        # threads share the table: each step is atomic, and an id has its piece before anyone can read it
        fresh = next(self._fresh_ids)
        self._pieces[fresh] = piece
        return self._ids.setdefault(piece, fresh)

    def _text(self, ids: Ints) -> str:
        """The words in a row. What stood apart does not grow together when the mark between them goes."""
        text = ""
        for piece in (self._pieces[i] for i in ids.tolist()):
            apart = piece.space or piece.close or not (text[-1:].isalnum() and piece.word[:1].isalnum())
            text += (piece.space if apart else " ") + piece.word
        return text.lstrip()

    def _ask(self, texts: list[str]) -> Floats:
        found = np.asarray(self.predict_proba(texts), np.float64)
        wanted = (len(texts), len(self.classes))
        if found.shape != wanted:
            raise ValueError(
                f"predict_proba must give an array of shape {wanted}, texts and classes, got {found.shape}"
            )
        if not (np.isfinite(found).all() and np.allclose(found.sum(1), 1, atol=1e-3) and (found >= 0).all()):
            raise ValueError("predict_proba must give probabilities: rows of numbers >= 0 that sum to 1")
        return found.astype(np.float32)


def predictor_from(
    predict_proba: Callable[[list[str]], Any], classes: Sequence[str], words: str = NATURAL
) -> FunctionPredictor:
    """Makes a `Predictor` of a function from texts to probabilities, whatever stands behind it.

    It can be measured and explained as any other: `pct.evaluate(predictor, data)`, `pct.explain(predictor, texts)`.
    Since there is no gradient, a word's saliency is occlusion: the log-odds that are lost without it, which costs a row
    a word.

    Args:
        predict_proba: takes a list of strings, gives (texts, classes) probabilities; a scikit-learn pipeline's, say.
        classes: the names of the classes, in the order of its columns.
        words: how a text becomes words: `natural`, `spaces`, or `module:function`.

    Returns:
        The predictor.

    Raises:
        ValueError: under two classes, or a rule that there is not.
    """
    if len(classes) < 2 or isinstance(classes, str):
        raise ValueError(f"classes must be two names or more, got {classes!r}")
    check_rule(words)
    return FunctionPredictor(predict_proba, [str(name) for name in classes], words)


def _pieces(text: str, spans: Sequence[tuple[int, int]]) -> list[_Piece]:
    ends = [0, *(end for _, end in spans[:-1])]
    return [
        _Piece(text[before:start], text[start:end], start == before > 0 and text[start - 1].isalnum())
        for before, (start, end) in zip(ends, spans, strict=True)
    ]
