"""What accuracy hides where classes are unequal: who is taken for whom, recall a class, macro F1. numpy alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
