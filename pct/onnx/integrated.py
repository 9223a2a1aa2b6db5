"""Integrated gradients with an exported graph: `pct.saliency.integrated_gradients` in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pct.saliency.integrated_gradients import LEAST_CHANGE, MOST_STEPS, TOLERANCE
from pct.tasks import ONE_CLASS, Task
from pct.text.tokens import Floats, Ints

RunAt = Callable[[Ints, float], tuple[Floats, Floats]]


def integrate(run_at: RunAt, classes: Ints, logits: Floats, of: str, steps: int, task: Task = ONE_CLASS) -> Floats:
    """The attributions of a batch. The path starts at zero embeddings of all words.

    Args:
        run_at: maps rows of the batch and a factor of the word embeddings to the logits (rows, classes) and the
            gradient at that point times the original embeddings, summed by word, (rows, words).
        classes: (batch,) the explained class.
        logits: (batch, classes) of the original texts.
        of: log_odds, probability or logit.
        steps: the initial number; doubled for texts whose completeness error is too large.
        task: the model's.

    Returns:
        (batch, words).
    """
    left = np.arange(len(classes))
    change = task.score(logits, classes, of) - task.score(run_at(left, 0.0)[0], classes, of)
    scores: Floats | None = None
    while len(left):
        part = mean_gradient(run_at, left, steps)
        if scores is None:
            scores = part
        scores[left] = part
        error = (part.sum(1) - change[left]) / np.maximum(np.abs(change[left]), LEAST_CHANGE)
        left = left[np.abs(error) > TOLERANCE] if 2 * steps <= MOST_STEPS else left[:0]
        steps *= 2
    assert scores is not None
    return scores


def mean_gradient(run_at: RunAt, rows: Ints, steps: int) -> Floats:
    """The mean over the midpoints of the path's steps, (rows, words). For arguments see `integrate`."""
    return np.asarray(sum(run_at(rows, (step + 0.5) / steps)[1] for step in range(steps)) / steps, np.float32)
