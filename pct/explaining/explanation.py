"""Saliency and reduction curves of many texts at once, over any `Predictor`. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from pct.explaining.explanations import Explanations
from pct.explaining.predictor import Predictor, Texts, check_classes, split_texts
from pct.explaining.reduction import check_share, words_to_remove
from pct.explaining.removal import TEXTS_A_BLOCK, RemovalPlan, RemovalResult, remove_words
from pct.explaining.targets import Target, target_indices
from pct.explaining.verdict import TOLERANCE, Verdict, judge, tolerances
from pct.saliency import choose_saliency
from pct.saliency.defaults import Choice, default_saliency
from pct.text.tokens import Ints
from pct.text.words import Document


@dataclass(frozen=True)
class Curve:
    """What happens to one text as its words go, one after another.

    Attributes:
        removed: word indices in the order in which they go.
        confidences: after 0, 1, .. removals, one more than removed.
        flips_at: the number of removals at which the predicted class first differs, None if it never does.
        flips_to: the name of the class that is predicted then.
    """

    removed: list[int]
    confidences: list[float]
    flips_at: int | None = None
    flips_to: str | None = None


@dataclass(frozen=True)
class Explanation:
    """Why a classifier decided: one text's words, their saliency, and what their removal does to the confidence.

    Attributes:
        words: those that the model saw.
        saliency: (words,) float.
        label: the index of the class explained; label_name: its name.
        confidence: in that class.
        important: what happens as the most salient words go first.
        unimportant: what happens as the least salient words go first.
        truncated: words beyond max_length, which the model never saw.
        comp: f_c(X) - f_c(X_t) as important words go, mean over the first m; NaN where none was removed.
        suff: the same for unimportant words.
        text: the text as it was given.
        spans: where each word stands in it, (start, end) in characters, end exclusive.
        known: whether the model's tokenizer knew each word; one that it did not is to the model as any other such.
        saliency_name: which saliency the numbers are; empty where the predictor's own has no name.
        saliency_reason: why this saliency was taken.
        tolerance: how far comp and suff must differ to say something; see `pct.explaining.verdict.tolerances`.
    """

    words: list[str]
    saliency: npt.NDArray[np.float32] = field(repr=False)
    label: int
    label_name: str
    confidence: float
    important: Curve
    unimportant: Curve
    truncated: int = 0
    comp: float = float("nan")
    suff: float = float("nan")
    text: str = ""
    spans: list[tuple[int, int]] = field(default_factory=list, repr=False)
    known: list[bool] = field(default_factory=list, repr=False)
    saliency_name: str = ""
    saliency_reason: str = field(default="", repr=False)
    tolerance: float = TOLERANCE

    @property
    def ir(self) -> float:
        """Important words removed until the prediction changes, N - 1 where it never does; NaN for N = 1."""
        return _lasts(self.important, len(self.words))

    @property
    def ur(self) -> float:
        """The same for unimportant words."""
        return _lasts(self.unimportant, len(self.words))

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

    def to_pandas(self) -> Any:
        """A DataFrame with a row a word.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.tables import words_frame

        return words_frame(self)

    def plot(self) -> Any:
        """A matplotlib figure: the words' saliency, and both curves.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from pct.output.plots import explanation_figure

        return explanation_figure(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        sides = {n: vars(getattr(self, n)) for n in ("important", "unimportant")}
        return {
            "words": self.words, "saliency": [float(x) for x in self.saliency], "label": self.label,
            "label_name": self.label_name, "confidence": self.confidence, "truncated": self.truncated, **sides,
            "saliency_name": self.saliency_name, "signed": self.signed, "saliency_reason": self.saliency_reason,
            "text": self.text, "spans": [list(span) for span in self.spans], "known": self.known,
            **{k: None if np.isnan(v) else v for k in ("comp", "suff", "ir", "ur") for v in (getattr(self, k),)},
            "tolerance": self.tolerance if np.isfinite(self.tolerance) else None,
            "verdict": {"kind": self.verdict.kind, "reasons": list(self.verdict.reasons)},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; keys that it does not have are not looked at.

        Raises:
            KeyError: one is missing.
        """
        plain = ("words", "label", "label_name", "confidence", "truncated", "text", "known", "saliency_name",
                 "saliency_reason")  # fmt: skip
        numbers = {name: float("nan") if values[name] is None else values[name] for name in ("comp", "suff")}
        numbers["tolerance"] = float("inf") if values["tolerance"] is None else values["tolerance"]
        given: dict[str, Any] = {name: values[name] for name in plain} | numbers
        return cls(
            **given,
            saliency=np.array(values["saliency"], np.float32),
            important=Curve(**values["important"]),
            unimportant=Curve(**values["unimportant"]),
            spans=[(start, end) for start, end in values["spans"]],
        )


