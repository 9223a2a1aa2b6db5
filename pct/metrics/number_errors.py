"""The errors of a model that gives a number: mean absolute error, root mean squared error, Pearson's correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.metrics.base import Column, Estimate, Metric, TextBlock, mean_of
from pct.metrics.bootstrap import resamples
from pct.settings import NUMBER_SCORES
from pct.tasks import Task

TRUE_NUMBER, NUMBER = "true_number", "number"  # the columns with a text's true number and the model's


def number_errors(true: Column, given: Column) -> dict[str, float]:
    """The errors of numbers.

    Args:
        true: (texts,).
        given: (texts,) those of the model.

    Returns:
        mae = mean |f - y|, rmse = sqrt(mean (f - y)^2), and pearson, the correlation of f and y; NaN where either is
        constant.
    """
    difference = np.asarray(given, np.float64) - np.asarray(true, np.float64)
    return {
        "mae": float(np.abs(difference).mean()),
        "rmse": float(np.sqrt((difference**2).mean())),
        "pearson": _pearson(true, given),
    }


class NumberErrors(Metric):
    """See `number_errors`; rmse and pearson have bootstrap standard errors over texts."""

    names = NUMBER_SCORES
    needs_labels = True

    @classmethod
    def unfit(cls, task: Task) -> str:
        """See `Metric.unfit`."""
        return "" if task.number else "it is the error of a number, and the model chooses classes"

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`: the absolute error; rmse and pearson are no means over texts."""
        return {"mae": np.abs(block.seen.probabilities[:, 0] - block.gold)}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`."""
        true, given = columns[TRUE_NUMBER], columns[NUMBER]
        values = number_errors(true, given)
        drawn = [number_errors(true[rows], given[rows]) for rows in resamples(len(true))] if len(true) > 1 else []
        errors = {name: _deviation([one[name] for one in drawn]) for name in values}
        return {name: Estimate(values[name], errors[name]) for name in ("rmse", "pearson")} | {
            "mae": mean_of(np.abs(given - true))
        }


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation of the values that are numbers; NaN of fewer than two."""
    finite = np.array(values)[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")


def _pearson(true: Column, given: Column) -> float:
    if np.ptp(true) == 0 or np.ptp(given) == 0:  # rounding leaves a difference from the mean
        return float("nan")
    x, y = (np.asarray(values, np.float64) - np.mean(values) for values in (true, given))
    return float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()))
