"""Saliency and reduction curves of many texts at once, over any `Predictor`. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.predictor import Predictor, Texts, check_classes, explain_tokens, predict_rows
from pct.reduction import reduce_rows, removal_ranks, steps_of
from pct.words import Ints, Tokens, split_all

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Removal:
    """What happens to many texts as they lose their words in one order.

    ranks: (texts, words) the step at which a word goes, from 1. confidence: (texts, steps + 1) of the explained class,
    column 0 the original, NaN beyond a text's steps. predicted: (texts, steps + 1), -1 beyond.
    next_saliency: (texts, words), the saliency when the first word has gone (zeros where there is none).
    """

    ranks: Ints
    confidence: Doubles
    predicted: Ints
    next_saliency: Doubles

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


def study(
    predictor: Predictor,
    tokens: Tokens,
    max_steps: int | None = None,
    labels: Ints | None = None,
    order: str = "static",
) -> Study:
    """Everything that the curves and the eight metrics need, with each forward pass run once.

    max_steps: words removed at most, on each side; None for all but one. labels: (texts,) the class explained, None for
    the predicted one. order: `static` ranks once, on the original; `recomputed` ranks anew after each removal
    (Feng et al. 2018, beam 1).
    """
    if order not in ("static", "recomputed"):
        raise ValueError(f"order must be static or recomputed, got {order!r}")
    probabilities, saliency = explain_tokens(predictor, tokens, labels)
    if labels is None:
        labels = probabilities.argmax(1).astype(np.int64)
    steps = np.maximum(tokens.counts - 1, 0)
    if max_steps is not None:
        steps = np.minimum(steps, max_steps)
    remove = _remove_static if order == "static" else _remove_recomputed
    sides = [remove(predictor, tokens, probabilities, saliency, labels, steps, side) for side in (True, False)]
    return Study(tokens.counts, probabilities.astype(np.float64), labels, saliency.astype(np.float64), *sides)


def _remove_static(
    predictor: Predictor, tokens: Tokens, probabilities: Any, saliency: Any, labels: Ints, steps: Ints, important: bool
) -> Removal:
    ids, words = tokens.rows(np.arange(len(tokens)))
    ranks = removal_ranks(saliency, tokens.counts, important)
    removal = _start(probabilities, saliency, labels, steps, ranks)
    text, step = steps_of(steps)
    if len(text) == 0:
        return removal
    # The first step runs backward too, for the rank metrics: its forward pass is not run a second time.
    first = step == 1
    once = reduce_rows(ids, words, ranks, text[first], step[first], tokens.padding)
    reached, after = _explain_padded(predictor, *once, labels[text[first]], tokens.padding)
    _store(removal, text[first], step[first], reached, labels)
    removal.next_saliency[text[first], : after.shape[1]] = after
    if first.all():
        return removal
    later = ~first
    rows = reduce_rows(ids, words, ranks, text[later], step[later], tokens.padding)
    _store(removal, text[later], step[later], predict_rows(predictor, *rows), labels)
    return removal


def _remove_recomputed(
    predictor: Predictor, tokens: Tokens, probabilities: Any, saliency: Any, labels: Ints, steps: Ints, important: bool
) -> Removal:
    ids, words = tokens.rows(np.arange(len(tokens)))
    ranks = np.full(saliency.shape, np.iinfo(np.int32).max, np.int64)
    removal = _start(probabilities, saliency, labels, steps, ranks)
    alive = np.arange(saliency.shape[1]) < tokens.counts[:, None]
    current = np.array(saliency)
    for t in range(1, int(steps.max(initial=0)) + 1):
        text = np.flatnonzero(steps >= t)
        keys = np.where(alive[text], -current[text] if important else current[text], np.inf)
        gone = keys.argmin(1)  # the earlier word first
        ranks[text, gone] = t
        alive[text, gone] = False
        rows = reduce_rows(ids, words, ranks, text, np.full(len(text), t), tokens.padding)
        reached, after = _explain_padded(predictor, *rows, labels[text], tokens.padding)
        _store(removal, text, np.full(len(text), t), reached, labels)
        if t == 1:
            removal.next_saliency[text, : after.shape[1]] = after
        # the reduced text's words, in order, are the ones alive
        row, word = np.nonzero(alive[text])
        place = np.cumsum(alive[text], axis=1)[row, word] - 1
        current[text[row], word] = after[row, place]
    # words never removed keep their order at the end
    rest = np.argsort(np.argsort(ranks, axis=1, kind="stable"), axis=1, kind="stable") + 1
    ranks[:] = rest
    return removal


def _start(probabilities: Any, saliency: Any, labels: Ints, steps: Ints, ranks: Ints) -> Removal:
    shape = (len(labels), int(steps.max(initial=0)) + 1)
    confidence = np.full(shape, np.nan)
    predicted = np.full(shape, -1, np.int64)
    confidence[:, 0] = probabilities[np.arange(len(labels)), labels]
    predicted[:, 0] = probabilities.argmax(1)
    return Removal(ranks, confidence, predicted, np.zeros(saliency.shape))


def _store(removal: Removal, text: Ints, step: Ints, probabilities: Any, labels: Ints) -> None:
    removal.confidence[text, step] = probabilities[np.arange(len(text)), labels[text]]
    removal.predicted[text, step] = probabilities.argmax(1)


def _explain_padded(predictor: Predictor, ids: Ints, words: Ints, labels: Ints, padding: int) -> Any:
    inside = words > -2
    lengths = inside.sum(1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    flat = Tokens(ids[inside], words[inside], starts, words.max(1) + 1, padding)
    return explain_tokens(predictor, flat, labels)


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
    if not split:
        return []
    labels = None if classes is None else check_classes(classes, len(split), len(predictor.classes))
    tokens = predictor.tokens(split)
    seen = study(predictor, tokens, max_steps, labels, order)
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
