"""A run in MLflow: taken up at the start, followed epoch by epoch, uploaded whole at the end, as often as one likes."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.runs import PER_TEXT, REPORT, Run, alone_in, code_version, load_run
from pct.settings import Settings
from pct.trainer import HISTORY, SETTINGS, Record
from pipelines.figures import FIGURES, draw_figures
from pipelines.logged_model import NAME, log_model
from pipelines.registry import MARGIN, Registered, register
from pipelines.server import TrackingError, connect, short_patience, tracking_uri, without_password

TRACKING = "mlflow.json"
ABOUT = "about.json"
METRICS_A_CALL, PARAMS_A_CALL = 500, 100


@dataclass(frozen=True)
class Place:
    """A run's place in MLflow."""

    client: Any
    uri: str
    run_id: str
    experiment_id: str


@dataclass(frozen=True)
class Tracked:
    """A run that is in MLflow whole. model_uri: the model of this run, runs:/<id>/model."""

    place: Place
    registered: Registered
    model_uri: str


def take_up(
    folder: Path, settings: Settings, experiment: str = "", tags: dict[str, str] | None = None
) -> Place:
    """The MLflow run of a run folder: that of `mlflow run` (MLFLOW_RUN_ID), else the folder's own, else a new one.

    Its id is kept in the folder. All settings are logged. Raises `TrackingError` when the server cannot be used.
    """
    kept = _kept(folder)
    uri = tracking_uri(kept.get("tracking_uri", ""))
    client = connect(uri)
    with short_patience():
        place = _find(client, uri, kept) or _new(client, uri, folder, experiment, tags or {})
        folder.mkdir(parents=True, exist_ok=True)
        _keep(folder, place)
        log_settings(place, settings)
    return place


def log_settings(place: Place, settings: Settings) -> None:
    """All settings as params; what is there already (`mlflow run` writes its own) stays."""
    there = place.client.get_run(place.run_id).data.params
    from mlflow.entities import Param

    missing = [Param(k, str(v)) for k, v in settings.to_dict().items() if k not in there]
    for start in range(0, len(missing), PARAMS_A_CALL):
        place.client.log_batch(place.run_id, params=missing[start : start + PARAMS_A_CALL])


class Live:
    """Logs each epoch, one call an epoch, as long as the server answers: training never waits for it long or fails."""

    def __init__(self, place: Place, say: Callable[[str], None] = print) -> None:
        self.place, self.say = place, say
        self.failed = ""

    def __call__(self, record: Record) -> None:
        if self.failed:
            return
        try:
            with short_patience():
                self.place.client.log_batch(self.place.run_id, metrics=_metrics(record))
        except Exception as problem:  # whatever a server or its driver raises: the run goes on
            self.failed = type(problem).__name__
            self.say("the tracking server does not answer; training goes on, all is uploaded at the end")


def track(
    run_dir: str | Path, margin: float = MARGIN, experiment: str = "", place: Place | None = None
) -> Tracked:
    """Uploads a finished run whole: settings, metrics, per-text values, figures, model, version, champion.

    Twice is as good as once: what is there is found, not logged again. Raises FileNotFoundError for a folder without a
    finished run, `TrackingError` when the server cannot be used.
    """
    folder = Path(run_dir)
    run = load_run(folder)
    with alone_in(folder):
        draw_figures(run)
        place = place or take_up(folder, run.settings, experiment)
        try:
            return _upload(run, place, margin)
        except TrackingError:
            raise
        except Exception as problem:  # a server or its driver raises many types
            first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
            raise TrackingError(
                f"the upload to {without_password(place.uri)} did not end: {first[:200]}; the results stay in {folder}"
            ) from problem


def end(place: Place, status: str) -> None:
    """Marks an MLflow run that did not finish (FAILED, KILLED), if the server answers."""
    try:
        with short_patience():
            place.client.set_terminated(place.run_id, status)
    except Exception:  # it is the end of a run that has its own error to tell
        return


