"""The reduced texts of a block: identified by their removed words, each run once, whatever metrics need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.explaining.predictor import (
    Forward,
    Predictor,
    Represents,
    batch_budget,
    explain_tokens,
    forward_over,
    predict_ids,
    replacement_token_of,
    row_keys,
)
from pct.explaining.reduction import reduce_ids, reduce_tokens
from pct.settings import REMOVALS
from pct.text.tokens import Bools, Floats, Ints, Keys, Tokens, replaced_by

if TYPE_CHECKING:
    from pct.saliency.base import Saliency

# Reduced texts that are held at once, in tokens, padding included.
TOKENS_AT_ONCE = 2**18


class ReducedTexts:
    """Some texts without some of their words, over any `Predictor`.

    A reduced text is identified by `text`, (rows,) the index of its original, and `gone`, (rows, most words) bool, its
    removed words.

    Args:
        predictor: the model.
        tokens: the texts, as `predictor.tokens` gives them.
        removal: `delete` closes the gap; `mask` and `unknown` put a token in the place of each removed token.
        saliency: how texts are explained; the predictor's own `explain_rows` where None.

    Raises:
        ValueError: the model has no such token.
    """

    def __init__(
        self, predictor: Predictor, tokens: Tokens, removal: str = "delete", saliency: Saliency | None = None
    ) -> None:
        self.predictor, self.tokens, self.removal, self.saliency = predictor, tokens, removal, saliency
        self.ids, self.word_ids = tokens.rows(np.arange(len(tokens)))
        self._replacement = replacement_for(predictor, removal)
        replacements = tokens.ids[:0]
        if self._replacement is not None:
            replacements = np.unique(replaced_by(tokens.ids, self._replacement))
        self._forward = forward_over(predictor, tokens, replacements)
        self._keys = np.zeros((0, 2), np.uint64)
        self._probabilities = np.zeros((0, len(predictor.classes)), np.float32)
        self.shared: dict[Any, Any] = {}  # results that metrics share
        # not yet sorted in; without a look-up, the keys are not computed
        self._new: list[tuple[Keys | Callable[[], Keys], Floats]] = []

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
        """(rows, classes) probabilities of reduced texts that were not run before."""
        out = np.empty((len(text), len(self.predictor.classes)), np.float32)
        for some in self._pieces(len(text)):
            ids, lengths = self._reduce(text[some], gone[some])
            out[some] = self._predict(self._forward, ids, lengths)
            self._remember(ids, lengths, out[some])
        return out

    def probabilities(self, text: Ints, gone: Bools) -> Floats:
        """(rows, classes) probabilities of reduced texts; those that were run before are not run again."""
        out = np.empty((len(text), len(self.predictor.classes)), np.float32)
        for some in self._pieces(len(text)):
            ids, lengths = self._reduce(text[some], gone[some])
            keys = row_keys(ids, lengths)
            probabilities, cached = self._look_up(keys)
            if not cached.all():
                new_ids, new_lengths = ids[np.repeat(~cached, lengths)], lengths[~cached]
                probabilities[~cached] = self._predict(self._forward, new_ids, new_lengths)
                self._new.append((keys[~cached], probabilities[~cached]))
            out[some] = probabilities
        return out

    def explain(self, text: Ints, gone: Bools, labels: Ints) -> tuple[Floats, Floats]:
        """Probabilities (rows, classes) and saliency (rows, most words) of the remaining words, each at its own index.

        labels: (rows,) the class explained.
        """
        reduced = reduce_tokens(
            self.ids[text], self.word_ids[text], gone, self.tokens.counts[text], self.tokens.padding, self._replacement
        )
        explain = explain_tokens if self.saliency is None else self.saliency.explain_tokens
        probabilities, reduced_saliency = explain(self.predictor, reduced, labels)
        self._remember(reduced.ids, reduced.lengths, probabilities)
        saliency = np.zeros(gone.shape, np.float32)
        left = ~gone & (np.arange(gone.shape[1]) < self.tokens.counts[text][:, None])
        row, word = np.nonzero(left)
        saliency[row, word] = reduced_saliency[row, (np.cumsum(left, axis=1) - 1)[row, word]]
        return probabilities, saliency

    def represent(self, text: Ints, gone: Bools) -> tuple[Floats, Floats]:
        """Probabilities (rows, classes) and representations r (rows, width). Raises TypeError if it has none."""
        model, classes = self.predictor, len(self.predictor.classes)
        if not isinstance(model, Represents):
            raise TypeError(f"{type(model).__name__} has no representations: it needs a method represent(ids, mask)")
        ids, lengths = self._reduce(text, gone)
        both = self._predict(lambda ids, mask: np.concatenate(model.represent(ids, mask), 1), ids, lengths)
        self._remember(ids, lengths, both[:, :classes])
        return both[:, :classes], both[:, classes:]

    def _pieces(self, rows: int) -> Iterator[Ints]:
        # long texts have many reduced texts, and these are long: some at a time
        pieces = -(-rows * self.ids.shape[1] // TOKENS_AT_ONCE)
        return iter(np.array_split(np.arange(rows), pieces) if pieces else [])

    def _reduce(self, text: Ints, gone: Bools) -> tuple[Ints, Ints]:
        return reduce_ids(self.ids[text], self.word_ids[text], gone, self._replacement)

    def _predict(self, forward: Forward, ids: Ints, lengths: Ints) -> Floats:
        return predict_ids(forward, ids, lengths, self.tokens.padding, batch_budget(self.predictor))

    def _remember(self, ids: Ints, lengths: Ints, probabilities: Floats) -> None:
        self._new.append((partial(row_keys, ids, lengths), probabilities))

    def _look_up(self, keys: Keys) -> tuple[Floats, Bools]:
        """(rows, classes) probabilities of the rows that were run before, and which these are. keys: of `row_keys`."""
        if self._new:
            new = [known() if callable(known) else known for known, _ in self._new]
            every = np.concatenate([self._keys, *new])
            values = np.concatenate([self._probabilities, *(probabilities for _, probabilities in self._new)])
            order = np.argsort(every[:, 0], kind="stable")
            self._keys, self._probabilities, self._new = every[order], values[order], []
        if not len(self._keys):
            return np.zeros((len(keys), self._probabilities.shape[1]), np.float32), np.zeros(len(keys), bool)
        index = np.minimum(np.searchsorted(self._keys[:, 0], keys[:, 0]), len(self._keys) - 1)
        return self._probabilities[index], (self._keys[index] == keys).all(1)


def replacement_for(predictor: Predictor, removal: str) -> int | None:
    """The id of the token that replaces a removed word; None for `delete`.

    Raises:
        ValueError: the removal does not exist, or the model has no token for it.
    """
    check_removal_name(removal)
    if removal == "delete":
        return None
    return replacement_token_of(predictor, removal)


def check_removal_name(removal: str) -> None:
    """Raises ValueError for a removal that does not exist."""
    if removal not in REMOVALS:
        raise ValueError(f"removal must be one of {', '.join(REMOVALS)}, got {removal!r}")
