"""Comprehensiveness and sufficiency compared with random orders of removal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.explaining.reduction import steps_of, words_to_remove
from pct.explaining.removal import RemovalPlan
from pct.metrics.base import TIE, Column, Estimate, Metric, TextBlock, text_of_rows
from pct.metrics.bootstrap import interval_of


class Chance(Metric):
    """comp of random orders of removal, and the saliency's comp and suff compared with it.

    comp_random: comp under a random order, the mean over R orders. margin: comp - comp_random. suff_margin:
    comp_random - suff. win: the share of the R orders whose comp is below comp; a tie counts a half. Each order is
    compared on its own, so the expected win of a random order is .5 for every model. (The mean of the R orders would
    be an unfair opponent: a few removals cost much and most cost little, so one order lies below the mean more often
    than above it.)
    """

    names = ("comp_random", "margin", "suff_margin", "win")

    def plan(self, counts: Column) -> RemovalPlan:
        """See `Metric.plan`. `columns` runs the random orders itself."""
        return RemovalPlan.first(counts, *self.options.steps(counts))

    def passes(self, counts: Column) -> Column:
        """See `Metric.passes`."""
        return words_to_remove(counts, self.options.p_important) * self.options.random_orders

    def columns(self, block: TextBlock) -> dict[str, Column]:
        """See `Metric.columns`."""
        seen, counts = block.seen, block.seen.counts
        steps, last = self.options.steps(counts)
        ranks = random_ranks(block.place, counts, self.options.random_orders, self.options.seed)
        text, step = steps_of(steps)
        # (orders, rows, words) -> one row per order and step
        removed = (ranks[text] <= step[:, None, None]).transpose(1, 0, 2).reshape(-1, ranks.shape[2])
        drop = seen.drop(np.tile(text, ranks.shape[1]), removed)
        orders = ranks.shape[1]
        row = np.repeat(np.arange(orders), len(text)) * len(counts) + np.tile(text, orders)
        sums = np.bincount(row, drop, orders * len(counts)).reshape(orders, len(counts))
        random_comp = sums / np.maximum(steps, 1)
        chance = random_comp.mean(0)
        comp = seen.important.mean_drop(steps)
        suff = seen.unimportant.mean_drop(last)
        difference = comp - random_comp
        win = np.where(np.abs(difference) <= TIE, 0.5, difference > 0).mean(0)
        margin = comp - chance
        columns = {"comp_random": chance, "margin": margin, "suff_margin": chance - suff, "win": win}
        return {name: block.of_several(values) for name, values in columns.items()}

    def summary(self, columns: dict[str, Column], classes: Sequence[str]) -> dict[str, Estimate]:
        """See `Metric.summary`. `win` has a bootstrap interval over texts."""
        means = super().summary(columns, classes)
        if "win" in means:
            win = interval_of(columns["win"], text_of_rows(columns))
            means["win"] = means["win"]._replace(interval=(win.low, win.high))
        return means


def random_ranks(place: Column, counts: Column, orders: int, seed: int) -> Column:
    """Random orders of removal, which depend only on the seed, the text's position and the number of the order.

    Words are therefore removed in the same order for every model, also where a model truncates the text earlier.

    Args:
        place: (texts,) the position of each text in its split.
        counts: (texts,) N.
        orders: the number of orders per text.
        seed: of the draw.

    Returns:
        (texts, orders, most words) the step at which each word is removed, from 1; words beyond N come last.
    """
    words = int(counts.max(initial=1))
    parts = np.ix_(place, np.arange(orders), np.arange(words))
    state = np.full((1, 1, 1), seed, np.uint64)
    for part in parts:
        state = _scrambled(state ^ part.astype(np.uint64))
    keys = np.where(np.arange(words) < counts[:, None, None], state >> np.uint64(1), np.uint64(2**63))
    return np.argsort(np.argsort(keys, axis=2, kind="stable"), axis=2, kind="stable") + 1


def _scrambled(numbers: Column) -> Column:
    """splitmix64 (Steele et al. 2014): a hash of 64 bits, element by element."""
    with np.errstate(over="ignore"):
        x = numbers + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
