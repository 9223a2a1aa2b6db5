"""Texts in, answers out: requests checked against the limits, predictions and explanations as plain JSON types."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pct.explaining.predictor import Floats, Predictor, predict_tokens
from pct.explaining.removal import RemovalPlan, RemovalResult, Removals, remove_words
from pct.metrics.base import MetricOptions, TextBlock
from pct.metrics.evaluation import MetricSet
from pct.onnx.predictor import OnnxPredictor
from pct.text.words import Ints, Tokens, sound
from serving.limits import Limits
from serving.model_store import ServedModel
from serving.schema import ExplainRequest

WORD = re.compile(r"\S+")
STEPS = 15
METRICS = ("comp", "suff", "comp_aopc", "suff_aopc", "ir", "ur")

Json = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """A text with its words and where they stand."""

    text: str
    words: list[str]
    places: list[tuple[int, int]]


def read_texts(texts: Sequence[str], limits: Limits) -> list[Text]:
    """The texts of a request as words. Raises ValueError for one without words, or beyond the limits."""
    if len(texts) > limits.texts:
        raise ValueError(f"{len(texts)} texts in one request; send at most {limits.texts}")
    found = []
    for number, given in enumerate(texts):
        if len(given) > limits.characters:
            raise ValueError(f"text {number} has {len(given)} characters; send at most {limits.characters}")
        text = sound(given)
        spans = [m.span() for m in WORD.finditer(text)]
        if not spans:
            raise ValueError(f"text {number} has no words: {given[:80]!r}")
        found.append(Text(text, [text[a:b] for a, b in spans], spans))
    return found


@dataclass(frozen=True)
class PredictJob:
    """Which model predicts; requests with equal jobs may go together."""

    served: ServedModel

    def run(self, texts: Sequence[Text], deadline: float) -> list[Json]:
        """A `Prediction` of `serving.schema` a text."""
        predictor = PredictorUntil(self.served.predictor, deadline)
        tokens = predictor.tokens([t.words for t in texts])
        found = predict_tokens(predictor, tokens).astype(np.float64)
        cut = [len(t.words) for t in texts] - tokens.counts
        return [
            {**_prediction(row, predictor.classes), "truncated": n}
            for row, n in zip(found.tolist(), cut.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class ExplainJob:
    """How texts are explained; requests with equal jobs may go together."""

    served: ServedModel
    max_steps: int
    order: str
    saliency: str
    target: int | None

    @classmethod
    def of(cls, request: ExplainRequest, served: ServedModel, limits: Limits) -> ExplainJob:
        """What a request asks for. Raises ValueError for a label that the model has not, or too many steps."""
        classes = served.predictor.classes
        steps = min(STEPS, limits.max_steps) if request.max_steps is None else request.max_steps
        if steps > limits.max_steps:
            raise ValueError(f"max_steps must be at most {limits.max_steps}, got {steps}")
        if request.target is not None and request.target not in classes:
            raise ValueError(f"target {request.target[:80]!r} is not one of the labels {', '.join(classes)}")
        target = None if request.target is None else classes.index(request.target)
        saliency = request.saliency or served.predictor.settings.saliency
        return cls(served, steps, request.order, saliency, target)

    def run(self, texts: Sequence[Text], deadline: float) -> list[Json]:
        """An `Explanation` of `serving.schema` a text."""
        predictor = PredictorUntil(self.served.predictor.with_saliency(self.saliency), deadline)
        seen = self.study(predictor, texts)
        # the gold label is not known: accuracy is not among the metrics asked for
        columns = self._metrics.columns(TextBlock(seen, seen.labels))
        return [_explanation(self, text, seen, columns, row) for row, text in enumerate(texts)]

    def study(self, predictor: Predictor, texts: Sequence[Text]) -> Removals:
        """The forward and backward passes of the explanations: the curves' steps, and those of the metrics."""
        tokens = predictor.tokens([t.words for t in texts])
        labels = None if self.target is None else np.full(len(texts), self.target)
        shown = np.full(len(texts), self.max_steps)
        plan = self._metrics.plan(tokens.counts) | RemovalPlan.first(tokens.counts, shown, shown)
        return remove_words(predictor, tokens, plan, labels, self.order)

    @property
    def _metrics(self) -> MetricSet:
        return MetricSet(METRICS, MetricOptions(*self.served.predictor.settings.measured_shares))


