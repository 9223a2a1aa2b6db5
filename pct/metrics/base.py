"""The base class of metrics: the removals a metric needs, a number for each text, and the summary over a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pct.corpora import text_file
from pct.explaining.reduction import check_share, words_to_remove
from pct.explaining.removal import RemovalPlan, Removals
from pct.metrics.column_files import Column as Column  # of this module, too
from pct.metrics.column_files import stored
from pct.tasks import Task, label_sets
from pct.text.file_array import FileArray

TIE = 1e-6  # of confidence: two values that differ by less are equal up to rounding


@dataclass(frozen=True)
class MetricOptions:
    """How texts are measured.

    Attributes:
        p_important: the share of a text's words removed as important, in (0, 1].
        p_unimportant: the share removed as unimportant, in (0, 1].
        random_orders: the number of random orders of removal that the saliency's order is compared with.
        seed: of the random orders.

    Raises:
        ValueError: one of them is out of its range.
    """

    p_important: float = 0.1
    p_unimportant: float = 0.1
    random_orders: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_share(self.p_important)
        check_share(self.p_unimportant)
        if self.random_orders < 1:
            raise ValueError(f"random_orders must be at least 1, got {self.random_orders}")
        if self.seed < 0:
            raise ValueError(f"the seed must be >= 0, got {self.seed}")

    def steps(self, counts: Column) -> tuple[Column, Column]:
        """m of the important and the unimportant words, (texts,) each. counts: (texts,) N."""
        return words_to_remove(counts, self.p_important), words_to_remove(counts, self.p_unimportant)


@dataclass(frozen=True)
class TextBlock:
    """Some texts of a split, after their removals.

    Attributes:
        seen: the results of the removals.
        gold: (texts,) the true class, or the true number; of several labels (texts, labels), whether each is true. A
            text then has a row for each label that is explained. Of texts without labels (texts,) -1.
        place: (texts,) the position of each text in the split.
        rationale: for each text, 0 or 1 per word, 1 for a word of the rationale; None where the data set has none.
        shortcut: likewise, 1 where the word is a shortcut.
        rationale_share: likewise, the share of the annotators who marked the word.
        marked_share: the mean share of marked words in the texts of the whole split; NaN where no word is marked.
    """

    seen: Removals
    gold: Column
    place: Column
    rationale: Sequence[Sequence[float]] | None = None
    shortcut: Sequence[Sequence[float]] | None = None
    rationale_share: Sequence[Sequence[float]] | None = None
    marked_share: float = float("nan")

    @property
    def predicted(self) -> Column:
        """(texts,) the class predicted on the original text."""
        return self.seen.probabilities.argmax(1)

    @property
    def assigned(self) -> Column:
        """(texts, classes) whether each class or label is predicted on the original text."""
        return self.seen.task.assigned(self.seen.probabilities)

    @property
    def true_sets(self) -> Column:
        """(texts, classes) whether each class or label is true."""
        return label_sets(self.gold, self.seen.probabilities.shape[1])

    def of_several(self, values: Column) -> Column:
        """The values of the texts of two or more words; NaN for texts of one word."""
        return np.where(self.seen.counts > 1, values, np.nan)


class Estimate(NamedTuple):
    """A metric over a split: its value, and its standard error and 95 % interval where it has them."""

    value: float
    error: float = float("nan")
    interval: tuple[float, float] | None = None


class Metric:
    """A metric, or several that are computed together.

    Register the class under each of its names, by an entry point or by `@metrics.register("name", ..)`.

    Attributes:
        names: the columns that it computes.
        needs_classes: why a model that gives a number does not have it; empty for a metric of any model.
        needs_labels: whether it compares predictions with true labels. Texts without labels do not have it.
    """

    names: tuple[str, ...] = ()
    needs_labels: bool = False
    needs_classes: str = ""

    def __init__(self, options: MetricOptions) -> None:
        self.options = options

    @classmethod
    def unfit(cls, task: Task) -> str:
        """Why a model of this task does not have the metric; empty where it has. By default `needs_classes`."""
        return cls.needs_classes if task.number else ""

    def plan(self, counts: Column) -> RemovalPlan:
        """The removals that the metric needs, for texts of N = counts words. By default none."""
        return RemovalPlan()

    def passes(self, counts: Column) -> Column:
        """(texts,) the most reduced texts that `columns` runs beside the plan, by `Removals.drop`. By default none."""
        return np.zeros_like(counts)

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """The values of each name, (texts,) float; NaN where a text has none."""
        raise NotImplementedError(f"{type(self).__name__} must define columns(block)")

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """The summary of a whole split by name: the mean over the texts that have a number.

        Args:
            columns: every column of the split, `predicted` among them, and `label` where the texts have labels.
            classes: the names of the classes.
        """
        groups = text_of_rows(columns)
        return {name: mean_of(stored(columns, name), groups) for name in self.names if name in columns}


def text_of_rows(columns: Mapping[str, Column]) -> Any:
    """(rows,) the text of each row, where a text has a row for each explained label; None where a row is a text."""
    return stored(columns, "index") if "target" in columns else None


def mean_of(values: Column | FileArray, groups: Column | FileArray | None = None) -> Estimate:
    """The mean of the values that are numbers, and its standard error.

    Args:
        values: (rows,); NaN is ignored.
        groups: (rows,) the text of each row, see `text_of_rows`. The rows of a text are not independent; the standard
            error is then the cluster-robust one, from the sums of the deviations over each text.
    """
    numbers = _numbers(values)
    if groups is None or not len(numbers):
        return _mean(numbers)
    mean = float(numbers.mean())
    sums = _group_deviations(values, groups, mean)
    texts = len(sums)
    if texts == 1:
        return Estimate(mean)
    return Estimate(mean, float(np.sqrt(texts / (texts - 1) * (sums**2).sum()) / len(numbers)))


def _group_deviations(values: Column | FileArray, groups: Column | FileArray, mean: float) -> Column:
    """(texts with a number,) the sums over each text of its values less the mean. Read in parts, as by `_numbers`."""
    sums, counts = np.zeros(0), np.zeros(0, np.int64)
    for start in range(0, len(values), text_file.LARGE):
        part, text = values[start : start + text_file.LARGE], groups[start : start + text_file.LARGE]
        measured = ~np.isnan(part)
        if (size := int(text.max(initial=-1)) + 1) > len(sums):
            sums, counts = np.pad(sums, (0, size - len(sums))), np.pad(counts, (0, size - len(counts)))
        sums += np.bincount(text[measured], part[measured] - mean, len(sums))
        counts += np.bincount(text[measured], minlength=len(sums))
    return sums[counts > 0]


def share_of(values: Column | FileArray, groups: Column | FileArray | None = None) -> Estimate:
    """The mean of values in 0..1 that are numbers, with its standard error and Wilson's 95 % interval (Wilson 1927).

    groups: as in `mean_of`; the interval is then that of the number of independent texts which would have the same
    standard error (Korn and Graubard 1998).
    """
    mean = mean_of(values, groups)
    if not np.isfinite(mean.value):
        return mean
    size = float(len(_numbers(values)))
    if groups is not None and mean.error > 0:
        size = min(size, mean.value * (1 - mean.value) / mean.error**2)
    return mean._replace(interval=wilson(mean.value, size))


def _numbers(values: Column | FileArray) -> Column:
    """A new array of the values that are not NaN. They are read in parts: no second array of their size is needed."""
    kind = values.dtype if values.dtype.kind == "f" else np.float64
    numbers, size = np.empty(len(values), kind), 0
    for start in range(0, len(values), text_file.LARGE):
        part = values[start : start + text_file.LARGE]
        part = part[~np.isnan(part)]
        numbers[size : size + len(part)] = part
        size += len(part)
    return numbers[:size]


def _mean(numbers: Column) -> Estimate:
    """The mean of numbers and its standard error. The array is used up."""
    if not (size := len(numbers)):
        return Estimate(float("nan"))
    mean = numbers.mean()
    if size == 1:
        return Estimate(float(mean))
    numbers -= mean  # numbers.std(ddof=1), in place
    numbers *= numbers
    return Estimate(float(mean), float(np.sqrt(numbers.sum() / (size - 1)) / np.sqrt(size)))


def wilson(share: float, number: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `number` texts (Wilson 1927)."""
    z = 1.959963984540054  # the 97.5 % quantile of the normal distribution
    square = z * z / number
    middle, half = share + square / 2, z * np.sqrt(share * (1 - share) / number + square / (4 * number))
    return float((middle - half) / (1 + square)), float((middle + half) / (1 + square))
