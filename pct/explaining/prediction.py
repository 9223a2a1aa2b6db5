"""The predicted classes of texts by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pct.explaining.answers import Answers
from pct.explaining.predictor import Predictor, Texts, check_predictor, predict_tokens, reading_of, split_texts
from pct.tasks import ONE_CLASS, Task, named_labels, task_of
from pct.text.tokens import Floats, Tokens
from pct.text.words import Document


@dataclass(frozen=True)
class ModelIdentity:
    """A served model, as it names itself in an answer. name, version, alias: None where it is of no registry."""

    id: str
    name: str | None = None
    version: str | None = None
    alias: str | None = None


@dataclass(frozen=True)
class Prediction:
    """The class of a text, its labels, or its number.

    Attributes:
        label: its name; of several labels, that of the most probable one; of a number, the number's name.
        confidence: its probability; NaN for a number.
        probabilities: of each class by name; none for a number.
        text: as it was given.
        truncated: words beyond the model's length, which it never saw.
        model: the served model that answered; None for a prediction that was computed here.
        labels: of several labels, those that are assigned; None for one class of several.
        windows: how the model reads longer texts, as "windows of 512 tokens, stride 256"; empty if they are truncated.
        value: the number; None for classes.
        text_pair: the second text of a pair, as it was given; None for a single text.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    text: str = ""
    truncated: int = 0
    model: ModelIdentity | None = None
    labels: list[str] | None = None
    windows: str = ""
    value: float | None = None
    text_pair: str | None = None

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], text: str | tuple[str, str] = "", model: ModelIdentity | None = None
    ) -> Self:
        """What `to_dict` gave, with the text (or pair of texts) and the served model that answered."""
        confidence, probabilities = values.get("confidence", float("nan")), values.get("probabilities", {})
        more = {name: values[name] for name in ("labels", "windows", "value") if name in values}
        first, second = (text, None) if isinstance(text, str) else text
        return cls(
            values["label"], confidence, probabilities, first, values["truncated"], model, text_pair=second, **more
        )

    @property
    def given(self) -> dict[str, str]:
        """The text, and the second text of a pair, by name."""
        return {"text": self.text} | ({} if self.text_pair is None else {"text_pair": self.text_pair})

    @property
    def cells(self) -> dict[str, Any]:
        """The answer as columns of a table, by name: label, confidence, of several labels labels, and p_CLASS for each
        class; of a number its value."""
        if self.value is not None:
            return {"value": self.value}
        labels = {} if self.labels is None else {"labels": self.labels}
        shares = {f"p_{name}": share for name, share in self.probabilities.items()}
        return {"label": self.label, "confidence": self.confidence, **labels, **shares}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: what `/predict` answers for each text. A number has value in place of confidence and
        probabilities."""
        names: tuple[str, ...] = ("label", "confidence", "probabilities", "truncated")
        if self.value is not None:
            names = ("label", "value", "truncated")
        labels = {} if self.labels is None else {"labels": self.labels}
        windows = {"windows": self.windows} if self.windows else {}
        return {name: getattr(self, name) for name in names} | labels | windows


class Predictions(Answers[Prediction]):
    """What `pct.predict` gives: a list of predictions, in the order of the texts."""

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each text: text, label, confidence, and p_CLASS for each class; of several labels
        also labels, a list; of a number text, label, value; of pairs also text_pair.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.records import pandas

        return pandas().DataFrame([{**one.given, "label": one.label, **one.cells} for one in self])


def predict(predictor: Predictor, texts: Texts) -> Predictions:
    """The predicted class of each text, as `pct predict` gives it; `predictor.predict` gives the bare array.

    Args:
        predictor: the model.
        texts: strings, pairs of texts as tuples of two strings, lists of words, or a table with a column of texts.

    Returns:
        A prediction for each text.

    Raises:
        ValueError: a text without words.
        TypeError: what is not a text, or not a model.
    """
    check_predictor(predictor)
    documents = split_texts(predictor, texts)
    tokens = predictor.tokens(documents)
    probabilities = predict_tokens(predictor, tokens)
    return build_predictions(
        documents, tokens, probabilities, predictor.classes, task_of(predictor), reading_of(predictor)
    )


def assigned_names(task: Task, probabilities: Floats, classes: Sequence[str]) -> list[list[str] | None]:
    """For each text the names of the labels that are assigned to it; None for one class of several."""
    if not task.several:
        return [None] * len(probabilities)
    return named_labels(task.assigned(probabilities), classes)


def build_predictions(
    documents: Sequence[Document],
    tokens: Tokens,
    probabilities: Floats,
    classes: Sequence[str],
    task: Task = ONE_CLASS,
    windows: str = "",
) -> Predictions:
    """Predictions from probabilities (texts, classes). windows: as in `Prediction`.

    Raises FloatingPointError for a probability that is not finite.
    """
    broken = np.flatnonzero(~np.isfinite(probabilities).all(1))
    if len(broken):
        raise FloatingPointError(
            f"the model's output for {documents[broken[0]].text!r:.80} is not finite: its weights are broken"
        )
    predictions = Predictions()
    labels = assigned_names(task, probabilities, classes)
    rows = zip(documents, probabilities.tolist(), tokens.truncated.tolist(), labels, strict=True)
    for document, row, truncated, names in rows:
        best = max(range(len(row)), key=row.__getitem__)
        confidence, shares, value = row[best], dict(zip(classes, row, strict=True)), None
        if task.number:
            confidence, shares, value = float("nan"), {}, row[0]
        second = None if document.second is None else document.second.text
        more: dict[str, Any] = {"labels": names, "windows": windows, "value": value, "text_pair": second}
        predictions.append(Prediction(classes[best], confidence, shares, document.text, truncated, **more))
    return predictions
