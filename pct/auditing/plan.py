"""The plan of an audit: saliencies, removals and metrics by budget. This module does not import torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pct.explaining.predictor import Predictor
from pct.explaining.reduced_texts import check_removal_name, replacement_for
from pct.metrics.base import MetricOptions
from pct.metrics.evaluation import MetricSet, fitting
from pct.metrics.names import CONTROL_GAPS, GAPS
from pct.saliency import make_saliency, saliencies
from pct.saliency.base import Saliency
from pct.tasks import task_of

CONTROL = "random"  # always measured: every other saliency is compared with it
CHEAP = ("l2", "grad_x_input", "frozen_grad_x_input", "gim", "attention", "rollout")
USUAL = (*CHEAP, "smooth_grad", "occlusion")
BUDGETS = ("cheap", "usual", "all")
BASIC = ("comp", "suff", "comp_random", "margin", "win")
CURVES = ("comp_aopc", "suff_aopc")
MORE = (*CURVES, "ir", "ur", "tau_loo")
EXPENSIVE = ("naopc_comp", "naopc_suff")
STABLE = ("stable_seed", "stable_word")
AUDIT_GAPS = {**{name: GAPS[name] for name in ("comp-suff", "ur-ir")}, **CONTROL_GAPS}
STABILITY_TEXTS = 128  # texts on which the stability is measured

logger = logging.getLogger("pct.audit")


@dataclass(frozen=True)
class AuditPlan:
    """What an audit measures.

    Attributes:
        saliencies: by name, the control among them.
        metrics: by removal; the first removal decides.
        refused: why a saliency is left out, by its name.
        stability: whether the stability is measured.
    """

    saliencies: Mapping[str, Saliency]
    metrics: Mapping[str, MetricSet]
    refused: Mapping[str, str] = field(default_factory=dict)
    stability: bool = True

    @property
    def names(self) -> list[str]:
        """The names of all numbers that an audit by this plan may have."""
        measured = {name for metrics in self.metrics.values() for name in metrics.names}
        gaps = [name for name, parts in AUDIT_GAPS.items() if measured.issuperset(parts)]
        return [*sorted(measured), *gaps, *(STABLE if self.stability else ())]


def make_plan(
    predictor: Predictor,
    names: Sequence[str] = (),
    budget: str = "usual",
    removals: Sequence[str] = (),
    marked: Sequence[str] = (),
    seed: int = 0,
) -> AuditPlan:
    """The plan of an audit.

    Args:
        predictor: the model.
        names: saliencies; where empty, those of the budget that the model allows.
        budget: `cheap`: saliencies of at most one pass, and only the margin over random orders. `usual`: also
            smooth_grad and occlusion, flips, stability, agreement with leave-one-out and the curves. `all`: every
            saliency of the registry, and the normalised AOPC, which needs about 5 N^2 passes per text.
        removals: delete, mask or unknown; where empty delete, and mask where the model has a mask token.
        marked: the rationale metrics that the texts allow (`pct.metrics.rationale.metrics_of_marks`).
        seed: of the random orders and of the random saliencies.

    Raises:
        ValueError: an unknown budget, saliency or removal, or a named saliency that cannot be computed for the model.
    """
    names, removals = (([x] if isinstance(x, str) else x) for x in (names, removals))
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {', '.join(BUDGETS)}, got {budget!r}")
    settings = getattr(predictor, "settings", None)
    chosen: dict[str, Saliency] = {}
    refused: dict[str, str] = {}
    for name in dict.fromkeys([*(names or _names(budget)), CONTROL]):
        try:
            saliency = make_saliency(name, settings, seed)
            saliency.check(predictor)
            chosen[name] = saliency
        except (ValueError, ImportError) as problem:  # ImportError: an installed package is broken
            if name in names:
                raise
            refused[name] = str(problem)
    if not names and list(chosen) == [CONTROL]:
        raise ValueError(
            f"the model allows none of the saliencies of the budget {budget}: {'; '.join(refused.values())}; use the "
            "budget usual, or name some saliencies"
        )
    usual = MetricOptions.p_important, MetricOptions.p_unimportant
    important, unimportant = settings.measured_shares if settings else usual
    options = MetricOptions(important, unimportant, seed=seed)
    metrics: dict[str, MetricSet] = {}
    for removal in removals or _removals(predictor):
        replacement_for(predictor, removal)
        wanted = list(BASIC)
        if budget == "all" or (budget == "usual" and not metrics):
            wanted += [*MORE, *(() if metrics else marked)]
        wanted += EXPENSIVE if budget == "all" else ()
        metrics[removal] = MetricSet(fitting(wanted, task_of(predictor)), options)
    return AuditPlan(chosen, metrics, refused, budget != "cheap")


def _names(budget: str) -> list[str]:
    if budget == "all":
        return saliencies.names()
    others = [name for name in saliencies.names() if name not in saliencies.own]
    return [*(CHEAP if budget == "cheap" else USUAL), *others]


def check_names(names: Sequence[str], removals: Sequence[str]) -> None:
    """Raises ValueError for a saliency or removal that does not exist: what can be checked without the model."""
    for name in names:
        saliencies.check(name)
    for removal in removals:
        check_removal_name(removal)


def _removals(predictor: Predictor) -> list[str]:
    """Deletion, and masking where the model supports it."""
    try:
        replacement_for(predictor, "mask")
    except ValueError:
        return ["delete"]
    return ["delete", "mask"]
