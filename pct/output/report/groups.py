"""Runs that differ in their seed alone, as one group: means, deviations, and paired differences to another group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from pct.metrics.learned import learned_of
from pct.metrics.names import CONTROL_GAPS, GAPS
from pct.metrics.report import Report
from pct.settings import Settings
from pct.training.measured import is_measured, load_measured
from pct.training.runs import Run

Doubles = npt.NDArray[np.float64]
AS_TRAINED = ""  # the run's own report, on test
GAP = "comp-suff"  # the one by which methods and settings are judged
# where a metric that is no part of a run's own report is kept
KEPT_IN = {
    **dict.fromkeys(("comp_random", "margin", "suff_margin", "win", "ir_rate", "ur_rate"), "controls"),
    **dict.fromkeys(("cos_important", "cos_unimportant", "separation"), "collapse"),
    **dict.fromkeys(("naopc_comp", "naopc_suff", "tau_loo", "naopc-gap"), "normalised"),
}
NOT_COMPARED = ("seed", "threads", "device", "glove")  # settings that make no group of their own
# settings that say how a method trains; normal training has none of them
OF_METHODS = (
    "method", "alpha", "temperature", "contrast_steps", "contrast_every", "entropy_weight",
    "guided_weight", "rationale_weight", "margin_weight", "margin_bound", "keep_weight", "random_weight", "comp_weight",
    "comp_bound", "suff_weight", "suff_bound", "train_removal", "p_important", "p_unimportant",
)  # fmt: skip
MEASURED = ("measure_important", "measure_unimportant")  # for which Settings.measured_shares speaks


@dataclass(frozen=True)
class Group:
    """Runs of equal settings but for the seed, by seed."""

    settings: Settings
    runs: tuple[Run, ...]

    @property
    def place(self) -> tuple[str, str]:
        """Corpus and model."""
        return self.settings.corpus, self.settings.model_name

    @property
    def seeds(self) -> list[int]:
        """In order."""
        return [run.settings.seed for run in self.runs]

    def values(self, name: str, condition: str = AS_TRAINED) -> dict[int, Doubles]:
        """Seed -> (texts,) a metric or gap of each text; a seed without it is left out."""
        found = {}
        for run in self.runs:
            column = _column(run, name, condition)
            if column is not None:
                found[run.settings.seed] = column
        return found

    def spread(self, name: str, condition: str = AS_TRAINED) -> tuple[float, float]:
        """Mean and standard deviation over the seeds of a metric or gap; NaN where there is none, or one."""
        means = [
            float(np.nanmean(column)) for column in self.values(name, condition).values() if np.isfinite(column).any()
        ]
        if not means:
            return np.nan, np.nan
        return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else np.nan

    @property
    def at_chance(self) -> bool:
        """Whether its accuracy on test is not surely above the largest class's share; false where that is not known."""
        found = learned_of([run.test for run in self.runs])
        return found is not None and not found.learned

    @property
    def step_seconds(self) -> float:
        """Of a training step: the quickest epoch of all seeds, as what else a machine does makes steps only slower."""
        return min((r["step_seconds"] for run in self.runs for r in run.history if "step_seconds" in r), default=np.nan)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """The groups, by corpus, model and method; of one method that of the usual settings first, then by the settings."""
    found: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        found.setdefault(settings_but(run.settings), []).append(run)
    groups = [Group(rs[0].settings, tuple(sorted(rs, key=lambda r: r.settings.seed))) for rs in found.values()]
    return sorted(groups, key=_order)


def _order(group: Group) -> tuple[Any, ...]:
    changes = _changes(group.settings)
    return group.settings.corpus, group.settings.model_name, group.settings.method, len(changes), changes


def settings_but(settings: Settings, *left_out: str) -> tuple[tuple[str, Any], ...]:
    """What two runs must share to be compared: the settings but some, and but those that never make a difference."""
    return tuple((k, v) for k, v in settings.to_dict().items() if k not in (*NOT_COMPARED, *left_out))


