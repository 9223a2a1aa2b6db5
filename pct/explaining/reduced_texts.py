"""The reduced texts of a block: named by the words that are gone, each run once however many ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pct.explaining.predictor import (
    Floats,
    Predictor,
    Represents,
    StandsIn,
    explain_tokens,
    forward_over,
    predict_ids,
    row_keys,
)
from pct.explaining.reduction import reduce_ids, reduce_tokens
from pct.settings import REMOVALS
from pct.text.tokens import Ints, Tokens

if TYPE_CHECKING:
    from pct.saliency.base import Saliency

Bools = npt.NDArray[np.bool_]
# Reduced texts that are held at once, in tokens, padding included.
TOKENS_AT_ONCE = 2**18


class ReducedTexts:
    """Some texts without some of their words, over any `Predictor`.

    A reduced text is named by `text`, (rows,) the place of its original, and `gone`, (rows, most words) bool, the words
    that it lacks.

    Args:
        predictor: the model.
        tokens: the texts, as `predictor.tokens` gives them.
        removal: `delete` closes the gap; `mask` and `unknown` put a token in the place of each token that goes.
        saliency: how texts are explained; the predictor's own `explain_rows` where None.

    Raises:
        ValueError: the model has no such token.
    """

    def __init__(
        self, predictor: Predictor, tokens: Tokens, removal: str = "delete", saliency: Saliency | None = None
    ) -> None:
        self.predictor, self.tokens, self.removal, self.saliency = predictor, tokens, removal, saliency
        self.ids, self.word_ids = tokens.rows(np.arange(len(tokens)))
        self._stand_in = check_removal(predictor, removal)
        more = [] if self._stand_in is None else [self._stand_in]
        self._forward = forward_over(predictor, tokens, more)
        self._keys = np.zeros((0, 2), np.uint64)
        self._found = np.zeros((0, len(predictor.classes)), np.float32)
        self.shared: dict[Any, Any] = {}  # what metrics keep of the block
        self._new: list[tuple[Ints, Ints, Floats]] = []  # not among the keys yet: they are made when first looked up

    def explain_originals(self, labels: Ints | None) -> tuple[Floats, Floats]:
        """Probabilities (texts, classes) and saliency (texts, most words) of the whole texts; labels as in
        `explain_tokens`."""
        if self.saliency is None:
            probabilities, saliency = explain_tokens(self.predictor, self.tokens, labels)
        else:
            probabilities, saliency = self.saliency.explain_texts(self, labels)
        self._remember(self.tokens.ids, self.tokens.lengths, probabilities)
        return probabilities, saliency

    def whole(self) -> Floats:
        """Probabilities (texts, classes) of the whole texts."""
        texts = np.arange(len(self.tokens))
        return self.probabilities(texts, np.zeros((len(texts), int(self.tokens.counts.max(initial=1))), bool))

    def run(self, text: Ints, gone: Bools) -> Floats:
        """(rows, classes) of reduced texts that were not run before."""
        out = np.empty((len(text), len(self.predictor.classes)), np.float32)
        for some in self._pieces(len(text)):
            ids, lengths = self._reduce(text[some], gone[some])
            out[some] = predict_ids(self._forward, ids, lengths, self.tokens.padding)
            self._remember(ids, lengths, out[some])
        return out

    def probabilities(self, text: Ints, gone: Bools) -> Floats:
        """(rows, classes) of reduced texts; those that were run before are not run again."""
        out = np.empty((len(text), len(self.predictor.classes)), np.float32)
        for some in self._pieces(len(text)):
            ids, lengths = self._reduce(text[some], gone[some])
            found, known = self._look_up(ids, lengths)
            if not known.all():
                fresh, long = ids[np.repeat(~known, lengths)], lengths[~known]
                found[~known] = predict_ids(self._forward, fresh, long, self.tokens.padding)
                self._remember(fresh, long, found[~known])
            out[some] = found
        return out

    def explain(self, text: Ints, gone: Bools, labels: Ints) -> tuple[Floats, Floats]:
        """Probabilities (rows, classes) and saliency (rows, most words) of the words left, each in its own place.

        labels: (rows,) the class explained.
        """
        reduced = reduce_tokens(
            self.ids[text], self.word_ids[text], gone, self.tokens.counts[text], self.tokens.padding, self._stand_in
        )
        explain = explain_tokens if self.saliency is None else self.saliency.explain_tokens
        probabilities, found = explain(self.predictor, reduced, labels)
        self._remember(reduced.ids, reduced.lengths, probabilities)
        saliency = np.zeros(gone.shape, np.float32)
        left = ~gone & (np.arange(gone.shape[1]) < self.tokens.counts[text][:, None])
        row, word = np.nonzero(left)
        saliency[row, word] = found[row, (np.cumsum(left, axis=1) - 1)[row, word]]
        return probabilities, saliency

    def represent(self, text: Ints, gone: Bools) -> tuple[Floats, Floats]:
        """Probabilities (rows, classes) and representations r (rows, width). Raises TypeError for a model without."""
        model, classes = self.predictor, len(self.predictor.classes)
        if not isinstance(model, Represents):
            raise TypeError(f"{type(model).__name__} gives no representations: it needs a method represent(ids, mask)")
        ids, lengths = self._reduce(text, gone)
        found = predict_ids(
            lambda ids, mask: np.concatenate(model.represent(ids, mask), 1), ids, lengths, self.tokens.padding
        )
        self._remember(ids, lengths, found[:, :classes])
        return found[:, :classes], found[:, classes:]

    def _pieces(self, rows: int) -> Iterator[Ints]:
        # long texts have many reduced forms, and those are long: some at a time
        pieces = -(-rows * self.ids.shape[1] // TOKENS_AT_ONCE)
        return iter(np.array_split(np.arange(rows), pieces) if pieces else [])

    def _reduce(self, text: Ints, gone: Bools) -> tuple[Ints, Ints]:
        return reduce_ids(self.ids[text], self.word_ids[text], gone, self._stand_in)

    def _remember(self, ids: Ints, lengths: Ints, probabilities: Floats) -> None:
        self._new.append((ids, lengths, probabilities))

    def _look_up(self, ids: Ints, lengths: Ints) -> tuple[Floats, Bools]:
        """(rows, classes) of the rows that were run before, and which these are."""
        if self._new:
            keys = np.concatenate([self._keys, *(row_keys(*rows) for *rows, _ in self._new)])
            found = np.concatenate([self._found, *(probabilities for *_, probabilities in self._new)])
            order = np.argsort(keys[:, 0], kind="stable")
            self._keys, self._found, self._new = keys[order], found[order], []
        if not len(self._keys):
            return np.zeros((len(lengths), self._found.shape[1]), np.float32), np.zeros(len(lengths), bool)
        keys = row_keys(ids, lengths)
        place = np.minimum(np.searchsorted(self._keys[:, 0], keys[:, 0]), len(self._keys) - 1)
        return self._found[place], (self._keys[place] == keys).all(1)


def check_removal(predictor: Predictor, removal: str) -> int | None:
    """The token that stands in a removed word's place; None for `delete`.

    Raises:
        ValueError: there is no such removal, or the model has no token for it.
    """
    if removal not in REMOVALS:
        raise ValueError(f"removal must be one of {', '.join(REMOVALS)}, got {removal!r}")
    if removal == "delete":
        return None
    if not isinstance(predictor, StandsIn):
        raise ValueError(f"{type(predictor).__name__} has no token for removal {removal}; use delete")
    return predictor.stand_in(removal)
