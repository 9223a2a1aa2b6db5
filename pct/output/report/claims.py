"""The paper's claims, each decided by paired differences over texts and seeds: held, not held or undecided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pct.metrics.bootstrap import Interval, crossed_bootstrap
from pct.metrics.names import GAPS
from pct.output.report.groups import (
    AS_TRAINED,
    GAP,
    Doubles,
    Group,
    by_model,
    has_values,
    labels,
    matching_baseline,
    paired_difference,
)
from pct.output.report.tables import Table, format_number, format_spread, spaced

HELD, NOT_HELD, UNDECIDED, NOT_RUN = "held", "not held", "undecided", "not run"
AT_CHANCE = "not judged: at chance"
LEARNED = (
    "Claims are judged only of models that learned something: the 95 % interval of their accuracy lies above the share "
    "of the largest class. "
)
POINT = 0.01  # of accuracy
COMPARED = ("acc", *GAPS, "margin", "naopc-gap")  # in which methods are set beside normal training
CONDITIONS = {
    AS_TRAINED: "delete, static, l2", "mask": "mask", "recomputed": "recomputed", "l1": "l1",
    "grad_x_input": "grad × input", "integrated_gradients": "integrated gradients",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """kind: one of the five. interval: of what must lie above the bound."""

    kind: str
    interval: Interval | None = None

    def __str__(self) -> str:
        return self.kind if self.interval is None else f"{self.kind}: {format_interval(self.interval)}"


def decide(values: Doubles | None, bound: float = 0.0) -> Verdict:
    """Whether a mean lies above a bound: held where its whole 95 % interval does, not held where it lies below.

    Args:
        values: (seeds, texts) what is claimed to be above; None where it was not run.
        bound: where the claim begins to be true.
    """
    if not has_values(values):
        return Verdict(NOT_RUN)
    found = crossed_bootstrap(values)
    return Verdict(HELD if found.low > bound else NOT_HELD if found.high < bound else UNDECIDED, found)


def decide_within(values: Doubles | None, tolerance: float) -> Verdict:
    """Whether a mean lies within a tolerance of zero: held where its whole interval does, not held where none of it."""
    if not has_values(values):
        return Verdict(NOT_RUN)
    found = crossed_bootstrap(values)
    within, beyond = max(-found.low, found.high) < tolerance, found.low > tolerance or found.high < -tolerance
    return Verdict(HELD if within else NOT_HELD if beyond else UNDECIDED, found)


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, or of a sceptical reader, about a corpus and model: one method's metric, less another's
    where another is named, lies above a bound."""

    text: str
    metric: str
    method: str
    other: str = ""
    bound: float = 0.0
    own_condition: bool = False  # measured in one way alone: other conditions say nothing about it

    def judge(self, methods: dict[str, Group], condition: str = AS_TRAINED) -> Verdict:
        """Whether it holds of the groups of a corpus and model, by method."""
        names = [name for name in (self.method, self.other) if name]
        if any(name not in methods for name in names):
            return Verdict(NOT_RUN)
        groups = [methods[name] for name in names]
        if any(group.at_chance for group in groups):
            return Verdict(AT_CHANCE)
        if self.other:
            return decide(paired_difference(groups[0], groups[1], self.metric, condition), self.bound)
        found = groups[0].values(self.metric, condition)
        return decide(np.array([found[seed] for seed in sorted(found)]) if found else None, self.bound)


CLAIMS = (
    Claim("pct's accuracy is within a point of normal training's", "acc", "pct", "normal", -POINT),
    *(Claim(f"pct widens {spaced(gap)} against normal", gap, "pct", "normal") for gap in GAPS),
    *(Claim(f"pct widens {spaced(gap)} more than entropy", gap, "pct", "entropy") for gap in GAPS),
    Claim("pct lowers u_var against normal", "u_var", "normal", "pct"),
    Claim("pct's confidence F(X) is above .83", "f_x", "pct", bound=0.83),
    Claim("beyond the paper: pct widens comp over a random order", "margin", "pct", "normal", own_condition=True),
    Claim("beyond the paper: pct widens normalised comp − suff", "naopc-gap", "pct", "normal", own_condition=True),
)


