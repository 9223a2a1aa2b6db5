"""The removal of words, most salient first and least salient first, over any `Predictor`.

A `RemovalPlan` states which reduced texts are needed, before anything is run. Plans are united by `|`, so that metrics
and curves that need the same reduced texts share their forward passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pct.explaining.beam import beam_ranks
from pct.explaining.predictor import CALL_IN_TOKENS, Predictor
from pct.explaining.reduced_texts import ReducedTexts
from pct.explaining.reduction import removal_ranks
from pct.settings import ORDERS
from pct.tasks import Task, task_of
from pct.text.tokens import Bools, Doubles, Floats, Ints, Tokens

if TYPE_CHECKING:
    from pct.saliency.base import Saliency

TEXTS_A_BLOCK = 256
# The search for the first flip goes up to 1/6 of a text's words, then 2/6, ..: more rounds run fewer superfluous steps.
ROUNDS = 6


@dataclass(frozen=True)
class RemovalPlan:
    """Which reduced texts are to be run, in both orders.

    Attributes:
        important: (texts, most words) bool, column t the text without its t most salient words; None for no step.
        unimportant: the same for its t least salient words.
        until_flip: run further steps, up to the first that changes the prediction.
        next_saliency: the saliency of the remaining words after the first removal of each side.
        cosines: the cosine of the whole text's representation and those of the steps of `important` and `unimportant`.
    """

    important: Bools | None = None
    unimportant: Bools | None = None
    until_flip: bool = False
    next_saliency: bool = False
    cosines: bool = False

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
        """What either of them needs."""
        return RemovalPlan(
            _either(self.important, other.important),
            _either(self.unimportant, other.unimportant),
            self.until_flip or other.until_flip,
            self.next_saliency or other.next_saliency,
            self.cosines or other.cosines,
        )


@dataclass(frozen=True)
class RemovalResult:
    """What happens to many texts as their words are removed in one order.

    Attributes:
        ranks: (texts, words) the step at which a word is removed, from 1.
        confidence: (texts, most words) in the explained class, column t after t removals, column 0 the original; NaN
            beyond a text's steps and at steps that were not run.
        predicted: likewise, the predicted class; of several labels whether the explained one is assigned, 1 or 0; -1
            where the confidence is NaN.
        next_saliency: (texts, words), the saliency after the first removal, each word's at its own index; zeros where
            it was not asked for.
        cosine: (texts, most words), that of r(X) and r of the reduced text; NaN where it was not asked for.
    """

    ranks: Ints
    confidence: Doubles
    predicted: Ints
    next_saliency: Doubles
    cosine: Doubles

    def rows(self, index: slice) -> RemovalResult:
        """Some of the texts."""
        return RemovalResult(*(getattr(self, field.name)[index] for field in fields(self)))

    def flips(self) -> Ints:
        """(texts,) the first step whose prediction differs from the original's; 0 where none does."""
        changed = (self.predicted != self.predicted[:, :1]) & (self.predicted >= 0)
        return np.where(changed.any(1), changed.argmax(1), 0)

    def mean_drop(self, steps: Ints) -> Doubles:
        """f_c(X) - f_c(X_t), mean over t = 1..steps, 0 where there is no step. steps, result: (texts,)."""
        return mean_of_steps(self.confidence[:, :1] - self.confidence, steps)


def mean_of_steps(values: Doubles, steps: Ints) -> Doubles:
    """The mean over t = 1..steps of values (texts, most words), 0 where there is no step. steps, result: (texts,)."""
    t = np.arange(values.shape[1])
    return np.where((t >= 1) & (t <= steps[:, None]), values, 0).sum(1) / np.maximum(steps, 1)


@dataclass(frozen=True)
class Removals:
    """A block of texts and the removal of their words.

    Attributes:
        counts: (texts,) N.
        probabilities: (texts, classes) of the original texts.
        labels: (texts,) the class explained.
        saliency: (texts, most words).
        important: what happens when the most salient words are removed first.
        unimportant: what happens when the least salient words are removed first.
        texts: for any other removal, see `drop`.
    """

    counts: Ints
    probabilities: Doubles
    labels: Ints
    saliency: Doubles
    important: RemovalResult
    unimportant: RemovalResult
    texts: ReducedTexts

    def check_finite(self, index: Ints) -> None:
        """Raises FloatingPointError where a probability or a saliency is not finite.

        index: (texts,) the position of each text among all, for the message.
        """
        for what, values in (("probabilities", self.probabilities), ("saliency", self.saliency)):
            broken = index[~np.isfinite(values).all(1)]
            if len(broken):
                others = f", nor those of {len(broken) - 1} other texts of its block" if len(broken) > 1 else ""
                raise FloatingPointError(
                    f"the model's {what} of text {broken[0]} are not finite{others}; its weights or the text are "
                    "broken: train it again with a lower lr"
                )

    @property
    def task(self) -> Task:
        """That of the predictor."""
        return task_of(self.texts.predictor)

    def drop(self, text: Ints, gone: Bools) -> Doubles:
        """f_c(X) - f_c(X without some words), for any set of words. No reduced text is run twice.

        Args:
            text: (rows,) the index of each row's text in the block.
            gone: (rows, most words), the removed words of the row.

        Returns:
            (rows,).
        """
        label = self.labels[text]
        whole: Doubles = self.probabilities[text, label]
        return whole - self.texts.probabilities(text, gone)[np.arange(len(text)), label]


