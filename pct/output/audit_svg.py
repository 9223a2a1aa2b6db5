"""The plots of an audit as SVG: intervals of margin and win, and confidence curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from pct.auditing.plan import CONTROL
from pct.output.audit_table import in_words
from pct.output.numbers import MISSING, number, percent, spell

if TYPE_CHECKING:
    from pct.auditing.result import Audit, AuditRow

# sizes of the interval plot, in units of its view box
WIDTH, NAMES, VALUES, GAP, ROW, TOP, AXIS = 960, 196, 56, 24, 26, 30, 40
MARGIN_PANEL, WIN_PANEL = 372, 256
# sizes of the plot of curves
PANEL, HEIGHT, LEFT, LINES = 380, 190, 40, 26

SHARES = (0, 1, 5, 10, 20, 50)  # percent of the words removed; see `Audit.curves`

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


def intervals_svg(audit: Audit, removal: str) -> str:
    """Margin and win of each saliency under a removal, the largest margin on top, with their 95 % intervals."""
    rows = audit.ranked(removal)
    # one scale for all removals, so that their plots can be compared
    ends = [end for row in audit.rows for end in row.metrics["margin"] if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.02, *ends])
    ticks, pad = axis_ticks(low, high), 0.02 * (high - low)
    height = TOP + ROW * len(rows) + AXIS
    margin = _scale(low - pad, high + pad, NAMES, NAMES + MARGIN_PANEL)
    second = NAMES + MARGIN_PANEL + VALUES + GAP
    win = _scale(0.0, 1.0, second, second + WIN_PANEL)
    parts = [
        _axis(f"margin over random orders ({audit.quantity})", NAMES, ticks, margin, 0.0, height),
        _axis("win against a random order", second, (0.0, 0.25, 0.5, 0.75, 1.0), win, 0.5, height),
    ]
    parts += [_row(audit, row, TOP + ROW * (i + 0.5), margin, win) for i, row in enumerate(rows)]
    label = f"margin and win of {len(rows)} saliencies with {in_words(removal)}"
    detail = f"The largest margin is that of {rows[0].saliency}: {spell(rows[0].metrics['margin'])}."
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title><desc>{escape(detail)}</desc>{''.join(parts)}</svg>"
    )


def _row(audit: Audit, row: AuditRow, y: float, margin: Scale, win: Scale) -> str:
    kind = standing(audit, row.saliency, row.removal)
    note = {"control": "control", "tie": "tie"}.get(kind, "")
    tag = f' <tspan class="note">{note}</tspan>' if note else ""
    band = f'<rect class="band" x="0" y="{y - ROW / 2:.1f}" width="{WIDTH}" height="{ROW}" rx="4"/>'
    shown = row.metrics["margin"]
    cell = row.metrics.get("win", (math.nan, math.nan, math.nan))
    share = MISSING if math.isnan(cell[0]) else f"{100 * cell[0]:.0f} %"
    title = f"{row.saliency}, {row.removal}: margin {spell(shown)}, win {percent(cell)}"
    middle = f"{y + 4:.1f}"
    return (
        f'<g class="{kind}"><title>{escape(title)}</title>{band if kind == "best" else ""}'
        f'<text class="name" x="{NAMES - 14}" y="{middle}" text-anchor="end">{escape(short(row.saliency))}{tag}</text>'
        f"{_bar(shown, y, margin, kind)}{_bar(cell, y, win, kind)}"
        f'<text class="value" x="{NAMES + MARGIN_PANEL + VALUES}" y="{middle}" text-anchor="end">'
        f"{number(shown[0])}</text>"
        f'<text class="value" x="{WIDTH - 6}" y="{middle}" text-anchor="end">{share}</text></g>'
    )


def short(name: str, longest: int = 24) -> str:
    """A name, truncated to fit beside a plot."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _bar(interval: Sequence[float], y: float, scale: Scale, kind: str) -> str:
    """An interval as a line and its mean as a mark: a diamond for the best saliency, a square for the control."""
    if any(map(math.isnan, interval)):
        return ""
    at, low, high = map(scale, interval)
    line = f'<path class="line" d="M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 4:.1f}v8M{high:.1f} {y - 4:.1f}v8"/>'
    if kind == "best":
        mark = f'<path class="mark" d="M{at - 6.5:.1f} {y:.1f}l6.5-6.5 6.5 6.5-6.5 6.5z"/>'
    elif kind == "control":
        mark = f'<rect class="mark" x="{at - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    else:
        mark = f'<circle class="mark" cx="{at:.1f}" cy="{y:.1f}" r="4.5"/>'
    return line + mark


def _axis(head: str, left: float, ticks: Sequence[float], scale: Scale, zero: float, height: float) -> str:
    bottom = height - AXIS + 4
    parts = [f'<text class="head" x="{left}" y="16">{escape(head)}</text>']
    for tick in ticks:
        x, special = scale(tick), abs(tick - zero) < 1e-9
        parts.append(f'<path class="{"zero" if special else "grid"}" d="M{x:.1f} {TOP - 4}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{tick:g}</text>')
        if special:
            parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 30}" text-anchor="middle">chance</text>')
    return "".join(parts)


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
    inner = (PANEL - LEFT - 12) / (len(SHARES) - 1)
    bottom = LINES + HEIGHT

    shown = [side for name in (CONTROL, saliency) for side in audit.curves.get(f"{name}, {removal}", [])]
    low, high = 0.0, 1.0
    if audit.quantity == "number":
        values = [value for side in shown for value in side if math.isfinite(value)]
        low, high = min(values, default=0.0), max(values, default=1.0)
        high = high if high > low else low + 1.0

    def point(step: int, value: float) -> str:
        return f"{LEFT + step * inner:.1f},{bottom - HEIGHT * min(max((value - low) / (high - low), 0.0), 1.0):.1f}"

    parts = [f'<text class="head" x="0" y="14">{escape(role)}: {escape(short(saliency, 40))}</text>']
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - HEIGHT * at
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{PANEL - 12}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{low + at * (high - low):.3g}</text>'
        )
    for step, share in enumerate(SHARES):
        x = f"{LEFT + step * inner:.1f}"
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 16}" text-anchor="middle">{share} %</text>')
    parts.append(
        f'<text class="tick" x="{(LEFT + PANEL - 12) / 2:.0f}" y="{bottom + 33}" text-anchor="middle">'
        "words removed</text>"
    )
    for name, kind in ((CONTROL, "control"), (saliency, "own")):
        for side, order in zip(audit.curves.get(f"{name}, {removal}", []), ("first", "last"), strict=False):
            points = [point(step, value) for step, value in enumerate(side) if math.isfinite(value)]
            parts.append(f'<polyline class="{kind} {order}" points="{" ".join(points)}"/>')
    label = f"mean {audit.quantity} as words are removed by {removal} in the order of {saliency}, beside a random order"
    return (
        f'<svg class="curves" viewBox="0 0 {PANEL} {bottom + 40}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
