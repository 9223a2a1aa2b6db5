"""What accuracy hides where classes are unequal: who is taken for whom, recall a class, macro F1. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pct.metrics.base import Column, Estimate, Metric, TextBlock

RESAMPLES = 500  # of the texts, for the standard error of what is no mean over texts
Counts = npt.NDArray[np.int64]


def confusion_counts(gold: Counts, predicted: Counts, classes: int) -> Counts:
    """How many texts of each class are taken for each class.

    Args:
        gold: (texts,) true classes.
        predicted: (texts,) predicted ones.
        classes: how many there are.

    Returns:
        (classes, classes); rows are true classes, columns predicted ones.
    """
    pairs = np.asarray(gold) * classes + np.asarray(predicted)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def recalls(confusion: Counts) -> npt.NDArray[np.float64]:
    """The share of each class that is found, (classes,); NaN for a class without texts."""
    sizes = confusion.sum(1)
    return np.where(sizes > 0, confusion.diagonal() / np.maximum(sizes, 1), np.nan)


def macro_f1(confusion: Counts) -> float:
    """The mean of the classes' F1 = 2 TP / (2 TP + FP + FN), over classes that are true or predicted of some text."""
    sizes = confusion.sum(0) + confusion.sum(1)
    there = sizes > 0
    return float((2 * confusion.diagonal()[there] / sizes[there]).mean()) if there.any() else float("nan")


class MacroF1(Metric):
    """Macro F1 of the predictions; its standard error by the bootstrap over texts."""

    names = ("macro_f1",)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`: none, it is no mean over texts."""
        return {}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`."""
        counts = confusion_counts(columns["label"], columns["predicted"], len(classes))
        size = int(counts.sum())
        drawn = np.random.default_rng(0).multinomial(size, counts.ravel() / size, RESAMPLES)
        error = np.std([macro_f1(d.reshape(counts.shape)) for d in drawn], ddof=1) if size > 1 else np.nan
        return {"macro_f1": Estimate(macro_f1(counts), float(error))}
