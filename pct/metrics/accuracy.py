"""Accuracy, recalls, macro F1 and F(X), the mean confidence: what needs only the original texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.metrics.base import Column, Estimate, Metric, TextBlock
from pct.metrics.bootstrap import RESAMPLES
from pct.text.tokens import Doubles, Ints

NO_CLASSES = "a number has no classes: ask for mae, rmse or pearson"


class Accuracy(Metric):
    """The share of correct predictions."""

    names = ("acc",)
    needs_classes = NO_CLASSES
    needs_labels = True

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        return {"acc": (block.predicted == block.gold).astype(np.float64)}


class Confidence(Metric):
    """F(X): the confidence f_c(X) in the class that is explained."""

    names = ("f_x",)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen = block.seen
        return {"f_x": seen.probabilities[np.arange(len(seen.labels)), seen.labels]}


def confusion_counts(gold: Ints, predicted: Ints, classes: int) -> Ints:
    """How many texts of each class are predicted as each class.

    Args:
        gold: (texts,) true classes.
        predicted: (texts,) predicted classes.
        classes: the number of classes.

    Returns:
        (classes, classes); rows are true classes, columns predicted classes.
    """
    pairs = np.asarray(gold) * classes + np.asarray(predicted)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def recalls(confusion: Ints) -> Doubles:
    """The recall of each class, (classes,); NaN for a class without texts."""
    sizes = confusion.sum(1)
    return np.where(sizes > 0, confusion.diagonal() / np.maximum(sizes, 1), np.nan)


def macro_f1(confusion: Ints) -> float:
    """The mean of the classes' F1 = 2 TP / (2 TP + FP + FN), over classes that are true or predicted of some text."""
    sizes = confusion.sum(0) + confusion.sum(1)
    occurs = sizes > 0
    return float((2 * confusion.diagonal()[occurs] / sizes[occurs]).mean()) if occurs.any() else float("nan")


class MacroF1(Metric):
    """Macro F1 of the predictions, with a bootstrap standard error over texts."""

    names = ("macro_f1",)
    needs_classes = NO_CLASSES
    needs_labels = True

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`. Empty: macro F1 is not a mean over texts."""
        return {}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`."""
        counts = confusion_counts(columns["label"], columns["predicted"], len(classes))
        size = int(counts.sum())
        rng, shares = np.random.default_rng(0), counts.ravel() / size
        drawn = [macro_f1(rng.multinomial(size, shares).reshape(counts.shape)) for _ in range(RESAMPLES)]
        error = np.std(drawn, ddof=1) if size > 1 else np.nan
        return {"macro_f1": Estimate(macro_f1(counts), float(error))}
