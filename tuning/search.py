"""The search itself: Ray Tune runs the trials; the ledger says which are left, and records what happens."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray import tune

from pct.commands.errors import JobError
from tuning.cluster import slots
from tuning.ledger import Ledger
from tuning.plan import Plan
from tuning.resources import Resources
from tuning.storage import clear_sessions, storage_of
from tuning.tune_hooks import AshaScheduler, LedgerCallback, LedgerSearcher, Listener, StopWhenHalted, SweepState


class SweepStopped(JobError):
    """The sweep ended before its trials; the message says why and how to continue."""


def search(
    plan: Plan,
    resources: Resources,
    folder: Path,
    ledger: Ledger,
    trainable: Callable[[dict[str, Any]], None],
    listeners: Sequence[Listener] = (),
) -> None:
    """Runs the remaining trials. Ray must be connected.

    trainable: `run_trial` with its data, or a stand-in. listeners: called with a trial's number whenever the ledger
    changes. Raises SweepStopped where a disk is full or no trial works.
    """
    storage = storage_of(resources, folder)
    state = SweepState(ledger, storage)
    session = f"session-{ledger.open_session()}"
    clear_sessions(storage, ledger)
    for name in ("ray.tune", "ray.train"):  # the ledger has their messages, without the traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)
    at_once = resources.workers or slots(resources)
    searcher = LedgerSearcher(plan, state, at_once)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(at_once)
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources_of_trial(resources)),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=AshaScheduler(plan, state) if plan.stop_early else None,
            num_samples=-1,
            reuse_actors=True,  # a worker that has loaded torch takes the next trial at once
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=session,
            storage_path=storage,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=resources.retries),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
            callbacks=[LedgerCallback(plan, state, listeners), *make_loggers(resources.loggers)],
            stop=StopWhenHalted(state),
        ),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner.fit()
    if state.halted:
        raise SweepStopped(f"{state.halted}; then continue with: pct sweep --resume {folder}")


def resources_of_trial(resources: Resources) -> Any:
    """What Ray Tune reserves for a trial. Of several processes, a bundle for each, on one node; its own has none."""
    if resources.processes == 1:
        return resources.a_trial
    shares = {name: amount / resources.processes for name, amount in resources.a_trial.items()}
    each = {name: int(share) or share for name, share in shares.items()}  # Ray has whole ones or a share of one
    return tune.PlacementGroupFactory([{}, *[each] * resources.processes], strategy="STRICT_PACK")


def make_loggers(names: Sequence[str]) -> list[Any]:
    """Ray Tune's own loggers: each writes one file for each trial, into its folder in the storage."""
    from ray.tune import logger

    kinds = {"tensorboard": "TBXLoggerCallback", "csv": "CSVLoggerCallback", "json": "JsonLoggerCallback"}
    return [getattr(logger, kinds[name])() for name in names]


def _name(trial: Any) -> str:
    return f"trial-{trial.config['number']:04d}"
