"""The report's figures: what a point of accuracy buys, and the gaps of each method side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pct.output.plots import FAINT, INK, bare, new_figure, put_titles
from pct.output.report.claims import COMPARED, effects
from pct.output.report.groups import GAPS, Group, by_model, labels
from pct.output.report.tables import spaced

COLOURS = {
    "normal": "#22262b", "entropy": "#9aa3ad", "pct": "#c8553d", "masked": "#2f6690", "saliency_guided": "#5b8c5a",
    "rationale": "#8e6c8a",
}  # fmt: skip
OTHER = "#b08900"


def frontier_figure(groups: Sequence[Group], metric: str, title: str) -> Any | None:
    """Accuracy against a gap: a panel a corpus and model, a point a group, bars a standard deviation over seeds.

    None where nothing has the metric.
    """
    shown = [g for g in groups if np.isfinite(g.spread(metric)[0])]
    places = list(dict.fromkeys((g.settings.corpus, g.settings.model_name) for g in shown))
    if not places:
        return None
    most = Counter((g.settings.corpus, g.settings.model_name) for g in shown).most_common(1)[0][1]
    figure = new_figure(5.2 * len(places), 4.8 + 0.18 * most)
    named = labels(groups)
    for ax, place in zip(figure.subplots(1, len(places), squeeze=False)[0], places, strict=True):
        here = [g for g in shown if (g.settings.corpus, g.settings.model_name) == place]
        for number, group in enumerate(here, 1):
            (accuracy, across), (gap, up) = group.spread("acc"), group.spread(metric)
            colour = COLOURS.get(group.settings.method, OTHER)
            ax.errorbar(accuracy, gap, np.nan_to_num(up), np.nan_to_num(across), fmt="o", color=colour, capsize=3)
            _number(ax, number, accuracy, gap, colour)
        _key(ax, [(named[id(g)], COLOURS.get(g.settings.method, OTHER)) for g in here])
        ax.margins(0.2)
        ax.set_title(" ".join(place), fontsize=11, color=INK)
        ax.set_xlabel("accuracy")
        ax.set_ylabel(spaced(metric))
        ax.grid(color="#e6e9ec")
        ax.set_axisbelow(True)
        bare(ax)
    put_titles(figure, title, "test split; up and right is better; bars: standard deviation over seeds")
    return figure


def _number(ax: Any, number: int, x: float, y: float, colour: str) -> None:
    """Beside a point, in place of a name that would lie on others."""
    ax.annotate(str(number), (x, y), textcoords="offset points", xytext=(6, 5), fontsize=9, color=colour)


def _key(ax: Any, names: Sequence[tuple[str, str]]) -> None:
    """Beneath a panel: which number is which, each in its colour."""
    lines = [ax.plot([], [], " ")[0] for _ in names]
    said = [f"{number}  {name}" for number, (name, _) in enumerate(names, 1)]
    key = ax.legend(lines, said, loc="upper left", bbox_to_anchor=(-0.05, -0.14), frameon=False, fontsize=8.5,
                    handlelength=0, handletextpad=0, labelspacing=0.3)  # fmt: skip
    for text, (_, colour) in zip(key.get_texts(), names, strict=True):
        text.set_color(colour)


def effects_figure(groups: Sequence[Group]) -> Any | None:
    """What each method changes against normal training, a panel a metric, with 95 % intervals over texts and seeds.

    None where there is nothing to compare.
    """
    named = labels(groups)
    cells = [(group, found) for group, _, found in effects(groups)]
    shown = [metric for metric in COMPARED if any(found[metric] is not None for _, found in cells)]
    if not shown:
        return None
    figure = new_figure(2.5 * len(shown) + 1.8, 0.34 * len(cells) + 1.9)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, metric in zip(axes, shown, strict=True):
        for y, (group, found) in enumerate(cells):
            interval = found[metric]
            if interval is None:
                continue
            mean, low, high = interval
            colour = COLOURS.get(group.settings.method, OTHER) if interval.excludes_zero else FAINT
            ax.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
            ax.plot([mean], [y], marker="o", markersize=6, color=colour)
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.set_title(spaced(metric), fontsize=10.5, color=INK)
        ax.grid(axis="x", color="#e6e9ec")
        ax.set_axisbelow(True)
        ax.tick_params(axis="x", labelsize=8)
        ax.margins(0.08, 0.5 / max(len(cells), 1))
        bare(ax)
    axes[0].set_yticks(
        range(len(cells)), [f"{g.settings.corpus} {g.settings.model_name}   {named[id(g)]}" for g, _ in cells]
    )
    axes[0].invert_yaxis()
    put_titles(
        figure, "What a method changes, against normal training",
        "right is better; 95 % intervals over texts and seeds; grey: zero is inside",
    )  # fmt: skip
    return figure


def cost_figure(groups: Sequence[Group]) -> Any | None:
    """What each method adds to comp - suff against the time of its step: a panel a corpus and model, 95 % intervals.

    None where there is nothing to compare.
    """
    cells = [
        (group, group.step_seconds / normal.step_seconds, interval)
        for group, normal, found in effects(groups)
        if (interval := found["comp-suff"]) is not None and np.isfinite(group.step_seconds / normal.step_seconds)
    ]
    places = list(dict.fromkeys((g.settings.corpus, g.settings.model_name) for g, _, _ in cells))
    if not places:
        return None
    most = Counter((g.settings.corpus, g.settings.model_name) for g, _, _ in cells).most_common(1)[0][1]
    figure = new_figure(5.2 * len(places), 4.8 + 0.18 * most)
    named = labels(groups)
    for ax, place in zip(figure.subplots(1, len(places), squeeze=False)[0], places, strict=True):
        here = [cell for cell in cells if (cell[0].settings.corpus, cell[0].settings.model_name) == place]
        for number, (group, time, interval) in enumerate(here, 1):
            colour = COLOURS.get(group.settings.method, OTHER)
            ax.plot([time, time], [interval.low, interval.high], color=colour, linewidth=1.6)
            ax.plot([time], [interval.value], marker="o", color=colour)
            _number(ax, number, time, interval.value, colour)
        _key(ax, [(named[id(g)], COLOURS.get(g.settings.method, OTHER)) for g, _, _ in here])
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.margins(0.2)
        ax.set_title(" ".join(place), fontsize=11, color=INK)
        ax.set_xlabel("time of a step, of normal training's")
        ax.set_ylabel("comp − suff, less normal training's")
        ax.grid(color="#e6e9ec")
        ax.set_axisbelow(True)
        bare(ax)
    put_titles(
        figure,
        "What the effect costs in time",
        "test split; up and left is better; 95 % intervals over texts and seeds",
    )
    return figure


def gaps_figure(groups: Sequence[Group]) -> Any | None:
    """The three gaps of each method, a row of panels a corpus and model; None without groups."""
    cells = by_model(groups)
    if not cells:
        return None
    figure = new_figure(10.5, 2.6 * len(cells) + 0.9)
    axes = figure.subplots(len(cells), len(GAPS), squeeze=False)
    for row, (place, methods) in zip(axes, cells.items(), strict=True):
        for ax, gap in zip(row, GAPS, strict=True):
            spreads = [group.spread(gap) for group in methods.values()]
            ax.barh(
                range(len(methods)), [m for m, _ in spreads], xerr=[np.nan_to_num(d) for _, d in spreads], capsize=3,
                color=[COLOURS.get(name, OTHER) for name in methods], height=0.7,
            )  # fmt: skip
            ax.set_yticks(range(len(methods)), list(methods) if gap == next(iter(GAPS)) else [""] * len(methods))
            ax.axvline(0, color=INK, linewidth=0.8)
            ax.set_title(f"{' '.join(place)}: {spaced(gap)}", fontsize=10, color=INK)
            ax.invert_yaxis()
            bare(ax)
    put_titles(figure, "The gaps of the explanations", "test split, mean over seeds; larger is healthier")
    return figure
