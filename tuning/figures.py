"""The figures of a sweep: the Pareto front, parallel coordinates, and the importance of each setting."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pct.layout import FIGURES
from pct.output.plots import FAINT, IMPORTANT, INK, UNIMPORTANT, bare, new_figure, put_titles, save
from tuning.ledger import Ledger, Trial
from tuning.objective import accuracy_floor, comparable, finished, pareto_front, trial_objectives
from tuning.plan import Plan
from tuning.proposals import make_study
from tuning.space import SHORT, Range

FEW = 4  # trials; importances of fewer are noise


def draw_sweep(folder: Path, plan: Plan, ledger: Ledger, chosen: str) -> list[Path]:
    """Draws the sweep's figures into folder/figures; those for which there are too few trials are left out."""
    target = folder / FIGURES
    target.mkdir(exist_ok=True)
    trials = finished(ledger)
    drawn = {"pareto.png": pareto_figure(plan, trials, comparable(ledger.baselines()), chosen)}
    if len(trials) > 1:
        drawn["parallel.png"] = parallel_figure(plan, trials, chosen)
    if len(trials) >= FEW and (shares := importances(plan, ledger)):
        drawn["importance.png"] = importance_figure(plan, shares, len(trials))
    for name, figure in drawn.items():
        save(figure, target / name)
    return [target / name for name in drawn]


def pareto_figure(plan: Plan, trials: Sequence[Trial], baselines: Sequence[Trial], chosen: str) -> Any:
    """Every trial by its accuracy and gap on validation; the front a line, the choice and the baselines marked."""
    figure = new_figure(8, 5.6)
    ax = figure.subplots()
    front = pareto_front(trials)
    names = {t.name for t in front}
    rest = np.array([trial_objectives(t) for t in trials if t.name not in names]).reshape(-1, 2)
    line = np.array([trial_objectives(t) for t in front])
    ax.scatter(rest[:, 0], rest[:, 1], s=34, color=FAINT, alpha=0.8, label="trials", zorder=2)
    ax.plot(*line.T, color=UNIMPORTANT, linewidth=1.4, marker="o", markersize=6, label="Pareto front", zorder=3)
    for trial in front:
        _note(ax, str(trial.number), trial_objectives(trial), (6, 4), fontsize=8.5, color=UNIMPORTANT)
    star = {"s": 190, "marker": "*", "color": IMPORTANT, "edgecolor": "white", "zorder": 5}
    for trial in (t for t in (*trials, *baselines) if t.name == chosen):
        ax.scatter(*trial_objectives(trial), label=f"chosen: {chosen}", **star)
    if baselines:
        points = np.array([trial_objectives(t) for t in baselines])
        ax.scatter(*points.T, s=60, marker="D", color=INK, label="normal baseline", zorder=4)
    ax.set_xlabel("accuracy")
    ax.set_ylabel("comp − suff")
    _grid_and_legend(ax, "both", "best")
    about = f"{_title(plan)}; {len(trials)} trials, validation split; larger is better in both"
    put_titles(figure, "Accuracy and the gap of the explanations", about)
    return figure


