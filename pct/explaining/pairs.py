"""The (text, label) pairs that are explained: one per text, or of several labels one per label. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pct.explaining.predictor import Predictor, predict_tokens
from pct.tasks import task_of
from pct.text.tokens import Ints, Tokens, repeat_texts


class Pairs(NamedTuple):
    """The pairs of a block of texts.

    Attributes:
        text: (pairs,) the index of each pair's text, ascending.
        labels: (pairs,) the class or label explained; None for the predicted class.
        tokens: of the pairs' texts.
    """

    text: Ints
    labels: Ints | None
    tokens: Tokens


def explained_pairs(predictor: Predictor, tokens: Tokens, targets: Sequence[Ints] | None = None) -> Pairs:
    """The pairs of some texts.

    Args:
        predictor: the model.
        tokens: the texts.
        targets: the labels explained of each text; None for what the model predicts: see `pct.tasks.Task.explained`.
    """
    if targets is None:
        text, labels = task_of(predictor).explained(lambda: predict_tokens(predictor, tokens), len(tokens))
    else:
        text = np.repeat(np.arange(len(tokens)), [len(one) for one in targets])
        labels = np.concatenate(targets) if len(targets) else np.zeros(0, np.int64)
    if np.array_equal(text, np.arange(len(tokens))):
        return Pairs(text, labels, tokens)
    return Pairs(text, labels, repeat_texts(tokens, text))
