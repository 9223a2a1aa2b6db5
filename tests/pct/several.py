"""A generated corpus of several labels, and small models of it."""

from typing import Any

import numpy as np

from pct.classifier import Classifier
from tests.pct.small import small_classifier

LABELS = ("angry", "food", "happy")
WORDS = {
    "angry": ["awful", "terrible", "furious"], "food": ["pizza", "soup", "bread"], "happy": ["great", "lovely", "joy"],
}  # fmt: skip
FILLERS = ["the", "a", "of", "in", "on", "this", "that", "was", "it", "and", "with", "for"]


def several_rows(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Texts whose labels are decided by a word each; a third of the texts has no label."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        labels = [name for name in LABELS if rng.random() < 0.35]
        words = list(rng.choice(FILLERS, rng.integers(3, 9)))
        for name in labels:
            words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(WORDS[name])))
        rows.append({"text": " ".join(words), "label": labels})
    return rows


def several_classifier(family: str, **settings: Any) -> Classifier:
    """A classifier of three labels that was never trained; its logits lean to no side, so that removals flip labels."""
    return small_classifier(family, multi_label=True, **settings)
