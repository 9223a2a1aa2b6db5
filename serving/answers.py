"""Texts in, answers out: requests checked against the limits, predictions and explanations as plain JSON types."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.explain import CurveOptions, build_explanations
from pct.explaining.explanation import METRICS
from pct.explaining.prediction import build_predictions
from pct.explaining.predictor import Floats, Predictor, predict_tokens, word_rule
from pct.explaining.removal import RemovalPlan, Removals, remove_words
from pct.metrics.base import MetricOptions, TextBlock
from pct.metrics.evaluation import MetricSet
from pct.onnx.predictor import OnnxPredictor
from pct.saliency.base import GradientSaliency, Saliency
from pct.saliency.defaults import Choice
from pct.text.tokens import Ints, Tokens
from pct.text.words import NATURAL, Document, split
from serving.lanes import LIGHT
from serving.limits import Limits
from serving.model_store import ServedModel
from serving.schema import Control, ExplainRequest

STEPS = 15

Json = dict[str, Any]
GiveWay = Callable[[], None]


def _do_not_wait() -> None:
    """What is alone has nobody to give way to."""


def read_texts(texts: Sequence[str], limits: Limits, rule: str = NATURAL) -> list[Document]:
    """The texts of a request as words, by the word rule of the model that is asked.

    Raises ValueError for a text without words, or beyond the limits.
    """
    if len(texts) > limits.texts:
        raise ValueError(f"{len(texts)} texts in one request; send at most {limits.texts}")
    found = []
    for number, given in enumerate(texts):
        if len(given) > limits.characters:
            raise ValueError(f"text {number} has {len(given)} characters; send at most {limits.characters}")
        if not given or given.isspace():
            raise ValueError(f"text {number} has no words: {given[:80]!r}")
        found.append(split(given, rule))
    return found


@dataclass(frozen=True)
class PredictJob:
    """Which model predicts; requests with equal jobs may go together."""

    served: ServedModel

    def lane(self, texts: Sequence[Document]) -> str:
        """Where these texts wait: see `serving.lanes`."""
        return "predict"

    def run(self, texts: Sequence[Document], deadline: float, give_way: GiveWay = _do_not_wait) -> list[Json]:
        """A `Prediction` of `serving.schema` a text."""
        predictor = DeadlinePredictor(self.served.predictor, deadline, give_way)
        tokens = predictor.tokens(texts)
        predictions = build_predictions(texts, tokens, predict_tokens(predictor, tokens), predictor.classes)
        return [prediction.to_dict() for prediction in predictions]


@dataclass(frozen=True)
class ExplainJob:
    """How texts are explained; requests with equal jobs may go together. reason: why the saliency was taken."""

    served: ServedModel
    max_steps: int
    order: str
    saliency: str
    target: int | None
    controls: tuple[Control, ...] = ()
    reason: str = field(default="", compare=False)

    @classmethod
    def of(cls, request: ExplainRequest, served: ServedModel, limits: Limits) -> ExplainJob:
        """What a request asks for. Raises ValueError for a label or a saliency that the model has not, or too many
        steps."""
        classes = served.predictor.classes
        steps = min(STEPS, limits.max_steps) if request.max_steps is None else request.max_steps
        if steps > limits.max_steps:
            raise ValueError(f"max_steps must be at most {limits.max_steps}, got {steps}")
        if request.target is not None and request.target not in classes:
            raise ValueError(f"target {request.target[:80]!r} is not one of the labels {', '.join(classes)}")
        target = None if request.target is None else classes.index(request.target)
        named = request.saliency
        choice = served.default_saliency if named is None else Choice(named, "asked for")
        if choice.name not in served.saliencies:
            there = ", ".join(served.saliencies)
            raise ValueError(f"saliency {choice.name[:80]!r} is not one that this model gives; it gives {there}")
        controls = tuple(dict.fromkeys(request.controls))
        return cls(served, steps, request.order, choice.name, target, controls, choice.reason)

    @property
    def signed(self) -> bool:
        """Whether the saliency tells evidence for the class from evidence against it."""
        return self._ranking.signed

    def lane(self, texts: Sequence[Document]) -> str:
        """Where these texts wait: see `serving.lanes`."""
        return "light" if self.cost(texts) <= LIGHT else "heavy"

    def cost(self, texts: Sequence[Document]) -> int:
        """How many times texts go through the model at most, a backward pass counting as two more."""
        counts = np.array([min(len(t), self.served.predictor.settings.max_length) for t in texts])
        # of an explanation of a text of 0, 1, 2, .. words
        explained = np.concatenate([[0.0], self._passes(np.arange(1, counts.max(initial=1) + 1))])
        # every word but one may go on each side, until the prediction changes
        removals = np.cumsum(explained)[counts - 1] if self.order == "recomputed" else counts - 1
        curves = explained[counts].sum() + 2 * removals.sum()
        return int(curves + self._metrics.passes(counts).sum())

    def _passes(self, counts: Ints) -> npt.NDArray[np.float64]:
        """(texts,) the passes of a prediction and its saliency, a backward pass counting as two more."""
        passes = self._ranking.most_passes(counts)
        return 3 * passes if isinstance(self._ranking, GradientSaliency) else 1 + passes

    def run(self, texts: Sequence[Document], deadline: float, give_way: GiveWay = _do_not_wait) -> list[Json]:
        """The `Explanation.to_dict` of each text."""
        predictor = DeadlinePredictor(self.served.predictor, deadline, give_way)
        tokens = predictor.tokens(texts)
        seen = self.remove(predictor, tokens)
        # the gold label is not known: accuracy is not among the metrics. Each text is the first of its own split, so
        # that its random orders do not depend on the texts that share the call
        columns = self._metrics.columns(TextBlock(seen, seen.labels, np.zeros(len(texts), np.int64)))
        options = CurveOptions(self.max_steps, *self._shares, Choice(self.saliency, self.reason))
        built = build_explanations(texts, tokens, seen, predictor.classes, options, columns, self.controls)
        return [explanation.to_dict() for explanation in built]

    def remove(self, predictor: Predictor, tokens: Tokens) -> Removals:
        """Runs the removals: the steps of the curves, and those of the metrics."""
        labels = None if self.target is None else np.full(len(tokens), self.target)
        shown = np.full(len(tokens), self.max_steps)
        plan = self._metrics.plan(tokens.counts) | RemovalPlan.first(tokens.counts, shown, shown)
        return remove_words(predictor, tokens, plan, labels, self.order, saliency=self._ranking)

    @property
    def _ranking(self) -> Saliency:
        return self.served.saliencies[self.saliency]

    @property
    def _metrics(self) -> MetricSet:
        return MetricSet((*METRICS, *self.controls), MetricOptions(*self._shares))

    @property
    def _shares(self) -> tuple[float, float]:
        return self.served.predictor.settings.measured_shares


class DeadlinePredictor:
    """A `Predictor` that gives way before each call, and stops at a deadline (of `time.monotonic()`): every call raises
    TimeoutError from then on."""

    def __init__(self, predictor: OnnxPredictor, deadline: float, give_way: GiveWay) -> None:
        self.classes, self.word_rule = predictor.classes, word_rule(predictor)
        self._predictor, self._deadline, self._give_way = predictor, deadline, give_way

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`."""
        return self._predictor.tokens(texts)

    def forward(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> Floats:
        """See `Predictor.forward`."""
        self._check()
        return self._predictor.forward(ids, mask)

    def represent(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """See `Represents.represent`."""
        self._check()
        return self._predictor.represent(ids, mask)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`."""
        self._check()
        return self._predictor.explain_rows(ids, words, classes)

    def check_saliency(self, saliency: GradientSaliency) -> None:
        """See `Attributes.check_saliency`."""
        self._predictor.check_saliency(saliency)

    def attribute_rows(
        self, saliency: GradientSaliency, ids: Ints, words: Ints, classes: Ints | None
    ) -> tuple[Floats, Floats]:
        """See `Attributes.attribute_rows`."""
        self._check()
        return self._predictor.attribute_rows(saliency, ids, words, classes)

    def stand_in(self, removal: str) -> int:
        """See `StandsIn.stand_in`."""
        return self._predictor.stand_in(removal)

    def _check(self) -> None:
        self._give_way()
        if time.monotonic() > self._deadline:
            raise TimeoutError
