"""A run in MLflow: taken up at the start, followed epoch by epoch, uploaded whole at the end, as often as one likes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pct.metrics.report import Report
from pct.settings import Settings
from pct.training.checkpoint import HISTORY, SETTINGS, Record
from pct.training.runs import ABOUT, PER_TEXT, REPORT, Run, alone_in, load_run
from pipelines.exported import export_run
from pipelines.figures import FIGURES, draw_figures
from pipelines.logged_model import NAME, log_model
from pipelines.place import Place, keep, take_up
from pipelines.registry import MARGIN, Registered, register
from pipelines.server import TrackingError, as_default, as_error, connect, patience, without_password

METRICS_A_CALL, PARAMS_A_CALL = 500, 100
# The last upload carries whole files, and no training waits for it.
UPLOAD_SECONDS, UPLOAD_RETRIES = 120, 3


@dataclass(frozen=True)
class Tracked:
    """A run that is in MLflow whole. model_uri: the model of this run, runs:/<id>/model. registered: None where the
    model was not to be registered."""

    place: Place
    registered: Registered | None
    model_uri: str


def log_settings(place: Place, settings: Settings) -> None:
    """All settings as params. Raises `TrackingError` when the server cannot be used."""
    try:
        with patience():
            log_params(place, settings.to_dict())
    except Exception as problem:  # a server or its driver raises many types
        raise as_error(place.uri, problem) from problem


def log_params(place: Place, values: dict[str, Any]) -> None:
    """Params of the run; one that is there already stays, as MLflow lets none change: `mlflow run` writes its own."""
    from mlflow.entities import Param

    there = place.client.get_run(place.run_id).data.params
    missing = [Param(k, str(v)) for k, v in values.items() if k not in there]
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
            with patience():
                self.place.client.log_batch(self.place.run_id, metrics=_metrics(record))
        except Exception as problem:  # whatever a server or its driver raises: the run goes on
            self.failed = type(problem).__name__
            self.say("the tracking server does not answer; training goes on, all is uploaded at the end")


def track(
    run_dir: str | Path,
    margin: float = MARGIN,
    experiment: str = "",
    place: Place | None = None,
    registers: bool = True,
    say: Callable[[str], None] = print,
) -> Tracked:
    """Uploads a finished run whole: settings, metrics, per-text values, figures, model, version, champion.

    Twice is as good as once: what is there is found, not logged again. place: where to, the folder's own where None.
    registers: whether the model gets a version in the registry, and its ONNX graphs, which are what is served, go with
    it. Raises FileNotFoundError for a folder without a
    finished run, `TrackingError` when the server cannot be used.
    """
    folder = Path(run_dir)
    run = load_run(folder)
    with alone_in(folder):
        draw_figures(run)
        exported = export_run(run, say) if registers else None
        place = place or take_up(folder, experiment)
        connect(place.uri)  # a server that is gone is told within seconds
        try:
            with as_default(place.uri), patience(UPLOAD_SECONDS, UPLOAD_RETRIES):
                return _upload(run, place, margin if registers else None, exported)
        except Exception as problem:  # a server or its driver raises many types
            first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
            raise TrackingError(
                f"the upload to {without_password(place.uri)} did not end: {first[:200]}; the results stay in {folder}"
            ) from problem


def _upload(run: Run, place: Place, margin: float | None, exported: Path | None) -> Tracked:
    client, run_id = place.client, place.run_id
    log_params(place, run.settings.to_dict())
    _log_corpus(place, run)
    log_missing(place, [m for record in run.history for m in _metrics(record)] + _final_metrics(run))
    for key, value in _tags(run).items():
        client.set_tag(run_id, key, value)
    for name in (REPORT, ABOUT, SETTINGS, HISTORY, PER_TEXT):
        client.log_artifact(run_id, str(run.folder / name))
    client.log_artifacts(run_id, str(run.folder / FIGURES), FIGURES)
    model_id = log_model(client, run, run_id, place.experiment_id, exported)
    registered = None
    if margin is not None:
        registered = register(client, run, f"models:/{model_id}", model_id, run_id, margin)
        client.set_tag(run_id, "pct.registered", registered.uri)
    client.set_terminated(run_id, "FINISHED")
    keep(run.folder, place, uploaded=True)
    return Tracked(place, registered, f"runs:/{run_id}/{NAME}")


def _log_corpus(place: Place, run: Run) -> None:
    """The corpus as MLflow's data set, known by its fingerprint."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    about = run.about["corpus"]
    data = Dataset(
        about["name"], about["fingerprint"], "pct", json.dumps({"source": about["source"]}),
        profile=json.dumps({"sizes": about["sizes"], "classes": about["classes"]}),
    )  # fmt: skip
    place.client.log_inputs(place.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def log_missing(place: Place, wanted: list[Any]) -> None:
    """Logs those metrics that the run in MLflow has not yet at their step."""
    known = set(place.client.get_run(place.run_id).data.metrics)
    there: set[tuple[str, int]] = set()
    for key in {m.key for m in wanted} & known:
        there |= {(key, m.step) for m in place.client.get_metric_history(place.run_id, key)}
    missing = [m for m in wanted if (m.key, m.step) not in there]
    for start in range(0, len(missing), METRICS_A_CALL):
        place.client.log_batch(place.run_id, metrics=missing[start : start + METRICS_A_CALL])


def _metrics(record: Record) -> list[Any]:
    step = int(record["epoch"])
    return as_metrics({k: v for k, v in record.items() if k != "epoch"}, step)


def _final_metrics(run: Run) -> list[Any]:
    found: dict[str, float] = {}
    for name, report in (("test", run.test), ("final_validation", run.validation)):
        found |= report_values(name, report)
    found |= {f"seconds_{k}": v for k, v in run.about["seconds"].items()}
    found |= {f"peak_memory_mb_{k}": v for k, v in run.about["peak_memory_mb"].items()}
    return as_metrics(found, 0)


def report_values(split: str, report: Report) -> dict[str, float]:
    """A report under the names that it has in MLflow: test_comp, test_comp_se, test_comp_minus_suff."""
    found = {f"{split}_{k}": v for k, v in report.metrics.items()}
    found |= {f"{split}_{k}_se": v for k, v in report.errors.items()}
    return found | {f"{split}_{k.replace('-', '_minus_')}": v for k, v in report.gaps.items()}


def as_metrics(values: dict[str, Any], step: int) -> list[Any]:
    """MLflow's metrics of the finite numbers among the values."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(key, float(v), now, step) for key, v in values.items() if isinstance(v, int | float) and math.isfinite(v)
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
