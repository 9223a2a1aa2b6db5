"""The bootstrap over texts: intervals of means and of paired differences between two models."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pct.text.tokens import Doubles, Ints

DRAWS = 10_000
LEVEL = 0.95
FEWEST_TEXTS = 20  # of two words or more; the interval over fewer is too narrow to judge by
RESAMPLES = 500  # samples for a standard error that is not that of a mean
MOST_DRAWN = 5_000  # texts; beyond, the normal interval of a mean is nearer to the exact one than that of 10,000 draws
_CELLS = 2**22  # drawn counts in memory at once: 32 MiB
_DRAWN_AT_ONCE = 2**16  # texts of a sample, for counts of fewer kinds

Floats = npt.NDArray[np.floating]


class Interval(NamedTuple):
    """A mean over texts and the ends of its interval. NaN where no text has a value."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    before: Floats, after: Floats, draws: int = DRAWS, level: float = LEVEL, seed: int = 0
) -> Interval:
    """The mean of `after - before` over texts, with its percentile interval (Efron and Tibshirani 1993, chapter 13).

    The texts are drawn with replacement, both values of a text together. A text that is hard for both models therefore
    does not widen the interval.

    Args:
        before: (texts,) one value per text; NaN where a text has none. A text with NaN in either array is ignored.
        after: (texts,) the values of the other model, in the same order.
        draws: the number of samples of the texts.
        level: the share of the samples inside the interval.
        seed: of the draws; calls with the same seed and number of texts draw the same texts.

    Raises:
        ValueError: the shapes differ, or the level is not in (0, 1).
    """
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError(f"the values of two models must be (texts,) each, got {before.shape} and {after.shape}")
    difference = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    return intervals_of(difference[:, None], level, draws=draws, seed=seed)[0]


def crossed_bootstrap(differences: Floats, draws: int = DRAWS, level: float = LEVEL, seed: int = 0) -> Interval:
    """The mean of differences over texts and seeds, with its percentile interval (Owen 2007, the pigeonhole bootstrap).

    Seeds and texts are drawn with replacement, independently of each other. With one seed it is the bootstrap over
    texts.

    Args:
        differences: (seeds, texts) one model's value less the other's, trained under the same seed; NaN is ignored.
        draws: the number of samples.
        level: the share of the samples inside the interval.
        seed: of the draws.

    Raises:
        ValueError: `differences` has another number of dimensions, or the level is not in (0, 1).
    """
    if differences.ndim != 2:
        raise ValueError(f"differences must be (seeds, texts), got {differences.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    values = np.asarray(differences, np.float64)
    measured = np.isfinite(values)
    if not measured.any():
        return Interval(np.nan, np.nan, np.nan)
    seeds, texts = values.shape
    rows, means = max(_CELLS // texts, 1), []
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        drawn_texts = _drawn(texts, size, (seed, start, 0))
        drawn_seeds = _drawn(seeds, size, (seed, start, 1))
        total = (drawn_seeds * (drawn_texts @ np.where(measured, values, 0.0).T)).sum(1)
        number = (drawn_seeds * (drawn_texts @ measured.T.astype(np.float64))).sum(1)
        means.append(np.divide(total, number, out=np.full(size, np.nan), where=number > 0))
    low, high = np.nanquantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values[measured].mean()), float(low), float(high))


def _drawn_ends(sums: Floats, sizes: Floats, level: float, draws: int, seed: int) -> Floats:
    """(2, columns) the ends of the percentile interval of means over units that are drawn with replacement.

    The samples are the same for all columns. sums, sizes: (units, columns) of each unit's values.
    """
    rows, means = max(_CELLS // len(sums), 1), []
    for start in range(0, draws, rows):
        drawn = _drawn(len(sums), min(rows, draws - start), (seed, start, 0))
        total, number = drawn @ sums, drawn @ sizes
        means.append(np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0))
    return np.nanquantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)


def _normal_ends(sums: Floats, sizes: Floats, level: float) -> Floats:
    """As `_drawn_ends`, from the standard error of a ratio of sums (Cochran 1977, equation 2.46)."""
    units, number = len(sums), sizes.sum(0)
    means = sums.sum(0) / number
    errors = np.sqrt(units / (units - 1) * np.square(sums - means * sizes).sum(0)) / number
    return means + errors * NormalDist().inv_cdf((1 + level) / 2) * np.array([[-1.0], [1.0]])


def interval_of(values: Doubles, groups: Ints | None = None) -> Interval:
    """`intervals_of` of one column, (texts,)."""
    return intervals_of(values[:, None], groups=groups)[0]


def intervals_of(
    values: Doubles, level: float = LEVEL, groups: Ints | None = None, draws: int = DRAWS, seed: int = 0
) -> list[Interval]:
    """The mean of each column with its bootstrap interval (percentiles over texts); of more than `MOST_DRAWN` texts the
    normal interval.

    Args:
        values: (rows, columns); NaN is ignored.
        level: the share of the samples inside the interval.
        groups: (rows,) the text of each row, where a text has several: rows of one text are drawn together, since they
            are not independent (Davison and Hinkley 1997, section 3.8). None: a row is a text.
        draws: the number of samples of the texts.
        seed: of the draws.

    Raises:
        ValueError: the level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    numbers = np.isfinite(values)
    sums, sizes = np.where(numbers, values, 0.0), numbers.astype(np.float64)
    if groups is not None:
        text = np.unique(groups, return_inverse=True)[1]
        sums, sizes = (_sums_by_group(x, text) for x in (sums, sizes))
    number = sizes.sum(0)
    means = np.divide(sums.sum(0), number, out=np.full(len(number), np.nan), where=number > 0)
    ends = np.full((2, values.shape[1]), np.nan)
    some = number > 0
    if some.any():
        own = sums[:, some], sizes[:, some], level
        ends[:, some] = _normal_ends(*own) if len(sums) > MOST_DRAWN else _drawn_ends(*own, draws, seed)
    return [Interval(float(m), float(a), float(b)) for m, a, b in zip(means, *ends, strict=True)]


def _sums_by_group(values: Doubles, group: Ints) -> Doubles:
    """(groups, columns) the sums of (rows, columns). group: (rows,) from 0."""
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return sums


def resamples(texts: int) -> Iterator[npt.NDArray[np.int64]]:
    """(texts,) the rows of each of `RESAMPLES` samples of the texts with replacement; one is in memory at a time."""
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES):
        yield rng.integers(0, texts, texts)


def drawn_counts(kinds: npt.NDArray[np.integer], distinct: int) -> Iterator[npt.NDArray[np.int64]]:
    """(distinct,) how often each kind of text occurs in each of the samples that `resamples` draws.

    Args:
        kinds: (texts,) the kind of each text, from 0.
        distinct: the number of kinds.
    """
    rng, texts, most = np.random.default_rng(0), len(kinds), max(_DRAWN_AT_ONCE, distinct)
    for _ in range(RESAMPLES):
        counts = np.zeros(distinct, np.int64)
        for start in range(0, texts, most):
            rows = rng.integers(0, texts, min(most, texts - start))
            counts += np.bincount(kinds[rows], minlength=distinct)
        yield counts


@lru_cache(maxsize=6)
def _drawn(units: int, draws: int, seed: tuple[int, ...]) -> Floats:
    """(draws, units) how often each unit was drawn. Cached, since consecutive comparisons draw the same texts."""
    counts = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), draws)
    return counts.astype(np.float64)
