"""From the texts of a request to the texts of its answer, as plain JSON types."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.explain import CurveOptions, build_explanations
from pct.explaining.explanation import METRICS
from pct.explaining.pairs import explained_pairs, target_indices
from pct.explaining.prediction import build_predictions
from pct.explaining.predictor import Predictor, predict_tokens, removing
from pct.explaining.removal import RemovalPlan, Removals, remove_words
from pct.metrics.base import MetricOptions, TextBlock
from pct.metrics.evaluation import MetricSet, fitting, unfit
from pct.onnx.predictor import OnnxPredictor
from pct.saliency.base import GradientSaliency, Saliency
from pct.saliency.defaults import Choice
from pct.tasks import task_of
from pct.text.tokens import Ints, Tokens
from pct.text.words import NATURAL, Document, split
from serving.batching import LIGHT
from serving.limits import Limits
from serving.model_store import ServedModel
from serving.schema import CHEAP, Control, ExplainRequest, TextPair

STEPS = 15

Json = dict[str, Any]
GiveWay = Callable[[], None]


def _do_not_wait() -> None:
    """For a request that is alone."""


def given_texts(texts: Sequence[str | TextPair]) -> list[str | tuple[str, str]]:
    """The texts of a request; a pair as a tuple of two."""
    return [text if isinstance(text, str) else (text.text, text.text_pair) for text in texts]


def characters(text: str | tuple[str, str]) -> int:
    """The length of a text, of a pair of both."""
    return len(text) if isinstance(text, str) else sum(map(len, text))


def read_texts(texts: Sequence[str | tuple[str, str]], limits: Limits, rule: str = NATURAL) -> list[Document]:
    """The texts of a request as words, by the word rule of its model. Their number is checked with the body.

    Raises:
        ValueError: a text has no words, or too many characters.
    """
    documents = []
    for number, text in enumerate(texts):
        if (length := characters(text)) > limits.characters:
            raise ValueError(f"text {number} has {length} characters; send at most {limits.characters}")
        for one in [text] if isinstance(text, str) else text:
            if not one or one.isspace():
                raise ValueError(f"text {number} has no words: {one[:80]!r}")
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
        predictor = bounded(self.served.predictor, deadline, give_way)
        tokens = predictor.tokens(texts)
        probabilities = predict_tokens(predictor, tokens)
        predictions = build_predictions(texts, tokens, probabilities, predictor.classes, task_of(predictor))
        return [prediction.to_dict() for prediction in predictions]


@dataclass(frozen=True)
class ExplainJob:
    """How texts are explained; requests with equal jobs may share a batch. whose_words: of pairs, those removed:
    see `pct.explain`. reason: why the saliency was taken."""

    served: ServedModel
    max_steps: int
    order: str
    saliency: str
    target: tuple[str, ...] | None
    controls: tuple[Control, ...] = ()
    whose_words: str = "both"
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
        target = (request.target,) if isinstance(request.target, str) else request.target
        task = task_of(served.predictor)
        if target is not None and len(target) > 1 and not task.several:
            raise ValueError("the model chooses one label for a text: target must be one label")
        for name in target or ():
            if name not in classes:
                raise ValueError(f"target {name[:80]!r} is not one of the labels {', '.join(classes)}")
        choice = served.default_saliency if request.saliency is None else Choice(request.saliency, "asked for")
        if choice.name not in served.saliencies:
            names = ", ".join(served.saliencies)
            raise ValueError(f"saliency {choice.name[:80]!r} is not one that this model gives; it gives {names}")
        controls = tuple(dict.fromkeys(request.controls))
        if controls == CHEAP:  # what `true` stands for
            controls = tuple(fitting(CHEAP, task))
        for name in controls:
            if reason := unfit(name, task):
                raise ValueError(f"control {name}: {reason}")
        targets = None if target is None else tuple(dict.fromkeys(target))
        whose = request.remove or served.predictor.settings.remove
        return cls(served, steps, request.order, choice.name, targets, controls, whose, choice.reason)

    @property
    def signed(self) -> bool:
        """Whether the saliency separates evidence for the class from evidence against it."""
        return self._ranking.signed

    def lane(self, texts: Sequence[Document]) -> str:
        """The lane in which these texts wait; see `serving.batching`."""
        return "light" if self.cost(texts) <= LIGHT else "heavy"

    def cost(self, texts: Sequence[Document]) -> int:
        """The most passes of texts through the model; a backward pass counts as two more.

        Of several labels, each may be explained, after a prediction of which are.
        """
        counts = np.array([min(len(t), self.served.predictor.settings.max_length) for t in texts])
        # the passes of an explanation of a text of 0, 1, 2, .. words
        explained = np.concatenate([[0.0], self._passes(np.arange(1, counts.max(initial=1) + 1))])
        # all words but one may be removed on each side, until the prediction changes
        removals = np.cumsum(explained)[counts - 1] if self.order == "recomputed" else counts - 1
        curves = explained[counts].sum() + 2 * removals.sum()
        of_pairs = curves + self._metrics.passes(counts).sum()
        if not task_of(self.served.predictor).several:
            return int(of_pairs)
        if self.target is not None:
            return int(len(self.target) * of_pairs)
        return int(len(self.served.predictor.classes) * of_pairs) + len(texts)

    def _passes(self, counts: Ints) -> npt.NDArray[np.float64]:
        """(texts,) the passes of a prediction and its saliency; a backward pass counts as two more."""
        passes = self._ranking.most_passes(counts)
        return 3 * passes if isinstance(self._ranking, GradientSaliency) else 1 + passes

    def run(self, texts: Sequence[Document], deadline: float, give_way: GiveWay = _do_not_wait) -> list[list[Json]]:
        """The `Explanation.to_dict` of each text, of several labels of each of its explained labels."""
        predictor = removing(bounded(self.served.predictor, deadline, give_way), self.whose_words)
        names = None if self.target is None else [list(self.target) if task_of(predictor).several else self.target[0]]
        targets = target_indices(names and names * len(texts), predictor.classes, len(texts), task_of(predictor))
        text, labels, tokens = explained_pairs(predictor, predictor.tokens(texts), targets)
        seen = self.remove(predictor, tokens, labels)
        # the gold label is not known: accuracy is not among the metrics. Each text is the first of its own split, so
        # that its random orders do not depend on the texts that share the call
        columns = self._metrics.columns(TextBlock(seen, seen.labels, np.zeros(len(text), np.int64)))
        options = CurveOptions(self.max_steps, *self._shares, Choice(self.saliency, self.reason))
        documents = [texts[i] for i in text]
        built = build_explanations(documents, tokens, seen, predictor.classes, options, columns, self.controls)
        of_texts: list[list[Json]] = [[] for _ in texts]
        for i, explanation in zip(text.tolist(), built, strict=True):
            of_texts[i].append(explanation.to_dict())
        return of_texts

    def remove(self, predictor: Predictor, tokens: Tokens, labels: Ints | None = None) -> Removals:
        """Runs the removals: the steps of the curves, and those of the metrics."""
        shown = np.full(len(tokens), self.max_steps)
        plan = self._metrics.plan(tokens.counts) | RemovalPlan.first(tokens.counts, shown, shown)
        return remove_words(predictor, tokens, plan, labels, self.order, saliency=self._ranking)

    @property
    def _ranking(self) -> Saliency:
        return self.served.saliencies[self.saliency]

    @property
    def _metrics(self) -> MetricSet:
        names = fitting((*METRICS, *self.controls), task_of(self.served.predictor))
        return MetricSet(names, MetricOptions(*self._shares))

    @property
    def _shares(self) -> tuple[float, float]:
        return self.served.predictor.settings.measured_shares


def bounded(predictor: OnnxPredictor, deadline: float, give_way: GiveWay) -> OnnxPredictor:
    """The predictor, which gives way before each call of the model, and raises TimeoutError at each call after a
    deadline (of `time.monotonic()`)."""

    def interruptible(call: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any, **options: Any) -> Any:
            give_way()
            if time.monotonic() > deadline:
                raise TimeoutError
            return call(*arguments, **options)

        return checked

    interrupted = copy.copy(predictor)
    for name in ("forward", "represent", "explain_rows", "attribute_rows"):
        setattr(interrupted, name, interruptible(getattr(predictor, name)))
    return interrupted
