"""Sweeps: what they cost over bare trainings, how they scale with workers, and what a driver can carry."""

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

from benchmarks._sleeping import sleep_through
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
TRIALS_A_WORKER, EPOCHS, SECONDS = 4, 4, 5.0  # of the trials that sleep
RANGES = {"alpha": "loguniform(0.02, 1.0)", "lr": "loguniform(0.0001, 0.003)"}


def main() -> Row:
    """Runs all. Minutes, most of them asleep."""
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
    """Half of the bare trainings before the sweep and half after it: a machine that slows down slows both."""
    base = settings_of("textcnn", method="pct", threads=1, epochs=2, limit=2000, evaluate_limit=256)
    base = base.replace(measure_important=0.1, measure_unimportant=0.1)
    data = prepare(base, load_splits(base))
    plan = Plan(base, RANGES, trials=TRIALS, baseline=False)
    with tracked() as folder:
        ledger = Ledger(folder)
        mirror = MlflowMirror(mlflow_runs.open_run(folder), plan, ledger)
        configs = [random_config(number) for number in range(TRIALS)]
        bare = [bare_seconds(plan, data, config) for config in configs[: TRIALS // 2]]
        start = time.perf_counter()
        mirror.start()
        swept_in = sweep_seconds(plan, folder, ledger, data, mirror)
        mirror.stop()
        seconds = time.perf_counter() - start
        bare += [bare_seconds(plan, data, config) for config in configs[TRIALS // 2 :]]
        assert all(t.state == FINISHED for t in ledger)
        epochs = sum(len(t.records) for t in ledger)
    total = sum(bare)
    overhead = [
        {"what": "bare trainings, summed", "seconds": total, "ratio": 1.0},
        {"what": "the sweep, Ray's start and end included", "seconds": seconds, "ratio": seconds / total},
        {"what": "of it, the trials (first start to last end)", "seconds": swept_in, "ratio": swept_in / total},
    ]
    calls = [{"kind": kind, "calls": n, "a trial epoch": n / epochs} for kind, n in mirror.calls.items()]
    whole = sum(mirror.calls.values())
    return bare, overhead, [*calls, {"kind": "all", "calls": whole, "a trial epoch": whole / epochs}]


def random_config(number: int) -> dict[str, Any]:
    """Settings of a bare training: they cost what a trial's cost, for alpha and lr change no amount of work."""
    return {"alpha": 0.05 + 0.05 * number, "lr": 0.0003 + 0.0001 * number}


def bare_seconds(plan: Plan, data: Prepared, config: dict[str, Any]) -> float:
    """One training and its measurement, without Ray, into a folder as ever."""
    settings = plan.settings(config)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        classifier = train(settings, data, folder, progress=False)
        measure(classifier, data.corpus, settings)
        return time.perf_counter() - start


def sweep_seconds(plan: Plan, folder: Path, ledger: Ledger, data: Prepared, mirror: MlflowMirror) -> float:
    """The sweep; returns the seconds from its first trial's start to its last one's end."""
    import ray
    from ray import tune

    resources = Resources(workers=1)
    with connected(resources):
        trainable = tune.with_parameters(with_data, shared=[ray.put(data)])
        search(plan, resources, folder, ledger, trainable, [mirror.news])
    return max(t.ended for t in ledger) - min(t.started for t in ledger)


def scaling_rows() -> list[Row]:
    """Efficiency: the work over workers times wall clock. All workers' processes start on this one machine, which is
    in the wall clock; a cluster's nodes start theirs each on its own."""
    rows = []
    for workers in WORKERS:
        trials = workers * TRIALS_A_WORKER
        plan = Plan(Settings(epochs=EPOCHS), RANGES, trials=trials, baseline=False)
        with tempfile.TemporaryDirectory() as name:
            ledger, resources = Ledger(Path(name)), Resources(workers=workers)
            with connected(resources):
                before = resource.getrusage(resource.RUSAGE_SELF)
                start = time.perf_counter()
                search(plan, resources, Path(name), ledger, partial(sleep_through, epochs=EPOCHS, seconds=SECONDS))
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
    """Figures for docs/benchmarks/scale.md: each is one thing that grows with the number of GPUs or of trials."""
    rows = [{"what": "epochs a second that the driver takes from 8 workers", "figure": epochs_a_second()}]
    for known in (100, 1000, 3000):
        rows.append(
            {"what": f"Optuna's next proposal after {known} trials, ms", "figure": 1000 * proposal_seconds(known)}
        )
    rows += store_rows()
    return [*rows, *mlflow_rows()]


def epochs_a_second() -> float:
    """Trials that report as fast as they can, 50 epochs each."""
    plan = Plan(Settings(epochs=50), RANGES, trials=32, baseline=False)
    with tempfile.TemporaryDirectory() as name:
        ledger, resources = Ledger(Path(name)), Resources(workers=8)
        with connected(resources):
            search(plan, resources, Path(name), ledger, partial(sleep_through, epochs=50, seconds=0.0))
    times = sorted(r["time"] for t in ledger for r in t.records)
    steady = times[len(times) // 4 :]  # after the workers' start
    return (len(steady) - 1) / (steady[-1] - steady[0])


def proposal_seconds(known: int) -> float:
    """The median of five proposals on a ledger of finished trials."""
    plan = Plan(Settings(), {**RANGES, "temperature": "uniform(0.05, 1.2)"}, trials=known + 1, baseline=False)
    with tempfile.TemporaryDirectory() as name:
        ledger = Ledger(Path(name))
        for number in range(1, known + 1):
            values = {"acc": 0.7 + 0.1 * (number % 7) / 7, "comp_minus_suff": 0.1 * (number % 11) / 11}
            ledger.start(number, {**random_config(number % 16), "temperature": 0.1 + (number % 100) / 100})
            ledger.end(number, FINISHED, values)
        sampled, times = TpeProposer(plan), []
        for number in range(known + 1, known + 6):
            start = time.perf_counter()
            sampled.propose(number, ledger)
            times.append(time.perf_counter() - start)
    return sorted(times)[2]


def store_rows() -> list[Row]:
    """Bytes: the corpus in the object store, a checkpoint, a line of the ledger."""
    base = settings_of("textcnn", method="pct", epochs=1, limit=256, evaluate_limit=32)
    whole = prepare(settings_of("textcnn"), corpus())
    with tempfile.TemporaryDirectory() as name:
        train(base, prepare(base, load_splits(base)), Path(name) / "small", progress=False)
        ledger = Ledger(Path(name))
        ledger.start(1, random_config(1))
        before = ledger.path.stat().st_size
        ledger.epoch(1, {"epoch": 1, **{f"validation_{n}": 0.123456789 for n in range(20)}})
        line = ledger.path.stat().st_size - before
    words = len(whole.tokenizer)  # type: ignore[arg-type]
    # weights, best weights and Adam's two moments, four bytes each
    checkpoint = 4 * 4 * (300 * words + 3 * 4 * 300 * 150)
    return [
        {"what": f"{corpus().name} in the object store, MB", "figure": len(pickle.dumps(whole)) / 1e6},
        {"what": "a TextCNN's checkpoint, MB", "figure": checkpoint / 1e6},
        {"what": "a ledger's line, bytes", "figure": float(line)},
    ]


def mlflow_rows() -> list[Row]:
    """Calls a second on MLflow's SQLite store: one thread, 30 metrics a call, as the mirror sends them."""
    from mlflow.entities import Metric

    with tracked() as folder:
        place = mlflow_runs.open_run(folder)
        metrics = [Metric(f"m{n}", 0.5, 1, 1) for n in range(30)]
        start = time.perf_counter()
        for step in range(1, 101):
            place.client.log_batch(place.run_id, metrics=[Metric(m.key, m.value, step, step) for m in metrics])
        seconds = time.perf_counter() - start
    return [{"what": "log_batch calls a second, SQLite, 30 metrics each", "figure": 100 / seconds}]


@contextmanager
def tracked() -> Iterator[Path]:
    """A folder with an MLflow store of its own, which is MLflow's default one meanwhile."""
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
