"""The model as MLflow loads it: this file is logged with it, so that nothing is unpickled.

It runs where this project is not installed: MLflow puts the logged copy of `pct` on the path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from pct.classifier import Classifier
from pct.explaining.explain import explain
from pct.explaining.prediction import assigned_names

MAX_TEXTS = 10_000
LISTS = (list, tuple, np.ndarray)


class PctModel(PythonModel):  # type: ignore[misc]
    """Texts -> label and confidence; of several labels also labels, those that are assigned; of a number label, its
    name, and value.

    With {"explain": true} also words and saliency.
    """

    def load_context(self, context: Any) -> None:
        """Reads the classifier from the artifacts."""
        self.classifier = Classifier.load(context.artifacts["classifier"])

    # MLflow makes no signature of this type hint: the model has a better one
    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """model_input: texts in the column `text`; a row of a list holds several. The column `text_pair`, if there is
        one, has the second texts of pairs.

        Raises ValueError for a value that is not a text (a null, a number), and for an empty text as
        `Classifier.predict`.
        """
        texts = _texts(model_input["text"])
        if "text_pair" in model_input and model_input["text_pair"].notna().any():
            texts = list(zip(texts, _texts(model_input["text_pair"]), strict=True))
        if len(texts) > MAX_TEXTS:
            raise ValueError(f"{len(texts)} texts in one call; send at most {MAX_TEXTS}")
        number = "value" if self.classifier.task.number else "confidence"
        if not texts:
            return pd.DataFrame({"label": [], number: []})
        probabilities = self.classifier.predict(texts)
        labels = probabilities.argmax(1)
        table = pd.DataFrame(
            {
                "label": [self.classifier.classes[i] for i in labels],
                number: probabilities.max(1).astype(float),
            }
        )
        if self.classifier.task.several:
            table["labels"] = assigned_names(self.classifier.task, probabilities, self.classifier.classes)
        if (params or {}).get("explain"):
            explained = explain(self.classifier, texts, 0, labels.tolist())
            table["words"] = [e.words for e in explained]
            table["saliency"] = [e.saliency.astype(float).tolist() for e in explained]
        return table


def _texts(column: Any) -> list[Any]:
    texts = [text for cell in column for text in (cell if isinstance(cell, LISTS) else [cell])]
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"row {row} has {text!r} in place of a text; leave such rows out")
    return texts


set_model(PctModel())