def claims_table(groups: Sequence[Group]) -> Table:
    """A row a claim, corpus and model; a column a way of measuring that was used. Made by the code alone."""
    used = [name for name in CONDITIONS if any(g.values("comp", name) for g in groups)]
    rows = []
    for (corpus, model), methods in by_model(groups).items():
        for claim in CLAIMS:
            cells = [
                str(claim.judge(methods, condition)) if condition == AS_TRAINED or not claim.own_condition else ""
                for condition in used
            ]
            rows.append((corpus, model, claim.text, *cells))
    return Table(
        "claims", "The paper's claims", ("corpus", "model", "claim", *(CONDITIONS[name] for name in used)), tuple(rows),
        LEARNED
        + "The mean difference (the first named less the second; turned round where a claim says lower) with its 95 % "
        "interval, by a bootstrap over texts and seeds, both paired (over texts alone "
        "where there is one seed). Held: the whole interval lies on the claim's "
        "side; for accuracy, above a point less than normal's.",
    )  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """What a group changes against normal training under its other settings.

    Attributes:
        group: of a method.
        normal: what it is set beside.
        changes: its interval for each of `COMPARED`; None for what was not measured.
    """

    group: Group
    normal: Group
    changes: dict[str, Interval | None]

    @property
    def at_chance(self) -> bool:
        """Whether one of the two has not surely learned anything."""
        return self.group.at_chance or self.normal.at_chance

    @property
    def step(self) -> float:
        """The time of a training step, of normal training's; NaN where one of them is not known."""
        return self.group.step_seconds / self.normal.step_seconds


def find_effects(groups: Sequence[Group]) -> list[Effect]:
    """One for each group that normal training can be set beside. A bootstrap each: seconds for a report's runs."""
    found = []
    for group in groups:
        normal = matching_baseline(group, groups)
        if group.settings.method != "normal" and normal is not None:
            found.append(Effect(group, normal, {metric: change(group, normal, metric) for metric in COMPARED}))
    return found


def change(one: Group, other: Group, metric: str, condition: str = AS_TRAINED) -> Interval | None:
    """One's mean of a metric less the other's, with its interval; None where it was not measured of both."""
    values = paired_difference(one, other, metric, condition)
    return crossed_bootstrap(values) if has_values(values) else None


def methods_table(groups: Sequence[Group], effects: Sequence[Effect]) -> Table:
    """Each method, in all its settings, beside normal training under the same seeds: which to choose."""
    named = labels(groups)
    rows = [
        (*e.group.place, named[id(e.group)] + (" (at chance)" if e.at_chance else ""),
         str(len(set(e.group.seeds) & set(e.normal.seeds))), *map(_marked, e.changes.values()),
         format_spread(e.step, np.nan))
        for e in effects
    ]  # fmt: skip
    return Table(
        "methods", "Each method less normal training",
        ("corpus", "model", "method", "seeds", *map(spaced, COMPARED), "step"), tuple(rows),
        "Mean difference to normal training under the same other settings, with its 95 % interval over texts and "
        "seeds; an interval that excludes 0 is marked by *. At chance: it, or the normal training beside it, is not "
        "surely better than the largest class's share. What is not named is as usual, or the same in all runs. "
        "step: the time of a training step, of normal training's (the quickest epoch of each; runs beside which the "
        "machine was busy look slower than they are).",
    )  # fmt: skip


def conditions_table(groups: Sequence[Group], effects: Sequence[Effect]) -> Table | None:
    """What each method changes in comp - suff, by how it is measured: which conclusions hang on that. None where all
    runs were measured in one way."""
    named = labels(groups)
    used = [name for name in CONDITIONS if any(e.group.values("comp", name) for e in effects)]
    others = [name for name in used if name != AS_TRAINED]
    measured = [e for e in effects if any(e.group.values("comp", name) for name in others)]
    if not measured:
        return None
    rows = []
    for e in measured:
        changes = e.changes[GAP], *(change(e.group, e.normal, GAP, name) for name in others)
        rows.append((*e.group.place, named[id(e.group)], *map(_marked, changes)))
    columns = ("corpus", "model", "method", *(CONDITIONS[name] for name in used))
    return Table(
        "conditions", "comp − suff less normal training's, by how it is measured", columns, tuple(rows),
        "As in the table above. Words are deleted or masked, ranked once or anew after each removal, by one saliency "
        "or another; conditions that take long are measured on some of the texts.",
    )  # fmt: skip


def _marked(found: Interval | None) -> str:
    return "–" if found is None else f"{format_interval(found)}{'*' if found.excludes_zero else ''}"


def format_interval(found: Interval) -> str:
    """.012 [.003, .021], as a table has it."""
    value, low, high = map(format_number, found)
    return f"{value} [{low}, {high}]"