def parallel_figure(plan: Plan, trials: Sequence[Trial], chosen: str) -> Any:
    """Every trial as a line through its settings, its accuracy and its gap; shaded by the gap, the choice on top."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    ranges = plan.read_ranges()
    columns = [(SHORT.get(n, n), *_scale(r, [t.config[n] for t in trials])) for n, r in ranges.items()]
    for place, name in enumerate(("accuracy", "comp − suff")):
        values = np.array([trial_objectives(t)[place] for t in trials])
        low, high = float(values.min()), float(values.max())
        columns.append((name, (values - low) / max(high - low, 1e-12), [f"{low:.3f}", f"{high:.3f}"]))
    figure = new_figure(1.5 * len(columns) + 2, 5)
    ax = figure.subplots()
    gaps = np.array([trial_objectives(t)[1] for t in trials])
    shades, norm = colormaps["viridis"], Normalize(float(gaps.min()), float(max(gaps.max(), gaps.min() + 1e-12)))
    for row in np.argsort(gaps):
        heights = [heights[row] for _, heights, _ in columns]
        style = {"color": shades(norm(gaps[row])), "linewidth": 1.2, "alpha": 0.7, "zorder": 2}
        if trials[row].name == chosen:
            style = {"color": IMPORTANT, "linewidth": 2.6, "zorder": 5}
        ax.plot(range(len(columns)), heights, **style)
    for place, (_, _, ends) in enumerate(columns):
        ax.axvline(place, color=FAINT, linewidth=0.8, zorder=1)
        for height, text in zip(np.linspace(0, 1, len(ends)), ends, strict=True):
            _note(ax, text, (place, height), (4, 3), fontsize=8, color=INK)
    ax.set_xticks(range(len(columns)), [name for name, _, _ in columns])
    ax.set_xlim(-0.15, len(columns) - 0.55)
    ax.set_yticks([])
    bare(ax, "left", "bottom")
    about = f"{_title(plan)}; one line for each trial, lighter: a larger gap; red: the choice"
    put_titles(figure, "Settings and their results", about)
    return figure


def importances(plan: Plan, ledger: Ledger) -> dict[str, dict[str, float]]:
    """For accuracy, gap (or the score): the share of its variance that each setting explains (fANOVA, Hutter et al.
    2014). Empty where it is not defined: all trials are equal."""
    import optuna

    ranges = plan.read_ranges()
    study = make_study(plan, ranges, ledger.searched(), accuracy_floor(ledger, plan.margin))
    targets = {"score": 0} if plan.mode == "single" else {"accuracy": 0, "comp − suff": 1}
    shares = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, place in targets.items():
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=plan.seed)
            with suppress(RuntimeError, ValueError):
                shares[name] = optuna.importance.get_param_importances(
                    study, evaluator=evaluator, target=lambda t, p=place: t.values[p]
                )
    return shares


def importance_figure(plan: Plan, importance: dict[str, dict[str, float]], trials: int) -> Any:
    """Bars: one group for each setting, one bar for each objective."""
    figure = new_figure(8, 0.55 * len(plan.ranges) + 2.2)
    ax = figure.subplots()
    first = next(iter(importance.values()))
    names = sorted(plan.ranges, key=lambda n: first.get(n, 0.0))
    width = 0.8 / len(importance)
    for place, (objective, shares) in enumerate(importance.items()):
        at = np.arange(len(names)) + 0.4 - (place + 0.5) * width
        ax.barh(at, [shares.get(n, 0.0) for n in names], width, color=(UNIMPORTANT, IMPORTANT)[place], label=objective)
    ax.set_yticks(range(len(names)), [SHORT.get(n, n) for n in names])
    ax.set_xlabel("share of the variance explained")
    _grid_and_legend(ax, "x", "lower right")
    put_titles(figure, "How much each setting matters", f"{_title(plan)}; fANOVA over {trials} trials")
    return figure


def _note(ax: Any, text: str, at: tuple[float, float], offset: tuple[int, int], **style: Any) -> None:
    ax.annotate(text, at, textcoords="offset points", xytext=offset, **style)


def _grid_and_legend(ax: Any, axis: str, place: str) -> None:
    ax.legend(frameon=False, fontsize=9.5, loc=place)
    bare(ax, grid=axis)


def _scale(searched: Range, values: list[Any]) -> tuple[Any, list[str]]:
    """Heights in [0, 1], and the labels of the axis from bottom to top, evenly spaced."""
    if searched.kind == "choice":
        last = max(len(searched.values) - 1, 1)
        return np.array([searched.values.index(v) / last for v in values]), [str(v) for v in searched.values]
    low, high = (float(v) for v in searched.values)
    numbers = np.array(values, dtype=float)
    if searched.kind == "loguniform":
        return np.log(numbers / low) / np.log(high / low), [f"{low:.3g}", f"{np.sqrt(low * high):.3g}", f"{high:.3g}"]
    return (numbers - low) / (high - low), [f"{low:.3g}", f"{(low + high) / 2:.3g}", f"{high:.3g}"]


def _title(plan: Plan) -> str:
    return f"{plan.base.method}, {plan.base.model_name} on {plan.base.corpus}"
