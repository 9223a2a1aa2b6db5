"""The objects that Ray Tune calls during a sweep: searcher, scheduler, callback and stopper, all on the ledger."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import Searcher

from tuning.ledger import BASELINE, FAILED, FINISHED, NORMAL, RUNNING, STOPPED, Ledger
from tuning.objective import accuracy_floor, epoch_objectives, score, worth_keeping
from tuning.plan import Plan
from tuning.proposals import TpeProposer, next_arm
from tuning.storage import remove

GRACE, REDUCTION = 1, 3  # ASHA: the epoch of the first rung; one of so many trials at a rung goes on

Listener = Callable[[int], None]


@dataclass
class SweepState:
    """What searcher, scheduler and callback share. halted: why the whole sweep must stop; empty while it need not."""

    ledger: Ledger
    storage: str
    halted: str = ""


class NotPickled:
    """An object of which Ray Tune's pickle in the sweep's folder is empty: a sweep is restored from its ledger. A copy
    is the object itself."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


class LedgerSearcher(NotPickled, Searcher):  # type: ignore[misc]
    """Starts the trials that an earlier driver left unfinished, then new ones. Its state is the ledger."""

    def __init__(self, plan: Plan, state: SweepState, at_once: int) -> None:
        super().__init__()
        self.plan, self.state, self.at_once = plan, state, at_once
        self.proposals = TpeProposer(plan)
        self.normal = TpeProposer(plan, NORMAL)
        self.numbers: dict[str, int] = {}  # Ray's trial id -> ours, of those that run
        self.left = [t.number for t in state.ledger if t.state == RUNNING]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config, None for "ask again later", or "FINISHED"."""
        ledger, plan = self.state.ledger, self.plan
        if self.state.halted:
            return str(Searcher.FINISHED)
        if len(self.numbers) >= self.at_once:
            return None
        if self.left:
            number = self.left.pop(0)
        elif plan.baseline and ledger.baseline is None:
            number = ledger.start(BASELINE, {"method": "normal"}, NORMAL).number
        elif plan.mode == "single" and ledger.baseline is not None and ledger.baseline.state == RUNNING:
            return None  # the score of every other trial needs the baseline's accuracy
        elif (arm := next_arm(plan, ledger)) is None:
            return str(Searcher.FINISHED)
        else:
            number = max(ledger.trials, default=0) + 1
            ledger.start(number, self._propose(number, arm), arm)
        self.numbers[trial_id] = number
        trial = ledger.trials[number]
        left = f"{self.state.storage}/{trial.checkpoint}" if trial.checkpoint else ""
        return {"number": number, "settings": plan.settings(trial.config).to_dict(), "checkpoint": left}

    def _propose(self, number: int, arm: str) -> dict[str, Any]:
        if arm == NORMAL:
            return {"method": "normal", **self.normal.propose(number, self.state.ledger)}
        return self.proposals.propose(number, self.state.ledger)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Frees the place of a trial."""
        self.numbers.pop(trial_id, None)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the callback writes the ledger."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


class AshaScheduler(NotPickled, AsyncHyperBandScheduler):  # type: ignore[misc]
    """Ray Tune's ASHA over the single score. Baselines are not judged, nor is a trial at its last epoch.

    The results of earlier drivers are read from the ledger.
    """

    def __init__(self, plan: Plan, state: SweepState) -> None:
        super().__init__(
            time_attr="epoch", metric="score", mode="max", grace_period=GRACE, reduction_factor=REDUCTION,
            max_t=max(plan.base.epochs, GRACE + 1),
        )  # fmt: skip
        self.plan, self.state = plan, state
        self.judged: dict[int, Any] = {}  # by our own numbers: Ray gives a trial that goes on another id
        for trial in state.ledger.searched():
            for record in trial.records:
                self._judge(trial.number, record)

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP."""
        number, epoch = result["number"], result.get("record/epoch")
        if epoch is None or self.state.ledger.trials[number].arm == NORMAL:
            return str(self.CONTINUE)
        record = {k.removeprefix("record/"): v for k, v in result.items() if k.startswith("record/")}
        return self._judge(number, record)

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing: a trial that is complete is not judged."""

    def _judge(self, number: int, record: dict[str, Any]) -> str:
        if int(record["epoch"]) >= self.plan.base.epochs:
            return str(self.CONTINUE)
        if number not in self.judged:
            self.judged[number] = SimpleNamespace(trial_id=f"trial {number}")
            self.on_trial_add(None, self.judged[number])
        value = score(*epoch_objectives(record), accuracy_floor(self.state.ledger, self.plan.margin))
        result = {"epoch": int(record["epoch"]), "score": value}
        return str(super().on_trial_result(None, self.judged[number], result))


