"""The report's figures: accuracy against gaps, the cost of each method, and the gaps of each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.metrics.names import GAPS
from pct.output.plots import FAINT, INK, bare, new_figure, put_titles
from pct.output.report.claims import COMPARED, Effect
from pct.output.report.groups import GAP, Group, by_model
from pct.output.report.tables import spaced

COLOURS = {
    "normal": "#22262b", "entropy": "#9aa3ad", "pct": "#c8553d", "masked": "#2f6690", "saliency_guided": "#5b8c5a",
    "rationale": "#8e6c8a", "removal_margin": "#00798c", "unirex": "#d1a33c", "vmask": "#5f7a8c",
}  # fmt: skip
OTHER = "#b08900"


class Point(NamedTuple):
    """A group as a point. across, up: its error bars, as matplotlib's errorbar takes them; None for none."""

    group: Group
    x: float
    y: float
    across: float | None
    up: float | tuple[tuple[float], tuple[float]]


def frontier_figure(groups: Sequence[Group], metric: str, title: str) -> Any | None:
    """Accuracy against a gap: one panel per corpus and model, one point per group, with standard deviations over seeds.

    None where no group has the metric.
    """
    points = []
    for group in (g for g in groups if np.isfinite(g.spread(metric)[0])):
        (accuracy, across), (gap, up) = group.spread("acc"), group.spread(metric)
        points.append(Point(group, accuracy, gap, float(np.nan_to_num(across)), float(np.nan_to_num(up))))
    note = "test split; up and right is better; bars: standard deviation over seeds"
    return _panels(points, ("accuracy", spaced(metric)), title, note)


def cost_figure(effects: Sequence[Effect]) -> Any | None:
    """The effect of each method on comp - suff against the time of its step, one panel per corpus and model.

    None where there is nothing to compare.
    """
    points = []
    for effect in effects:
        gain = effect.changes[GAP]
        if gain is not None and np.isfinite(effect.step):
            bars = (gain.value - gain.low,), (gain.high - gain.value,)
            points.append(Point(effect.group, effect.step, gain.value, None, bars))
    axes = "time of a step relative to normal training", "comp − suff, less normal training's"
    note = "test split; up and left is better; 95 % intervals over texts and seeds"
    figure = _panels(points, axes, "The cost of the effect in time", note)
    for ax in figure.axes if figure else ():
        ax.axhline(0, color=INK, linewidth=0.8)
    return figure


def _panels(points: Sequence[Point], axes: tuple[str, str], head: str, note: str) -> Any | None:
    """One panel per corpus and model with its points, numbered, and their names below; None without points."""
    by_panel: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        by_panel.setdefault(point.group.corpus_model, []).append(point)
    if not by_panel:
        return None
    figure = new_figure(5.2 * len(by_panel), 4.8 + 0.2 * max(map(len, by_panel.values())))
    panels = figure.subplots(1, len(by_panel), squeeze=False)[0]
    for ax, (corpus_model, shown) in zip(panels, by_panel.items(), strict=True):
        colours = [COLOURS.get(p.group.settings.method, OTHER) for p in shown]
        for number, (point, colour) in enumerate(zip(shown, colours, strict=True), 1):
            ax.errorbar(point.x, point.y, point.up, point.across, fmt="o", color=colour, capsize=3)
            # a number, since names would overlap
            ax.annotate(
                str(number), (point.x, point.y), textcoords="offset points", xytext=(6, 5), fontsize=9, color=colour
            )
        _key(ax, [(p.group.label, colour) for p, colour in zip(shown, colours, strict=True)])
        ax.margins(0.2)
        ax.set_title(" ".join(corpus_model), fontsize=11, color=INK)
        ax.set_xlabel(axes[0])
        ax.set_ylabel(axes[1])
        bare(ax, grid="both")
    put_titles(figure, head, note)
    return figure


def _key(ax: Any, names: Sequence[tuple[str, str]]) -> None:
    """Writes the key of the numbers below a panel, each in its colour."""
    lines = [ax.plot([], [], " ")[0] for _ in names]
    entries = [f"{number}  {name}" for number, (name, _) in enumerate(names, 1)]
    key = ax.legend(lines, entries, loc="upper left", bbox_to_anchor=(-0.05, -0.14), frameon=False, fontsize=8.5,
                    handlelength=0, handletextpad=0, labelspacing=0.3)  # fmt: skip
    for text, (_, colour) in zip(key.get_texts(), names, strict=True):
        text.set_color(colour)


def effects_figure(effects: Sequence[Effect]) -> Any | None:
    """The effect of each method, one panel per metric, with 95 % intervals over texts and seeds.

    None where there is nothing to compare.
    """
    cells = [(effect.group, effect.changes) for effect in effects]
    shown = [metric for metric in COMPARED if any(changes[metric] is not None for _, changes in cells)]
    if not shown:
        return None
    figure = new_figure(2.5 * len(shown) + 1.8, 0.34 * len(cells) + 1.9)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, shown, strict=True):
        for y, (group, changes) in enumerate(cells):
            interval = changes[metric]
            if interval is None:
                continue
            mean, low, high = interval
            colour = COLOURS.get(group.settings.method, OTHER) if interval.excludes_zero else FAINT
            ax.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
            ax.plot([mean], [y], marker="o", markersize=6, color=colour)
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.set_title(spaced(metric), fontsize=10.5, color=INK)
        ax.tick_params(axis="x", labelsize=8)
        ax.margins(0.08, 0.5 / max(len(cells), 1))
        bare(ax, grid="x")
    axes[0].set_yticks(
        range(len(cells)), [f"{g.settings.corpus} {g.settings.model_name}   {g.label}" for g, _ in cells]
    )
    axes[0].invert_yaxis()
    put_titles(
        figure, "The effect of each method against normal training",
        "right is better; 95 % intervals over texts and seeds; grey: zero is inside",
    )  # fmt: skip
    return figure


def gaps_figure(groups: Sequence[Group]) -> Any | None:
    """The three gaps of each method, one row of panels per corpus and model; None without groups."""
    cells = by_model(groups)
    if not cells:
        return None
    figure = new_figure(10.5, 2.6 * len(cells) + 0.9)
    axes = figure.subplots(len(cells), len(GAPS), squeeze=False)
    for row, (corpus_model, methods) in zip(axes, cells.items(), strict=True):
        for ax, gap in zip(row, GAPS, strict=True):
            spreads = [group.spread(gap) for group in methods.values()]
            ax.barh(
                range(len(methods)), [m for m, _ in spreads], xerr=[np.nan_to_num(d) for _, d in spreads], capsize=3,
                color=[COLOURS.get(name, OTHER) for name in methods], height=0.7,
            )  # fmt: skip
            ax.set_yticks(range(len(methods)), list(methods) if gap == next(iter(GAPS)) else [""] * len(methods))
            ax.axvline(0, color=INK, linewidth=0.8)
            ax.set_title(f"{' '.join(corpus_model)}: {spaced(gap)}", fontsize=10, color=INK)
            ax.invert_yaxis()
            bare(ax)
    put_titles(figure, "The gaps of the explanations", "test split, mean over seeds; larger is healthier")
    return figure
