"""The settings of the next trial: Optuna's TPE over the ledger."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from tuning.ledger import BASELINE, FAILED, FINISHED, NORMAL, RUNNING, SEARCH, STOPPED, Ledger, Trial
from tuning.objective import accuracy_floor, epoch_objectives, score, trial_objectives
from tuning.plan import Plan
from tuning.space import Range

STARTUP = 10  # trials drawn at random before the sampler learns


class TpeProposer:
    """Optuna's TPE, over accuracy and gap at once or over the single score, for one arm of the sweep.

    The first trial has the values of base (the paper's) where the ranges contain them. A proposal depends only on the
    plan's seed, the trial's number and the ledger: a sweep that was killed and resumed is the same as one that was not.
    """

    def __init__(self, plan: Plan, arm: str = SEARCH) -> None:
        self.plan, self.arm = plan, arm
        self.ranges = plan.read_ranges() if arm == SEARCH else plan.baseline_ranges()

    def propose(self, number: int, ledger: Ledger) -> dict[str, Any]:
        """The settings of a trial, beside the plan's base. Numbers count from 1."""
        own = {name: getattr(self.plan.base, name) for name in self.ranges}
        holds = all(self.ranges[name].holds(value) for name, value in own.items())
        return own if number == 1 and holds else self._ask(number, ledger)

    def _ask(self, number: int, ledger: Ledger) -> dict[str, Any]:
        from optuna.samplers import TPESampler

        draw = hashlib.sha256(f"{self.plan.seed} {number}".encode()).digest()
        sampler = TPESampler(seed=int.from_bytes(draw[:4], "big"), n_startup_trials=STARTUP)
        trials = ledger.searched() if self.arm == SEARCH else [t for t in ledger.baselines() if t.number != BASELINE]
        study = make_study(self.plan, self.ranges, trials, accuracy_floor(ledger, self.plan.margin), sampler)
        asked = study.ask({name: r.distribution() for name, r in self.ranges.items()})
        return dict(asked.params)


def next_arm(plan: Plan, ledger: Ledger) -> str | None:
    """The arm of the next new trial; None where there are enough. A swept baseline has as many trials as the search, in
    turn with it: both learn equally fast, and a sweep that is cut short is fair to both."""
    searched = len(ledger.searched())
    normal = sum(t.number != BASELINE for t in ledger.baselines())
    if plan.sweep_baseline and normal < min(searched, plan.trials):
        return NORMAL
    return SEARCH if searched < plan.trials else None


def make_study(plan: Plan, ranges: dict[str, Range], trials: list[Trial], floor: float, sampler: Any = None) -> Any:
    """The trials so far as an Optuna study in memory. floor: as `objective.accuracy_floor`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = ["maximize"] if plan.mode == "single" else ["maximize", "maximize"]
    study = optuna.create_study(directions=directions, sampler=sampler)
    study.add_trials([_frozen(plan, ranges, trial, floor) for trial in trials])
    return study


def _frozen(plan: Plan, ranges: dict[str, Range], trial: Trial, floor: float) -> Any:
    from optuna.trial import TrialState, create_trial

    state = {
        RUNNING: TrialState.RUNNING, FINISHED: TrialState.COMPLETE, STOPPED: TrialState.PRUNED, FAILED: TrialState.FAIL,
    }[trial.state]  # fmt: skip
    seen, values = {}, None
    if plan.mode == "single":
        seen = {int(r["epoch"]): score(*epoch_objectives(r), floor) for r in trial.records}
    if trial.state == FINISHED:
        objectives = trial_objectives(trial)
        values = [score(*objectives, floor)] if plan.mode == "single" else list(objectives)
        if not all(map(math.isfinite, values)):  # a corpus of one-word texts has no gap
            state, values = TrialState.FAIL, None
    distributions = {name: r.distribution() for name, r in ranges.items()}
    params = {name: trial.config[name] for name in ranges}
    return create_trial(
        state=state, values=values, params=params, distributions=distributions, intermediate_values=seen
    )
