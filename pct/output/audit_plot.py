"""The interval plot of an audit as a matplotlib figure, for PNG files and MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.output.audit_svg import short, standing
from pct.output.plots import FAINT, IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles

if TYPE_CHECKING:
    from pct.auditing.result import Audit, AuditRow

PANELS = (("margin", "margin over random orders", 0.0), ("win", "win against a random order", 0.5))
COLOURS = {"best": UNIMPORTANT, "tie": INK, "better": INK, "none": IMPORTANT, "control": FAINT}
MARKERS = {"best": "D", "control": "s"}


def audit_figure(audit: Audit) -> Any:
    """Margin and win of each saliency with their 95 % intervals, one row of panels per removal.

    Args:
        audit: the audit.

    Returns:
        A matplotlib figure.
    """
    blocks = {removal: audit.ranked(removal) for removal in audit.removals}
    figure = new_figure(11, 1.2 + sum(0.9 + 0.3 * len(rows) for rows in blocks.values()))
    heights = [3 + len(rows) for rows in blocks.values()]
    axes = figure.subplots(
        len(blocks), 2, squeeze=False, sharex="col", width_ratios=(3, 2), height_ratios=heights
    )  # fmt: skip
    for line, (removal, rows) in zip(axes, blocks.items(), strict=True):
        for ax, (metric, head, chance) in zip(line, PANELS, strict=True):
            _draw(ax, audit, rows, metric, chance)
            ax.set_title(f"{head}, by {removal}", fontsize=10, color=INK, loc="left")
        line[1].set_xlim(-0.02, 1.02)
        line[1].set_yticklabels([])
    put_titles(
        figure,
        audit.headline,
        f"{short(audit.model, 60)}; {audit.texts} texts; 95 % intervals; hollow: no better than a random order",
    )
    return figure


def _draw(ax: Any, audit: Audit, rows: Sequence[AuditRow], metric: str, chance: float) -> None:
    names = []
    for y, row in enumerate(rows):
        kind = standing(audit, row.saliency, row.removal)
        names.append(f"{short(row.saliency)} ({kind})" if kind in ("best", "tie", "control") else short(row.saliency))
        interval = row.metrics.get(metric)
        if interval is None or np.isnan(interval.value):
            continue
        hollow = kind in ("none", "control")
        ends = [[interval.value - interval.low], [interval.high - interval.value]]
        colour = COLOURS[kind]
        ax.errorbar([interval.value], [y], xerr=np.maximum(ends, 0), fmt=MARKERS.get(kind, "o"), capsize=3,
                    color=colour, markerfacecolor="white" if hollow else colour, markersize=6)  # fmt: skip
    ax.axvline(chance, color=FAINT, linestyle="--", linewidth=1)
    ax.set_yticks(range(len(rows)), names, parse_math=False)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    bare(ax, "left", grid="x")
