"""What the outputs of a model mean: one class of several, several labels, or a number.

A task says how logits become probabilities, which output a saliency explains, which (text, label) pairs are explained,
and when the removal of words flips a prediction. `pct.models.heads` has its functions of logits in torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from pct.settings import NUMBER_SCORES
from pct.text.tokens import Bools, Doubles, Floats, Ints

if TYPE_CHECKING:
    from pct.settings import Settings

TINIEST = float(np.finfo(np.float32).tiny)  # replaces a probability that rounds to zero


@dataclass(frozen=True)
class Task:
    """What the outputs of a model mean; the class itself is that of one class of several: a softmax.

    Labels are indices into the model's classes. A flip is a change of the outcome: of one class, of the predicted one.

    Attributes:
        kind: softmax, sigmoid or value: how logits become probabilities.
        several: whether a text may have any number of labels.
        number: whether the output is a number. It then stands where the probabilities of classes do, (texts, 1), and no
            removal flips a prediction.
        quantity: what is explained, in a word.
        scores: the usual metrics of its predictions.
        labels_are: what a text has as its label, in words.
    """

    kind: ClassVar[str] = "softmax"
    several: ClassVar[bool] = False
    number: ClassVar[bool] = False
    quantity: ClassVar[str] = "confidence"
    scores: ClassVar[tuple[str, ...]] = ("acc", "macro_f1")
    labels_are: ClassVar[str] = "one class"

    def probabilities(self, logits: Floats) -> Floats:
        """(rows, classes) logits -> probabilities, in the precision of the logits."""
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def score(self, logits: Floats, labels: Ints, of: str) -> Floats:
        """The explained output, (rows,), from logits; `pct.models.heads.Head.score` in numpy.

        Args:
            logits: (rows, classes).
            labels: (rows,).
            of: log_odds, probability or logit.
        """
        rows = np.arange(len(labels))
        chosen = logits[rows, labels]
        if of == "logit":
            return chosen
        others = logits.copy()
        others[rows, labels] = -np.inf
        largest = others.max(1)
        log_odds: Floats = chosen - largest - np.log(np.exp(others - largest[:, None]).sum(1))
        return log_odds if of == "log_odds" else sigmoid(log_odds)

    def log_odds(self, probabilities: Floats, labels: Ints) -> Doubles:
        """The log-odds of labels, (rows,), from probabilities (rows, classes)."""
        rows = np.arange(len(labels))
        own, others = probabilities[rows, labels].astype(np.float64), probabilities.astype(np.float64)
        others[rows, labels] = 0.0
        # the sum of the others, since 1 - own is 0 where own rounds to 1
        return np.log(np.maximum(own, TINIEST)) - np.log(np.maximum(others.sum(1), TINIEST))

    def explained(self, predict: Callable[[], Floats], texts: int) -> tuple[Ints, Ints | None]:
        """The pairs that are explained where no target is given.

        Args:
            predict: gives the probabilities (texts, classes); it is called only if they are needed.
            texts: their number.

        Returns:
            (rows,) the text of each pair, ascending, and (rows,) its label; None for the predicted class.
        """
        return np.arange(texts), None

    def outcomes(self, probabilities: Floats | Doubles, labels: Ints) -> Ints:
        """(rows,) what is predicted, as far as it concerns the label explained. A flip is a change of it."""
        return probabilities.argmax(1)

    def outcome_name(self, outcome: int, label: int, classes: Sequence[str]) -> str:
        """The name of an outcome, for the label explained."""
        return classes[outcome]

    def certainty(self, probabilities: Doubles, labels: Ints) -> tuple[Doubles, int]:
        """(rows,) the probability of the outcome, NaN where there is none, and the number of possible outcomes."""
        return probabilities.max(1), probabilities.shape[1]

    def assigned(self, probabilities: Floats | Doubles) -> Bools:
        """(texts, classes) whether a class is predicted."""
        return np.arange(probabilities.shape[1]) == probabilities.argmax(1)[:, None]


@dataclass(frozen=True)
class SeveralLabels(Task):
    """Any number of labels: a sigmoid for each. A flip is the label's crossing of the threshold.

    Attributes:
        threshold: a label is assigned if its probability is at least this.
    """

    threshold: float = 0.5

    kind = "sigmoid"
    labels_are = "several labels"
    several = True
    scores = ("acc", "micro_f1", "macro_f1")

    def probabilities(self, logits: Floats) -> Floats:
        """See `Task.probabilities`."""
        return sigmoid(logits)

    def score(self, logits: Floats, labels: Ints, of: str) -> Floats:
        """See `Task.score`. The log-odds of a label are its logit."""
        own: Floats = logits[np.arange(len(labels)), labels]
        return sigmoid(own) if of == "probability" else own

    def log_odds(self, probabilities: Floats, labels: Ints) -> Doubles:
        """See `Task.log_odds`."""
        own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        return np.log(np.maximum(own, TINIEST)) - np.log(np.maximum(1.0 - own, TINIEST))

    def explained(self, predict: Callable[[], Floats], texts: int) -> tuple[Ints, Ints | None]:
        """See `Task.explained`: each assigned label of a text, or the most probable one where none is assigned."""
        probabilities = predict()
        assigned = self.assigned(probabilities)
        none = ~assigned.any(1)
        assigned[none, probabilities[none].argmax(1)] = True
        text, label = np.nonzero(assigned)
        return text, label

    def outcomes(self, probabilities: Floats | Doubles, labels: Ints) -> Ints:
        """See `Task.outcomes`: 1 where the label is assigned, else 0."""
        own = probabilities[np.arange(len(labels)), labels]
        return (own >= np.float64(self.threshold)).astype(np.int64)

    def outcome_name(self, outcome: int, label: int, classes: Sequence[str]) -> str:
        """See `Task.outcome_name`: the label's, with "not" before it where it is not assigned."""
        return classes[label] if outcome else f"not {classes[label]}"

    def certainty(self, probabilities: Doubles, labels: Ints) -> tuple[Doubles, int]:
        """See `Task.certainty`. The outcomes are that the label is assigned, and that it is not."""
        own = probabilities[np.arange(len(labels)), labels]
        return np.maximum(own, 1.0 - own), 2

    def assigned(self, probabilities: Floats | Doubles) -> Bools:
        """See `Task.assigned`."""
        return probabilities >= np.float64(self.threshold)


