"""The objectives of a sweep, accuracy and comp - suff on validation; their Pareto front; the trial that is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pct.classifier import Classifier
from pct.corpora.splits import Corpus
from pct.metrics.evaluation import evaluate
from pct.settings import Settings
from pipelines.champion import Candidate, choose_champion
from tuning.ledger import FINISHED, RUNNING, Ledger, Trial
from tuning.plan import Plan

ACCURACY, GAP = "acc", "comp_minus_suff"
NOT_FINITE = -4.0  # the score of such a trial; no other is below -3
METRICS = ("acc", "f_x", "comp", "suff")  # of every trial; the chosen one is measured by all


def measure(classifier: Classifier, corpus: Corpus, settings: Settings) -> dict[str, float]:
    """A trained model's metrics on the validation split, with comp_minus_suff."""
    report = evaluate(classifier, corpus.splits["validation"], **settings.evaluation_options, metrics=METRICS)
    return {**report.metrics, GAP: report.gaps["comp-suff"]}


def epoch_objectives(record: dict[str, Any]) -> tuple[float, float]:
    """Accuracy and gap of an epoch's record; NaN where not measured."""
    gap = record.get("validation_comp", math.nan) - record.get("validation_suff", math.nan)
    return float(record["validation_acc"]), float(gap)


def trial_objectives(trial: Trial) -> tuple[float, float]:
    """Accuracy and gap of a trial: the final ones, else those of its last epoch."""
    if trial.values:
        return trial.values[ACCURACY], trial.values[GAP]
    return epoch_objectives(trial.records[-1]) if trial.records else (math.nan, math.nan)


def accuracy_floor(ledger: Ledger, margin: float) -> float:
    """The accuracy that the single objective requires: the normal baseline's minus the margin; NaN while unknown."""
    base = ledger.baseline
    return base.values[ACCURACY] - margin if base is not None and base.state == FINISHED else math.nan


def score(accuracy: float, gap: float, floor: float) -> float:
    """The single objective: the gap (at least -2) where the accuracy reaches the floor, else -2 minus the shortfall.

    Every trial that reaches the floor scores above every one that does not; non-finite numbers score lowest.
    """
    if not (math.isfinite(accuracy) and math.isfinite(gap)):
        return NOT_FINITE
    shortfall = floor - accuracy
    return gap if not shortfall > 1e-9 else -2.0 - shortfall


def finished(ledger: Ledger) -> list[Trial]:
    """The trials of the search that can be compared."""
    return comparable(ledger.searched())


def comparable(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that finished with finite numbers: a trial without a gap (NaN) is never chosen."""
    return [t for t in trials if t.state == FINISHED and all(map(math.isfinite, trial_objectives(t)))]


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other dominates, best accuracy first; of trials that are equal in both, the oldest."""
    out: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (-trial_objectives(t)[0], -trial_objectives(t)[1], t.number)):
        if not out or trial_objectives(trial)[1] > trial_objectives(out[-1])[1]:
            out.append(trial)
    return out


def choose_trial(plan: Plan, ledger: Ledger) -> tuple[Trial, str]:
    """The choice of the search, and why, in words.

    By the registry's champion rule: the largest gap among the trials within the margin of the best accuracy. In mode
    single the accuracy that counts is the baseline's; where no trial reaches it, the rule decides as in mode pareto.
    Raises ValueError where no trial finished.
    """
    trials = finished(ledger)
    if not trials:
        raise ValueError("no trial finished, so there is no model to choose; the table says why each failed")
    floor = accuracy_floor(ledger, plan.margin)
    if plan.mode == "single":
        best = max(trials, key=lambda t: (score(*trial_objectives(t), floor), -t.number))
        if trial_objectives(best)[0] >= floor - 1e-9:
            kept = f"{floor:.4f}, the baseline's accuracy minus {plan.margin:g}"
            return best, f"largest comp - suff among the trials that reach {kept}"
    chosen = _by_champion_rule(trials, plan.margin)
    why = f"largest comp - suff among the trials whose accuracy is within {plan.margin:g} of the best"
    if plan.mode == "single":
        why += f"; none reached the baseline's accuracy minus {plan.margin:g} ({floor:.4f})"
    return chosen, why


def best_baseline(plan: Plan, ledger: Ledger) -> Trial | None:
    """The best normal training by the same rule; None where none finished."""
    trials = comparable(ledger.baselines())
    return _by_champion_rule(trials, plan.margin) if trials else None


def dominates(one: Trial, other: Trial) -> bool:
    """Whether one is at least as good as the other in accuracy and gap, and better in one of them."""
    a, b = trial_objectives(one), trial_objectives(other)
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


def choose_registered(plan: Plan, ledger: Ledger, force: bool = False) -> tuple[Trial, str]:
    """The trial whose model goes into the registry, and why: the search's choice, unless the normal baseline dominates
    it; then the baseline.

    force: the search's choice in any case. Raises ValueError as `choose_trial`.
    """
    chosen, why = choose_trial(plan, ledger)
    base = best_baseline(plan, ledger)
    if base is None or not dominates(base, chosen):
        return chosen, why
    values = "acc {:.4f} and comp - suff {:.4f} against {:.4f} and {:.4f}"
    numbers = values.format(*trial_objectives(base), *trial_objectives(chosen))
    beaten = f"{base.name} (normal) is as good as {chosen.name} in both or better: {numbers}"
    if force:
        return chosen, f"{why}; registered by --force, although {beaten}"
    return base, f"{beaten}; --force registers {chosen.name}"


def _by_champion_rule(trials: Sequence[Trial], margin: float) -> Trial:
    candidates = [Candidate(t.number, *trial_objectives(t)) for t in trials]
    chosen = choose_champion(candidates, margin)
    assert chosen is not None  # there are trials
    return next(t for t in trials if t.number == chosen.version)


def worth_keeping(plan: Plan, ledger: Ledger) -> set[int]:
    """The trials whose checkpoints may still be needed: those that run, and those that can still be registered."""
    running = {t.number for t in ledger if t.state == RUNNING}
    ended = finished(ledger)
    chosen = {choose_registered(plan, ledger, force)[0].number for force in (False, True)} if ended else set()
    return running | {t.number for t in pareto_front(ended)} | chosen
