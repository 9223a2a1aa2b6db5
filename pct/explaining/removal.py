"""Texts that lose their words, most salient first and least salient first, over any `Predictor`. No torch here.

What is wanted is said as a `RemovalPlan`, before anything is run; plans are united by `|`, so that metrics and curves
that want the same reduced texts share their forward passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pct.explaining.predictor import CALL_IN_TOKENS, Predictor, explain_tokens, forward_over, predict_ids
from pct.explaining.reduction import reduce_ids, reduce_tokens, removal_ranks
from pct.text.tokens import Ints, Tokens

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
TEXTS_A_BLOCK = 256
# Reduced texts that are held at once, in tokens, padding included.
TOKENS_AT_ONCE = 2**18
# The search for the first flip goes up to 1/6 of a text's words, then 2/6, ..: more rounds run fewer steps too many.
ROUNDS = 6


@dataclass(frozen=True)
class RemovalPlan:
    """Which reduced texts are to be run, of both orders.

    Attributes:
        important: (texts, most words) bool, column t the text without its t most salient words; None for no step.
        unimportant: the same for its t least salient words.
        until_flip: run the other steps too, but none behind the first that changes the prediction.
        next_saliency: the saliency of what is left behind the first step.
    """

    important: Bools | None = None
    unimportant: Bools | None = None
    until_flip: bool = False
    next_saliency: bool = False

    @classmethod
    def first(cls, counts: Ints, important: Ints | None = None, unimportant: Ints | None = None) -> Self:
        """The first steps of each side. counts: (texts,) N. important, unimportant: (texts,) how many steps."""
        t = np.arange(width_of(counts))
        sides = [None if steps is None else t <= steps[:, None] for steps in (important, unimportant)]
        return cls(sides[0], sides[1])

    @classmethod
    def at(cls, counts: Ints, important: Ints | None = None, unimportant: Ints | None = None) -> Self:
        """Some steps of each side. counts: (texts,) N. important, unimportant: (texts, any) the steps."""
        t = np.arange(width_of(counts))
        sides = [None if steps is None else (t == steps[..., None]).any(1) for steps in (important, unimportant)]
        return cls(sides[0], sides[1])

    def __or__(self, other: RemovalPlan) -> RemovalPlan:
        """What either wants."""
        return RemovalPlan(
            _either(self.important, other.important),
            _either(self.unimportant, other.unimportant),
            self.until_flip or other.until_flip,
            self.next_saliency or other.next_saliency,
        )


@dataclass(frozen=True)
class RemovalResult:
    """What happens to many texts as they lose their words in one order.

    Attributes:
        ranks: (texts, words) the step at which a word goes, from 1.
        confidence: (texts, most words) of the explained class, column t after t removals, column 0 the original; NaN
            beyond a text's steps and at steps that were not run.
        predicted: likewise, the class predicted; -1 there.
        next_saliency: (texts, words), the saliency when the first word has gone (zeros where it was not wanted).
    """

    ranks: Ints
    confidence: Doubles
    predicted: Ints
    next_saliency: Doubles

    def rows(self, index: slice) -> RemovalResult:
        """Some of the texts."""
        return RemovalResult(
            self.ranks[index], self.confidence[index], self.predicted[index], self.next_saliency[index]
        )

    def flips(self) -> Ints:
        """(texts,) the first step whose prediction differs from the original's; 0 where none does."""
        changed = (self.predicted != self.predicted[:, :1]) & (self.predicted >= 0)
        return np.where(changed.any(1), changed.argmax(1), 0)

    def mean_drop(self, steps: Ints) -> Doubles:
        """f_c(X) - f_c(X_t), mean over t = 1..steps, nought where there is no step. steps, result: (texts,)."""
        drop = self.confidence[:, :1] - self.confidence
        t = np.arange(drop.shape[1])
        taken = (t >= 1) & (t <= steps[:, None])
        mean: Doubles = np.where(taken, drop, 0).sum(1) / np.maximum(steps, 1)
        return mean


@dataclass(frozen=True)
class Removals:
    """A block of texts as they lose their words.

    Attributes:
        counts: (texts,) N.
        probabilities: (texts, classes) of the original texts.
        labels: (texts,) the class explained.
        saliency: (texts, most words).
        important: what happens when the most salient word goes first.
        unimportant: what happens when the least salient word goes first.
    """

    counts: Ints
    probabilities: Doubles
    labels: Ints
    saliency: Doubles
    important: RemovalResult
    unimportant: RemovalResult


