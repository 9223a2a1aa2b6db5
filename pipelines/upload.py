"""Uploads a run to MLflow: its settings at the start, each epoch, everything at the end; it can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.layout import ABOUT, FIGURES, HISTORY, PER_TEXT, REPORT, SETTINGS, Record
from pct.training.runs import Run, load_run
from pct.writing import folder_lock
from pipelines.champion import MARGIN
from pipelines.connection import UPLOAD, TrackingError, connect, default_tracking, request_timeout, without_password
from pipelines.data_sets import CONTEXTS, as_input, noted, run_data_sets
from pipelines.description import describe
from pipelines.figures import draw_figures, try_to_draw
from pipelines.job import first_line
from pipelines.logged_model import NAME, SavedClassifier, export_run, log_model
from pipelines.metric_names import VALIDATION_FINAL, as_metrics, cost_metrics, epoch_metrics, report_metrics
from pipelines.mlflow_runs import DESCRIPTION, MlflowRun, ended_on_failure, open_run, remember, run_name
from pipelines.registry import RegisteredVersion, register


@dataclass(frozen=True)
class UploadedRun:
    """A run that is completely in MLflow. model_uri: its model, runs:/<id>/model. registered: None where the model is
    not registered."""

    mlflow_run: MlflowRun
    registered: RegisteredVersion | None
    model_uri: str


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
            try_to_draw(lambda: draw_figures(run), print)
            exported = export_run(run, print) if registers else None
            connect(mlflow_run.uri)  # a server that is gone is told within seconds
            try:
                with default_tracking(mlflow_run.uri), request_timeout(**UPLOAD):
                    return _upload(run, mlflow_run, margin if registers else None, exported, name)
            except Exception as problem:  # a server or its driver raises many types
                where, reason = without_password(mlflow_run.uri), first_line(problem)
                raise TrackingError(
                    f"the upload to {where} did not end: {reason}; the results stay in {folder}"
                ) from problem


def _upload(run: Run, mlflow_run: MlflowRun, margin: float | None, exported: Path | None, name: str) -> UploadedRun:
    client, run_id = mlflow_run.client, mlflow_run.run_id
    mlflow_run.log_params(run.settings.to_dict())
    data = run_data_sets(run)
    client.log_inputs(run_id, [as_input(data_set, CONTEXTS[split]) for split, data_set in data.items()])
    mlflow_run.set_tags(_tags(run))
    for file in (REPORT, ABOUT, SETTINGS, HISTORY, PER_TEXT):
        client.log_artifact(run_id, str(run.folder / file))
    if (run.folder / FIGURES).is_dir():
        client.log_artifacts(run_id, str(run.folder / FIGURES), FIGURES)
    model_id = log_model(client, SavedClassifier.of_run(run), run_id, mlflow_run.experiment_id, exported)
    mlflow_run.log_metrics(_all_metrics(run, model_id, data["test"]))
    registered = None
    if margin is not None:
        registered = register(client, run, f"models:/{model_id}", model_id, run_id, margin, name)
        mlflow_run.set_tags({"pct.registered": registered.uri})
    mlflow_run.set_tags({DESCRIPTION: describe(client, run, registered.name if registered else name)})
    mlflow_run.end()
    remember(run.folder, mlflow_run, uploaded=True)
    return UploadedRun(mlflow_run, registered, f"runs:/{run_id}/{NAME}")


def _all_metrics(run: Run, model_id: str, test: Any) -> list[Any]:
    """The curves over the epochs, and the values on test, which MLflow also shows with the model and the data set."""
    curves = [m for record in run.history for m in as_metrics(epoch_metrics(record), int(record["epoch"]))]
    of = {"model_id": model_id, "dataset_name": test.name, "dataset_digest": test.digest}
    final = report_metrics(VALIDATION_FINAL, run.validation) | cost_metrics(run.about)
    return curves + as_metrics(report_metrics("test", run.test), 0, of=of) + as_metrics(final, 0)


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
