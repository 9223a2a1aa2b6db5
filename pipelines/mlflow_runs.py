"""The MLflow run of a run folder or a job: that of `mlflow run`, or the one that its folder names, or a new one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pct.settings import Settings
from pct.training.code_version import code_version
from pct.writing import write_text
from pipelines.connection import connect, how_to_view, request_timeout, requests_to, tracking_uri, without_password
from pipelines.job import NotUploadedError, first_line

TRACKING = "mlflow.json"
CONTINUED_BY = "pct.continued_by"  # the tag that names the run with the results
PARENT = "mlflow.parentRunId"  # the tag that nests a run in another one
PROJECT = "pct"  # the default experiment
MLFLOWS_OWN = "0"  # the default experiment of `mlflow run`
# the tags of `mlflow run`: the source of the code, and the command
GIVEN_TAGS = ("mlflow.source.", "mlflow.project.", "mlflow.git")
DESCRIPTION = "mlflow.note.content"  # the tag that a run's page shows as its description


@dataclass(frozen=True)
class MlflowRun:
    """An MLflow run and the client that reaches it."""

    client: Any
    uri: str
    run_id: str
    experiment_id: str

    @property
    def how_to_view(self) -> str:
        """How to open the MLflow UI on this run."""
        return how_to_view(self.uri, self.experiment_id, self.run_id)

    def log_params(self, values: dict[str, Any]) -> None:
        """Logs parameters. One that exists stays, since MLflow allows no change."""
        from mlflow.entities import Param

        logged = self.client.get_run(self.run_id).data.params
        missing = [Param(k, str(v)) for k, v in values.items() if k not in logged]
        self.client.log_batch(self.run_id, params=missing)

    def log_metrics(self, metrics: list[Any]) -> None:
        """Logs those of some metrics of `metric_names.as_metrics` that the run does not have at their step."""
        logged_names = set(self.client.get_run(self.run_id).data.metrics)
        logged: set[tuple[str, int]] = set()
        for key in {m.key for m in metrics} & logged_names:
            logged |= {(key, m.step) for m in self.client.get_metric_history(self.run_id, key)}
        missing = [m for m in metrics if (m.key, m.step) not in logged]
        self.client.log_batch(self.run_id, metrics=missing)

    def set_tags(self, tags: dict[str, str]) -> None:
        """Sets tags."""
        for key, value in tags.items():
            self.client.set_tag(self.run_id, key, value)

    def log_files(self, files: Mapping[str, str | Callable[[Path], object]]) -> None:
        """Logs files by their names: each is a text, or a function that writes the file to a path."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                if isinstance(content, str):
                    write_text(Path(folder) / name, content)
                else:
                    content(Path(folder) / name)
            self.client.log_artifacts(self.run_id, folder)

    def end(self, status: str = "FINISHED") -> None:
        """Ends the run."""
        self.client.set_terminated(self.run_id, status)


def check_connection(folder: Path | None = None) -> str:
    """The URI of the tracking server. Raises `TrackingError` within seconds where it cannot be used."""
    uri = tracking_uri(_remembered(folder).get("tracking_uri", "") if folder else "")
    connect(uri)
    return uri


def run_name(settings: Settings) -> str:
    """The name of a run in MLflow: method, corpus, model and seed."""
    return f"{settings.method}-{settings.corpus or 'given'}-{settings.model_name}-seed{settings.seed}"


def open_run(folder: Path | None, experiment: str = "", parent: MlflowRun | None = None, name: str = "") -> MlflowRun:
    """The MLflow run of a run folder: that of `mlflow run` (MLFLOW_RUN_ID), else the folder's own, else a new one.

    The folder stores its id: a run that was interrupted and is repeated is one entry. A run that `mlflow run` made in
    MLflow's own experiment by default is replaced by one in the experiment `PROJECT`; one that stays gets the name.
    folder: None for a job without one. name: the folder's where empty. parent: a new run is nested in this one, and
    MLFLOW_RUN_ID, the parent's, is ignored. Raises `TrackingError` when the server cannot be used.
    """
    remembered = _remembered(folder) if folder else {}
    uri = parent.uri if parent else tracking_uri(remembered.get("tracking_uri", ""))
    given = "" if parent else os.environ.get("MLFLOW_RUN_ID", "")
    name = name or (folder.name if folder else "")
    client = connect(uri)
    with requests_to(uri):
        instead = _experiment_instead(client, given, experiment) if given else ""
        mlflow_run = _find(client, uri, remembered, "" if instead else given)
        mlflow_run = mlflow_run or _new(client, uri, name, instead or experiment, parent)
        if instead:
            _hand_over(client, given, mlflow_run.run_id, f"see {name} in {instead}")
        elif given:
            client.update_run(given, name=name)
    if folder:
        remember(folder, mlflow_run)
    return mlflow_run


def start_run(name: str, experiment: str = "") -> MlflowRun:
    """The MLflow run of a job without a folder: that of `mlflow run`, else a new one. Raises `TrackingError`."""
    return open_run(None, experiment, name=name)


@contextmanager
def ended_on_failure(mlflow_run: MlflowRun) -> Iterator[None]:
    """Ends the MLflow run as FAILED where the block raises, as KILLED where it is interrupted: none stays RUNNING."""
    try:
        yield
    except BaseException as problem:
        end_run(mlflow_run, "KILLED" if isinstance(problem, KeyboardInterrupt) else "FAILED")
        raise


