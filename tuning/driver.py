"""A sweep from start to end: MLflow's run, the corpus, Ray, the trials, the conclusion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune

from pct.corpora.loading import load_splits
from pct.training import runs
from pct.training.prepared import Prepared, prepare
from pct.writing import folder_lock
from pipelines import mlflow_runs
from pipelines.connection import TrackingError, requests_to
from pipelines.mlflow_runs import MlflowRun
from pipelines.upload import UploadedRun
from tuning import results
from tuning.cluster import connected, note_shared_cores
from tuning.ledger import RUNNING, Ledger, Trial
from tuning.mlflow_mirror import MlflowMirror
from tuning.objective import ACCURACY, GAP, choose_registered
from tuning.plan import KIND, Plan
from tuning.progress import Progress, table
from tuning.proposals import next_arm
from tuning.resources import Resources
from tuning.search import search
from tuning.storage import RecordCopy, storage_of
from tuning.trial import run_trial
from tuning.tune_hooks import Listener


@dataclass(frozen=True)
class Outcome:
    """The result of a sweep. text: to be printed. not_uploaded: why MLflow does not have all of it, if so."""

    mlflow_run: MlflowRun
    text: str
    uploaded: UploadedRun | None = None
    not_uploaded: str = ""


def run(
    plan: Plan, resources: Resources, folder: Path, experiment: str, champion_margin: float, quiet: bool,
    force: bool = False,
) -> Outcome:  # fmt: skip
    """Runs the remaining trials of a plan in its folder, and concludes. force: see `choose_registered`.

    Raises `TrackingError` where MLflow does not answer at the start, `ClusterError`, `SweepStopped`, and ValueError as
    `load_splits`, or where another process works in the folder.
    """
    mlflow_runs.check_connection(folder)
    with folder_lock(folder):
        plan.save(folder, resources)
        ledger = Ledger(folder)
        resumed = ledger.sessions > 0
        mlflow_run = mlflow_runs.open_run(folder, experiment)
        progress = Progress(plan, ledger, live=False if quiet else None)
        mirror = MlflowMirror(mlflow_run, plan, ledger, progress.say)
        try:
            with requests_to(mlflow_run.uri):
                _log_plan(mlflow_run, plan, resources)
            data = prepare(plan.base, load_splits(plan.base))
            with requests_to(mlflow_run.uri):
                mirror.start(resumed)
            with connected(resources, _size(data)):
                note_shared_cores(resources, resources.workers * resources.cpus)
                shared = ray.put(data)  # once, whatever the number of trials
                if not _is_done(plan, ledger):
                    _search(resources, folder, mirror, progress, shared)
                chosen, why = choose_registered(plan, ledger, force)
                run = results.restore_chosen(chosen, plan, resources, storage_of(resources, folder), folder, shared)
            return _conclude(run, chosen, why, folder, mirror, progress, champion_margin)
        except BaseException as problem:
            mirror.stop_short()
            mlflow_runs.end_run(mlflow_run, "KILLED" if isinstance(problem, KeyboardInterrupt) else "FAILED")
            raise


def _search(resources: Resources, folder: Path, mirror: MlflowMirror, progress: Progress, shared: Any) -> None:
    """Runs the remaining trials. Where the storage is not the sweep's own folder, the record is copied to it."""
    plan, ledger = mirror.plan, mirror.ledger
    if ledger.trials:
        ended = sum(t.state != RUNNING for t in ledger.searched())
        progress.say(f"{folder} holds {ended} of {plan.trials} trials: the sweep continues from there")
    copy = RecordCopy(folder, storage_of(resources, folder), progress.say) if resources.storage else None
    listeners: list[Listener] = [mirror.news, *([copy.news] if copy else []), progress]
    trainable = tune.with_parameters(with_data, shared=[shared])
    if copy:
        copy.start()
    try:
        search(plan, resources, folder, ledger, trainable, listeners)
    finally:
        if copy:
            copy.stop()
    progress.finish()


def _conclude(
    run: runs.Run, chosen: Trial, why: str, folder: Path, mirror: MlflowMirror, progress: Progress,
    champion_margin: float,
) -> Outcome:  # fmt: skip
    """Writes the results, and uploads them with the choice."""
    plan, ledger = mirror.plan, mirror.ledger
    result = results.summary(plan, ledger, chosen, why)
    result["test"] = {**run.test.metrics, **run.test.gaps}
    paths = results.write_results(folder, result, plan, ledger, progress.say)
    text = "\n".join([*([] if progress.live else table(plan, ledger, 24)), "", _result_text(result)])
    try:
        if not mirror.stop():
            raise TrackingError("the tracking server does not answer")
        uploaded = results.upload_choice(mirror, folder, run, chosen, result, paths, champion_margin)
    except TrackingError as problem:
        return Outcome(mirror.mlflow_run, text, not_uploaded=str(problem))
    return Outcome(mirror.mlflow_run, text, uploaded)


def _size(data: Prepared) -> int:
    """About how many bytes the corpus takes in Ray's object store."""
    ids = sum(t.ids.nbytes + t.word_ids.nbytes for t in (data.train, data.validation))
    return ids + sum(len(text) for split in data.corpus.splits.values() for text in split.texts)


def with_data(config: dict[str, Any], shared: list[Any]) -> None:
    """A trial with the corpus from the object store: a reference in a list is not fetched before it is needed."""
    run_trial(config, shared[0])


def _is_done(plan: Plan, ledger: Ledger) -> bool:
    begun = not plan.baseline or ledger.baseline is not None
    return begun and next_arm(plan, ledger) is None and all(t.state != RUNNING for t in ledger)


def _result_text(result: dict[str, Any]) -> str:
    chosen, base, test = result["chosen"], result["baseline"], result["test"]
    own = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in chosen.items()
                    if k not in ("trial", "state", "why", ACCURACY, GAP))  # fmt: skip
    lines = [
        f"chosen      {chosen['trial']}: {own}",
        f"why         {chosen['why']}",
        f"validation  acc {chosen[ACCURACY]:.4f}, comp - suff {chosen[GAP]:.4f}",
        f"test        acc {test['acc']:.4f}, comp - suff {test['comp-suff']:.4f}",
    ]
    if base and base["state"] == "finished":
        best = f", the best of {len(result['baselines'])}" if len(result["baselines"]) > 1 else ""
        lines.append(f"baseline    acc {base[ACCURACY]:.4f}, comp - suff {base[GAP]:.4f} (normal, validation{best})")
    return "\n".join(lines)


def _log_plan(mlflow_run: MlflowRun, plan: Plan, resources: Resources) -> None:
    """Logs the plan as parameters of the sweep's own run."""
    about = {
        "trials": plan.trials, "mode": plan.mode, "margin": plan.margin, "sweep_seed": plan.seed, "kind": KIND,
        "stop_early": plan.stop_early, "sweep_baseline": plan.sweep_baseline,
        "cpus_per_trial": resources.cpus, "gpus_per_trial": resources.gpus,
    }  # fmt: skip
    values = about | {f"space.{n}": text for n, text in plan.ranges.items()}
    mlflow_run.log_params(values | {n: v for n, v in plan.base.to_dict().items() if n not in plan.ranges})
    mlflow_run.set_tags({"pct.kind": KIND})
