"""Sweeps: their overhead over bare trainings, how they scale with workers, and the load that a driver sustains."""

import os
import pickle
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks._sleeping import sleeping_trial
from benchmarks.common import Row, corpus, settings_of
from pct.corpora.loading import load_splits
from pct.settings import Settings
from pct.training.prepared import Prepared, prepare
from pct.training.trainer import train
from pipelines import mlflow_runs
from tuning.cluster import connected
from tuning.driver import with_data
from tuning.ledger import FINISHED, Ledger
from tuning.mlflow_mirror import MlflowMirror
from tuning.objective import measure
from tuning.plan import Plan
from tuning.proposals import TpeProposer
from tuning.resources import Resources
from tuning.search import search

TRIALS = 16
WORKERS = (1, 2, 4, 8, 16)
TRIALS_A_WORKER, EPOCHS, SECONDS = 4, 4, 5.0  # of the sleeping trials
RANGES = {"alpha": "loguniform(0.02, 1.0)", "lr": "loguniform(0.0001, 0.003)"}


def main() -> Row:
    """Four tables. Takes minutes, most of them asleep."""
    bare, overhead, calls = overhead_rows()
    return {
        "tables": {
            f"A sweep of {TRIALS} short trials on one worker, against the same trainings bare": overhead,
            "MLflow calls of that sweep": calls,
            f"Workers that sleep: {TRIALS_A_WORKER} trials each of {EPOCHS} epochs of {SECONDS:g} s": scaling_rows(),
            "What a driver carries": driver_rows(),
        },
        "bare_seconds": bare,
    }


