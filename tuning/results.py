"""The end of a sweep: the choice is restored, evaluated once on test and registered; front and figures are written."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pct.settings import Settings
from pct.training import runs
from pct.training.prepared import Prepared
from pct.writing import write_text
from pipelines import upload
from pipelines.champion import MARGIN
from pipelines.connection import UPLOAD, requests_to
from pipelines.figures import try_to_draw
from pipelines.metric_names import VALIDATION_FINAL, as_metrics, in_group, report_metrics
from tuning import figures
from tuning.ledger import Ledger, Trial
from tuning.mlflow_mirror import MlflowMirror
from tuning.objective import ACCURACY, GAP, best_baseline, finished, pareto_front, trial_objectives
from tuning.plan import Plan
from tuning.resources import Resources
from tuning.trial import copy_checkpoint, read_files, write_files

CHOSEN, RESULTS, TABLE = "chosen", "results.json", "front.csv"


def restore_chosen(trial: Trial, plan: Plan, resources: Resources, storage: str, folder: Path, data: Any) -> runs.Run:
    """The chosen trial as a finished run in folder/chosen: from its checkpoint where that exists, else trained again;
    measured on validation, and once on test. It runs on a worker, with the CPUs and GPUs of a trial.

    data: the prepared corpus, in Ray's object store.
    """
    import ray

    target = folder / CHOSEN / trial.name
    if not runs.is_finished(target):
        task = ray.remote(
            num_cpus=resources.cpus, num_gpus=resources.gpus, resources=resources.custom, max_retries=resources.retries
        )(_finish)
        left = f"{storage}/{trial.checkpoint}" if trial.checkpoint else ""
        files: dict[str, bytes] = ray.get(task.remote(plan.settings(trial.config).to_dict(), left, data))
        write_files(files, target)
    return runs.load_run(target)


def _finish(settings: dict[str, Any], left: str, data: Prepared) -> dict[str, bytes]:
    """Finishes the run on a worker, and returns its files."""
    from ray.tune import Checkpoint

    with tempfile.TemporaryDirectory(prefix="pct-chosen-") as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        if left:
            copy_checkpoint(Checkpoint(left), folder)
        runs.run(Settings.from_saved(settings), folder, progress=False, corpus=data)
        return read_files(folder)


def summary(plan: Plan, ledger: Ledger, chosen: Trial, why: str) -> dict[str, Any]:
    """The sweep's result as plain JSON types: the front, the choice and why, the baseline, and what failed."""
    front = pareto_front(finished(ledger))
    states = [t.state for t in ledger.searched()]
    base = best_baseline(plan, ledger) or ledger.baseline
    return {
        "trials": {state: states.count(state) for state in sorted(set(states))},
        "restarts": sum(t.retries for t in ledger),
        "chosen": {**row(chosen), "why": why},
        "baseline": row(base) if base else None,
        "baselines": [row(t) for t in ledger.baselines()],
        "front": [row(t) for t in front],
        "failed": {t.name: t.error for t in ledger if t.state == "failed"},
    }


def row(trial: Trial) -> dict[str, Any]:
    """A trial as a row of a table: its settings, its accuracy and gap on validation."""
    accuracy, gap = trial_objectives(trial)
    return {"trial": trial.name, "state": trial.state, **trial.config, ACCURACY: accuracy, GAP: gap}


def write_results(
    folder: Path, result: dict[str, Any], plan: Plan, ledger: Ledger, say: Callable[[str], None]
) -> list[Path]:
    """Writes results.json, a table of all trials that marks the front, and the figures. Returns their paths."""
    paths = [folder / RESULTS, folder / TABLE]
    write_text(paths[0], json.dumps(result, indent=2) + "\n")
    on_front = {r["trial"] for r in result["front"]}
    rows = [{**row(t), "on_front": t.name in on_front} for t in ledger]
    names = list(dict.fromkeys(name for r in rows for name in r))
    with paths[1].open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    chosen = result["chosen"]["trial"]
    return paths + try_to_draw(lambda: figures.draw_sweep(folder, plan, ledger, chosen), say)


def upload_choice(
    mirror: MlflowMirror, folder: Path, run: runs.Run, chosen: Trial, result: dict[str, Any], paths: list[Path],
    margin: float = MARGIN,
) -> upload.UploadedRun:  # fmt: skip
    """Uploads the choice to its trial's MLflow run and to the registry, table and figures to the sweep's run.

    It can be repeated. Raises `TrackingError` where the server cannot be used.
    """
    uploaded = upload.upload_run(run.folder, margin, mlflow_run=mirror.run_of(chosen.number))
    values = in_group(VALIDATION_FINAL, {k: result["chosen"][k] for k in (ACCURACY, GAP)})
    values |= report_metrics("test", run.test)
    values |= {f"trials/{k}": float(v) for k, v in result["trials"].items()}
    sweep = mirror.mlflow_run
    with requests_to(sweep.uri, **UPLOAD):
        sweep.log_metrics(as_metrics(values, 0))
        for path in paths:
            sweep.client.log_artifact(sweep.run_id, str(path), "" if path.parent == folder else path.parent.name)
        best = {"pct.best": chosen.name, "pct.best_run": mirror.runs[chosen.number]}
        sweep.set_tags(best | {"pct.why": result["chosen"]["why"]})
        sweep.end()
    return uploaded
