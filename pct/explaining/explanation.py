"""Saliency and reduction curves of many texts at once, over any `Predictor`. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.predictor import (
    CALL_IN_TOKENS,
    Predictor,
    Texts,
    check_classes,
    explain_tokens,
    forward_over,
    predict_ids,
)
from pct.explaining.reduction import reduce_ids, reduce_tokens, removal_ranks
from pct.text.words import Ints, Tokens, split_all

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
TEXTS_A_BLOCK = 256
# Reduced texts that are held at once, in tokens, padding included.
TOKENS_AT_ONCE = 2**18
# The search for the first flip goes up to 1/6 of a text's words, then 2/6, ..: more rounds run fewer steps too many.
ROUNDS = 6


@dataclass(frozen=True)
class Removal:
    """What happens to many texts as they lose their words in one order.

    ranks: (texts, words) the step at which a word goes, from 1. confidence: (texts, steps + 1) of the explained class,
    column 0 the original; NaN beyond a text's steps and at steps that were not run. predicted: likewise, -1 there.
    next_saliency: (texts, words), the saliency when the first word has gone (zeros where there is none).
    """

    ranks: Ints
    confidence: Doubles
    predicted: Ints
    next_saliency: Doubles

    def rows(self, index: slice) -> Removal:
        """Some of the texts."""
        return Removal(self.ranks[index], self.confidence[index], self.predicted[index], self.next_saliency[index])

    def flips(self) -> Ints:
        """(texts,) the first step whose prediction differs from the original's; 0 where none does."""
        changed = (self.predicted != self.predicted[:, :1]) & (self.predicted >= 0)
        return np.where(changed.any(1), changed.argmax(1), 0)


@dataclass(frozen=True)
class Study:
    """A block of texts, studied. counts: N. probabilities: (texts, classes). labels: the class explained."""

    counts: Ints
    probabilities: Doubles
    labels: Ints
    saliency: Doubles
    important: Removal
    unimportant: Removal


@dataclass(frozen=True)
class Wanted:
    """Which steps of each side must be run, for those who do not need them all.

    important, unimportant: (texts, steps + 1) bool, column t the text without t words. until_flip: run the others too,
    but none behind the first that changes the prediction. next_saliency: the saliency behind the first step.
    """

    important: Bools
    unimportant: Bools
    until_flip: bool = True
    next_saliency: bool = True


def study(
    predictor: Predictor,
    tokens: Tokens,
    max_steps: int | None = None,
    labels: Ints | None = None,
    order: str = "static",
    wanted: Wanted | None = None,
) -> Study:
    """Everything that the curves and the eight metrics need, with each forward pass run once.

    max_steps: words removed at most, on each side; None for all but one. labels: (texts,) the class explained, None for
    the predicted one. order: `static` ranks once, on the original; `recomputed` ranks anew after each removal
    (Feng et al. 2018, beam 1). wanted: the steps to run, all where None.
    """
    if order not in ("static", "recomputed"):
        raise ValueError(f"order must be static or recomputed, got {order!r}")
    probabilities, saliency = explain_tokens(predictor, tokens, labels)
    if labels is None:
        labels = probabilities.argmax(1).astype(np.int64)
    steps = np.maximum(tokens.counts - 1, 0)
    if max_steps is not None:
        steps = np.minimum(steps, max_steps)
    # Both sides run as one: the texts twice, the second time to lose their unimportant words.
    sides = _Sides(predictor, tokens, probabilities, saliency, labels, steps, wanted)
    removal = sides.remove_static() if order == "static" else sides.remove_recomputed()
    return Study(
        tokens.counts, probabilities.astype(np.float64), labels, saliency.astype(np.float64),
        removal.rows(slice(None, len(tokens))), removal.rows(slice(len(tokens), None)),
    )  # fmt: skip


class _Sides:
    """Texts that lose their words: rows 0..n - 1 the important first, rows n..2n - 1 the unimportant."""

    def __init__(
        self, predictor: Predictor, tokens: Tokens, probabilities: Any, saliency: Any, labels: Ints, steps: Ints,
        wanted: Wanted | None,
    ) -> None:  # fmt: skip
        self.predictor, self.tokens, self.saliency, self.counts = predictor, tokens, saliency, tokens.counts
        self.ids, self.words = (np.concatenate([part] * 2) for part in tokens.rows(np.arange(len(tokens))))
        self.labels, self.steps = np.concatenate([labels] * 2), np.concatenate([steps] * 2)
        self.t = np.arange(int(steps.max(initial=0)) + 1)
        self.inside = (self.t >= 1) & (self.t <= self.steps[:, None])
        self.until_flip = self.next_saliency = True
        self.wanted = self.inside
        if wanted is not None:
            self.until_flip, self.next_saliency = wanted.until_flip, wanted.next_saliency
            chosen = np.concatenate([side[:, : len(self.t)] for side in (wanted.important, wanted.unimportant)])
            self.wanted = self.inside & (chosen | ((self.t == 1) & wanted.next_saliency))
        both = (2 * len(tokens), saliency.shape[1])
        confidence, predicted = np.full(self.inside.shape, np.nan), np.full(self.inside.shape, -1, np.int64)
        confidence[:, 0] = np.tile(probabilities[np.arange(len(labels)), labels], 2)
        predicted[:, 0] = np.tile(probabilities.argmax(1), 2)
        self.removal = Removal(np.zeros(both, np.int64), confidence, predicted, np.zeros(both))

    def remove_static(self) -> Removal:
        """Ranked once."""
        ranks = self.removal.ranks
        ranks[:] = np.concatenate([removal_ranks(self.saliency, self.counts, side) for side in (True, False)])
        done = np.zeros_like(self.inside)
        if self.next_saliency:
            # the rank metrics want a backward pass behind the first step: its forward pass serves the curves too
            self._explain(np.flatnonzero(self.steps), 1)
            done[:, 1:2] = True
        forward, share = forward_over(self.predictor, self.tokens), 0
        while (left := self._open() & ~done).any():
            # what is wanted goes at once, the search for the flip in rounds: full batches, few steps too many
            share += 1
            near = self.wanted | (self.t <= np.ceil(self.steps * share / ROUNDS)[:, None])
            if np.maximum(np.tile(self.counts, 2)[:, None] - self.t, 0)[left & ~near].sum() < CALL_IN_TOKENS:
                near = self.inside  # the rest costs less than a round of its own
            row, step = np.nonzero(left & near)
            done |= near
            # long texts have many reduced forms, and those are long: some at a time
            pieces = -(-len(row) * self.ids.shape[1] // TOKENS_AT_ONCE)
            for some in np.array_split(np.arange(len(row)), pieces) if pieces else []:
                ids, lengths = reduce_ids(self.ids, self.words, ranks, row[some], step[some])
                self._store(row[some], step[some], predict_ids(forward, ids, lengths, self.tokens.padding))
        return self.removal

    def remove_recomputed(self) -> Removal:
        """Ranked anew after each removal, as long as a text has steps to run."""
        ranks = self.removal.ranks
        ranks[:] = np.iinfo(np.int32).max
        current = np.concatenate([-self.saliency, self.saliency])  # the lowest goes
        sign = np.repeat([-1.0, 1.0], len(self.counts))
        alive = np.arange(current.shape[1]) < np.tile(self.counts, 2)[:, None]
        for t in self.t[1:]:
            row = np.flatnonzero(self._open()[:, t:].any(1))
            gone = np.where(alive[row], current[row], np.inf).argmin(1)  # the earlier word first
            ranks[row, gone] = t
            alive[row, gone] = False
            after = self._explain(row, t)
            # the reduced text's words, in order, are the ones alive
            which, word = np.nonzero(alive[row])
            place = np.cumsum(alive[row], axis=1)[which, word] - 1
            current[row[which], word] = sign[row[which]] * after[which, place]
        # words never removed keep their order at the end
        ranks[:] = np.argsort(np.argsort(ranks, axis=1, kind="stable"), axis=1, kind="stable") + 1
        return self.removal

    def _open(self) -> Bools:
        """(rows, steps + 1) the steps that are wanted, and those that may yet be the first to change the prediction."""
        if not self.until_flip:
            return self.wanted
        flips = self.removal.flips()[:, None]
        search: Bools = self.inside & ((flips == 0) | (self.t < flips))
        return self.wanted | search

    def _explain(self, row: Ints, t: int) -> Any:
        """The t-th step of some rows, with its saliency (rows, words)."""
        step = np.full(len(row), t)
        reduced = reduce_tokens(self.ids, self.words, self.removal.ranks, row, step, self.tokens.padding)
        probabilities, after = explain_tokens(self.predictor, reduced, self.labels[row])
        self._store(row, step, probabilities)
        if t == 1:
            self.removal.next_saliency[row, : after.shape[1]] = after
        return after

    def _store(self, row: Ints, step: Ints, probabilities: Any) -> None:
        self.removal.confidence[row, step] = probabilities[np.arange(len(row)), self.labels[row]]
        self.removal.predicted[row, step] = probabilities.argmax(1)


@dataclass(frozen=True)
class Curve:
    """removed: word indices in the order in which they go. confidences: after 0, 1, .. removals, one more than
    removed. flips_at: the number of removals at which the predicted class first differs, None if it never does."""

    removed: list[int]
    confidences: list[float]
    flips_at: int | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a classifier decided: one text's words, their saliency, and what their removal does to the confidence."""

    words: list[str]
    saliency: npt.NDArray[np.float32] = field(repr=False)
    label: int
    label_name: str
    confidence: float
    important: Curve
    unimportant: Curve
    truncated: int = 0  # words beyond max_length, which the model never saw

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        sides = {n: vars(getattr(self, n)) for n in ("important", "unimportant")}
        return {
            "words": self.words, "saliency": [float(x) for x in self.saliency], "label": self.label,
            "label_name": self.label_name, "confidence": self.confidence, "truncated": self.truncated, **sides,
        }  # fmt: skip


def explain(
    predictor: Predictor,
    texts: Texts,
    max_steps: int = 15,
    classes: Sequence[int] | None = None,
    order: str = "static",
) -> list[Explanation]:
    """Saliency and reduction curves of texts, all in one go.

    max_steps: words removed at most on each side; one word always remains. classes: the class explained, the predicted
    one where None. Raises ValueError for a text without words or max_steps < 0.
    """
    if max_steps < 0:
        raise ValueError(f"max_steps must be >= 0, got {max_steps}")
    split = split_all(texts)
    labels = None if classes is None else check_classes(classes, len(split), len(predictor.classes))
    out: list[Explanation] = []
    for start in range(0, len(split), TEXTS_A_BLOCK):
        block = slice(start, start + TEXTS_A_BLOCK)
        out += _explain_block(predictor, split[block], max_steps, None if labels is None else labels[block], order)
    return out


def _explain_block(
    predictor: Predictor, split: list[list[str]], max_steps: int, labels: Ints | None, order: str
) -> list[Explanation]:
    tokens = predictor.tokens(split)
    every = np.ones((len(split), int(tokens.counts.max(initial=1))), bool)
    seen = study(predictor, tokens, max_steps, labels, order, Wanted(every, every, next_saliency=False))
    important, unimportant = (_curves(side) for side in (seen.important, seen.unimportant))
    return [
        Explanation(
            words=list(split[i][:n]),
            saliency=seen.saliency[i, :n].astype(np.float32),
            label=int(seen.labels[i]),
            label_name=predictor.classes[seen.labels[i]],
            confidence=float(seen.probabilities[i, seen.labels[i]]),
            important=important[i],
            unimportant=unimportant[i],
            truncated=len(split[i]) - int(n),
        )
        for i, n in enumerate(seen.counts)
    ]


def _curves(side: Removal) -> list[Curve]:
    order = np.argsort(side.ranks, axis=1, kind="stable")
    flips = side.flips()
    taken = np.isfinite(side.confidence).sum(1)
    return [
        Curve(order[i, : n - 1].tolist(), side.confidence[i, :n].tolist(), int(flips[i]) or None)
        for i, n in enumerate(taken)
    ]