def _upload(run: Run, place: Place, margin: float) -> Tracked:
    client, run_id = place.client, place.run_id
    log_settings(place, run.settings)
    _log_missing(place, run)
    for key, value in _tags(run).items():
        client.set_tag(run_id, key, value)
    for name in (REPORT, ABOUT, SETTINGS, HISTORY, PER_TEXT):
        client.log_artifact(run_id, str(run.folder / name))
    client.log_artifacts(run_id, str(run.folder / FIGURES), FIGURES)
    model_id = log_model(client, run, run_id, place.experiment_id)
    registered = register(client, run, f"models:/{model_id}", model_id, run_id, margin)
    client.set_tag(run_id, "pct.registered", registered.uri)
    client.set_terminated(run_id, "FINISHED")
    _keep(run.folder, place, uploaded=True)
    return Tracked(place, registered, f"runs:/{run_id}/{NAME}")


def _log_missing(place: Place, run: Run) -> None:
    """The metrics that the run in MLflow has not yet: of each epoch, then of the end."""
    wanted = [m for record in run.history for m in _metrics(record)]
    wanted += _final_metrics(run)
    known = set(place.client.get_run(place.run_id).data.metrics)
    there: set[tuple[str, int]] = set()
    for key in {m.key for m in wanted} & known:
        there |= {(key, m.step) for m in place.client.get_metric_history(place.run_id, key)}
    missing = [m for m in wanted if (m.key, m.step) not in there]
    for start in range(0, len(missing), METRICS_A_CALL):
        place.client.log_batch(place.run_id, metrics=missing[start : start + METRICS_A_CALL])


def _metrics(record: Record) -> list[Any]:
    step = int(record["epoch"])
    return _as_metrics({k: v for k, v in record.items() if k != "epoch"}, step)


def _final_metrics(run: Run) -> list[Any]:
    found: dict[str, float] = {}
    for split, report in (("test", run.test), ("final_validation", run.validation)):
        found |= {f"{split}_{k}": v for k, v in report.metrics.items()}
        found |= {f"{split}_{k}_se": v for k, v in report.errors.items()}
        found |= {f"{split}_{k.replace('-', '_minus_')}": v for k, v in report.gaps.items()}
    found |= {f"seconds_{k}": v for k, v in run.about["seconds"].items()}
    found |= {f"peak_memory_mb_{k}": v for k, v in run.about["peak_memory_mb"].items()}
    return _as_metrics(found, 0)


def _as_metrics(values: dict[str, Any], step: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(key.replace("@", "_at_"), float(v), now, step)
        for key, v in values.items()
        if isinstance(v, int | float) and math.isfinite(v)
    ]


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
        "torch": run.about["versions"]["torch"],
    }
    if code["commit"]:
        tags |= {"mlflow.source.git.commit": code["commit"], "code.dirty": str(code["dirty"]).lower()}
    return tags


def _find(client: Any, uri: str, kept: dict[str, str]) -> Place | None:
    """The run of `mlflow run`, or the folder's own if this server still has it."""
    from mlflow.exceptions import MlflowException

    given = os.environ.get("MLFLOW_RUN_ID", "")
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
    return Place(client, uri, info.run_id, info.experiment_id) if info.lifecycle_stage == "active" else None


def _close_stale(client: Any, run_id: str, successor: str) -> None:
    """A killed `mlflow run` leaves its run RUNNING for ever; the one that goes on in its folder closes it."""
    from mlflow.exceptions import MlflowException

    try:
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_tag(run_id, "pct.continued_by", successor)
            client.set_terminated(run_id, "KILLED")
    except MlflowException:
        return


def _new(client: Any, uri: str, folder: Path, experiment: str, tags: dict[str, str]) -> Place:
    experiment_id = _experiment(client, experiment)
    about = {"mlflow.source.name": "pipelines.main", "mlflow.source.type": "LOCAL"}
    if commit := code_version()["commit"]:
        about["mlflow.source.git.commit"] = commit
    made = client.create_run(experiment_id, tags=about | tags, run_name=folder.name)
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


def _keep(folder: Path, place: Place, uploaded: bool = False) -> None:
    about = {
        "tracking_uri": without_password(place.uri),
        "run_id": place.run_id,
        "experiment_id": place.experiment_id,
        "uploaded": uploaded,
    }
    unfinished = folder / f"{TRACKING}.part"
    unfinished.write_text(json.dumps(about, indent=2), encoding="utf-8")
    os.replace(unfinished, folder / TRACKING)
