"""The predicted classes of texts by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pct.explaining.predictor import Predictor, Texts, predict_tokens, split_texts


@dataclass(frozen=True)
class Prediction:
    """The class of a text.

    Attributes:
        label: its name.
        confidence: its probability.
        probabilities: of each class by name.
        text: as it was given.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    text: str = ""


class Predictions(list[Prediction]):
    """What `pct.predict` gives: a list of predictions, in the order of the texts."""

    def to_pandas(self) -> Any:
        """A DataFrame with a row a text: text, label, confidence, and p_CLASS for each class.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.tables import pandas

        rows = [
            {"text": p.text, "label": p.label, "confidence": p.confidence}
            | {f"p_{name}": x for name, x in p.probabilities.items()}
            for p in self
        ]
        return pandas().DataFrame(rows)


def predict(predictor: Predictor, texts: Texts) -> Predictions:
    """The predicted class of each text, as `pct predict` gives it; `predictor.predict` gives the bare array.

    Args:
        predictor: the model.
        texts: strings, lists of words, or a table with a column of texts.

    Returns:
        A prediction a text.

    Raises:
        ValueError: a text without words.
        TypeError: what is not a text.
    """
    documents = split_texts(predictor, texts)
    names, found = list(predictor.classes), Predictions()
    for document, row in zip(documents, predict_tokens(predictor, predictor.tokens(documents)).tolist(), strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        found.append(Prediction(names[best], row[best], dict(zip(names, row, strict=True)), document.text))
    return found