@contextmanager
def upload_of_results(mlflow_run: MlflowRun) -> Iterator[None]:
    """For logging the results of a job, whatever the server raises. Raises NotUploadedError; the run ends as failed."""
    try:
        with ended_on_failure(mlflow_run):
            yield
    except Exception as problem:  # a server or its driver raises many types
        raise NotUploadedError(f"not logged to {without_password(mlflow_run.uri)}: {first_line(problem)}") from problem


@contextmanager
def system_metrics(mlflow_run: MlflowRun) -> Iterator[None]:
    """Logs CPU, memory, disk, network and GPU in the block, where MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING is set."""
    from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

    if not MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(mlflow_run.run_id, resume_logging=True, tracking_uri=mlflow_run.uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def end_run(mlflow_run: MlflowRun, status: str) -> None:
    """Marks an MLflow run that did not finish (FAILED, KILLED), if the server answers."""
    with suppress(Exception), request_timeout():  # the run reports its own error
        mlflow_run.end(status)


def remember(folder: Path, mlflow_run: MlflowRun, uploaded: bool = False) -> None:
    """Writes the MLflow run of a folder, and whether the upload is complete, into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "tracking_uri": without_password(mlflow_run.uri),
        "run_id": mlflow_run.run_id,
        "experiment_id": mlflow_run.experiment_id,
        "uploaded": uploaded,
    }
    write_text(folder / TRACKING, json.dumps(about, indent=2))


def is_uploaded(folder: Path) -> bool:
    """Whether a run folder is recorded as completely uploaded."""
    return bool(_remembered(folder).get("uploaded"))


def _find(client: Any, uri: str, remembered: dict[str, str], given: str) -> MlflowRun | None:
    """The run of `mlflow run`, or the folder's own if the server still has it."""
    from mlflow.exceptions import MlflowException

    if given:
        info = client.get_run(given).info
        if remembered.get("run_id") not in (None, given) and remembered.get("tracking_uri") == without_password(uri):
            _close_stale(client, remembered["run_id"], given)
        return MlflowRun(client, uri, given, info.experiment_id)
    if not remembered or remembered["tracking_uri"] != without_password(uri):
        return None
    try:
        info = client.get_run(remembered["run_id"]).info
    except MlflowException as problem:
        if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if info.lifecycle_stage != "active":
        return None
    if info.status in ("FAILED", "KILLED"):
        client.update_run(info.run_id, "RUNNING")
    return MlflowRun(client, uri, info.run_id, info.experiment_id)


def _close_stale(client: Any, run_id: str, successor: str) -> None:
    """Deletes the unfinished run of an interrupted `mlflow run`: the one that continues in its folder has all of it."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        if client.get_run(run_id).info.status != "FINISHED":
            client.set_tag(run_id, CONTINUED_BY, successor)
            client.set_terminated(run_id, "KILLED")
            client.delete_run(run_id)  # MLflow can restore it


def _experiment_instead(client: Any, given: str, experiment: str) -> str:
    """The name of the experiment to which a run of `mlflow run` belongs; empty where it is there already."""
    run = client.get_run(given)
    wanted = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "")
    if not wanted and run.info.experiment_id == MLFLOWS_OWN and PARENT not in run.data.tags:
        wanted = PROJECT
    return wanted if wanted and client.get_experiment(run.info.experiment_id).name != wanted else ""


def _hand_over(client: Any, given: str, successor: str, name: str) -> None:
    """Marks the run of `mlflow run` as empty: its name and a tag say where the results are.

    `mlflow run` fails where its run is deleted before it ends, so those of earlier commands are deleted here.
    """
    ended = f"tags.`{CONTINUED_BY}` != '' and attributes.status != 'RUNNING'"
    for run in client.search_runs([MLFLOWS_OWN], ended):
        client.delete_run(run.info.run_id)
    for tag, value in client.get_run(given).data.tags.items():
        if tag.startswith(GIVEN_TAGS):
            client.set_tag(successor, tag, value)
    client.update_run(given, name=name)
    client.set_tag(given, CONTINUED_BY, successor)


def _new(client: Any, uri: str, name: str, experiment: str, parent: MlflowRun | None) -> MlflowRun:
    experiment_id = parent.experiment_id if parent else _experiment(client, experiment)
    tags = source_tags() | ({PARENT: parent.run_id} if parent else {})
    run = client.create_run(experiment_id, tags=tags, run_name=name)
    return MlflowRun(client, uri, run.info.run_id, experiment_id)


@cache
def source_tags() -> dict[str, str]:
    """The tags of a new run that name this code and its commit."""
    tags = {"mlflow.source.name": "pct", "mlflow.source.type": "LOCAL"}
    commit = code_version()["commit"]
    return tags | ({"mlflow.source.git.commit": commit} if commit else {})


def _experiment(client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    name = name or os.environ.get("MLFLOW_EXPERIMENT_NAME", "")
    if not name and (experiment_id := os.environ.get("MLFLOW_EXPERIMENT_ID")):
        return experiment_id
    name = name or PROJECT
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:  # another run made it in this moment
            if (experiment := client.get_experiment_by_name(name)) is None:
                raise
    return str(experiment.experiment_id)


def _remembered(folder: Path) -> dict[str, Any]:
    path = folder / TRACKING
    if not path.is_file():
        return {}
    try:
        remembered = json.loads(path.read_text(encoding="utf-8"))
        return {**remembered, **{name: str(remembered[name]) for name in ("tracking_uri", "run_id")}}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged; remove it: the run is then uploaded as a new one") from None