def settings_beside(settings: Settings, *left_out: str) -> tuple[Any, ...]:
    """What runs of several methods must share to be set side by side: all that is no method's own (learning rate,
    epochs, batch size and so on) but some, and the shares that are removed when they are measured."""
    return *settings_but(settings, *OF_METHODS, *MEASURED, *left_out), settings.measured_shares


def matching_baseline(group: Group, groups: Sequence[Group]) -> Group | None:
    """Normal training under a group's other settings; None without it."""
    wanted = settings_beside(group.settings)
    return next((g for g in groups if g.settings.method == "normal" and settings_beside(g.settings) == wanted), None)


def by_model(groups: Sequence[Group]) -> dict[tuple[str, str], dict[str, Group]]:
    """(corpus, model) -> method -> its group; of several of one method the one with the most runs, of these the one
    with the most of the paper's settings."""
    found: dict[tuple[str, str], dict[str, Group]] = {}
    for group in sorted(groups, key=lambda g: (-len(g.runs), len(_changes(g.settings)))):
        place = (group.settings.corpus, group.settings.model_name)
        found.setdefault(place, {}).setdefault(group.settings.method, group)
    return {place: dict(sorted(methods.items())) for place, methods in sorted(found.items())}


def _changes(settings: Settings) -> tuple[tuple[str, Any], ...]:
    """The settings that are not the usual ones."""
    usual = settings_but(Settings(model=settings.model))
    return tuple(own for own, other in zip(settings_but(settings), usual, strict=True) if own != other)


def labels(groups: Sequence[Group]) -> dict[int, str]:
    """id(group) -> its method, with the settings in which it differs from others of its corpus, model and method; those
    that are the model's usual ones go without saying."""
    out = {}
    for group in groups:
        s = group.settings
        peers = [g.settings for g in groups if _cell(g.settings) == _cell(s)]
        alike = MEASURED if len({p.measured_shares for p in peers}) == 1 else ()
        differing = [f.name for f in fields(Settings) if f.name not in (*NOT_COMPARED, *alike)
                     and len({getattr(p, f.name) for p in peers}) > 1]  # fmt: skip
        usual = Settings(model=s.model)
        own = ", ".join(f"{name} {getattr(s, name)}" for name in differing if getattr(s, name) != getattr(usual, name))
        out[id(group)] = f"{s.method} ({own})" if own else s.method
    return out


def paired_difference(one: Group, other: Group, name: str, condition: str = AS_TRAINED) -> Doubles | None:
    """(seeds, texts) one's values less the other's, by the seeds that both have; None where they share none."""
    return stacked_difference(one.values(name, condition), other.values(name, condition))


def stacked_difference(one: dict[int, Doubles], other: dict[int, Doubles]) -> Doubles | None:
    """`paired_difference` of values by seed."""
    found = difference_by_seed(one, other)
    return np.array(list(found.values())) if found else None


def difference_by_seed(one: dict[int, Doubles], other: dict[int, Doubles]) -> dict[int, Doubles]:
    """Seed -> (texts,) one's values less the other's, in the order of the seeds."""
    shared = sorted(set(one) & set(other))
    return {seed: one[seed] - other[seed] for seed in shared if one[seed].shape == other[seed].shape}


def has_values(values: Doubles | None) -> TypeGuard[Doubles]:
    """Whether there is a number among them."""
    return values is not None and bool(np.isfinite(values).any())


def _cell(settings: Settings) -> tuple[str, str, str]:
    return settings.corpus, settings.model_name, settings.method


def _column(run: Run, name: str, condition: str) -> Doubles | None:
    place = condition or KEPT_IN.get(name, AS_TRAINED)
    report = run.test if not place else _measured(run.folder, place)
    if report is None:
        return None
    pair = (GAPS | CONTROL_GAPS).get(name)
    if pair is None:
        return np.asarray(report.columns[name], np.float64) if name in report.columns else None
    if not set(pair) <= set(report.columns):
        return None
    return np.asarray(report.columns[pair[0]] - report.columns[pair[1]], np.float64)


@cache
def _measured(folder: Path, name: str) -> Report | None:
    """Read once, though one claim after another asks for it."""
    return load_measured(folder, name) if is_measured(folder, name) else None
