"""A predictor without torch whose every number can be found by hand: the log-odds are a sum of word weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.explaining.predictor import TextInterface
from pct.text.tokens import Tokens
from pct.text.vocabulary import Vocabulary

WEIGHTS = {"superb": 4.0, "good": 2.0, "fine": 1.0, "the": 0.0, "slow": -1.0, "bad": -2.0, "dreadful": -4.0}


class Scale(TextInterface):
    """Two classes; f_1 = sigmoid(the sum of the words' weights); a word's saliency is its weight's size."""

    def __init__(self, weights: dict[str, float] | None = None, max_length: int = 64) -> None:
        chosen = weights or WEIGHTS
        self.classes = ["negative", "positive"]
        self.vocabulary = Vocabulary(list(chosen))
        self.weights = np.array([0.0, 0.0, *chosen.values()], np.float64)
        self.max_length = max_length
        self.rows_seen = 0

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        return self.vocabulary.encode(texts, self.max_length)

    def forward(self, ids: Any, mask: Any) -> Any:
        self.rows_seen += len(ids)
        odds = np.where(mask, self.weights[ids], 0.0).sum(1)
        positive = 1 / (1 + np.exp(-odds))
        return np.stack([1 - positive, positive], 1).astype(np.float32)

    def explain_rows(self, ids: Any, words: Any, classes: Any) -> Any:
        saliency = np.where(words >= 0, np.abs(self.weights[ids]), 0.0).astype(np.float32)
        return self.forward(ids, words > -2), saliency[:, : max(int(words.max()) + 1, 1)]
