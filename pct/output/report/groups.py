"""Groups of runs that differ only in their seed: means, deviations, and paired differences between groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pct.metrics.bootstrap import Interval, crossed_bootstrap
from pct.metrics.learned import learned_of
from pct.metrics.names import CONTROL_GAPS, CORE_METRICS, GAPS
from pct.metrics.report import Report
from pct.settings import Settings
from pct.text.tokens import Doubles
from pct.training.measured import STANDARD, is_measured, load_measured
from pct.training.runs import Run

BySeed = dict[int, Doubles]  # seed -> (texts,)
AS_TRAINED = ""  # the run's own report on the test split
GAP = "comp-suff"  # the gap by which methods and settings are judged
# the further reports of a run that hold metrics which its own report does not
REPORT_OF = {
    metric: name for name, what in STANDARD.items() for metric in what.metrics if metric not in CORE_METRICS
} | {"naopc-gap": "normalised"}
NOT_COMPARED = ("seed", "threads", "device", "glove")  # settings that may differ within a group
# normal training has none of them
OF_METHODS = ("method", *(f.name for f in fields(Settings) if f.metadata["of_method"]))
MEASURED = ("measure_important", "measure_unimportant")  # Settings.measured_shares is compared instead


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        settings: of the first run.
        runs: sorted by seed.
        label: the method, with the settings in which it differs from other groups of its corpus, model and method;
            settings with the model's default values are omitted.
    """

    settings: Settings
    runs: tuple[Run, ...]
    label: str = ""

    @property
    def corpus_model(self) -> tuple[str, str]:
        """Corpus and model."""
        return self.settings.corpus, self.settings.model_name

    @property
    def seeds(self) -> list[int]:
        """The seeds in order."""
        return [run.settings.seed for run in self.runs]

    def values(self, name: str, condition: str = AS_TRAINED) -> BySeed:
        """A metric or gap of each text; seeds without it are left out."""
        columns = {run.settings.seed: _column(run, name, condition) for run in self.runs}
        return {seed: column for seed, column in columns.items() if column is not None}

    def less(self, other: Group, name: str, condition: str = AS_TRAINED) -> BySeed:
        """The group's values of a metric or gap less the other's, for the seeds that both have."""
        return difference(self.values(name, condition), other.values(name, condition))

    def change(self, other: Group, name: str, condition: str = AS_TRAINED) -> Interval | None:
        """The mean of `less` with its interval; None where it was not measured for both."""
        return interval_over(self.less(other, name, condition))

    def spread(self, name: str) -> tuple[float, float]:
        """Mean and standard deviation of a metric or gap over the seeds; NaN where there is none, or only one seed."""
        means = [float(np.nanmean(column)) for column in self.values(name).values() if np.isfinite(column).any()]
        return mean_and_deviation(means)

    @property
    def at_chance(self) -> bool:
        """Whether the test accuracy is not significantly above the largest class's share; false if that is unknown."""
        comparison = learned_of([run.test for run in self.runs])
        return comparison is not None and not comparison.learned

    @property
    def step_seconds(self) -> float:
        """The time of a training step, in the quickest epoch of all seeds, since other load only makes steps slower."""
        return min((r["step_seconds"] for run in self.runs for r in run.history if "step_seconds" in r), default=np.nan)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """The groups, sorted by corpus, model and method; within a method the default settings first."""
    alike: dict[tuple[Any, ...], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.settings.seed):
        alike.setdefault(settings_but(run.settings), []).append(run)
    every = [same[0].settings for same in alike.values()]
    groups = [Group(same[0].settings, tuple(same), _label(same[0].settings, every)) for same in alike.values()]
    return sorted(groups, key=lambda g: (*_cell(g.settings), len(_changes(g.settings)), _changes(g.settings)))