def _explanation(job: ExplainJob, text: Text, seen: Removals, columns: dict[str, Any], row: int) -> Json:
    classes = job.served.predictor.classes
    n, target = int(seen.counts[row]), int(seen.labels[row])
    probabilities = seen.probabilities[row].tolist()
    steps = min(job.max_steps, n - 1)
    sides = {
        name: _curve(side, row, steps, text.words, classes)
        for name, side in (("important", seen.important), ("unimportant", seen.unimportant))
    }
    metrics = {name: _number(columns[name][row]) for name in METRICS}
    words = [
        {"word": word, "start": start, "end": end, "saliency": score}
        for word, (start, end), score in zip(text.words, text.places, seen.saliency[row, :n].tolist(), strict=False)
    ]
    return {
        "text": text.text, "words": words, "truncated": len(text.words) - n,
        **_prediction(probabilities, classes), "target": classes[target], "target_confidence": probabilities[target],
        **sides, "metrics": metrics, "pathology": pathology(metrics, n),
    }  # fmt: skip


def _prediction(probabilities: list[float], classes: list[str]) -> Json:
    best = max(range(len(classes)), key=probabilities.__getitem__)
    named = dict(zip(classes, probabilities, strict=True))
    return {"label": classes[best], "confidence": probabilities[best], "probabilities": named}


def _curve(side: RemovalResult, row: int, steps: int, words: list[str], classes: list[str]) -> Json:
    removed = np.argsort(side.ranks[row], kind="stable")[:steps].tolist()
    confidence, predicted = (x[row, 1 : steps + 1].tolist() for x in (side.confidence, side.predicted))
    flips = int(side.rows(slice(row, row + 1)).flips()[0])
    return {
        "steps": [
            {"removed": word, "word": words[word], "confidence": c, "label": classes[label]}
            for word, c, label in zip(removed, confidence, predicted, strict=True)
        ],
        "flips_at": flips or None,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def pathology(metrics: dict[str, float | None], words: int) -> Json:
    """Whether saliency and confidence disagree on a text of so many words: comp <= suff, or ir >= ur."""
    comp, suff, ir, ur = (metrics[k] for k in ("comp", "suff", "ir", "ur"))
    if comp is None or suff is None or ir is None or ur is None:
        return {"found": False, "reasons": []}
    reasons = []
    if comp <= suff:
        reasons.append(
            f"removing the most salient words lowers the confidence by {comp:.3f}, removing the least salient by "
            f"{suff:.3f} (comp <= suff)"
        )
    if ir >= ur:
        if ir == ur == words - 1:
            said = "neither order of removal changes the prediction before the last word"
        else:
            said = f"the prediction lasts for {ir:.0f} removals of the most salient and {ur:.0f} of the least salient"
        reasons.append(f"{said} (ir >= ur)")
    return {"found": bool(reasons), "reasons": reasons}


class PredictorUntil:
    """A `Predictor` that stops at a deadline (of `time.monotonic()`): every call raises TimeoutError from then on."""

    def __init__(self, predictor: OnnxPredictor, deadline: float) -> None:
        self.classes = predictor.classes
        self._predictor, self._deadline = predictor, deadline

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor.tokens`."""
        return self._predictor.tokens(texts)

    def forward(self, ids: Ints, mask: npt.NDArray[np.bool_]) -> Floats:
        """See `Predictor.forward`."""
        self._check()
        return self._predictor.forward(ids, mask)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Floats, Floats]:
        """See `Predictor.explain_rows`."""
        self._check()
        return self._predictor.explain_rows(ids, words, classes)

    def _check(self) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError
