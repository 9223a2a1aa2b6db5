"""What a metric is: the removals that it needs, a number for each text, and what these come to over a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pct.explaining.reduction import check_share
from pct.explaining.removal import RemovalPlan, Removals

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class MetricOptions:
    """How much is removed: shares of a text's words. Raises ValueError for one outside (0, 1]."""

    p_important: float = 0.1
    p_unimportant: float = 0.1

    def __post_init__(self) -> None:
        check_share(self.p_important)
        check_share(self.p_unimportant)


@dataclass(frozen=True)
class TextBlock:
    """Some texts of a split, after their removals.

    Attributes:
        seen: what the removals told.
        gold: (texts,) the true label.
        rationale: for each text 0 or 1 a word, 1 where it is known to decide; None where the data set does not know.
        shortcut: likewise, 1 where the word is a shortcut.
    """

    seen: Removals
    gold: Column
    rationale: Sequence[Sequence[int]] | None = None
    shortcut: Sequence[Sequence[int]] | None = None

    @property
    def predicted(self) -> Column:
        """(texts,) the class predicted on the original text."""
        predicted: Column = self.seen.probabilities.argmax(1)
        return predicted

    def of_several(self, values: Column) -> Column:
        """The values of the texts that have reduced texts; NaN for those of one word."""
        return np.where(self.seen.counts > 1, values, np.nan)


class Estimate(NamedTuple):
    """A metric over a split: its value, and its standard error where it has one."""

    value: float
    error: float = float("nan")


class Metric:
    """A metric, or several that are computed together; registered under every name, `@metrics.register("comp", ..)`.

    Attributes:
        names: the columns that it makes.
    """

    names: tuple[str, ...] = ()

    def __init__(self, options: MetricOptions) -> None:
        self.options = options

    def plan(self, counts: Column) -> RemovalPlan:
        """The removals that it needs, of texts with N = counts words; none unless said otherwise."""
        return RemovalPlan()

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """Its names, each with a number for each text, (texts,) float; NaN where a text has none."""
        raise NotImplementedError(f"{type(self).__name__} must define columns(block)")

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """What the columns of a whole split come to: the mean over the texts that have a number, by name.

        Args:
            columns: every column of the split, `label` and `predicted` among them.
            classes: the names of the classes.
        """
        return {name: mean_of(columns[name]) for name in self.names if name in columns}


def mean_of(values: Column) -> Estimate:
    """The mean of the values that are numbers, and its standard error."""
    known = values[~np.isnan(values)]
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.nan
    return Estimate(float(known.mean()) if len(known) else float("nan"), float(error))
