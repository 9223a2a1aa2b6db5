"""The search itself: Ray Tune runs the trials; the ledger says which are left, and is told what became of each."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tuning.cluster import slots  # first: it sets what Ray reads when it is imported
from tuning.front import worth_keeping
from tuning.ledger import BASELINE, FAILED, FINISHED, RUNNING, STOPPED, Ledger
from tuning.objective import accuracy_floor, of_epoch, score
from tuning.plan import Means, Plan
from tuning.proposals import Points, Proposals, Sampled

os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the ledger is the log
os.environ.setdefault("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")  # a failed trial reports no metric
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # an interrupt ends the sweep as it ends a training
os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # they are in the ledger, the table and MLflow
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # a corpus' files may be named by relative paths
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_WARN_THRESHOLD_S", "5")

from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search import Searcher

GRACE, REDUCTION = 1, 3  # ASHA: the first rung's epoch, and of how many trials at a rung one goes on


class SweepStopped(Exception):
    """The sweep ended before its trials were done; the message says why and how to go on."""


Listener = Callable[[int], None]


@dataclass
class Watch:
    """What the searcher, the scheduler and the callback share: the ledger, and why the whole sweep must stop, if so."""

    ledger: Ledger
    storage: str
    halted: str = ""


def search(
    plan: Plan,
    means: Means,
    folder: Path,
    ledger: Ledger,
    trainable: Callable[[dict[str, Any]], None],
    listeners: Sequence[Listener] = (),
) -> None:
    """Runs the trials that are left. Ray must be connected.

    trainable: `run_trial` with its data, or a stand-in. listeners: called with a trial's number whenever the ledger has
    news of it. Raises SweepStopped where a disk is full or no trial works.
    """
    storage = storage_of(means, folder)
    watch = Watch(ledger, storage)
    session = f"session-{ledger.open_session()}"
    clear_sessions(storage, ledger)
    for name in ("ray.tune", "ray.train"):  # what they say is in the ledger, in a line instead of a traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)
    at_once = means.workers or slots(means)
    searcher = FromLedger(plan, watch, at_once)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": means.cpus, "gpu": means.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=Halving(plan, watch) if plan.stop_early else None,
            num_samples=-1,
            reuse_actors=True,  # a worker that has torch loaded takes the next trial at once
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=session,
            storage_path=storage,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=means.retries),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            callbacks=[Follow(plan, watch, listeners)],
            stop=_Halted(watch),
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner.fit()
    if watch.halted:
        raise SweepStopped(f"{watch.halted}; then go on with: pct sweep --resume {folder}")


def storage_of(means: Means, folder: Path) -> str:
    """Where checkpoints lie: a URI, or an absolute path."""
    if "://" in means.storage:
        return f"{means.storage.rstrip('/')}/{folder.name}"
    return str((Path(means.storage) / folder.name if means.storage else folder / "checkpoints").absolute())


def _name(trial: Any) -> str:
    return f"trial-{trial.config['number']:04d}"


class Unkept:
    """Ray Tune pickles what it is given into the sweep's folder, to restore from it. This sweep is restored from its
    ledger, so these objects leave nothing of themselves there; a copy is the object itself."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


