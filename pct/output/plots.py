"""Figures of explanations and of the confidence as words are removed, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pct.explaining.explanation import Explanation
from pct.explaining.verdict import TOLERANCE
from pct.output.fonts import fonts_for
from pct.output.numbers import number
from pct.output.shades import word_shades
from pct.text.plurals import plural
from pct.text.tokens import Doubles
from pct.writing import atomic_write

STEPS = 15
SIDES = ("important words removed, most salient first", "unimportant words removed, least salient first")
IMPORTANT, UNIMPORTANT, INK, FAINT = "#c8553d", "#2f6690", "#22262b", "#9aa3ad"
FOR, AGAINST = IMPORTANT, UNIMPORTANT  # words for the class and against it
BANDWIDTH = 0.03
LONGEST_WORD = 28


def density(values: Doubles, grid: Doubles, bandwidth: float = BANDWIDTH) -> Doubles:
    """A Gaussian kernel density on [0, 1], reflected at both ends so that it integrates to one."""
    mirrored = np.concatenate([values, -values, 2 - values])
    kernels = np.exp(-0.5 * ((grid[:, None] - mirrored) / bandwidth) ** 2)
    return kernels.sum(1) / (len(values) * bandwidth * np.sqrt(2 * np.pi))


def ridge_figure(important: Doubles, unimportant: Doubles, title: str) -> Any:
    """Figure 2 of the paper: the density of the confidence after each number of removed words, for both sides."""
    figure = new_figure(11, 7.2)
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    _draw_ridges(axes, [important, unimportant])
    for ax, side in zip(axes, SIDES, strict=True):
        ax.set_title(side, fontsize=11, color=INK, pad=10)
        ax.set_xlabel("confidence in the class predicted on the whole text")
    axes[0].set_ylabel("words removed")
    texts = int((~np.isnan(important[:, 0])).sum())
    put_titles(
        figure, "Confidence as words are removed", f"{title}; {plural(texts, 'test text')}; a dot marks the mean"
    )
    return figure


def epochs_figure(curves: Mapping[int, tuple[Doubles, Doubles]], title: str) -> Any:
    """Figures 13 to 18 of the paper: the ridges of both sides after some epochs of training, one column per epoch.

    Args:
        curves: epoch -> the confidences that `ridge_figure` takes.
        title: what was measured.
    """
    figure = new_figure(3.4 * len(curves), 10.5)
    axes = figure.subplots(2, len(curves), sharex=True, sharey=True, squeeze=False)
    _draw_ridges([*axes[0], *axes[1]], [curves[e][side] for side in (0, 1) for e in curves])
    for ax, epoch in zip(axes[0], curves, strict=True):
        ax.set_title(f"epoch {epoch}", fontsize=11, color=INK, pad=10)
    for row, side in zip(axes, SIDES, strict=True):
        row[0].set_ylabel(side)
    for ax in axes[1]:
        ax.set_xlabel("confidence")
    put_titles(figure, "Confidence as words are removed, by epoch", f"{title}; a dot marks the mean")
    return figure


def _draw_ridges(axes: Sequence[Any], sides: Sequence[Doubles]) -> None:
    """A panel of ridges for each (texts, steps + 1) array of confidences, all on one scale."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    grid = np.linspace(0, 1, 401)
    shades, norm = colormaps["viridis"], Normalize(0, STEPS)
    heights = {
        (side, t): density(measured, grid)
        for side, values in enumerate(sides)
        for t in range(values.shape[1])
        if len(measured := values[:, t][~np.isnan(values[:, t])]) > 1
    }
    tallest = max((h.max() for h in heights.values()), default=1.0)
    for side, (ax, values) in enumerate(zip(axes, sides, strict=True)):
        rows = range(values.shape[1])
        for t in rows:
            if (side, t) not in heights:
                continue
            # the square root keeps low ridges visible beside the peak at 1
            ridge = 2.6 * np.sqrt(heights[side, t] / tallest)
            # the ridge of 0 removals is at the top, each later one in front of it
            base, depth = float(STEPS - t), 2 + 3 * t
            ax.fill_between(grid, base, base + ridge, color=shades(norm(t)), alpha=0.88, zorder=depth, linewidth=0)
            ax.plot(grid, base + ridge, color="white", linewidth=1.1, zorder=depth + 1)
            mean = float(np.nanmean(values[:, t]))
            ax.plot([mean], [base], marker="o", markersize=4.2, color=INK, markeredgecolor="white",
                    markeredgewidth=0.8, zorder=100)  # fmt: skip
        ax.set_xlim(0, 1)
        ax.set_ylim(-0.25, STEPS + 2.9)
        ax.set_yticks([STEPS - t for t in rows], [str(t) for t in rows])
        ax.tick_params(axis="y", length=0)
        bare(ax, "left", grid="x")


