"""Uploads a run to MLflow: its settings at the start, each epoch, everything at the end; it can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.layout import ABOUT, HISTORY, PER_TEXT, REPORT, SETTINGS, Record
from pct.settings import Settings
from pct.training.runs import Run, folder_lock, load_run
from pipelines.champion import MARGIN
from pipelines.connection import (
    TrackingError,
    connect,
    default_tracking,
    request_timeout,
    tracking_error,
    without_password,
)
from pipelines.data_sets import CONTEXTS, as_input, run_data_sets
from pipelines.description import DESCRIPTION, describe
from pipelines.figures import FIGURES, draw_figures, try_to_draw
from pipelines.logged_model import NAME, SavedClassifier, log_model
from pipelines.metric_names import VALIDATION_FINAL, as_metrics, cost_metrics, epoch_metrics, report_metrics
from pipelines.mlflow_runs import MlflowRun, ended_on_failure, open_run, remember, run_name
from pipelines.onnx_graphs import export_run
from pipelines.registry import RegisteredVersion, register

METRICS_A_CALL, PARAMS_A_CALL = 500, 100
# The last upload has whole files, and no training waits for it.
UPLOAD_SECONDS, UPLOAD_RETRIES = 120, 3


@dataclass(frozen=True)
class UploadedRun:
    """A run that is completely in MLflow. model_uri: its model, runs:/<id>/model. registered: None where the model is
    not registered."""

    mlflow_run: MlflowRun
    registered: RegisteredVersion | None
    model_uri: str


def log_settings(mlflow_run: MlflowRun, settings: Settings) -> None:
    """Logs all settings as parameters. Raises `TrackingError` when the server cannot be used."""
    try:
        with request_timeout():
            log_params(mlflow_run, settings.to_dict())
    except Exception as problem:  # a server or its driver raises many types
        raise tracking_error(mlflow_run.uri, problem) from problem


def log_params(mlflow_run: MlflowRun, values: dict[str, Any]) -> None:
    """Logs parameters of the run. One that exists stays, since MLflow allows no change."""
    from mlflow.entities import Param

    there = mlflow_run.client.get_run(mlflow_run.run_id).data.params
    missing = [Param(k, str(v)) for k, v in values.items() if k not in there]
    for start in range(0, len(missing), PARAMS_A_CALL):
        mlflow_run.client.log_batch(mlflow_run.run_id, params=missing[start : start + PARAMS_A_CALL])


class EpochLogger:
    """Logs each epoch by one call, as long as the server answers: training never waits long for it, and never fails."""

    def __init__(self, mlflow_run: MlflowRun, say: Callable[[str], None] = print) -> None:
        self.mlflow_run, self.say = mlflow_run, say
        self.failed = ""

    def __call__(self, record: Record) -> None:
        if self.failed:
            return
        try:
            with request_timeout():
                metrics = as_metrics(epoch_metrics(record), int(record["epoch"]))
                self.mlflow_run.client.log_batch(self.mlflow_run.run_id, metrics=metrics)
        except Exception as problem:  # a server or its driver raises many types: the run goes on
            self.failed = type(problem).__name__
            self.say("the tracking server does not answer; training goes on, and everything is uploaded at the end")


def upload_run(
    run_dir: str | Path,
    margin: float = MARGIN,
    experiment: str = "",
    mlflow_run: MlflowRun | None = None,
    registers: bool = True,
    name: str = "",
    say: Callable[[str], None] = print,
) -> UploadedRun:
    """Uploads a finished run: settings, metrics, per-text values, figures, model, version, champion.

    It can be repeated: what is logged is not logged again. mlflow_run: the target, the folder's own where None.
    registers: whether the model gets a version in the registry, with its ONNX graphs, which the service runs.
    name: the registered model, `registry.model_name` where empty. Raises FileNotFoundError for a folder
    without a finished run, `TrackingError` when the server cannot be used.
    """
    folder = Path(run_dir)
    run = load_run(folder)
    with folder_lock(folder):
        mlflow_run = mlflow_run or open_run(folder, experiment, name=run_name(run.settings))
        with ended_on_failure(mlflow_run):
            try_to_draw(lambda: draw_figures(run), say)
            exported = export_run(run, say) if registers else None
            connect(mlflow_run.uri)  # a server that is gone is told within seconds
            try:
                with default_tracking(mlflow_run.uri), request_timeout(UPLOAD_SECONDS, UPLOAD_RETRIES):
                    return _upload(run, mlflow_run, margin if registers else None, exported, name)
            except Exception as problem:  # a server or its driver raises many types
                first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
                where = without_password(mlflow_run.uri)
                raise TrackingError(
                    f"the upload to {where} did not end: {first[:200]}; the results stay in {folder}"
                ) from problem


def _upload(run: Run, mlflow_run: MlflowRun, margin: float | None, exported: Path | None, name: str) -> UploadedRun:
    client, run_id = mlflow_run.client, mlflow_run.run_id
    log_params(mlflow_run, run.settings.to_dict())
    data = run_data_sets(run)
    client.log_inputs(run_id, [as_input(found, CONTEXTS[split]) for split, found in data.items()])
    for key, value in _tags(run).items():
        client.set_tag(run_id, key, value)
    for file in (REPORT, ABOUT, SETTINGS, HISTORY, PER_TEXT):
        client.log_artifact(run_id, str(run.folder / file))
    if (run.folder / FIGURES).is_dir():
        client.log_artifacts(run_id, str(run.folder / FIGURES), FIGURES)
    model_id = log_model(client, SavedClassifier.of_run(run), run_id, mlflow_run.experiment_id, exported)
    log_missing(mlflow_run, _all_metrics(run, model_id, data["test"]))
    registered = None
    if margin is not None:
        registered = register(client, run, f"models:/{model_id}", model_id, run_id, margin, name)
        client.set_tag(run_id, "pct.registered", registered.uri)
    client.set_tag(run_id, DESCRIPTION, describe(client, run, registered.name if registered else name))
    client.set_terminated(run_id, "FINISHED")
    remember(run.folder, mlflow_run, uploaded=True)
    return UploadedRun(mlflow_run, registered, f"runs:/{run_id}/{NAME}")


def log_missing(mlflow_run: MlflowRun, wanted: list[Any]) -> None:
    """Logs those metrics that the run in MLflow does not have at their step."""
    known = set(mlflow_run.client.get_run(mlflow_run.run_id).data.metrics)
    there: set[tuple[str, int]] = set()
    for key in {m.key for m in wanted} & known:
        there |= {(key, m.step) for m in mlflow_run.client.get_metric_history(mlflow_run.run_id, key)}
    missing = [m for m in wanted if (m.key, m.step) not in there]
    for start in range(0, len(missing), METRICS_A_CALL):
        mlflow_run.client.log_batch(mlflow_run.run_id, metrics=missing[start : start + METRICS_A_CALL])


def _all_metrics(run: Run, model_id: str, test: Any) -> list[Any]:
    """The curves over the epochs, and the values on test, which MLflow also shows with the model and the data set."""
    curves = [m for record in run.history for m in as_metrics(epoch_metrics(record), int(record["epoch"]))]
    of = {"model_id": model_id, "dataset_name": test.name, "dataset_digest": test.digest}
    final = report_metrics(VALIDATION_FINAL, run.validation) | cost_metrics(run.about)
    return curves + as_metrics(report_metrics("test", run.test), 0, **of) + as_metrics(final, 0)


def noted(notes: dict[str, Any]) -> list[tuple[str, str]]:
    """The notes on the texts (skipped, cut, held out, taken for an index) that are not empty, as text."""
    return [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in notes.items() if value]


def _tags(run: Run) -> dict[str, str]:
    corpus, code = run.about["corpus"], run.about["code"]
    sizes = ", ".join(f"{k} {v}" for k, v in corpus["sizes"].items())
    tags = {
        "corpus.fingerprint": corpus["fingerprint"],
        "corpus.source": corpus["source"],
        "corpus.sizes": sizes,
        "settings_hash": run.about["settings_hash"],
        "weights": run.about["weights"],
        "device": f"{run.about['device']} {run.about['device_name']}".strip(),
        "pct.version": run.about["versions"]["pct"],
        "torch": run.about["versions"]["torch"],
    }
    tags |= {
        f"data.{k}.{name}": value for k, notes in run.about.get("data", {}).items() for name, value in noted(notes)
    }
    tags |= {f"glove.{name}": str(count) for name, count in run.about.get("glove", {}).items()}
    if code["commit"]:
        tags |= {"mlflow.source.git.commit": code["commit"], "code.dirty": str(code["dirty"]).lower()}
    return tags
