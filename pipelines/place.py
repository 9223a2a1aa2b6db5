"""A run's place in MLflow: that of `mlflow run`, or the one that its folder remembers, or a new one."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.training.runs import code_version
from pipelines.server import as_error, connect, patience, tracking_uri, without_password

TRACKING = "mlflow.json"


@dataclass(frozen=True)
class Place:
    """An MLflow run and the client that reaches it."""

    client: Any
    uri: str
    run_id: str
    experiment_id: str


def check(folder: Path | None = None) -> str:
    """The URI where a run will be tracked, when it can be. Raises `TrackingError` within seconds when it cannot."""
    uri = tracking_uri(_kept(folder).get("tracking_uri", "") if folder else "")
    connect(uri)
    return uri


def take_up(folder: Path, experiment: str = "", parent: Place | None = None) -> Place:
    """The MLflow run of a run folder: that of `mlflow run` (MLFLOW_RUN_ID), else the folder's own, else a new one.

    Its id is kept in the folder. parent: a new run is nested in this one, and MLFLOW_RUN_ID is not looked at: it is the
    parent's. Raises `TrackingError` when the server cannot be used.
    """
    kept = _kept(folder)
    uri = parent.uri if parent else tracking_uri(kept.get("tracking_uri", ""))
    given = "" if parent else os.environ.get("MLFLOW_RUN_ID", "")
    place = _open(uri, kept, given, folder.name, experiment, parent)
    keep(folder, place)
    return place


def start(name: str, experiment: str = "") -> Place:
    """The MLflow run of a job without a folder: that of `mlflow run`, else a new one. Raises `TrackingError`."""
    return _open(tracking_uri(), {}, os.environ.get("MLFLOW_RUN_ID", ""), name, experiment, None)


def _open(uri: str, kept: dict[str, str], given: str, name: str, experiment: str, parent: Place | None) -> Place:
    client = connect(uri)
    try:
        with patience():
            return _find(client, uri, kept, given) or _new(client, uri, name, experiment, parent)
    except Exception as problem:  # a server or its driver raises many types
        raise as_error(uri, problem) from problem


def end(place: Place, status: str) -> None:
    """Marks an MLflow run that did not finish (FAILED, KILLED), if the server answers."""
    try:
        with patience():
            place.client.set_terminated(place.run_id, status)
    except Exception:  # it is the end of a run that has its own error to tell
        return


def keep(folder: Path, place: Place, uploaded: bool = False) -> None:
    """Writes where the run lies, and whether it is there whole, into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "tracking_uri": without_password(place.uri),
        "run_id": place.run_id,
        "experiment_id": place.experiment_id,
        "uploaded": uploaded,
    }
    unfinished = folder / f"{TRACKING}.part"
    unfinished.write_text(json.dumps(about, indent=2), encoding="utf-8")
    os.replace(unfinished, folder / TRACKING)


def _find(client: Any, uri: str, kept: dict[str, str], given: str) -> Place | None:
    """The run of `mlflow run`, or the folder's own if this server still has it."""
    from mlflow.exceptions import MlflowException

    if given:
        info = client.get_run(given).info
        if kept.get("run_id") not in (None, given) and kept.get("tracking_uri") == without_password(uri):
            _close_stale(client, kept["run_id"], given)
        return Place(client, uri, given, info.experiment_id)
    if not kept or kept["tracking_uri"] != without_password(uri):
        return None
    try:
        info = client.get_run(kept["run_id"]).info
    except MlflowException as problem:
        if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if info.lifecycle_stage != "active":
        return None
    if info.status in ("FAILED", "KILLED"):
        client.update_run(info.run_id, "RUNNING")
    return Place(client, uri, info.run_id, info.experiment_id)


def _close_stale(client: Any, run_id: str, successor: str) -> None:
    """A killed `mlflow run` leaves its run RUNNING for ever; the one that goes on in its folder closes it."""
    from mlflow.exceptions import MlflowException

    try:
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_tag(run_id, "pct.continued_by", successor)
            client.set_terminated(run_id, "KILLED")
    except MlflowException:
        return


def _new(client: Any, uri: str, name: str, experiment: str, parent: Place | None) -> Place:
    experiment_id = parent.experiment_id if parent else _experiment(client, experiment)
    tags = {"mlflow.source.name": "pct", "mlflow.source.type": "LOCAL"}
    if commit := code_version()["commit"]:
        tags["mlflow.source.git.commit"] = commit
    if parent:
        tags["mlflow.parentRunId"] = parent.run_id
    made = client.create_run(experiment_id, tags=tags, run_name=name)
    return Place(client, uri, made.info.run_id, experiment_id)


def _experiment(client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    if not name and (known := os.environ.get("MLFLOW_EXPERIMENT_ID")):
        return known
    name = name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:  # another run made it in this moment
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def _kept(folder: Path) -> dict[str, Any]:
    path = folder / TRACKING
    if not path.is_file():
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {"tracking_uri": str(kept["tracking_uri"]), "run_id": str(kept["run_id"])}
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is damaged; remove it: the run is then uploaded as a new one") from None