class LedgerCallback(NotPickled, tune.Callback):  # type: ignore[misc]
    """Writes what Ray Tune reports into the ledger, and calls the listeners."""

    def __init__(self, plan: Plan, state: SweepState, listeners: Sequence[Listener]) -> None:
        self.plan, self.state, self.listeners = plan, state, listeners

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker starts a trial."""
        self._tell(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch, the final measurement, or an error."""
        number, ledger = trial.config["number"], self.state.ledger
        if "error" in result and result.get("no_space"):
            # the other trials have the same disk: the trial stays unfinished, and continues when there is space
            self.state.halted = result["error"]
        elif "error" in result:
            ledger.end(number, FAILED, error=result["error"])
            self._halt_where_none_works()
        elif "values" in result:
            ledger.end(number, FINISHED, values=result["values"])
        elif "record" in result:
            ledger.epoch(number, result["record"], result["resumed"])
        self._tell(trial)

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        """A checkpoint is complete in the storage."""
        base = self.state.storage.split("://", 1)[-1]
        self.state.ledger.checkpoint(trial.config["number"], os.path.relpath(checkpoint.path, base))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The worker of a trial died, and Ray starts the trial again."""
        self.state.ledger.retry(trial.config["number"], _why(trial))
        self._tell(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The worker of a trial died too often."""
        self.state.ledger.end(trial.config["number"], FAILED, error=_why(trial))
        self._halt_where_none_works()
        self._tell(trial)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial returned, or ASHA stopped it."""
        if not self.state.halted:
            self.state.ledger.end(trial.config["number"], STOPPED)
        self._tell(trial)

    def _halt_where_none_works(self) -> None:
        ended = [t for t in self.state.ledger if t.state != RUNNING]
        failed = [t for t in ended if t.state == FAILED]
        base = self.state.ledger.baseline
        if base is not None and base.state == FAILED:
            self.state.halted = f"the normal baseline failed: {base.error}. Fix that"
        elif len(failed) == len(ended) >= 5:
            self.state.halted = f"the first {len(failed)} trials failed, the last with: {failed[-1].error}. Fix that"

    def _tidy(self) -> None:
        """Removes the checkpoints of trials that ended and can no longer be chosen."""
        keep = worth_keeping(self.plan, self.state.ledger)
        for trial in self.state.ledger:
            if trial.checkpoint and trial.number not in keep:
                with contextlib.suppress(OSError):  # a checkpoint that stays takes disk space, and does no other harm
                    remove(self.state.storage, trial.checkpoint)
                self.state.ledger.checkpoint(trial.number, "")

    def _tell(self, trial: Any) -> None:
        if self.state.ledger.trials[trial.config["number"]].state != RUNNING:
            self._tidy()
        for listener in self.listeners:
            listener(trial.config["number"])


class StopWhenHalted(NotPickled, tune.Stopper):  # type: ignore[misc]
    """Stops all trials when the sweep must end."""

    def __init__(self, state: SweepState) -> None:
        self.state = state

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Whether the sweep must end."""
        return bool(self.state.halted)


def _why(trial: Any) -> str:
    """The cause of a trial's failure in one line; Ray's own text is a page."""
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    lines = [line.strip() for line in text.rpartition("Failure #")[2].splitlines()[1:] if line.strip()]
    known = [line for line in lines if "died" in line or "memory" in line.lower()]
    return (known or lines or ["the worker died"])[0][:500]
