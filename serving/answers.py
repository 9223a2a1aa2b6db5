"""From the texts of a request to the texts of its answer, as plain JSON types."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from pct.explaining.explain import CurveOptions, build_explanations
from pct.explaining.explanation import METRICS
from pct.explaining.prediction import build_predictions
from pct.explaining.predictor import Predictor, predict_tokens, word_rule
from pct.explaining.removal import RemovalPlan, Removals, remove_words
from pct.metrics.base import MetricOptions, TextBlock
from pct.metrics.evaluation import MetricSet
from pct.onnx.predictor import OnnxPredictor
from pct.saliency.base import GradientSaliency, Saliency
from pct.saliency.defaults import Choice
from pct.text.tokens import Ints, Tokens
from pct.text.words import NATURAL, Document, split
from serving.batching import LIGHT
from serving.limits import Limits
from serving.model_store import ServedModel
from serving.schema import Control, ExplainRequest

STEPS = 15

Json = dict[str, Any]
P = ParamSpec("P")
Result = TypeVar("Result")
GiveWay = Callable[[], None]


def _do_not_wait() -> None:
    """For a request that is alone."""


def read_texts(texts: Sequence[str], limits: Limits, rule: str = NATURAL) -> list[Document]:
    """The texts of a request as words, by the word rule of its model. Their number is checked with the body.

    Raises:
        ValueError: a text has no words, or too many characters.
    """
    documents = []
    for number, text in enumerate(texts):
        if len(text) > limits.characters:
            raise ValueError(f"text {number} has {len(text)} characters; send at most {limits.characters}")
        if not text or text.isspace():
            raise ValueError(f"text {number} has no words: {text[:80]!r}")
        documents.append(split(text, rule))
    return documents


@dataclass(frozen=True)
class PredictJob:
    """Which model predicts; requests with equal jobs may share a batch."""

    served: ServedModel

    def lane(self, texts: Sequence[Document]) -> str:
        """The lane in which these texts wait; see `serving.batching`."""
        return "predict"

    def run(self, texts: Sequence[Document], deadline: float, give_way: GiveWay = _do_not_wait) -> list[Json]:
        """The `Prediction.to_dict` of each text."""
        predictor = DeadlinePredictor(self.served.predictor, deadline, give_way)
        tokens = predictor.tokens(texts)
        predictions = build_predictions(texts, tokens, predict_tokens(predictor, tokens), predictor.classes)
        return [prediction.to_dict() for prediction in predictions]


@dataclass(frozen=True)
class ExplainJob:
    """How texts are explained; requests with equal jobs may share a batch. reason: why the saliency was taken."""

    served: ServedModel
    max_steps: int
    order: str
    saliency: str
    target: int | None
    controls: tuple[Control, ...] = ()
    reason: str = field(default="", compare=False)

    @classmethod
    def of(cls, request: ExplainRequest, served: ServedModel, limits: Limits) -> ExplainJob:
        """The job of a request.

        Raises:
            ValueError: too many steps, or a label or a saliency that the model does not have.
        """
        classes = served.predictor.classes
        steps = min(STEPS, limits.max_steps) if request.max_steps is None else request.max_steps
        if steps > limits.max_steps:
            raise ValueError(f"max_steps must be at most {limits.max_steps}, got {steps}")
        if request.target is not None and request.target not in classes:
            raise ValueError(f"target {request.target[:80]!r} is not one of the labels {', '.join(classes)}")
        target = None if request.target is None else classes.index(request.target)
        choice = served.default_saliency if request.saliency is None else Choice(request.saliency, "asked for")
        if choice.name not in served.saliencies:
            names = ", ".join(served.saliencies)
            raise ValueError(f"saliency {choice.name[:80]!r} is not one that this model gives; it gives {names}")
        controls = tuple(dict.fromkeys(request.controls))
        return cls(served, steps, request.order, choice.name, target, controls, choice.reason)

    @property
    def signed(self) -> bool:
        """Whether the saliency separates evidence for the class from evidence against it."""
        return self._ranking.signed

    def lane(self, texts: Sequence[Document]) -> str:
        """The lane in which these texts wait; see `serving.batching`."""
        return "light" if self.cost(texts) <= LIGHT else "heavy"

    def cost(self, texts: Sequence[Document]) -> int:
        """The most passes of texts through the model; a backward pass counts as two more."""
        counts = np.array([min(len(t), self.served.predictor.settings.max_length) for t in texts])
        # the passes of an explanation of a text of 0, 1, 2, .. words
        explained = np.concatenate([[0.0], self._passes(np.arange(1, counts.max(initial=1) + 1))])
        # all words but one may be removed on each side, until the prediction changes
        removals = np.cumsum(explained)[counts - 1] if self.order == "recomputed" else counts - 1
        curves = explained[counts].sum() + 2 * removals.sum()
        return int(curves + self._metrics.passes(counts).sum())

    def _passes(self, counts: Ints) -> npt.NDArray[np.float64]:
        """(texts,) the passes of a prediction and its saliency; a backward pass counts as two more."""
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
    """A `Predictor` that gives way before each call of the model, and raises TimeoutError at each call after a deadline
    (of `time.monotonic()`)."""

    def __init__(self, predictor: OnnxPredictor, deadline: float, give_way: GiveWay) -> None:
        self.classes, self.word_rule, self.tokens = predictor.classes, word_rule(predictor), predictor.tokens
        self.check_saliency, self.replacement_token_id = predictor.check_saliency, predictor.replacement_token_id

        def interruptible(call: Callable[P, Result]) -> Callable[P, Result]:
            def checked(*arguments: P.args, **options: P.kwargs) -> Result:
                give_way()
                if time.monotonic() > deadline:
                    raise TimeoutError
                return call(*arguments, **options)

            return checked

        self.forward, self.represent = interruptible(predictor.forward), interruptible(predictor.represent)
        self.explain_rows = interruptible(predictor.explain_rows)
        self.attribute_rows = interruptible(predictor.attribute_rows)
