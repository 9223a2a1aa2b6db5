"""Saliency and reduction curves of many texts at once, over any `Predictor`. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.predictor import Predictor, Texts, check_classes
from pct.explaining.removal import TEXTS_A_BLOCK, RemovalPlan, RemovalResult, remove_words
from pct.text.words import Ints, split_all


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
    steps = np.minimum(tokens.counts - 1, max_steps)
    seen = remove_words(predictor, tokens, RemovalPlan.first(tokens.counts, steps, steps), labels, order)
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


def _curves(side: RemovalResult) -> list[Curve]:
    order = np.argsort(side.ranks, axis=1, kind="stable")
    flips = side.flips()
    taken = np.isfinite(side.confidence).sum(1)
    return [
        Curve(order[i, : n - 1].tolist(), side.confidence[i, :n].tolist(), int(flips[i]) or None)
        for i, n in enumerate(taken)
    ]