def explanation_figure(one: Explanation) -> Any:
    """The saliency of each word, for the class and against it, and both reduction curves."""
    figure = new_figure(11, max(3.2, 1.4 + 0.24 * len(one.words)))
    bars, curves = figure.subplots(1, 2, width_ratios=(1, 1.2))
    with fonts_for([*one.words, one.label_name, *one.verdict.reasons]) as fit:
        reason, one = fit(one.verdict.reasons[0]), fitted(one, fit)
        draw_bars(bars, one)
        draw_curves(curves, one, last=True, first=True)
        curves.set_xlim(-0.3, max(len(one.important.confidences) - 1, 1) + 0.3)
        put_titles(figure, f"{one.label_name} ({one.confidence:.2f}), {one.verdict.kind}", reason)
    return figure


def gap_figure(gap: Doubles, title: str, tolerance: float = TOLERANCE) -> Any:
    """The histogram of comp - suff over the texts; below zero the least salient words matter more than the most.

    tolerance: smaller differences are not counted; 0 for numbers, which have no scale.
    """
    values = gap[~np.isnan(gap)]
    figure = new_figure(8, 4.6)
    ax = figure.subplots()
    reach = max(float(np.abs(values).max(initial=0.0)), 0.01)
    low = min(float(values.min(initial=0.0)), -0.05 * reach)
    high = max(float(values.max(initial=0.0)), 0.05 * reach)
    width = (high - low) / 48
    # an edge at zero, so that no bar covers both sides
    edges = np.concatenate([np.arange(0, low - width, -width)[::-1], np.arange(width, high + width, width)])
    counts, _, bars = ax.hist(values, edges, color=UNIMPORTANT, edgecolor="white", linewidth=0.4)
    for left, bar in zip(edges, bars, strict=False):
        if left < -width / 2:
            bar.set_facecolor(IMPORTANT)
    ax.axvline(0, color=INK, linewidth=1)
    mean = float(values.mean()) if len(values) else float("nan")
    ax.axvline(mean, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    top = float(counts.max(initial=1.0)) * 1.18
    ax.set_ylim(0, top)
    side = "left" if mean < (low + high) / 2 else "right"
    ax.annotate(f"mean {number(mean)}", (mean, top * 0.97), textcoords="offset points",
                xytext=(6 if side == "left" else -6, 0), ha=side, va="top", color=INK)  # fmt: skip
    ax.set_xlabel("comp − suff of a text")
    ax.set_ylabel("texts")
    bare(ax, grid="y")
    below = float((values < -tolerance).mean()) if len(values) else 0.0
    put_titles(
        figure,
        f"comp < suff{f', by more than {tolerance},' if tolerance else ''} on {below:.0%} of the texts",
        f"{title}; {plural(len(values), 'test text')}; red: the least salient words matter more than the most salient",
    )
    return figure


def example_figure(seen: list[Explanation], gold: list[str], gaps: list[float], title: str) -> Any:
    """Texts with their words shaded by saliency, each beside its two reduction curves."""
    texts = [text for one in seen for text in (*one.words, one.label_name)]
    with fonts_for([*texts, *gold, title]) as fit:
        seen, gold, title = [fitted(one, fit) for one in seen], [*map(fit, gold)], fit(title)
        names = ("healthiest", "median", "most pathological")
        figure = new_figure(11, 1.7 + 2.35 * len(seen), constrained=False)
        top = 1 - 1.2 / figure.get_figheight()
        grid = figure.add_gridspec(
            len(seen), 2, left=0.04, right=0.98, top=top, bottom=0.55 / figure.get_figheight(), width_ratios=(1.25, 1),
            hspace=0.36, wspace=0.13,
        )  # fmt: skip
        for row, (one, label, gap) in enumerate(zip(seen, gold, gaps, strict=True)):
            ax = figure.add_subplot(grid[row, 0])
            ax.axis("off")
            name = names[row] if len(seen) == len(names) else f"text {row + 1}"
            value = "none (one word)" if np.isnan(gap) else number(gap).replace("-", "−")
            head = f"{name}: comp − suff {value}"
            ax.set_title(head, loc="left", fontsize=11, fontweight="bold", color=INK)
            wrong = f"it is {label}" if one.number else f"wrong, it is {label}"
            right = "right" if one.outcome == label else wrong
            below = f"predicted {one.outcome} ({one.certainty:.2f}), {right}"
            _words(figure, ax, one, below)
            draw_curves(figure.add_subplot(grid[row, 1]), one, row == len(seen) - 1, row == 0)
        put_titles(figure, "Example texts, shaded by saliency, and what removing their words does", title)
        return figure


def fitted(one: Explanation, fit: Callable[[str], str]) -> Explanation:
    """An explanation without characters that cannot be drawn."""
    second = None if one.text_pair is None else fit(one.text_pair)
    words = [*map(fit, one.words)]
    return replace(one, words=words, label_name=fit(one.label_name), text=fit(one.text), text_pair=second)


def _words(figure: Any, ax: Any, one: Explanation, below: str) -> None:
    """Lays the words out in lines, each on a background as dark as its saliency."""
    from matplotlib.colors import to_rgba

    renderer = figure.canvas.get_renderer()
    box = ax.get_window_extent(renderer)
    ax.set_xlim(0, box.width)
    ax.set_ylim(box.height, 0)
    shades = word_shades(one.saliency, one.signed)
    size = 11.5 if len(one.words) <= 40 else 9
    line, gap = size * figure.dpi / 72 * 1.9, size * figure.dpi / 72 * 0.55
    x, y = 4.0, line * 0.7
    first = [side.words.start or 0 for side in one.sides] if one.text_pair is not None else []
    for place, (word, shade) in enumerate(zip(one.words, shades, strict=True)):
        for side in (side for side, at in zip(one.sides, first, strict=False) if at == place):
            x, y = 4.0, y + (line if place else 0)
            name = ax.text(x, y, side.key, fontsize=size * 0.8, color="#5b6570", va="center", parse_math=False)
            x += name.get_window_extent(renderer).width + gap
        shown = word if len(word) <= LONGEST_WORD else word[: LONGEST_WORD - 1] + "…"
        background = {
            "boxstyle": "round,pad=0.18",
            "facecolor": to_rgba(FOR if shade > 0 else AGAINST, 0.75 * abs(shade)),
            "linewidth": 0,
        }
        # parse_math would interpret dollar signs
        text = ax.text(x, y, shown, fontsize=size, color=INK, va="center", bbox=background, parse_math=False)
        width = text.get_window_extent(renderer).width
        if x > 4 and x + width > box.width - 4:
            x, y = 4.0, y + line
            text.set_position((x, y))
        x += width + gap
    below = "; ".join([below, *one.notes])
    ax.text(0, y + line * 1.15, below, fontsize=9.5, color="#5b6570", va="center", parse_math=False)


def draw_bars(ax: Any, one: Explanation, size: float | None = None) -> None:
    """The saliency of each word, for the class and against it. size: of the words; None takes matplotlib's default."""
    from matplotlib import rcParams

    values, rows = np.asarray(one.saliency, np.float64), np.arange(len(one.words))
    ax.barh(rows, values, color=[AGAINST if one.signed and v < 0 else FOR for v in values])
    names = [w if known else f"{w} (unknown)" for w, known in zip(one.words, one.known, strict=True)]
    if one.text_pair is not None:
        for side in one.sides:
            names[side.words] = [f"{side.key}: {name}" for name in names[side.words]]
    # ticks are created again when the figure is drawn, with the default font of that time
    ax.set_yticks(rows, names, fontsize=size, parse_math=False, fontfamily=rcParams["font.family"])
    ax.invert_yaxis()
    ax.axvline(0, color=FAINT, linewidth=0.8)
    ax.set_xlabel("saliency")
    bare(ax)


def draw_curves(ax: Any, one: Explanation, last: bool, first: bool) -> None:
    """The confidence after each removal; a cross where the prediction first changes."""
    sides = ((one.important, IMPORTANT, "important removed"), (one.unimportant, UNIMPORTANT, "unimportant removed"))
    for curve, colour, name in sides:
        steps = range(len(curve.confidences))
        ax.plot(steps, curve.confidences, color=colour, linewidth=1.8, marker="o", markersize=3.2, label=name)
        if curve.flips_at is not None and curve.flips_at < len(curve.confidences):
            ax.plot([curve.flips_at], [curve.confidences[curve.flips_at]], marker="X", markersize=10, color=colour,
                    markeredgecolor="white", zorder=5)  # fmt: skip
    low, high = one.scale
    ax.set_ylim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    ax.set_xlim(-0.3, STEPS + 0.3)
    ax.set_xticks(range(0, STEPS + 1, 3))
    ax.set_ylabel(one.quantity)
    bare(ax, grid="both")
    if last:
        ax.set_xlabel("words removed" if one.number else "words removed (cross: the prediction changes)")
    if first:
        ax.legend(loc="lower left", frameon=False, fontsize=9.5, ncols=2, bbox_to_anchor=(-0.01, 1.0))


def new_figure(width: float, height: float, constrained: bool = True) -> Any:
    """An empty figure, in inches, with space for `put_titles` at the top. constrained: use the constrained layout."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(width, height), dpi=130, layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    if constrained:
        figure.get_layout_engine().set(rect=(0.01, 0.01, 0.98, 1 - 0.86 / height - 0.01), wspace=0.04)
    return figure


def put_titles(figure: Any, head: str, under: str) -> None:
    """Adds the figure's title and a line below it."""
    inch = 1 / figure.get_figheight()
    figure.text(0.04, 1 - 0.3 * inch, head, fontsize=14, fontweight="bold", color=INK, va="center", parse_math=False)
    figure.text(0.04, 1 - 0.58 * inch, under, fontsize=10, color="#5b6570", va="center", parse_math=False)


def bare(ax: Any, *also: str, grid: str = "") -> None:
    """Removes the top and right spines and those named, and makes the others faint. grid: of x, y or both."""
    if grid:
        ax.grid(axis=grid, color="#e6e9ec")
        ax.set_axisbelow(True)
    for side in ("top", "right", *also):
        ax.spines[side].set_visible(False)
    for spine in ax.spines.values():
        spine.set_color(FAINT)
    ax.tick_params(colors="#5b6570")
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def save(figure: Any, path: Path) -> None:
    """Writes a PNG atomically."""
    with atomic_write(path) as unfinished:
        figure.savefig(unfinished, format="png", facecolor="white")