class FromLedger(Unkept, Searcher):  # type: ignore[misc]
    """Hands out the trials that an earlier driver left unfinished, then new ones. Its state is the ledger."""

    def __init__(self, plan: Plan, watch: Watch, at_once: int) -> None:
        super().__init__()
        self.plan, self.watch, self.at_once = plan, watch, at_once
        self.proposals: Proposals = Points(plan) if plan.points else Sampled(plan)
        self.numbers: dict[str, int] = {}  # Ray's trial id -> ours, of those that run
        self.left = [t.number for t in watch.ledger if t.state == RUNNING]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's config, None for "ask again later", or "FINISHED"."""
        ledger, plan = self.watch.ledger, self.plan
        if self.watch.halted:
            return str(Searcher.FINISHED)
        if len(self.numbers) >= self.at_once:
            return None
        if self.left:
            number = self.left.pop(0)
        elif plan.baseline and ledger.baseline is None:
            number = ledger.start(BASELINE, {"method": "normal"}).number
        elif plan.mode == "single" and ledger.baseline is not None and ledger.baseline.state == RUNNING:
            return None  # the score of every other trial needs the baseline's accuracy
        elif len(ledger.searched()) >= plan.trials:
            return str(Searcher.FINISHED)
        else:
            number = max(ledger.trials, default=0) + 1
            ledger.start(number, self.proposals.propose(number, ledger))
        self.numbers[trial_id] = number
        trial = ledger.trials[number]
        left = f"{self.watch.storage}/{trial.checkpoint}" if trial.checkpoint else ""
        return {"number": number, "settings": plan.settings(trial.config).to_dict(), "checkpoint": left}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A place is free."""
        self.numbers.pop(trial_id, None)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The ledger has it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the state, and nothing of a sweep is pickled to its folder."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""


class Halving(Unkept, AsyncHyperBandScheduler):  # type: ignore[misc]
    """Ray Tune's ASHA over the single score. The baseline is not judged, and no trial that is trained to its end.

    The rungs of an earlier driver are filled from the ledger.
    """

    def __init__(self, plan: Plan, watch: Watch) -> None:
        super().__init__(
            time_attr="epoch", metric="score", mode="max", grace_period=GRACE, reduction_factor=REDUCTION,
            max_t=max(plan.base.epochs, GRACE + 1),
        )  # fmt: skip
        self.plan, self.watch = plan, watch
        for trial in watch.ledger.searched():
            for record in trial.records:
                self._judge(trial.number, record)

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP."""
        number, epoch = result["number"], result.get("record/epoch")
        if epoch is None or number == BASELINE:
            return str(self.CONTINUE)
        record = {k.removeprefix("record/"): v for k, v in result.items() if k.startswith("record/")}
        return self._judge(number, record)

    def on_trial_complete(self, controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing is left to judge."""

    def _judge(self, number: int, record: dict[str, Any]) -> str:
        if int(record["epoch"]) >= self.plan.base.epochs:
            return str(self.CONTINUE)
        found = score(*of_epoch(record), accuracy_floor(self.watch.ledger, self.plan.margin))
        who = SimpleNamespace(trial_id=str(number))
        return str(self._brackets[0].on_result(who, int(record["epoch"]), found))


class Follow(Unkept, tune.Callback):  # type: ignore[misc]
    """Writes what Ray Tune says into the ledger, and tells the listeners."""

    def __init__(self, plan: Plan, watch: Watch, listeners: Sequence[Listener]) -> None:
        self.plan, self.watch, self.listeners = plan, watch, listeners

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker has it."""
        self._tell(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch, the final measurement, or an error."""
        number, ledger = trial.config["number"], self.watch.ledger
        if "error" in result and result.get("no_space"):
            # the others would meet the same disk: the trial stays unfinished, and goes on when there is space
            self.watch.halted = result["error"]
        elif "error" in result:
            ledger.end(number, FAILED, error=result["error"])
            self._halt_where_none_works()
        elif "values" in result:
            ledger.end(number, FINISHED, values=result["values"])
        elif "record" in result:
            ledger.epoch(number, result["record"], result["resumed"])
        self._tell(trial)

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        """A checkpoint lies in the storage whole."""
        base = self.watch.storage.split("://", 1)[-1]
        self.watch.ledger.checkpoint(trial.config["number"], os.path.relpath(checkpoint.path, base))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its worker died, and Ray starts it again."""
        self.watch.ledger.retry(trial.config["number"], _why(trial))
        self._tell(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its worker died once too often."""
        self.watch.ledger.end(trial.config["number"], FAILED, error=_why(trial))
        self._halt_where_none_works()
        self._tell(trial)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """It returned, or ASHA stopped it."""
        if not self.watch.halted:
            self.watch.ledger.end(trial.config["number"], STOPPED)
        self._tell(trial)

    def _halt_where_none_works(self) -> None:
        ended = [t for t in self.watch.ledger if t.state != RUNNING]
        failed = [t for t in ended if t.state == FAILED]
        base = self.watch.ledger.baseline
        if base is not None and base.state == FAILED:
            self.watch.halted = f"the normal baseline failed: {base.error}. Mend that"
        elif len(failed) == len(ended) >= 5:
            self.watch.halted = f"the first {len(failed)} trials failed, the last with: {failed[-1].error}. Mend that"

    def _tidy(self) -> None:
        """Removes the checkpoints of trials that ended and cannot be chosen any more."""
        keep = worth_keeping(self.plan, self.watch.ledger)
        for trial in self.watch.ledger:
            if trial.checkpoint and trial.number not in keep:
                with contextlib.suppress(OSError):  # what is left behind takes disk, and does no other harm
                    remove(self.watch.storage, trial.checkpoint)
                self.watch.ledger.checkpoint(trial.number, "")

    def _tell(self, trial: Any) -> None:
        if self.watch.ledger.trials[trial.config["number"]].state != RUNNING:
            self._tidy()
        for listener in self.listeners:
            listener(trial.config["number"])


class _Halted(Unkept, tune.Stopper):  # type: ignore[misc]
    """Stops all trials when the sweep must end."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Whether the sweep must end."""
        return bool(self.watch.halted)


def _why(trial: Any) -> str:
    """The cause of a trial's failure in a line; Ray's own text is a page."""
    path = Path(trial.error_file) if trial.error_file else None
    text = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    lines = [line.strip() for line in text.rpartition("Failure #")[2].splitlines()[1:] if line.strip()]
    known = [line for line in lines if "died" in line or "memory" in line.lower()]
    return (known or lines or ["the worker died"])[0][:500]


def remove(storage: str, relative: str) -> None:
    """Removes a checkpoint from the storage, if it is there."""
    system, path = _file_system(f"{storage}/{relative}")
    if system.get_file_info(path).type.name == "Directory":
        system.delete_dir(path)


def clear_sessions(storage: str, ledger: Ledger) -> None:
    """Removes what earlier drivers left in the storage, half-written checkpoints too, but for those still needed."""
    from pyarrow.fs import FileSelector

    needed = {t.checkpoint.split("/")[0] for t in ledger if t.checkpoint}
    system, path = _file_system(storage)
    for found in system.get_file_info(FileSelector(path, allow_not_found=True)):
        if found.base_name.startswith("session-") and found.base_name not in needed:
            with contextlib.suppress(OSError):
                system.delete_dir(found.path)


def _file_system(place: str) -> tuple[Any, str]:
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(place if "://" in place else Path(place).absolute().as_uri())
    return system, path