def settings_but(settings: Settings, *left_out: str) -> tuple[tuple[str, Any], ...]:
    """The settings without those in `NOT_COMPARED` and `left_out`."""
    return tuple((k, v) for k, v in settings.to_dict().items() if k not in (*NOT_COMPARED, *left_out))


def settings_beside(settings: Settings, *left_out: str) -> tuple[Any, ...]:
    """The settings that runs of different methods must share to be compared: those that belong to no method (learning
    rate, epochs, batch size and so on) without `left_out`, and the shares of words removed in measurements."""
    return *settings_but(settings, *OF_METHODS, *MEASURED, *left_out), settings.measured_shares


def matching_baseline(group: Group, groups: Sequence[Group]) -> Group | None:
    """The group of normal training with a group's other settings; None without one."""
    wanted = settings_beside(group.settings)
    return next((g for g in groups if g.settings.method == "normal" and settings_beside(g.settings) == wanted), None)


def by_model(groups: Sequence[Group]) -> dict[tuple[str, str], dict[str, Group]]:
    """(corpus, model) -> method -> its group. Of several groups of a method, the one with the most runs is taken, then
    the one with the most of the paper's settings."""
    chosen: dict[tuple[str, str], dict[str, Group]] = {}
    for group in sorted(groups, key=lambda g: (-len(g.runs), len(_changes(g.settings)))):
        chosen.setdefault(group.corpus_model, {}).setdefault(group.settings.method, group)
    return {corpus_model: dict(sorted(methods.items())) for corpus_model, methods in sorted(chosen.items())}


def _changes(settings: Settings) -> tuple[tuple[str, Any], ...]:
    """The settings that differ from the defaults."""
    defaults = settings_but(Settings(model=settings.model))
    return tuple(own for own, default in zip(settings_but(settings), defaults, strict=True) if own != default)


def _label(settings: Settings, every: Sequence[Settings]) -> str:
    """See `Group.label`. every: the settings of all groups."""
    peers = [one for one in every if _cell(one) == _cell(settings)]
    alike = MEASURED if len({one.measured_shares for one in peers}) == 1 else ()
    default = Settings(model=settings.model)
    own = []
    for name in (f.name for f in fields(Settings) if f.name not in (*NOT_COMPARED, *alike)):
        value, differs = getattr(settings, name), len({getattr(one, name) for one in peers}) > 1
        own += [f"{name} {value}"] if differs and value != getattr(default, name) else []
    return f"{settings.method} ({', '.join(own)})" if own else settings.method


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation over seeds; NaN where there is no value, or only one."""
    if not values:
        return np.nan, np.nan
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def difference(one: BySeed, other: BySeed) -> BySeed:
    """One's values less the other's, for the seeds that both have, in order."""
    shared = sorted(set(one) & set(other))
    return {seed: one[seed] - other[seed] for seed in shared if one[seed].shape == other[seed].shape}


def interval_over(values: BySeed) -> Interval | None:
    """The mean over texts and seeds with its interval; None where no value is a number."""
    if not any(np.isfinite(column).any() for column in values.values()):
        return None
    return crossed_bootstrap(np.array(list(values.values())))


def _cell(settings: Settings) -> tuple[str, str, str]:
    return settings.corpus, settings.model_name, settings.method


def _column(run: Run, name: str, condition: str) -> Doubles | None:
    report_name = condition or REPORT_OF.get(name, AS_TRAINED)
    report = _measured(run.folder, report_name) if report_name else run.test
    if report is None:
        return None
    columns, pair = report.by_text, (GAPS | CONTROL_GAPS).get(name)
    if pair is None:
        return np.asarray(columns[name], np.float64) if name in columns else None
    if not set(pair) <= set(columns):
        return None
    return np.asarray(columns[pair[0]] - columns[pair[1]], np.float64)


@cache
def _measured(folder: Path, name: str) -> Report | None:
    """A further report of a run, read once; None where it was not measured."""
    return load_measured(folder, name) if is_measured(folder, name) else None