@dataclass(frozen=True)
class OneNumber(Task):
    """A number, such as the output of a regression. It is what is explained, in its own unit."""

    kind = "value"
    labels_are = "a number"
    number = True
    quantity = "number"
    scores = NUMBER_SCORES

    def probabilities(self, logits: Floats) -> Floats:
        """See `Task.probabilities`: the number itself."""
        return logits

    def score(self, logits: Floats, labels: Ints, of: str) -> Floats:
        """See `Task.score`: the number itself."""
        return logits[:, 0]

    def log_odds(self, probabilities: Floats, labels: Ints) -> Doubles:
        """See `Task.log_odds`: the number itself."""
        return probabilities[:, 0].astype(np.float64)

    def outcomes(self, probabilities: Floats | Doubles, labels: Ints) -> Ints:
        """See `Task.outcomes`: always 0."""
        return np.zeros(len(labels), np.int64)

    def outcome_name(self, outcome: int, label: int, classes: Sequence[str]) -> str:
        """See `Task.outcome_name`: that of the number."""
        return classes[label]

    def certainty(self, probabilities: Doubles, labels: Ints) -> tuple[Doubles, int]:
        """See `Task.certainty`: a number has none."""
        return np.full(len(labels), np.nan), 2

    def assigned(self, probabilities: Floats | Doubles) -> Bools:
        """See `Task.assigned`."""
        return np.ones(probabilities.shape, bool)


ONE_CLASS = Task()
TASKS: dict[str, type[Task]] = {kind.kind: kind for kind in (Task, SeveralLabels, OneNumber)}


def kind_of_labels(labels: npt.NDArray[Any]) -> type[Task]:
    """The kind of the task that the labels of a split are for: see `pct.corpora.splits.Split`."""
    if labels.ndim == 2:
        return SeveralLabels
    return OneNumber if labels.dtype.kind == "f" else Task


def label_sets(labels: npt.NDArray[Any], classes: int) -> Bools:
    """True labels as (texts, classes) bool: unchanged, or from class indices (texts,)."""
    return labels if labels.ndim == 2 else labels[:, None] == np.arange(classes)


def default_names(names: Iterable[str]) -> bool:
    """Whether all names of outputs are those that transformers gives by default: LABEL_0, LABEL_1, .."""
    return all(re.fullmatch(r"LABEL_\d+", name) for name in names)


def named_labels(labels: npt.NDArray[Any], classes: Sequence[str]) -> list[Any]:
    """The labels of texts as names; of several labels a list for each text; numbers are unchanged."""
    if labels.ndim == 2:
        return [[name for name, own in zip(classes, row, strict=True) if own] for row in labels]
    return labels.tolist() if kind_of_labels(labels).number else [classes[label] for label in labels]


def task_of(predictor: Any) -> Task:
    """The task of a predictor: its attribute `task`; one class of several if it has none."""
    return getattr(predictor, "task", ONE_CLASS)


def task_of_settings(settings: Settings) -> Task:
    """The task of a model with these settings."""
    if settings.has_number:
        return OneNumber()
    return SeveralLabels(settings.threshold) if settings.multi_label else ONE_CLASS


P = TypeVar("P")


def with_threshold(model: P, threshold: float | None) -> P:
    """A model with another threshold, which is set in its settings; unchanged if it is None.

    Raises:
        ValueError: the model has no labels to assign, or the threshold is outside (0, 1).
    """
    if threshold is not None:
        holder: Any = model
        if not task_of(model).several:
            number = "gives a number; leave it out"
            one = "chooses one class of several; leave it out, or set head to sigmoid if labels are several"
            raise ValueError(f"threshold {threshold}: the model {number if task_of(model).number else one}")
        holder.settings = holder.settings.replace(threshold=threshold)
    return model


def sigmoid(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """1 / (1 + exp(-x)) without overflow, in the precision of the values."""
    power = np.exp(-np.abs(values))
    return np.asarray(np.where(values >= 0, values.dtype.type(1), power) / (1 + power), values.dtype)