def remove_words(
    predictor: Predictor,
    tokens: Tokens,
    plan: RemovalPlan,
    labels: Ints | None = None,
    order: str = "static",
    removal: str = "delete",
    given: Doubles | None = None,
    saliency: Saliency | None = None,
    texts: ReducedTexts | None = None,
) -> Removals:
    """Runs the reduced texts of a plan, each forward pass once.

    Args:
        predictor: the model.
        tokens: the texts, as `predictor.tokens` gives them.
        plan: the reduced texts to run.
        labels: (texts,) the class explained, None for the predicted one.
        order: `static` ranks once, on the original; `recomputed` ranks again after each removal; `beam` does so for
            five removals at once and takes the best (Feng et al. 2018).
        removal: `delete`; `mask` or `unknown` replace each removed token.
        given: (texts, most words) the saliency as numbers, instead of a computed one.
        saliency: how it is computed; the predictor's own where None.
        texts: the block, if some of its reduced texts may have run before; they do not run again. Its predictor,
            tokens, removal and saliency are used.

    Raises:
        ValueError: the order or the removal does not exist, or needs the saliency of reduced texts where it is given.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    if given is not None and (order != "static" or plan.next_saliency):
        raise ValueError(
            "a given saliency is that of whole texts: order must be static, and i_var and u_var, which compare it with "
            "that of reduced texts, cannot be computed"
        )
    shared = texts is not None
    texts = texts or ReducedTexts(predictor, tokens, removal, saliency)
    probabilities, scores = texts.explain_originals(labels) if given is None else (texts.whole(), given)
    if labels is None:
        labels = probabilities.argmax(1).astype(np.int64)
    # Both sides run together: the texts twice, the second time without their unimportant words.
    remover = _Remover(texts, probabilities, scores, labels, plan, shared)
    run = {"static": remover.remove_static, "recomputed": remover.remove_recomputed, "beam": remover.remove_by_beam}
    result = run[order]()
    return Removals(
        counts=tokens.counts,
        probabilities=probabilities.astype(np.float64),
        labels=labels,
        saliency=scores.astype(np.float64),
        important=result.rows(slice(None, len(tokens))),
        unimportant=result.rows(slice(len(tokens), None)),
        texts=texts,
    )


def width_of(counts: Ints) -> int:
    """The columns of a plan: the steps 0..N - 1 of the longest text."""
    return int(counts.max(initial=1))


class _Remover:
    """Texts and the removal of their words: rows 0..n - 1 important first, rows n..2n - 1 unimportant first."""

    def __init__(
        self, texts: ReducedTexts, probabilities: Any, saliency: Any, labels: Ints, plan: RemovalPlan, shared: bool
    ) -> None:
        self.texts, self.saliency, self.plan, self.shared = texts, saliency, plan, shared
        number, counts = len(labels), texts.tokens.counts
        self.text, self.counts = np.tile(np.arange(number), 2), np.tile(counts, 2)
        self.labels, self.steps = np.tile(labels, 2), np.maximum(self.counts - 1, 0)
        self.t = np.arange(width_of(counts))
        self.inside = (self.t >= 1) & (self.t <= self.steps[:, None])
        none = np.zeros((number, len(self.t)), bool)
        chosen = np.concatenate([none if side is None else side for side in (plan.important, plan.unimportant)])
        self.planned: Bools = self.inside & chosen
        confidence, predicted = np.full(self.inside.shape, np.nan), np.full(self.inside.shape, -1, np.int64)
        confidence[:, 0] = np.tile(probabilities[np.arange(number), labels], 2)
        self.task = task_of(texts.predictor)
        predicted[:, 0] = np.tile(self.task.outcomes(probabilities, labels), 2)
        ranks = np.concatenate([removal_ranks(saliency, counts, side) for side in (True, False)])
        cosine = np.full(self.inside.shape, np.nan)
        self.result = RemovalResult(ranks, confidence, predicted, np.zeros(ranks.shape), cosine)

    def remove_static(self) -> RemovalResult:
        """Ranked once."""
        self._explain_first()
        return self._run(self.texts.probabilities if self.shared else self.texts.run)

    def remove_by_beam(self) -> RemovalResult:
        """Ranked by `beam_ranks`."""
        self._explain_first()
        number, labels = len(self.text) // 2, self.labels[: len(self.text) // 2]
        sides = [beam_ranks(self.texts, labels, self.saliency, important) for important in (True, False)]
        self.result.ranks[:] = np.concatenate(sides)
        if number and len(self.t) > 1:  # the first step belongs to another order
            self.result.confidence[:, 1], self.result.predicted[:, 1] = np.nan, -1
        return self._run(self.texts.probabilities)

    def remove_recomputed(self) -> RemovalResult:
        """Ranked again after each removal, as long as a text has steps to run."""
        ranks = self.result.ranks
        ranks[:] = np.iinfo(np.int32).max
        sign = np.repeat([-1.0, 1.0], len(self.text) // 2)[:, None]
        current = sign * np.tile(self.saliency, (2, 1))  # the lowest is removed
        alive = np.arange(current.shape[1]) < self.counts[:, None]
        for t in self.t[1:]:
            row = np.flatnonzero(self._open()[:, t:].any(1) | ((t == 1) & self.plan.next_saliency & (self.steps > 0)))
            if not len(row):
                break
            gone = np.where(alive[row], current[row], np.inf).argmin(1)  # the earlier word first
            ranks[row, gone] = t
            alive[row, gone] = False
            after = self._explain(row, t)
            current[row] = sign[row] * after
        # words that are never removed keep their order at the end
        ranks[:] = np.argsort(np.argsort(ranks, axis=1, kind="stable"), axis=1, kind="stable") + 1
        self._compare()
        return self.result

    def _run(self, run: Callable[[Ints, Bools], Floats]) -> RemovalResult:
        """The steps of the plan, and the search for the first that changes the prediction."""
        self._compare()
        share = 0
        while (left := self._open() & (self.result.predicted < 0)).any():
            # the plan's steps run at once, the search for the flip in rounds: full batches, few superfluous steps
            share += 1
            near = self.planned | (self.t <= np.ceil(self.steps * share / ROUNDS)[:, None])
            if np.maximum(self.counts[:, None] - self.t, 0)[left & ~near].sum() < CALL_IN_TOKENS:
                near = self.inside  # the rest costs less than another round
            row, step = np.nonzero(left & near)
            self._store(row, step, run(self.text[row], self._gone(row, step)))
        return self.result

    def _open(self) -> Bools:
        """(rows, steps + 1) the steps of the plan, and those that may be the first to change the prediction."""
        if not self.plan.until_flip:
            return self.planned
        flips = self.result.flips()[:, None]
        search: Bools = self.inside & ((flips == 0) | (self.t < flips))
        return self.planned | search

    def _gone(self, row: Ints, step: Ints) -> Bools:
        """(rows, words) the removed words of some rows at a step."""
        return self.result.ranks[row] <= step[:, None]

    def _explain_first(self) -> None:
        """The backward pass after the first step, if the plan has it: its forward pass serves the curves too."""
        if self.plan.next_saliency:
            self._explain(np.flatnonzero(self.steps), 1)

    def _explain(self, row: Ints, t: int) -> Any:
        """The saliency (rows, words) of some rows at step t; stores their probabilities."""
        step = np.full(len(row), t)
        probabilities, after = self.texts.explain(self.text[row], self._gone(row, step), self.labels[row])
        self._store(row, step, probabilities)
        if t == 1:
            self.result.next_saliency[row] = after
        return after

    def _compare(self) -> None:
        """Compares the representations of the plan's steps with those of the whole texts."""
        if not (self.plan.cosines and self.planned.any()):
            return
        number = len(self.text) // 2
        _, whole = self.texts.represent(self.text[:number], np.zeros((number, self.saliency.shape[1]), bool))
        row, step = np.nonzero(self.planned)
        probabilities, reduced = self.texts.represent(self.text[row], self._gone(row, step))
        self._store(row, step, probabilities)
        pairs = (whole[self.text[row]].astype(np.float64), reduced.astype(np.float64))
        size = np.sqrt(np.prod([(x**2).sum(1) for x in pairs], axis=0))
        self.result.cosine[row, step] = (pairs[0] * pairs[1]).sum(1) / np.maximum(size, np.finfo(np.float64).tiny)

    def _store(self, row: Ints, step: Ints, probabilities: Any) -> None:
        self.result.confidence[row, step] = probabilities[np.arange(len(row)), self.labels[row]]
        self.result.predicted[row, step] = self.task.outcomes(probabilities, self.labels[row])


def _either(one: Bools | None, other: Bools | None) -> Bools | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other
