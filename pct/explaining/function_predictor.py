"""A `Predictor` around a function from texts to probabilities; its saliency is occlusion."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.corpora.values import canonical
from pct.explaining.predictor import TextInterface, rows_as_tokens
from pct.tasks import ONE_CLASS, OneNumber, SeveralLabels, Task
from pct.text.tokens import TOKEN_TYPE, Bools, Floats, Ints, Tokens
from pct.text.words import NATURAL, as_document, check_rule

PADDING = 0


class _SpacedWord(NamedTuple):
    """A word with the spaces before it; at an end of a text, spaces without a word.

    close: whether it follows a word without a space, as in Chinese.
    """

    space: str
    word: str
    close: bool


class FunctionPredictor(TextInterface):
    """See `predictor_from`. A word is one token; a new word gets the next id. Threads may share a predictor."""

    explains_by = "occlusion"

    def __init__(
        self, predict_proba: Callable[[list[Any]], Any], classes: Sequence[str], words: str = NATURAL,
        task: Task = ONE_CLASS,
    ) -> None:  # fmt: skip
        self.predict_proba, self.classes, self.word_rule, self.task = predict_proba, list(classes), words, task
        nothing = _SpacedWord("", "", False)
        self._spaced_words: dict[int, _SpacedWord] = {PADDING: nothing}
        self._ids: dict[_SpacedWord, int] = {nothing: PADDING}
        self._new_ids = itertools.count(PADDING + 1)

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`. No text is truncated."""
        documents = [as_document(text) for text in texts]
        counts = np.array([len(words) for words in documents], np.int64)
        ids: list[int] = []
        words: list[int] = []
        starts = [0]
        for document in documents:
            for side, part in enumerate(document.parts):
                if side:  # a token of no word, so that a second text without words is still there
                    ids.append(TOKEN_TYPE + PADDING)
                    words.append(-1)
                numbers = itertools.count(side * document.first_words)
                for word in _spaced_words(part.text, part.spans):
                    ids.append(self._id(word) + side * TOKEN_TYPE)
                    words.append(next(numbers) if word.word else -1)
            starts.append(len(ids))
        return Tokens(np.array(ids, np.int64), np.array(words, np.int64), np.array(starts), counts, PADDING)

    def forward(self, ids: Ints, mask: Bools) -> Floats:
        """See `Predictor.forward`. Raises ValueError where the function does not return probabilities."""
        return self._ask([self._given(row[inside]) for row, inside in zip(ids, mask, strict=True)])

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`: by occlusion."""
        from pct.saliency import make_saliency

        return make_saliency("occlusion").explain_tokens(self, rows_as_tokens(ids, words, PADDING), classes)

    def _id(self, word: _SpacedWord) -> int:
        id = self._ids.get(word)
        if id is not None:
            return id
        # threads share the table: each step is atomic, and an id has its word before another thread can read it
        new_id = next(self._new_ids)
        self._spaced_words[new_id] = word
        return self._ids.setdefault(word, new_id)

    def _given(self, ids: Ints) -> str | tuple[str, str]:
        """The text of a row, or its pair of texts."""
        second = ids >= TOKEN_TYPE
        if not second.any():
            return self._text(ids)
        return self._text(ids[~second]), self._text(ids[second] % TOKEN_TYPE)

    def _text(self, ids: Ints) -> str:
        """The text of tokens. Two words do not join when the punctuation mark between them is removed."""
        text, first = "", True
        for space, word, close in (self._spaced_words[i] for i in ids.tolist()):
            if first and word:  # the space was between it and a word that is removed
                space, first = space.lstrip(), False
            apart = space or close or not (text[-1:].isalnum() and word[:1].isalnum())
            text += (space if apart else " ") + word
        return text

    def _ask(self, texts: list[Any]) -> Floats:
        probabilities = np.asarray(self.predict_proba(texts), np.float64)
        shape = (len(texts), len(self.classes))
        if probabilities.shape != shape:
            raise ValueError(
                f"predict_proba must return an array of shape {shape}, texts and classes, got {probabilities.shape}"
            )
        finite = bool(np.isfinite(probabilities).all())
        if self.task.number:
            if not finite:
                raise ValueError("predict_proba must return finite numbers")
        elif self.task.several:
            if not (finite and (probabilities >= 0).all() and (probabilities <= 1).all()):
                raise ValueError("predict_proba must return probabilities: a number from 0 to 1 for each label")
        elif not (finite and np.allclose(probabilities.sum(1), 1, atol=1e-3) and (probabilities >= 0).all()):
            raise ValueError("predict_proba must return probabilities: rows of numbers >= 0 that sum to 1")
        return probabilities.astype(np.float32)


def predictor_from(
    predict_proba: Callable[[list[Any]], Any],
    classes: Sequence[str],
    words: str = NATURAL,
    multi_label: bool = False,
    threshold: float = 0.5,
    head: str = "",
) -> FunctionPredictor:
    """A `Predictor` around any function from texts to probabilities.

    It can be measured and explained like any other: `pct.evaluate(predictor, data)`, `pct.explain(predictor, texts)`.
    Since it has no gradient, a word's saliency is occlusion: the drop of the log-odds without the word, which costs one
    row per word. A whole text reaches the function as it was given; a reduced one keeps the white space at its ends.

    Args:
        predict_proba: takes a list of strings and returns (texts, classes) probabilities, as that of a scikit-learn
            pipeline. A pair of texts is a tuple of two strings.
        classes: the names of the classes, in the order of its columns.
        words: the rule that splits a text into words: `natural`, `spaces`, or `module:function`.
        multi_label: whether a text may have several labels: each column is then a probability of its own.
        threshold: of several labels, the probability from which a label is assigned.
        head: `value` for a function that gives each text a number, (texts, 1); classes is then the number's name alone.

    Returns:
        The predictor.

    Raises:
        ValueError: fewer than two classes, two of one name, of a number more than one name, or an unknown head or rule.
    """
    if head not in ("", "value"):
        raise ValueError(f"head must be value or empty, got {head!r}")
    if isinstance(classes, str) or (len(classes) != 1 if head else len(classes) < 2):
        raise ValueError(f"classes must be {'one name' if head else 'at least two names'} in a list, got {classes!r}")
    names = [str(name) for name in classes]
    if repeated := [name for name, times in Counter(map(canonical, names)).items() if times > 1]:
        raise ValueError(f"classes must be distinct names, got {repeated[0]!r} more than once in {names}")
    check_rule(words)
    task = OneNumber() if head else SeveralLabels(threshold) if multi_label else ONE_CLASS
    return FunctionPredictor(predict_proba, names, words, task)


def _in_a_word(character: str) -> bool:
    """Whether it is a letter, a digit, or a mark on one, as the vowels of Thai."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _spaced_words(text: str, spans: Sequence[tuple[int, int]]) -> list[_SpacedWord]:
    """The words of a text, and the rest at its ends, if any: white space before the first word, and all after the last.

    The ends belong to no word, so that they stay when words are removed.
    """
    before_first = text[: spans[0][0]] if spans else text
    begin = len(before_first) - len(before_first.lstrip())
    ends = [begin, *(end for _, end in spans)]
    words = [
        _SpacedWord(text[before:start], text[start:end], start == before > 0 and _in_a_word(text[start - 1]))
        for before, (start, end) in zip(ends, spans, strict=False)
    ]
    around = [_SpacedWord(rest, "", False) for rest in (text[:begin], text[ends[-1] :])]
    return [word for word in (around[0], *words, around[1]) if any(word)]
