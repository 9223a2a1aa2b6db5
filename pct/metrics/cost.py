"""The cost of metrics: the most forward passes that they need per text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.metrics import metrics as registry
from pct.metrics.base import Column, MetricOptions

if TYPE_CHECKING:
    from pct.explaining.removal import RemovalPlan
    from pct.metrics.evaluation import MetricSet

EXAMPLES = (20, 200)  # the text lengths of the cost table, in words
NAMED = 3  # metrics that a progress bar names


def planned_passes(plan: RemovalPlan, counts: Column) -> Column:
    """(texts,) the passes of a plan, the whole text included. A plan that stops when the prediction changes counts as
    if it never did. counts: (texts,) N."""
    sides = [
        np.zeros(len(counts), np.int64) if side is None else side[:, 1:].sum(1)
        for side in (plan.important, plan.unimportant)
    ]
    reduced = 2 * np.maximum(counts - 1, 0) if plan.until_flip else sides[0] + sides[1]
    passes: Column = 1 + reduced + 2 * plan.next_saliency
    return passes


def most_passes(chosen: MetricSet, counts: Column) -> Column:
    """(texts,) the most passes that some metrics need together; a pass that several need is run once."""
    total: Column = planned_passes(chosen.plan(counts), counts) + chosen.passes(counts)
    return total


def cost_table(names: Sequence[str]) -> str:
    """A table for a terminal: metrics of equal cost, and their passes for texts of `EXAMPLES` words."""
    from pct.metrics.evaluation import MetricSet

    counts, groups = np.array(EXAMPLES), dict[tuple[int, ...], list[str]]()
    for name in names:
        cost = tuple(most_passes(MetricSet([name], MetricOptions()), counts).tolist())
        groups.setdefault(cost, []).append(name)
    head = f"most passes for a text of {' and '.join(map(str, EXAMPLES))} words; metrics share passes:"
    lines = [f"{cost[0]:>7,} {cost[1]:>9,}   {', '.join(group)}" for cost, group in sorted(groups.items())]
    return "\n".join([head, *lines])


@contextmanager
def progress_bar(shown: bool, texts: int, names: Sequence[str]) -> Iterator[Any]:
    """A progress bar over texts that names the metrics; None where `shown` is false."""
    if not shown:
        yield None
        return
    from tqdm import tqdm

    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    with tqdm(total=texts, desc=", ".join(names[:NAMED]) + more, unit="text", leave=False) as bar:
        yield bar


def show_block(bar: Any, chosen: MetricSet, counts: Column) -> None:
    """Shows the length of the current texts on the bar, and how many passes they need."""
    if bar is not None:
        passes = int(most_passes(chosen, counts).max(initial=0))
        bar.set_postfix_str(f"texts of up to {int(counts.max(initial=0))} words, up to {passes:,} passes each")


def own_cost_table() -> str:
    """`cost_table` of the project's own metrics."""
    return cost_table(list(registry.own))
