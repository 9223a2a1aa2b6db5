"""What metrics cost: how often a text goes through the model for them, at most."""

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

EXAMPLES = (20, 200)  # words of the texts that the table speaks of
NAMED = 3  # metrics that a progress bar names


def planned_passes(plan: RemovalPlan, counts: Column) -> Column:
    """(texts,) the passes of a plan, the whole text counting as one; those until the prediction changes are all that
    there may be. counts: (texts,) N."""
    sides = [
        np.zeros(len(counts), np.int64) if side is None else side[:, 1:].sum(1)
        for side in (plan.important, plan.unimportant)
    ]
    reduced = 2 * np.maximum(counts - 1, 0) if plan.until_flip else sides[0] + sides[1]
    passes: Column = 1 + reduced + 2 * plan.next_saliency
    return passes


def most_passes(chosen: MetricSet, counts: Column) -> Column:
    """(texts,) the passes that some metrics need together at most; what several need is run once."""
    total: Column = planned_passes(chosen.plan(counts), counts) + chosen.passes(counts)
    return total


def cost_table(names: Sequence[str]) -> str:
    """Lines for a terminal: metrics of equal cost, and their passes for texts of `EXAMPLES` words."""
    from pct.metrics.evaluation import MetricSet

    counts, groups = np.array(EXAMPLES), dict[tuple[int, ...], list[str]]()
    for name in names:
        cost = tuple(most_passes(MetricSet([name], MetricOptions()), counts).tolist())
        groups.setdefault(cost, []).append(name)
    head = (
        f"passes of a text of {' and '.join(map(str, EXAMPLES))} words at most; what several metrics need is run once:"
    )
    lines = [f"{cost[0]:>7,} {cost[1]:>9,}   {', '.join(group)}" for cost, group in sorted(groups.items())]
    return "\n".join([head, *lines])


@contextmanager
def progress_bar(shown: bool, texts: int, names: Sequence[str]) -> Iterator[Any]:
    """A bar of texts that names what is computed; None where it is not to be shown."""
    if not shown:
        yield None
        return
    from tqdm import tqdm

    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    with tqdm(total=texts, desc=", ".join(names[:NAMED]) + more, unit="text", leave=False) as bar:
        yield bar


def tell_block(bar: Any, chosen: MetricSet, counts: Column) -> None:
    """Says which texts are computed now, and how many passes they need."""
    if bar is not None:
        passes = int(most_passes(chosen, counts).max(initial=0))
        bar.set_postfix_str(f"texts of up to {int(counts.max(initial=0))} words, up to {passes:,} passes each")


def own_cost_table() -> str:
    """`cost_table` of the project's own metrics."""
    return cost_table(list(registry.own))
