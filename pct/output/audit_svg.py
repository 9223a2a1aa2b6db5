"""The plots of an audit as SVG: intervals of margin and win, and confidence curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pct.auditing.plan import CONTROL
from pct.explaining.reduction import ERASER_SHARES
from pct.output.audit_table import in_words
from pct.output.html import ASSETS, fill
from pct.output.numbers import number, percent, spell

if TYPE_CHECKING:
    from pct.auditing.result import Audit

# sizes of the interval plot, in units of its view box
WIDTH, NAMES, VALUES, GAP, ROW, TOP, AXIS = 960, 196, 56, 24, 26, 30, 40
MARGIN_PANEL, WIN_PANEL = 372, 256
# sizes of the plot of curves
PANEL, HEIGHT, LEFT, LINES = 380, 190, 40, 26

SHARES = (0, *(round(100 * share) for share in ERASER_SHARES))  # percent of the words removed; see `Audit.curves`

Scale = Callable[[float], float]


def standing(audit: Audit, saliency: str, removal: str) -> str:
    """The standing of a saliency: best, tie, better (than a random order), control, or none of these."""
    judgement = audit.judgement
    if saliency == CONTROL:
        return "control"
    if saliency == judgement.best:
        return "best"
    if saliency in judgement.ties and removal == judgement.removal:
        return "tie"
    return "better" if saliency in judgement.beats.get(removal, ()) else "none"


class Panel(NamedTuple):
    """A panel of the interval plot: its head, its left and right end, its ticks, its scale and the value of chance."""

    head: str
    left: float
    end: float
    ticks: Sequence[float]
    scale: Scale
    chance: float


def intervals_svg(audit: Audit, removal: str) -> str:
    """Margin and win of each saliency under a removal, the largest margin on top, with their 95 % intervals."""
    rows = audit.ranked(removal)
    # one scale for all removals, so that their plots can be compared
    ends = [end for row in audit.rows for end in row.metrics["margin"] if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.02, *ends])
    pad, end = 0.02 * (high - low), NAMES + MARGIN_PANEL
    head = f"margin over random orders ({audit.quantity})"
    scale = _scale(low - pad, high + pad, NAMES, end)
    margins = Panel(head, NAMES, end + VALUES, axis_ticks(low, high), scale, 0.0)
    second = end + VALUES + GAP
    scale, ticks = _scale(0.0, 1.0, second, second + WIN_PANEL), (0.0, 0.25, 0.5, 0.75, 1.0)
    wins = Panel("win against a random order", second, WIDTH, ticks, scale, 0.5)
    return fill(
        ASSETS / "audit_intervals.svg", rows=rows, margins=margins, wins=wins, width=WIDTH, top=TOP, row_height=ROW,
        axis_height=AXIS, bottom=TOP + ROW * len(rows) + 4, unknown=(math.nan,) * 3,
        label=f"margin and win of {len(rows)} saliencies with {in_words(removal)}",
        detail=f"The largest margin is that of {rows[0].saliency}: {spell(rows[0].metrics['margin'])}.",
        standing=lambda row: standing(audit, row.saliency, row.removal), missing=lambda x: any(map(math.isnan, x)),
        short=short, spell=spell, percent=percent, number=number,
    )  # fmt: skip


def short(name: str, longest: int = 24) -> str:
    """A name, truncated to fit beside a plot."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _scale(low: float, high: float, left: float, right: float) -> Scale:
    return lambda value: left + (value - low) / (high - low) * (right - left)


def axis_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """At most `most` round numbers from `low` to `high`, with 0 where it lies between."""
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10, 20) if (high - low) / (size * factor) <= most - 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) + 0.0 for i in range(first, last + 1)]


def compared(audit: Audit) -> tuple[str, list[str]]:
    """The removal whose curves are shown, and the best and worst saliencies by margin. Empty without curves."""
    for removal in audit.removals:
        names = [
            row.saliency for row in audit.ranked(removal)
            if row.saliency != CONTROL and f"{row.saliency}, {removal}" in audit.curves
        ]  # fmt: skip
        if names:
            best = audit.best if audit.best in names else names[0]
            return removal, list(dict.fromkeys([best, names[-1]]))
    return "", []


def curves_svg(audit: Audit, saliency: str, removal: str, role: str) -> str:
    """The mean confidence as words are removed in a saliency's order, and in a random order on the same texts.

    Args:
        audit: the audit.
        saliency: one whose curves were measured.
        removal: the removal.
        role: the prefix of its name in the title: best, worst.
    """
    right, bottom = PANEL - 12, LINES + HEIGHT
    shown = [side for name in (CONTROL, saliency) for side in audit.curves.get(f"{name}, {removal}", [])]
    low, high = 0.0, 1.0
    if audit.quantity == "number":
        values = [value for side in shown for value in side if math.isfinite(value)]
        low, high = min(values, default=0.0), max(values, default=1.0)
        high = high if high > low else low + 1.0
    across, height = _scale(0, len(SHARES) - 1, LEFT, right), _scale(low, high, 0.0, HEIGHT)

    def point(step: int, value: float) -> str:
        return f"{across(step):.1f},{bottom - min(max(height(value), 0.0), HEIGHT):.1f}"

    lines = [
        (f"{kind} {order}", [point(step, value) for step, value in enumerate(side) if math.isfinite(value)])
        for name, kind in ((CONTROL, "control"), (saliency, "own"))
        for side, order in zip(audit.curves.get(f"{name}, {removal}", []), ("first", "last"), strict=False)
    ]
    label = f"mean {audit.quantity} as words are removed by {removal} in the order of {saliency}, beside a random order"
    return fill(
        ASSETS / "audit_curves.svg", label=label, head=f"{role}: {short(saliency, 40)}", width=PANEL, left=LEFT,
        right=right, height=HEIGHT, bottom=bottom, across=across, value_at=_scale(0.0, 1.0, low, high), shares=SHARES,
        lines=lines,
    )  # fmt: skip