def overhead_rows() -> tuple[list[float], list[Row], list[Row]]:
    """Runs half of the bare trainings before the sweep and half after it: a machine that slows down slows both."""
    base = settings_of("textcnn", method="pct", threads=1, epochs=2, limit=2000, evaluate_limit=256)
    base = base.replace(measure_important=0.1, measure_unimportant=0.1)
    data = prepare(base, load_splits(base))
    plan = Plan(base, RANGES, trials=TRIALS, baseline=False)
    with mlflow_folder() as folder:
        ledger = Ledger(folder)
        mirror = MlflowMirror(mlflow_runs.open_run(folder), plan, ledger)
        configs = [random_config(number) for number in range(TRIALS)]
        bare = [bare_seconds(plan, data, config) for config in configs[: TRIALS // 2]]
        start = time.perf_counter()
        mirror.start()
        in_trials = sweep_seconds(plan, folder, ledger, data, mirror)
        mirror.stop()
        seconds = time.perf_counter() - start
        bare += [bare_seconds(plan, data, config) for config in configs[TRIALS // 2 :]]
        assert all(t.state == FINISHED for t in ledger)
        epochs = sum(len(t.records) for t in ledger)
    total = sum(bare)
    overhead = [
        {"what": "bare trainings, summed", "seconds": total, "ratio": 1.0},
        {"what": "the sweep, Ray's start and end included", "seconds": seconds, "ratio": seconds / total},
        {"what": "of it, the trials (first start to last end)", "seconds": in_trials, "ratio": in_trials / total},
    ]
    calls = [{"kind": kind, "calls": n, "a trial epoch": n / epochs} for kind, n in mirror.calls.items()]
    total_calls = sum(mirror.calls.values())
    return bare, overhead, [*calls, {"kind": "all", "calls": total_calls, "a trial epoch": total_calls / epochs}]


def random_config(number: int) -> dict[str, Any]:
    """Settings of a bare training, which takes as long as a trial: alpha and lr do not change the amount of work."""
    return {"alpha": 0.05 + 0.05 * number, "lr": 0.0003 + 0.0001 * number}


def bare_seconds(plan: Plan, data: Prepared, config: dict[str, Any]) -> float:
    """One training and its measurement in a folder as usual, but without Ray."""
    settings = plan.settings(config)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        classifier = train(settings, data, folder, progress=False)
        measure(classifier, data.corpus, settings)
        return time.perf_counter() - start


def sweep_seconds(plan: Plan, folder: Path, ledger: Ledger, data: Prepared, mirror: MlflowMirror) -> float:
    """Runs the sweep; returns the seconds from the start of its first trial to the end of its last one."""
    import ray
    from ray import tune

    resources = Resources(workers=1)
    with connected(resources):
        trainable = tune.with_parameters(with_data, shared=[ray.put(data)])
        search(plan, resources, folder, ledger, trainable, [mirror.news])
    return max(t.ended for t in ledger) - min(t.started for t in ledger)


def scaling_rows() -> list[Row]:
    """Efficiency: the work divided by workers times wall clock.

    The wall clock includes the start of all worker processes on this one machine; in a cluster each node starts its
    own.
    """
    rows = []
    for workers in WORKERS:
        trials = workers * TRIALS_A_WORKER
        plan = Plan(Settings(epochs=EPOCHS), RANGES, trials=trials, baseline=False)
        with tempfile.TemporaryDirectory() as name:
            ledger, resources = Ledger(Path(name)), Resources(workers=workers)
            with connected(resources):
                before = resource.getrusage(resource.RUSAGE_SELF)
                start = time.perf_counter()
                search(plan, resources, Path(name), ledger, partial(sleeping_trial, epochs=EPOCHS, seconds=SECONDS))
                wall = time.perf_counter() - start
                after = resource.getrusage(resource.RUSAGE_SELF)
            first = max(min(t.records[0]["time"] for t in ledger) - SECONDS, 0.0)
            running = max(t.ended for t in ledger) - first
        assert all(t.state == FINISHED for t in ledger)
        ideal = TRIALS_A_WORKER * EPOCHS * SECONDS
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rows.append({
            "workers": workers, "trials": trials, "wall, s": wall, "ideal, s": ideal, "efficiency": ideal / running,
            "with the workers' start": ideal / wall, "driver's CPU, ms an epoch": 1000 * cpu / (trials * EPOCHS),
        })  # fmt: skip
    return rows


def driver_rows() -> list[Row]:
    """Figures for docs/benchmarks/scale.md: the loads that grow with the number of GPUs or of trials."""
    rows = [{"what": "epochs a second that the driver takes from 8 workers", "figure": epochs_a_second()}]
    for finished in (100, 1000, 3000):
        rows.append(
            {"what": f"Optuna's next proposal after {finished} trials, ms", "figure": 1000 * proposal_seconds(finished)}
        )
    rows += store_rows()
    return [*rows, *mlflow_rows()]


def epochs_a_second() -> float:
    """Epochs per second of trials of 50 epochs that report as fast as they can."""
    plan = Plan(Settings(epochs=50), RANGES, trials=32, baseline=False)
    with tempfile.TemporaryDirectory() as name:
        ledger, resources = Ledger(Path(name)), Resources(workers=8)
        with connected(resources):
            search(plan, resources, Path(name), ledger, partial(sleeping_trial, epochs=50, seconds=0.0))
    times = sorted(r["time"] for t in ledger for r in t.records)
    steady = times[len(times) // 4 :]  # after the workers' start
    return (len(steady) - 1) / (steady[-1] - steady[0])


def proposal_seconds(finished: int) -> float:
    """The median of five proposals on a ledger of finished trials."""
    plan = Plan(Settings(), {**RANGES, "temperature": "uniform(0.05, 1.2)"}, trials=finished + 1, baseline=False)
    with tempfile.TemporaryDirectory() as name:
        ledger = Ledger(Path(name))
        for number in range(1, finished + 1):
            values = {"acc": 0.7 + 0.1 * (number % 7) / 7, "comp_minus_suff": 0.1 * (number % 11) / 11}
            ledger.start(number, {**random_config(number % 16), "temperature": 0.1 + (number % 100) / 100})
            ledger.end(number, FINISHED, values)
        proposer, times = TpeProposer(plan), []
        for number in range(finished + 1, finished + 6):
            start = time.perf_counter()
            proposer.propose(number, ledger)
            times.append(time.perf_counter() - start)
    return sorted(times)[2]


def store_rows() -> list[Row]:
    """Sizes: the corpus in the object store, a checkpoint, a line of the ledger."""
    base = settings_of("textcnn", method="pct", epochs=1, limit=256, evaluate_limit=32)
    prepared = prepare(settings_of("textcnn"), corpus())
    with tempfile.TemporaryDirectory() as name:
        train(base, prepare(base, load_splits(base)), Path(name) / "small", progress=False)
        ledger = Ledger(Path(name))
        ledger.start(1, random_config(1))
        before = ledger.path.stat().st_size
        ledger.epoch(1, {"epoch": 1, **{f"validation_{n}": 0.123456789 for n in range(20)}})
        line = ledger.path.stat().st_size - before
    words = len(prepared.tokenizer)  # type: ignore[arg-type]
    # weights, best weights and Adam's two moments, four bytes each
    checkpoint = 4 * 4 * (300 * words + 3 * 4 * 300 * 150)
    return [
        {"what": f"{corpus().name} in the object store, MB", "figure": len(pickle.dumps(prepared)) / 1e6},
        {"what": "a TextCNN's checkpoint, MB", "figure": checkpoint / 1e6},
        {"what": "a ledger's line, bytes", "figure": float(line)},
    ]


def mlflow_rows() -> list[Row]:
    """Calls per second on MLflow's SQLite store: one thread, 30 metrics per call, as the mirror sends them."""
    from mlflow.entities import Metric

    with mlflow_folder() as folder:
        run = mlflow_runs.open_run(folder)
        metrics = [Metric(f"m{n}", 0.5, 1, 1) for n in range(30)]
        start = time.perf_counter()
        for step in range(1, 101):
            run.client.log_batch(run.run_id, metrics=[Metric(m.key, m.value, step, step) for m in metrics])
        seconds = time.perf_counter() - start
    return [{"what": "log_batch calls a second, SQLite, 30 metrics each", "figure": 100 / seconds}]


@contextmanager
def mlflow_folder() -> Iterator[Path]:
    """A sweep folder beside its own MLflow store, which is the default store within the block."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    with tempfile.TemporaryDirectory() as name:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{name}/mlflow.db"
        torch.set_num_threads(1)
        try:
            yield Path(name) / "sweep"
        finally:
            if before is None:
                del os.environ["MLFLOW_TRACKING_URI"]
            else:
                os.environ["MLFLOW_TRACKING_URI"] = before
