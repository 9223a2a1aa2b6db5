"""The explanation of one text, and the dictionary that files and the HTTP service have of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from pct.explaining.prediction import ModelIdentity
from pct.explaining.verdict import PATHOLOGICAL, TOLERANCE, Verdict, judge, tolerances
from pct.renamed import renamed
from pct.text.plurals import plural
from pct.text.tokens import Floats

SIDES = ("important", "unimportant")
METRICS = ("comp", "suff", "comp_aopc", "suff_aopc", "ir", "ur")
NAN = float("nan")


@dataclass(frozen=True)
class Curve:
    """What happens to one text as its words are removed, one after another.

    Attributes:
        removed: word indices in the order of removal.
        confidences: in the explained class after 0, 1, .. removals; one more than removed.
        flips_at: the number of removals at which the predicted class first differs, None if it never does.
        flips_to: the name of the class that is predicted then.
        labels: the name of the predicted class after 1, 2, .. removals; empty where it is not known.
    """

    removed: list[int]
    confidences: list[float]
    flips_at: int | None = None
    flips_to: str | None = None
    labels: list[str] = field(default_factory=list)

    def to_dict(self, words: list[str]) -> dict[str, Any]:
        """The curve as `Explanation.to_dict` has it. words: those of the text."""
        labels: Sequence[str | None] = self.labels or [None] * len(self.removed)
        return {
            "steps": [
                {"removed": index, "word": words[index], "confidence": confidence, "label": label}
                for index, confidence, label in zip(self.removed, self.confidences[1:], labels, strict=True)
            ],
            "flips_at": self.flips_at,
            "flips_to": self.flips_to,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], confidence: float) -> Self:
        """What `to_dict` gave. confidence: that of the whole text."""
        steps = values["steps"]
        return cls(
            [step["removed"] for step in steps],
            [confidence, *(step["confidence"] for step in steps)],
            values["flips_at"],
            values.get("flips_to"),
            [step["label"] for step in steps if step["label"] is not None],
        )


class Side(NamedTuple):
    """A text of an explanation. key: `text`, or `text_pair` for the second text of a pair. words: those of it."""

    key: str
    text: str
    words: slice


@dataclass(frozen=True)
class Explanation:
    """Why a classifier decided: one text's words, their saliency, and what their removal does to the confidence.

    Attributes:
        words: those that the model saw.
        saliency: (words,) float.
        label: the index of the class explained; label_name: its name.
        confidence: in that class; of a number the number itself, here and in the curves.
        important: what happens as the most salient words are removed first.
        unimportant: what happens as the least salient words are removed first.
        truncated: words beyond max_length, which the model never saw.
        comp: f_c(X) - f_c(X_t) as important words are removed, mean over the first m; NaN where none was removed.
        suff: the same for unimportant words.
        text: the text as it was given.
        spans: the position of each word in its text, (start, end) in characters, end exclusive.
        known: whether the model's tokenizer knew each word; all words that it does not know are alike to the model.
        saliency_name: the saliency by its name; empty where the predictor's own has no name.
        saliency_reason: why this saliency was taken.
        tolerance: the least difference of comp and suff that counts; see `pct.explaining.verdict.tolerances`.
        probabilities: of each class by name, in the model's order; empty where they are not known.
        comp_aopc: comprehensiveness, mean over ERASER's shares of words; NaN where it was not computed.
        suff_aopc: sufficiency, likewise.
        controls: further metrics of this text by name, those that were asked for; None where the text has none.
        model: the served model that answered; None for an explanation that was computed here.
        threshold: of several labels, the probability from which a label is assigned; None for one class of several.
        windows: how the model reads texts beyond its length, as "windows of 512 tokens, stride 256"; empty if they are
            truncated.
        number: whether the model gives a number, whose name is label_name. It has no probabilities and no flips.
        text_pair: the second text of a pair; None for a single text.
        first_words: how many of the words are of the first text; of a pair, the others are of the second.
    """

    words: list[str]
    saliency: Floats = field(repr=False)
    label: int
    label_name: str
    confidence: float
    important: Curve
    unimportant: Curve
    truncated: int = 0
    comp: float = NAN
    suff: float = NAN
    text: str = ""
    spans: list[tuple[int, int]] = field(default_factory=list, repr=False)
    known: list[bool] = field(default_factory=list, repr=False)
    saliency_name: str = ""
    saliency_reason: str = field(default="", repr=False)
    tolerance: float = TOLERANCE
    probabilities: dict[str, float] = field(default_factory=dict, repr=False)
    comp_aopc: float = NAN
    suff_aopc: float = NAN
    controls: dict[str, float | None] = field(default_factory=dict)
    model: ModelIdentity | None = None
    threshold: float | None = None
    windows: str = ""
    number: bool = False
    text_pair: str | None = None
    first_words: int = 0

    @property
    def quantity(self) -> str:
        """What the curves show: the confidence or the number."""
        return "number" if self.number else "confidence"

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of an axis for the curves: 0 and 1, of a number the least and the largest of both curves."""
        if not self.number:
            return 0.0, 1.0
        values = [*self.important.confidences, *self.unimportant.confidences]
        low, high = min(values), max(values)
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    @property
    def sides(self) -> list[Side]:
        """The text with its words, or of a pair both texts, each with the words of it."""
        if self.text_pair is None:
            return [Side("text", self.text, slice(None))]
        at = self.first_words
        return [Side("text", self.text, slice(at)), Side("text_pair", self.text_pair, slice(at, None))]

    @property
    def assigned(self) -> list[str] | None:
        """The labels that the model assigns to the text; None for one class of several."""
        if self.threshold is None:
            return None
        return [name for name, p in self.probabilities.items() if p >= self.threshold]

    @property
    def predicted(self) -> str:
        """The name of the predicted class; of the explained one where the probabilities are not known.

        Of several labels, the one explained, with "not" before it where it is not assigned.
        """
        if self.threshold is not None:
            return self.label_name if self.confidence >= self.threshold else f"not {self.label_name}"
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else self.label_name

    @property
    def outcome(self) -> str:
        """What a true label is compared with: the class explained; of several labels, as `predicted`."""
        return self.label_name if self.threshold is None else self.predicted

    @property
    def certainty(self) -> float:
        """The probability of `predicted`."""
        if self.threshold is not None:
            return self.confidence if self.confidence >= self.threshold else 1.0 - self.confidence
        return self.probabilities.get(self.predicted, self.confidence)

    @property
    def notes(self) -> list[str]:
        """The windows, and the number of words beyond the model's length, where there are any."""
        cut = f"cut: {plural(self.truncated, 'word')} beyond the model's length" if self.truncated else ""
        return [note for note in (self.windows, cut) if note]

    @property
    def target(self) -> str:
        """The name of the class explained: `label_name`."""
        return self.label_name

    @property
    def ir(self) -> float:
        """Important words removed until the prediction changes, N - 1 where it never does; NaN for N = 1, for a number,
        and where no word was removed (`max_steps` 0)."""
        return NAN if self.number else _removals_to_flip(self.important, len(self.words))

    @property
    def ur(self) -> float:
        """The same for unimportant words."""
        return NAN if self.number else _removals_to_flip(self.unimportant, len(self.words))

    @property
    def metrics(self) -> dict[str, float | None]:
        """comp, suff, comp_aopc, suff_aopc, ir and ur of this text; None for NaN."""
        return {name: _number(getattr(self, name)) for name in METRICS}

    @property
    def signed(self) -> bool:
        """Whether a saliency below zero is evidence against the class."""
        from pct.output.shades import is_signed

        return is_signed(self.saliency_name, self.saliency)

    @property
    def verdict(self) -> Verdict:
        """Whether saliency and confidence agree on this text, and why; see `pct.explaining.verdict`."""
        flips = (self.important.flips_at, self.unimportant.flips_at)
        new_classes = (self.important.flips_to, self.unimportant.flips_to)
        return judge(self.comp, self.suff, *flips, len(self.words), self.tolerance, new_classes)

    def to_html(self) -> str:
        """An HTML fragment with its own style: the text with its words shaded, the verdict, both curves."""
        from pct.output.html import explanations_html

        return explanations_html([self])

    _repr_html_ = to_html

    def __str__(self) -> str:
        """What `pct explain` prints, without colours."""
        from pct.output.terminal import render

        return render(self, colour=False)

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each word.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.records import words_frame

        return words_frame(self)

    def plot(self) -> Any:
        """A matplotlib figure: the words' saliency, and both curves.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from pct.output.plots import explanation_figure

        return explanation_figure(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, NaN as None: what `/explain` answers for each text and `pct explain --json` prints.

        The keys are those of the schema `Explanation` in the service's OpenAPI document, which describes each: text,
        words (word, start, end, saliency, known), truncated, label (the predicted class), confidence (in it),
        probabilities, target (the class explained), target_confidence, important and unimportant (steps, flips_at,
        flips_to), metrics, controls (None where none was asked for), verdict, pathology, saliency_name, signed,
        saliency_reason. An explanation of one of several labels also has threshold and assigned (the assigned labels),
        that of a model that reads windows has windows. That of a number has value in place of confidence and
        probabilities, and target is its name. That of a pair of texts has text_pair, and each word the key of its text,
        `text` or `text_pair`.
        """
        verdict = self.verdict
        reasons = list(verdict.reasons)
        is_pathological = verdict.kind == PATHOLOGICAL
        words = [
            {"word": word, "start": start, "end": end, "saliency": saliency, "known": known}
            for word, (start, end), saliency, known in zip(
                self.words, self.spans, self.saliency.tolist(), self.known, strict=True
            )
        ]
        second = {} if self.text_pair is None else {"text_pair": self.text_pair}
        if second:
            words = [word | {"text": side.key} for side in self.sides for word in words[side.words]]
        return {
            "text": self.text, **second,
            "words": words,
            "truncated": self.truncated, "label": self.predicted,
            **({"value": self.confidence} if self.number
               else {"confidence": self.certainty, "probabilities": self.probabilities}),
            "target": self.label_name, "target_confidence": self.confidence,
            **{side: getattr(self, side).to_dict(self.words) for side in SIDES},
            "metrics": self.metrics, "controls": self.controls or None,
            "verdict": {"kind": verdict.kind, "reasons": reasons},
            "pathology": {"found": is_pathological, "reasons": reasons if is_pathological else []},
            "saliency_name": self.saliency_name, "signed": self.signed, "saliency_reason": self.saliency_reason,
            **({} if self.threshold is None else {"threshold": self.threshold, "assigned": self.assigned}),
            **({"windows": self.windows} if self.windows else {}),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], model: ModelIdentity | None = None) -> Self:
        """What `to_dict` gave; keys that it does not have are ignored.

        Args:
            values: the dictionary.
            model: the served model that answered.

        Raises:
            KeyError: a key is missing.
            ValueError: the target is not among the probabilities.
        """
        number = "value" in values
        probabilities, words = {} if number else dict(values["probabilities"]), values["words"]
        confidence = values["target_confidence"]
        metrics = {name: NAN if x is None else x for name, x in values["metrics"].items()}
        return cls(
            words=[word["word"] for word in words],
            saliency=np.array([word["saliency"] for word in words], np.float32),
            label=0 if number else list(probabilities).index(values["target"]),
            label_name=values["target"],
            confidence=confidence,
            important=Curve.from_dict(values["important"], confidence),
            unimportant=Curve.from_dict(values["unimportant"], confidence),
            truncated=values["truncated"],
            comp=metrics["comp"],
            suff=metrics["suff"],
            text=values["text"],
            spans=[(word["start"], word["end"]) for word in words],
            known=[word.get("known", True) for word in words],
            saliency_name=values.get("saliency_name", ""),
            saliency_reason=values.get("saliency_reason", ""),
            tolerance=NAN if number else _tolerance(values),
            probabilities=probabilities,
            comp_aopc=metrics["comp_aopc"],
            suff_aopc=metrics["suff_aopc"],
            controls=dict(values.get("controls") or {}),
            model=model,
            threshold=values.get("threshold"),
            windows=values.get("windows", ""),
            number=number,
            text_pair=values.get("text_pair"),
            first_words=sum(word.get("text", "text") == "text" for word in words),
        )

    def __getattr__(self, name: str) -> Any:
        """The names that the client's own explanations had; they go with the next release."""
        if name not in _CLIENT_NAMES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warnings.warn(f"{name} is now {_CLIENT_NAMES[name]}", DeprecationWarning, stacklevel=2)
        if name == "target_confidence":
            return self.confidence
        return list(self.verdict.reasons) if name == "reasons" or self.verdict.kind == PATHOLOGICAL else []


_CLIENT_NAMES = {"target_confidence": "confidence", "reasons": "verdict.reasons", "pathology": "verdict"}


def _tolerance(values: Mapping[str, Any]) -> float:
    """That of the prediction; a label among several is assigned or not."""
    probabilities = np.array([list(values["probabilities"].values())], np.float64)
    if "threshold" in values:
        own = values["target_confidence"]
        return float(tolerances(np.array(max(own, 1.0 - own)), 2))
    return float(tolerances(probabilities.max(), probabilities.shape[1]))


def _removals_to_flip(curve: Curve, words: int) -> float:
    return float(curve.flips_at or words - 1) if words > 1 and len(curve.removed) else NAN


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


__getattr__ = renamed(__name__)