def remove_words(
    predictor: Predictor, tokens: Tokens, plan: RemovalPlan, labels: Ints | None = None, order: str = "static"
) -> Removals:
    """Runs what a plan wants, each forward pass once.

    Args:
        predictor: the model.
        tokens: the texts, as `predictor.tokens` gives them.
        plan: the reduced texts to run.
        labels: (texts,) the class explained, None for the predicted one.
        order: `static` ranks once, on the original; `recomputed` ranks anew after each removal (Feng et al. 2018,
            beam 1).

    Raises:
        ValueError: an order that there is not.
    """
    if order not in ("static", "recomputed"):
        raise ValueError(f"order must be static or recomputed, got {order!r}")
    probabilities, saliency = explain_tokens(predictor, tokens, labels)
    if labels is None:
        labels = probabilities.argmax(1).astype(np.int64)
    # Both sides run as one: the texts twice, the second time to lose their unimportant words.
    remover = _Remover(predictor, tokens, probabilities, saliency, labels, plan)
    result = remover.remove_static() if order == "static" else remover.remove_recomputed()
    return Removals(
        counts=tokens.counts,
        probabilities=probabilities.astype(np.float64),
        labels=labels,
        saliency=saliency.astype(np.float64),
        important=result.rows(slice(None, len(tokens))),
        unimportant=result.rows(slice(len(tokens), None)),
    )


def width_of(counts: Ints) -> int:
    """The columns of a plan: the steps 0..N - 1 of the longest text."""
    return int(counts.max(initial=1))


class _Remover:
    """Texts that lose their words: rows 0..n - 1 the important first, rows n..2n - 1 the unimportant."""

    def __init__(
        self, predictor: Predictor, tokens: Tokens, probabilities: Any, saliency: Any, labels: Ints, plan: RemovalPlan
    ) -> None:
        self.predictor, self.tokens, self.saliency, self.counts = predictor, tokens, saliency, tokens.counts
        self.ids, self.words = (np.concatenate([part] * 2) for part in tokens.rows(np.arange(len(tokens))))
        self.labels, self.steps = np.tile(labels, 2), np.tile(np.maximum(tokens.counts - 1, 0), 2)
        self.t = np.arange(width_of(tokens.counts))
        self.inside = (self.t >= 1) & (self.t <= self.steps[:, None])
        self.until_flip, self.next_saliency = plan.until_flip, plan.next_saliency
        none = np.zeros((len(tokens), len(self.t)), bool)
        chosen = np.concatenate([none if side is None else side for side in (plan.important, plan.unimportant)])
        self.wanted: Bools = self.inside & (chosen | ((self.t == 1) & plan.next_saliency))
        both = (2 * len(tokens), saliency.shape[1])
        confidence, predicted = np.full(self.inside.shape, np.nan), np.full(self.inside.shape, -1, np.int64)
        confidence[:, 0] = np.tile(probabilities[np.arange(len(labels)), labels], 2)
        predicted[:, 0] = np.tile(probabilities.argmax(1), 2)
        self.result = RemovalResult(np.zeros(both, np.int64), confidence, predicted, np.zeros(both))

    def remove_static(self) -> RemovalResult:
        """Ranked once."""
        ranks = self.result.ranks
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
        return self.result

    def remove_recomputed(self) -> RemovalResult:
        """Ranked anew after each removal, as long as a text has steps to run."""
        ranks = self.result.ranks
        ranks[:] = np.iinfo(np.int32).max
        current = np.concatenate([-self.saliency, self.saliency])  # the lowest goes
        sign = np.repeat([-1.0, 1.0], len(self.counts))
        alive = np.arange(current.shape[1]) < np.tile(self.counts, 2)[:, None]
        for t in self.t[1:]:
            row = np.flatnonzero(self._open()[:, t:].any(1))
            if not len(row):
                break
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
        return self.result

    def _open(self) -> Bools:
        """(rows, steps + 1) the steps that are wanted, and those that may yet be the first to change the prediction."""
        if not self.until_flip:
            return self.wanted
        flips = self.result.flips()[:, None]
        search: Bools = self.inside & ((flips == 0) | (self.t < flips))
        return self.wanted | search

    def _explain(self, row: Ints, t: int) -> Any:
        """The t-th step of some rows, with its saliency (rows, words)."""
        step = np.full(len(row), t)
        reduced = reduce_tokens(self.ids, self.words, self.result.ranks, row, step, self.tokens.padding)
        probabilities, after = explain_tokens(self.predictor, reduced, self.labels[row])
        self._store(row, step, probabilities)
        if t == 1:
            self.result.next_saliency[row, : after.shape[1]] = after
        return after

    def _store(self, row: Ints, step: Ints, probabilities: Any) -> None:
        self.result.confidence[row, step] = probabilities[np.arange(len(row)), self.labels[row]]
        self.result.predicted[row, step] = probabilities.argmax(1)


def _either(one: Bools | None, other: Bools | None) -> Bools | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other
