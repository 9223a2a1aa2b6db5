"""The paper's claims, judged by paired differences over texts and seeds: held, not held or undecided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pct.metrics.bootstrap import Interval
from pct.metrics.names import GAPS
from pct.output.report.groups import (
    AS_TRAINED,
    GAP,
    BySeed,
    Group,
    by_model,
    difference,
    interval_over,
    matching_baseline,
)
from pct.output.report.tables import ReportTable, format_number, format_spread, spaced

HELD, NOT_HELD, UNDECIDED, NOT_RUN = "held", "not held", "undecided", "not run"
AT_CHANCE = "not judged: at chance"
LEARNED = (
    "Claims are judged only of models that learned something: the 95 % interval of their accuracy lies above the share "
    "of the largest class. "
)
POINT = 0.01  # of accuracy
COMPARED = ("acc", *GAPS, "margin", "naopc-gap")  # metrics in which methods are compared with normal training
CONDITIONS = {
    AS_TRAINED: "delete, static, l2", "mask": "mask", "recomputed": "recomputed", "l1": "l1",
    "grad_x_input": "grad × input", "integrated_gradients": "integrated gradients",
}  # fmt: skip


@dataclass(frozen=True)
class ClaimVerdict:
    """The verdict on a claim. kind: one of the five. interval: of the number that must lie above the bound."""

    kind: str
    interval: Interval | None = None

    def __str__(self) -> str:
        return self.kind if self.interval is None else f"{self.kind}: {format_interval(self.interval)}"


def decide(values: BySeed, above: float = 0.0, below: float = math.inf) -> ClaimVerdict:
    """Whether a mean over texts and seeds lies between two bounds: held where its whole 95 % interval does, not held
    where none of it does, not run without values."""
    interval = interval_over(values)
    if interval is None:
        return ClaimVerdict(NOT_RUN)
    if interval.low > above and interval.high < below:
        return ClaimVerdict(HELD, interval)
    return ClaimVerdict(NOT_HELD if interval.high < above or interval.low > below else UNDECIDED, interval)


@dataclass(frozen=True)
class Claim:
    """A claim about a corpus and model: one method's metric, less another's where one is named, lies above a bound."""

    text: str
    metric: str
    method: str
    other: str = ""
    bound: float = 0.0
    own_condition: bool = False  # measured under one condition only

    def judge(self, methods: dict[str, Group], condition: str = AS_TRAINED) -> ClaimVerdict:
        """Whether the claim holds for the groups of a corpus and model, by method."""
        names = [name for name in (self.method, self.other) if name]
        if any(name not in methods for name in names):
            return ClaimVerdict(NOT_RUN)
        groups = [methods[name] for name in names]
        if any(group.at_chance for group in groups):
            return ClaimVerdict(AT_CHANCE)
        values = [group.values(self.metric, condition) for group in groups]
        return decide(difference(*values) if self.other else values[0], self.bound)


CLAIMS = (
    Claim("pct's accuracy is within a point of normal training's", "acc", "pct", "normal", -POINT),
    *(Claim(f"pct widens {spaced(gap)} against normal", gap, "pct", "normal") for gap in GAPS),
    *(Claim(f"pct widens {spaced(gap)} more than entropy", gap, "pct", "entropy") for gap in GAPS),
    Claim("pct lowers u_var against normal", "u_var", "normal", "pct"),
    Claim("pct's confidence F(X) is above .83", "f_x", "pct", bound=0.83),
    Claim("beyond the paper: pct widens comp over a random order", "margin", "pct", "normal", own_condition=True),
    Claim("beyond the paper: pct widens normalised comp − suff", "naopc-gap", "pct", "normal", own_condition=True),
)


def claims_table(groups: Sequence[Group]) -> ReportTable:
    """One row per claim, corpus and model; one column per condition that was measured."""
    used = [name for name in CONDITIONS if any(g.values("comp", name) for g in groups)]
    rows = []
    for (corpus, model), methods in by_model(groups).items():
        for claim in CLAIMS:
            cells = [
                str(claim.judge(methods, condition)) if condition == AS_TRAINED or not claim.own_condition else ""
                for condition in used
            ]
            rows.append((corpus, model, claim.text, *cells))
    return ReportTable(
        "claims", "The paper's claims", ("corpus", "model", "claim", *(CONDITIONS[name] for name in used)), tuple(rows),
        LEARNED
        + "The mean difference (the first named less the second; reversed where a claim says lower) with its 95 % "
        "interval, by a bootstrap over texts and seeds, both paired (over texts alone with one seed). Held: the whole "
        "interval lies on the claim's side; for accuracy, above a point less than normal's.",
    )  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """The effect of a method: a group compared with normal training with the same other settings.

    Attributes:
        group: of a method.
        normal: the group of normal training.
        changes: the difference for each of `COMPARED`; None for metrics that were not measured.
    """

    group: Group
    normal: Group
    changes: dict[str, Interval | None]

    @property
    def at_chance(self) -> bool:
        """Whether the accuracy of one of the two groups is not significantly above chance."""
        return self.group.at_chance or self.normal.at_chance

    @property
    def step(self) -> float:
        """The time of a training step relative to normal training; NaN where it is unknown."""
        return self.group.step_seconds / self.normal.step_seconds


def find_effects(groups: Sequence[Group]) -> list[Effect]:
    """The effects of all groups with a matching normal training. A bootstrap for each takes seconds in all."""
    effects = []
    for group in groups:
        normal = matching_baseline(group, groups)
        if group.settings.method != "normal" and normal is not None:
            effects.append(Effect(group, normal, {metric: group.change(normal, metric) for metric in COMPARED}))
    return effects


def methods_table(effects: Sequence[Effect]) -> ReportTable:
    """Each method, in all its settings, compared with normal training under the same seeds."""
    rows = [
        (*e.group.corpus_model, e.group.label + (" (at chance)" if e.at_chance else ""),
         str(len(set(e.group.seeds) & set(e.normal.seeds))), *map(_marked, e.changes.values()),
         format_spread(e.step, np.nan))
        for e in effects
    ]  # fmt: skip
    return ReportTable(
        "methods", "Each method less normal training",
        ("corpus", "model", "method", "seeds", *map(spaced, COMPARED), "step"), tuple(rows),
        "Mean difference to normal training with the same other settings, with its 95 % interval over texts and seeds; "
        "* marks an interval that excludes 0. At chance: the method, or its normal training, is not significantly "
        "better than the largest class's share. Settings that are not named have their defaults, or are the same in "
        "all runs. step: the time of a training step relative to normal training (the quickest epoch of each; a busy "
        "machine makes steps slower).",
    )  # fmt: skip


def conditions_table(effects: Sequence[Effect]) -> ReportTable | None:
    """The effect of each method on comp - suff under each condition; None where all runs were measured under one."""
    used = [name for name in CONDITIONS if any(e.group.values("comp", name) for e in effects)]
    others = [name for name in used if name != AS_TRAINED]
    measured = [e for e in effects if any(e.group.values("comp", name) for name in others)]
    if not measured:
        return None
    rows = []
    for e in measured:
        changes = e.changes[GAP], *(e.group.change(e.normal, GAP, name) for name in others)
        rows.append((*e.group.corpus_model, e.group.label, *map(_marked, changes)))
    columns = ("corpus", "model", "method", *(CONDITIONS[name] for name in used))
    return ReportTable(
        "conditions", "comp − suff less normal training's, by how it is measured", columns, tuple(rows),
        "As in the table above. Words are deleted or masked, and ranked once or again after each removal, by different "
        "saliencies; expensive conditions are measured on some of the texts.",
    )  # fmt: skip


def _marked(interval: Interval | None) -> str:
    return "–" if interval is None else f"{format_interval(interval)}{'*' if interval.excludes_zero else ''}"


def format_interval(interval: Interval) -> str:
    """An interval in a table: .012 [.003, .021]."""
    value, low, high = map(format_number, interval)
    return f"{value} [{low}, {high}]"
