"""The figures of a run as PNG files in its folder: the confidence as words are removed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pct.corpora.splits import texts_of_columns
from pct.explaining.explain import explain, explain_each
from pct.explaining.predictor import Predictor
from pct.explaining.verdict import TOLERANCE
from pct.layout import FIGURES
from pct.metrics.number_errors import TRUE_NUMBER
from pct.metrics.report import Report
from pct.output.plots import STEPS, example_figure, gap_figure, ridge_figure, save
from pct.saliency.defaults import own_saliency
from pct.text.tokens import Doubles, Ints
from pct.training.runs import Run
from pipelines.job import first_line

TEXTS, TEXTS_A_BLOCK = 512, 128


def draw_figures(run: Run) -> list[Path]:
    """Draws a run's missing figures into its folder. Returns the paths of all.

    The curves are of at most 512 test texts, sampled under the run's seed and explained in blocks.
    """
    folder = run.folder / FIGURES
    folder.mkdir(exist_ok=True)
    s = run.settings
    title, number = f"{s.method}, {s.model_name} on {s.corpus}", s.has_number
    gap = run.test.columns["comp"] - run.test.columns["suff"]
    texts = texts_of_columns(run.test.columns)
    # a run that was trained on a GPU may be drawn on a machine without one
    classifier = cache(lambda: run.classifier("cpu" if s.device == "cpu" else "auto"))

    def ridges() -> Any:
        sample = np.random.default_rng(s.seed).permutation(len(texts))[:TEXTS]
        some = [texts[i] for i in np.sort(sample)]
        return ridge_figure(*confidences(classifier(), some, s.order), title)

    def examples() -> Any:
        chosen = example_rows(gap, run.test.columns["n"])
        labels = run.test.columns["target"][chosen].tolist() if run.test.of_pairs else None  # None: the predicted class
        some = [texts[i] for i in chosen]
        seen = explain(classifier(), some, STEPS, labels, s.order, saliency=s.saliency)
        return example_figure(seen, gold_names(run.test, chosen), gap[chosen].tolist(), title)

    drawn: dict[str, Callable[[], Any]] = {
        "comp_minus_suff.png": lambda: gap_figure(gap, title, 0.0 if number else TOLERANCE),
        "examples.png": examples,
    }
    if not number:  # the ridges are on an axis from 0 to 1
        drawn = {"confidence.png": ridges} | drawn
    for name, draw in drawn.items():
        if not (folder / name).is_file():
            save(draw(), folder / name)
    return [folder / name for name in drawn]


def try_to_draw(draw: Callable[[], list[Path]], say: Callable[[str], None]) -> list[Path]:
    """The paths that draw returns. Where it fails none, and a message: a figure must not cost a result."""
    try:
        return draw()
    except Exception as problem:  # drawing libraries raise many types
        say(f"figures are missing ({type(problem).__name__}: {first_line(problem)}); the results are complete")
        return []


def confidences(predictor: Predictor, texts: list[str], order: str = "static") -> tuple[Doubles, Doubles]:
    """Confidence in the predicted class, of several labels in the first that is explained, after 0 to 15 removals,
    (texts, 16), important and unimportant.

    NaN where a text has no such step.
    """
    sides = np.full((2, len(texts), STEPS + 1), np.nan)
    for start in range(0, len(texts), TEXTS_A_BLOCK):
        seen = explain_each(
            predictor, texts[start : start + TEXTS_A_BLOCK], STEPS, order=order, saliency=own_saliency(predictor)
        )
        for row, (one, *_) in enumerate(seen, start):
            for side, curve in enumerate((one.important, one.unimportant)):
                sides[side, row, : len(curve.confidences)] = curve.confidences
    return sides[0], sides[1]


def example_rows(gap: Doubles, counts: Any) -> Ints:
    """Three texts: the healthiest, the median and the most pathological, of 8 to 28 words where there are such."""
    known = np.flatnonzero(~np.isnan(gap))
    fit = known[(counts[known] >= 8) & (counts[known] <= 28)]
    pool = fit if len(fit) >= 3 else known
    if len(pool) == 0:
        return np.arange(min(3, len(gap)))
    ranked = pool[np.argsort(gap[pool], kind="stable")]
    return np.array(list(dict.fromkeys([int(ranked[-1]), int(ranked[len(ranked) // 2]), int(ranked[0])])))


def gold_names(report: Report, rows: Any) -> list[str]:
    """What is true of some rows of a report: the class, or of several labels the label explained or its absence; or the
    number."""
    columns, classes = report.columns, report.classes
    if TRUE_NUMBER in columns:
        return [f"{number:g}" for number in columns[TRUE_NUMBER][rows]]
    if not report.of_pairs:
        return [classes[i] for i in columns["label"][rows]]
    pairs = zip(columns["target"][rows], columns["is_true"][rows], strict=True)
    return [classes[label] if own else f"not {classes[label]}" for label, own in pairs]
