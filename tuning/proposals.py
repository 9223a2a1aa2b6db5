"""Which settings come next: Optuna's TPE over the ledger for a sweep, a list of points for an ablation."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from tuning.ledger import FAILED, FINISHED, RUNNING, STOPPED, Ledger, Trial
from tuning.objective import accuracy_floor, score, trial_objectives
from tuning.plan import Plan
from tuning.space import Range

STARTUP = 10  # trials drawn at random before the sampler has something to learn from


class Proposer(Protocol):
    """From a trial's number and what is known to its own settings."""

    def propose(self, number: int, ledger: Ledger) -> dict[str, Any]:
        """The settings of the trial, beside the plan's base. Numbers count from 1."""
        ...


class FixedPoints:
    """The trials of an ablation, in their order."""

    def __init__(self, plan: Plan) -> None:
        self.points = plan.points

    def propose(self, number: int, ledger: Ledger) -> dict[str, Any]:
        """See `Proposer`."""
        return dict(self.points[number - 1])


class TpeProposer:
    """Optuna's TPE, over accuracy and gap at once or over the single score.

    The first trial has the base's own values (the paper's) where the ranges hold them. A proposal depends on the plan's
    seed, the trial's number and the ledger alone, so a sweep that was killed goes on as if it had not been.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.ranges = plan, plan.read_ranges()

    def propose(self, number: int, ledger: Ledger) -> dict[str, Any]:
        """See `Proposer`."""
        if number == 1:
            own = {name: getattr(self.plan.base, name) for name in self.ranges}
            if all(self.ranges[name].holds(value) for name, value in own.items()):
                return own
        from optuna.samplers import TPESampler

        draw = hashlib.sha256(f"{self.plan.seed} {number}".encode()).digest()
        sampler = TPESampler(seed=int.from_bytes(draw[:4], "big"), n_startup_trials=STARTUP)
        study = make_study(self.plan, self.ranges, ledger.searched(), accuracy_floor(ledger, self.plan.margin), sampler)
        asked = study.ask({name: r.distribution() for name, r in self.ranges.items()})
        return dict(asked.params)


def make_study(plan: Plan, ranges: dict[str, Range], trials: list[Trial], floor: float, sampler: Any = None) -> Any:
    """The trials so far as an Optuna study in memory. floor: see `objective.accuracy_floor`."""
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
        from tuning.objective import epoch_objectives

        seen = {int(r["epoch"]): score(*epoch_objectives(r), floor) for r in trial.records}
    if trial.state == FINISHED:
        found = trial_objectives(trial)
        values = [score(*found, floor)] if plan.mode == "single" else list(found)
        if any(v != v for v in values):  # a corpus of one-word texts has no gap
            state, values = TrialState.FAIL, None
    distributions = {name: r.distribution() for name, r in ranges.items()}
    params = {name: trial.config[name] for name in ranges}
    return create_trial(
        state=state, values=values, params=params, distributions=distributions, intermediate_values=seen
    )
