"""A text that loses words, one string at a time through `predict`, and its log-odds."""

import math
from collections.abc import Sequence
from typing import Any

TINIEST = 1.1754943508222875e-38  # the least normal float32


class OneText:
    """A text of words.

    Args:
        predictor: the model.
        words: of the text.
        mask: what replaces an absent word, for the words of the text; absent words are deleted where None.
    """

    def __init__(self, predictor: Any, words: Sequence[str], mask: dict[str, list[str]] | None = None) -> None:
        self.predictor, self.words, self.mask = predictor, list(words), mask

    def probabilities(self, present: Sequence[bool]) -> list[float]:
        left: list[str] = []
        for word, there in zip(self.words, present, strict=True):
            left += [word] if there else ([] if self.mask is None else self.mask[word])
        return [float(x) for x in self.predictor.predict([" ".join(left)])[0]]

    def label(self) -> int:
        scores = self.probabilities([True] * len(self.words))
        return scores.index(max(scores))

    def log_odds(self, present: Sequence[bool], label: int) -> float:
        scores = self.probabilities(present)
        others = sum(p for c, p in enumerate(scores) if c != label)
        return math.log(max(scores[label], TINIEST)) - math.log(max(others, TINIEST))
