"""The paper's Figures 3 and 5 to 12 and Tables 6 to 9: single sentences as words are removed, by two methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pct.explaining.explain import explain
from pct.explaining.explanation import Curve, Explanation
from pct.explaining.predictor import Predictor, split_texts
from pct.explaining.reduced_texts import ReducedTexts
from pct.output.fonts import fonts_for
from pct.output.html import ASSETS, fill
from pct.output.numbers import number
from pct.output.plots import (
    AGAINST,
    FOR,
    IMPORTANT,
    INK,
    STEPS,
    UNIMPORTANT,
    bare,
    draw_bars,
    draw_curves,
    fitted,
    new_figure,
    put_titles,
)
from pct.saliency.defaults import own_saliency
from pct.text.tokens import Bools, Doubles

# the paper's own, of movie reviews: Tables 6 to 9, then Figures 5 to 12
SENTENCES = (
    "leigh's film is full of memorable performances from top to bottom",
    "a work of astonishing delicacy and force",
    "reign of fire never comes close to recovering from its demented premise , but it does sustain an enjoyable level "
    "of ridiculousness .",
    "the movie tries to be ethereal , but ends up seeming goofy .",
    "the script is a tired one , with few moments of joy rising above the stale material .",
    "it seems like i have been waiting my whole life for this movie and now i can't wait for the sequel .",
    "supposedly authentic account of a historical event that's far too tragic to merit such superficial treatment .",
    "not at all clear what it's trying to say and even if it were -- i doubt it would be all that interesting .",
    "that the real antwone fisher was able to overcome his personal obstacles and become a good man is a wonderful "
    "thing that he has been able to share his story so compellingly with us is a minor miracle .",
    "entertaining despite its one-joke premise with the thesis that women from venus and men from mars can indeed get "
    "together .",
)
SENTIMENT = ("mr", "imdb")  # the corpora whose models are applied to the sentences
PERPLEXITY = 5.0


@dataclass(frozen=True)
class Case:
    """A sentence under one method.

    Attributes:
        method: the training method.
        seen: the explanation of the sentence.
        important: (steps + 1, width) r(X) after 0, 1, .. of the most salient words are removed.
        unimportant: the same for the least salient words.
    """

    method: str
    seen: Explanation
    important: Doubles
    unimportant: Doubles

    def cosines(self) -> tuple[float, float]:
        """The mean cosine of r(X) and r of the reduced texts, important and unimportant."""
        return _mean_cosine(self.important), _mean_cosine(self.unimportant)


def study(predictor: Predictor, method: str, sentences: Sequence[str], order: str = "static") -> list[Case]:
    """Explains sentences and computes the representations of their reduced forms, up to 15 removals per side.

    Raises:
        TypeError: the predictor has no representations.
    """
    explanations = explain(predictor, sentences, STEPS, order=order, saliency=own_saliency(predictor))
    texts = ReducedTexts(predictor, predictor.tokens(split_texts(predictor, sentences)))
    width = int(texts.tokens.counts.max(initial=1))
    cases = []
    for i, one in enumerate(explanations):
        sides = [_removed(curve, width) for curve in (one.important, one.unimportant)]
        removed = np.concatenate(sides)
        _, r = texts.represent(np.full(len(removed), i), removed)
        cut = len(sides[0])
        cases.append(Case(method, one, r[:cut].astype(np.float64), r[cut:].astype(np.float64)))
    return cases


def case_figure(cases: Sequence[Case]) -> Any:
    """One row per method: t-SNE of the sentence and its reduced forms, the saliency of its words, both curves."""
    words = len(cases[0].seen.words)
    figure = new_figure(11, 1.0 + len(cases) * max(2.5, 0.8 + 0.12 * words))
    panels = figure.subplots(len(cases), 3, squeeze=False)
    with fonts_for([cases[0].seen.text, *(case.seen.label_name for case in cases)]) as fit:
        for row, (case, axes) in enumerate(zip(cases, panels, strict=True)):
            seen = fitted(case.seen, fit)
            important, unimportant = case.cosines()
            _scatter(axes[0], case)
            title = f"{case.method}: cosine {number(important, 2)} important, {number(unimportant, 2)} unimportant"
            axes[0].set_title(title, fontsize=9.5, color=INK)
            draw_bars(axes[1], seen, size=6.5)
            title = f"{seen.label_name} ({seen.confidence:.2f}), {seen.verdict.kind}"
            axes[1].set_title(title, fontsize=9.5, color=INK)
            draw_curves(axes[2], seen, row == len(cases) - 1, row == 0)
        text = fit(cases[0].seen.text)
        put_titles(figure, "A sentence as words are removed", text if len(text) < 130 else text[:127] + "…")
    return figure


def reduction_html(corpus_model: str, cases: Sequence[Sequence[Case]]) -> str:
    """Tables 6 to 9: each sentence step by step until its prediction changes, with the next word to remove in bold and
    the number in the colour of the prediction.

    Args:
        corpus_model: the corpus and model.
        cases: for each sentence, one case per method.
    """
    return fill(
        ASSETS / "sentences.html", name=corpus_model, cases=cases, steps=STEPS, reduction_steps=reduction_steps,
        same=FOR, changed=AGAINST,
    )  # fmt: skip


class ReductionStep(NamedTuple):
    """A reduced sentence.

    Attributes:
        removed: the number of words removed.
        words: the words left.
        next_word: the index among them of the next word to remove; None at the end.
        changed: whether the prediction changed.
    """

    removed: int
    words: list[str]
    next_word: int | None
    changed: bool


def reduction_steps(words: Sequence[str], curve: Curve) -> list[ReductionStep]:
    """The sentence after 0, 1, .. removals, until the prediction changes or the curve ends."""
    last = min(curve.flips_at or len(curve.removed), len(curve.removed))
    steps = []
    for t in range(last + 1):
        left = [i for i in range(len(words)) if i not in curve.removed[:t]]
        following = left.index(curve.removed[t]) if t < last else None
        steps.append(ReductionStep(t, [words[i] for i in left], following, t == curve.flips_at))
    return steps


def _removed(curve: Curve, width: int) -> Bools:
    """(steps + 1, width) the words that are removed at each step of a curve."""
    step = np.full(width, len(curve.removed) + 1)
    step[curve.removed] = np.arange(1, len(curve.removed) + 1)
    return step <= np.arange(len(curve.removed) + 1)[:, None]


def _mean_cosine(r: Doubles) -> float:
    if len(r) < 2:
        return float("nan")
    return float((r[1:] @ r[0] / (np.linalg.norm(r[1:], axis=1) * np.linalg.norm(r[0]))).mean())


def _scatter(ax: Any, case: Case) -> None:
    """The sentence and two trails from it, later steps fainter. t-SNE preserves neighbours, not distances."""
    from sklearn.manifold import TSNE

    points = np.concatenate([case.important, case.unimportant[1:]])
    ax.set_xticks([])
    ax.set_yticks([])
    bare(ax)
    if len(points) < 4:
        ax.text(0.5, 0.5, "too few words", ha="center", transform=ax.transAxes, color=INK)
        return
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    flat = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(points.astype(np.float32))
    cut = len(case.important)
    for trail, colour, name in (
        (flat[1:cut], IMPORTANT, "important removed"), (flat[cut:], UNIMPORTANT, "unimportant removed"),
    ):  # fmt: skip
        fading = np.linspace(1.0, 0.25, max(len(trail), 1))[: len(trail)]
        ax.scatter(trail[:, 0], trail[:, 1], color=colour, alpha=fading, s=26, label=name)
        for t, (x, y) in enumerate(trail, 1):
            ax.annotate(str(t), (x, y), textcoords="offset points", xytext=(4, 2), fontsize=6.5, color=colour)
    ax.scatter(*flat[0], color=INK, marker="*", s=120, zorder=5, label="the sentence")
    ax.margins(0.12)