def explain(
    predictor: Predictor,
    texts: Texts,
    max_steps: int = 15,
    classes: Sequence[int] | None = None,
    order: str = "static",
    p_important: float = 0.1,
    p_unimportant: float = 0.1,
    removal: str = "delete",
    saliency: str | None = None,
    target: Target = None,
    seed: int = 0,
) -> Explanations:
    """Saliency, reduction curves and verdicts of texts, all in one go.

    Args:
        predictor: the model.
        texts: strings, or lists of words.
        max_steps: words removed at most on each side of a curve; one word always remains. Where the prediction changes
            is searched beyond it. 0 gives the saliency alone, without comp, suff and a verdict.
        classes: the index of the class explained for each text; see target, which takes names too.
        order: `static` ranks the words once, `recomputed` again after each removal, `beam` follows five removals at
            once and takes the best (Feng et al. 2018).
        p_important: the share of words removed for comp, in (0, 1].
        p_unimportant: the share of words removed for suff, in (0, 1].
        removal: `delete` closes the gap of a word that goes; `mask` and `unknown` put that token in its place.
        saliency: by its name in `pct.saliencies`; where None, see `pct.saliency.defaults.default_saliency`.
        target: the class explained, by its name or index, one for all texts or a list with one for each; the predicted
            one where None.
        seed: of what the saliency draws, if it draws.

    Returns:
        An explanation a text, in a list that has `to_pandas` and `to_html`.

    Raises:
        ValueError: a text without words, max_steps < 0, a class that the model has not, a share outside (0, 1], or a
            saliency that the model cannot give.
    """
    if max_steps < 0:
        raise ValueError(f"max_steps must be >= 0, got {max_steps}")
    for share in (p_important, p_unimportant):
        check_share(share)
    documents = split_texts(predictor, texts)
    if classes is not None and target is not None:
        raise ValueError("classes and target both say which class is explained: give one of them")
    number, names = len(documents), predictor.classes
    labels = target_indices(target, names, number) if classes is None else check_classes(classes, number, len(names))
    found: list[Explanation | None] = [None] * len(documents)
    choice = Choice(saliency, "asked for") if saliency else default_saliency(predictor)
    by_length = np.argsort([len(words) for words in documents], kind="stable")
    for start in range(0, len(documents), TEXTS_A_BLOCK):
        block = by_length[start : start + TEXTS_A_BLOCK]
        chosen = None if labels is None else labels[block]
        plan = _Steps(max_steps, p_important, p_unimportant, order, removal, choice, seed)
        explained = _explain_block(predictor, [documents[i] for i in block], chosen, plan)
        for place, one in zip(block, explained, strict=True):
            found[place] = one
    return Explanations(one for one in found if one is not None)


class _Steps(NamedTuple):
    """How far the words are removed, and in which order."""

    shown: int
    p_important: float
    p_unimportant: float
    order: str
    removal: str
    choice: Choice
    seed: int


def _explain_block(
    predictor: Predictor, documents: list[Document], labels: Ints | None, steps: _Steps
) -> Iterator[Explanation]:
    tokens = predictor.tokens(documents)
    shown = np.minimum(np.maximum(tokens.counts - 1, 0), steps.shown)
    averaged = [words_to_remove(tokens.counts, share) for share in (steps.p_important, steps.p_unimportant)]
    plan = RemovalPlan(until_flip=steps.shown > 0)
    if steps.shown:
        plan |= RemovalPlan.first(tokens.counts, *(np.maximum(shown, m) for m in averaged))
    ranking = choose_saliency(predictor, steps.choice.name or None, steps.seed)
    seen = remove_words(predictor, tokens, plan, labels, steps.order, steps.removal, saliency=ranking)
    sides = (seen.important, seen.unimportant)
    important, unimportant = (_curves(side, shown, predictor.classes) for side in sides)
    comp, suff = (np.where(shown > 0, side.mean_drop(m), np.nan) for side, m in zip(sides, averaged, strict=True))
    allowed = tolerances(seen.probabilities.max(1), len(predictor.classes))
    for i, (document, n) in enumerate(zip(documents, seen.counts, strict=True)):
        places = tokens.places(i).tolist()
        yield Explanation(
            words=[document[place] for place in places],
            saliency=seen.saliency[i, :n].astype(np.float32),
            label=int(seen.labels[i]),
            label_name=predictor.classes[seen.labels[i]],
            confidence=float(seen.probabilities[i, seen.labels[i]]),
            important=important[i],
            unimportant=unimportant[i],
            truncated=int(tokens.truncated[i]),
            comp=float(comp[i]),
            suff=float(suff[i]),
            text=document.text,
            spans=[document.spans[place] for place in places],
            known=tokens.known(i).tolist(),
            saliency_name=steps.choice.name,
            saliency_reason=steps.choice.reason,
            tolerance=float(allowed[i]),
        )


def _curves(side: RemovalResult, steps: Ints, classes: Sequence[str]) -> list[Curve]:
    """The first steps of each text, and where its prediction changes, be it behind them."""
    order = np.argsort(side.ranks, axis=1, kind="stable")
    flips = side.flips().tolist()
    return [
        Curve(
            order[i, :n].tolist(),
            side.confidence[i, : n + 1].tolist(),
            flips[i] or None,
            classes[side.predicted[i, flips[i]]] if flips[i] else None,
        )
        for i, n in enumerate(steps)
    ]


def _lasts(curve: Curve, words: int) -> float:
    return float(curve.flips_at or words - 1) if words > 1 else float("nan")
