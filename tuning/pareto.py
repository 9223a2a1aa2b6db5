"""The Pareto front of accuracy and gap, and which of its trials is the sweep's choice."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.registry import Candidate, choose_champion
from tuning.ledger import FINISHED, RUNNING, Ledger, Trial
from tuning.objective import accuracy_floor, score, trial_objectives
from tuning.plan import Plan


def finished(ledger: Ledger) -> list[Trial]:
    """The trials that were trained and measured to their end; one without a gap (NaN) cannot be compared."""
    return [t for t in ledger.searched() if t.state == FINISHED and all(v == v for v in trial_objectives(t))]


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Those to which no other is better in accuracy or gap and as good in both; best accuracy first.

    Of trials that are equal in both, the oldest stands for all.
    """
    out: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (-trial_objectives(t)[0], -trial_objectives(t)[1], t.number)):
        if not out or trial_objectives(trial)[1] > trial_objectives(out[-1])[1]:
            out.append(trial)
    return out


def choose_trial(plan: Plan, ledger: Ledger) -> tuple[Trial, str]:
    """The trial whose model is registered, and why, in words.

    By the registry's champion rule: the largest gap among the trials within the margin of the best accuracy. In mode
    single the accuracy that counts is the baseline's; where no trial keeps it, the rule decides as in mode pareto.
    Raises ValueError where no trial finished.
    """
    trials = finished(ledger)
    if not trials:
        raise ValueError("no trial finished, so there is no model to choose; the table tells why each failed")
    floor = accuracy_floor(ledger, plan.margin)
    if plan.mode == "single":
        best = max(trials, key=lambda t: (score(*trial_objectives(t), floor), -t.number))
        if trial_objectives(best)[0] >= floor - 1e-9:
            kept = f"{floor:.4f}, the baseline's accuracy less {plan.margin:g}"
            return best, f"largest comp - suff among the trials that keep {kept}"
    candidates = [Candidate(t.number, *trial_objectives(t), measure="") for t in trials]
    chosen = choose_champion(candidates, plan.margin)
    assert chosen is not None  # there are trials
    why = f"largest comp - suff among the trials whose accuracy is within {plan.margin:g} of the best"
    if plan.mode == "single":
        why += f"; none kept the baseline's accuracy less {plan.margin:g} ({floor:.4f})"
    return ledger.trials[chosen.version], why


def worth_keeping(plan: Plan, ledger: Ledger) -> set[int]:
    """The trials whose checkpoints may still be needed: those that run, and those that can still be chosen."""
    running = {t.number for t in ledger if t.state == RUNNING}
    if plan.kind == "ablation":  # nothing is chosen
        return running
    ended = finished(ledger)
    return (
        running | {t.number for t in pareto_front(ended)} | ({choose_trial(plan, ledger)[0].number} if ended else set())
    )
