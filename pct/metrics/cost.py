"""The cost of metrics: the most forward passes that they need per text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pct.metrics.base import Column, MetricOptions

if TYPE_CHECKING:
    from pct.metrics.evaluation import MetricSet

EXAMPLES = (20, 200)  # the text lengths of the cost table, in words


def most_passes(chosen: MetricSet, counts: Column) -> Column:
    """(texts,) the most passes that some metrics need together, the whole text included.

    A pass that several metrics need is run once. A plan that stops when the prediction changes counts as if it never
    did. counts: (texts,) N.
    """
    plan = chosen.plan(counts)
    reduced = np.zeros(len(counts), np.int64)
    for side in (plan.important, plan.unimportant):
        if plan.until_flip:
            reduced += np.maximum(counts - 1, 0)
        elif side is not None:
            reduced += side[:, 1:].sum(1)
    return 1 + reduced + 2 * plan.next_saliency + chosen.passes(counts)


def cost_table(names: Sequence[str]) -> str:
    """A table for a terminal: metrics of equal cost, and their passes for texts of `EXAMPLES` words."""
    from pct.metrics.evaluation import MetricSet

    counts, groups = np.array(EXAMPLES), dict[tuple[int, ...], list[str]]()
    for name in names:
        cost = tuple(most_passes(MetricSet([name], MetricOptions()), counts).tolist())
        groups.setdefault(cost, []).append(name)
    head = f"the most passes for a text of {' and of '.join(map(str, EXAMPLES))} words; metrics share passes:"
    lines = [f"{cost[0]:>7,} {cost[1]:>9,}   {', '.join(group)}" for cost, group in sorted(groups.items())]
    return "\n".join([head, *lines])
