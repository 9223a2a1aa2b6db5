"""A generated corpus of numbers, and small models that give one."""

from typing import Any

import numpy as np

from pct.classifier import Classifier
from pct.settings import Settings
from tests.pct.small import small_model, small_words

VALUES = {"awful": -2.0, "tired": -1.0, "good": 1.0, "great": 2.0}
FILLERS = ["the", "a", "film", "in", "on", "this", "that", "was", "it", "and", "with", "for"]


def number_rows(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts whose number is the sum of their words' values, plus 10."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        chosen = [str(word) for word in rng.choice(list(VALUES), rng.integers(0, 3), replace=False)]
        words = [str(word) for word in rng.choice(FILLERS, rng.integers(3, 8))]
        for word in chosen:
            words.insert(int(rng.integers(len(words) + 1)), word)
        rows.append({"text": " ".join(words), "stars": 10.0 + sum(VALUES[word] for word in chosen)})
    return rows


def number_model(family: str, layers: int = 2, **settings: Any) -> Classifier:
    """A model of one number that was never trained."""
    chosen = Settings(model="bert" if family == "transformer" else family, head="value", **settings)
    return Classifier(small_model(family, 1, layers=layers), small_words(family), ["stars"], chosen)
