"""From the name of a model to an exported folder: an existing one, one of the registry, or a new export.

`pct serve` watches the registry: the list of models follows its aliases.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pct
from pct.auditing import kept
from pct.auditing.kept import REGISTERED, AuditSummary
from pct.layout import CHAMPION, EXPORTED, MODEL, may_be_on_the_hub
from pct.onnx.predictor import CONFIG, GRADIENT
from pct.settings import Settings
from serving.model_store import ModelEntry, write_entries

NO_MODEL = "there is no model {}: give a folder, models:/<name>@champion, or a classifier's name on the hub"
WEIGHTS = ".safetensors"
OF_A_CLASSIFIER = ["*.json", f"*{WEIGHTS}", "*.txt", "*.model"]  # the files of a repository that transformers reads
# the metrics of the registry that GET /model shows, without the prefix of their split; the second form is that of 0.1.0
TEST_METRIC = re.compile(r"test/(?P<name>.+)|test_(?P<old>.+(?<!_se))")


def resolve(source: str, cache: Path, head: str = "", threshold: float | None = None) -> ModelEntry:
    """The model of a source as an exported folder, with the id of `default_id`.

    Args:
        source: an exported folder, a run's or a model's folder, a transformers classifier by its folder or hub name,
            models:/<name>@<alias>, models:/<name>/<version> or runs:/<id>/model.
        cache: the folder for exported models.
        head: what the outputs of a transformers classifier are, where its configuration does not say it: see
            `pct.load`.
        threshold: of several labels, the probability from which one is assigned.

    Raises:
        FileNotFoundError: there is no such model. As the next two, with the remedy.
        ValueError: it cannot be exported.
        ImportError: a package is missing.
    """
    exported = (Path(source) / GRADIENT).is_file()
    of_mlflow = source.startswith(("runs:/", "models:/"))
    if head and (of_mlflow or exported):
        raise ValueError(f"head {head}: {source} is a saved classifier, which has its own head; leave it out")
    if exported:
        entry = ModelEntry("", str(Path(source).absolute()), source)
    elif match := REGISTERED.fullmatch(source):
        client = registry()
        version = find_version(client, match["name"], match["alias"], match["version"])
        entry = entry_of_version(client, version, match["alias"], source, cache)
    elif of_mlflow:
        entry = ModelEntry("", str(_export(source, _cached(cache, source))), source)
    elif Path(source).is_dir():
        folder = _export(source, _cached(cache, _files_version(Path(source)), head), head)
        # the audit may be newer than the exported folder in the cache
        audit = kept.read_audit(None, source, Path(source) / MODEL)
        entry = ModelEntry("", str(folder), source, metrics=_report_metrics(Path(source)), audit=_as_dict(audit))
    elif may_be_on_the_hub(source):
        folder = _export(source, _cached(cache, _files_version(_from_hub(source)), head), head)
        entry = ModelEntry("", str(folder), source)
    else:
        raise FileNotFoundError(NO_MODEL.format(source))
    return replace(entry, id=default_id(entry), threshold=threshold)


def default_id(entry: ModelEntry) -> str:
    """<corpus>-<model>-<method>: what a request calls a model to which the user gave no id. A classifier that was not
    trained here has the name of its model alone."""
    about = json.loads((Path(entry.folder) / CONFIG).read_text(encoding="utf-8"))
    settings = Settings.from_saved(about["settings"])
    trained_here = settings.corpus or settings.method != "normal"
    parts = (settings.corpus, settings.model_name, settings.method if trained_here else "")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(filter(None, parts)))


def registry() -> Any:
    """MLflow's client, by MLFLOW_TRACKING_URI. Raises ImportError without MLflow, OSError where it does not answer."""
    try:
        import mlflow  # noqa: F401

        from pipelines.connection import TrackingError, connect, tracking_uri
    except ImportError:
        raise ImportError(
            "a registered model needs MLflow: pip install 'pct-explain[tracking]', or serve an exported folder"
        ) from None
    try:
        return connect(tracking_uri())
    except TrackingError as problem:
        raise ConnectionError(str(problem)) from problem


def find_version(client: Any, name: str, alias: str | None, version: str | None) -> Any:
    """MLflow's version of a registered model. Raises FileNotFoundError where there is none."""
    from mlflow.exceptions import MlflowException

    from pipelines.champion import champion_of, no_champion

    try:
        return kept.find_version(client, name, alias, version)
    except MlflowException as problem:
        suffix, reason = f"@{alias}" if alias else f"/{version}", str(problem)
        with suppress(MlflowException):  # there is no such model
            if alias == CHAMPION and not champion_of(client, name):
                reason = no_champion(client, name)
        raise FileNotFoundError(f"models:/{name}{suffix} is not in the registry: {reason}") from problem


def entry_of_version(client: Any, version: Any, alias: str | None, source: str, cache: Path) -> ModelEntry:
    """A version, with the metrics of its run and its ONNX graphs, which are exported if none were logged."""
    uri = f"models:/{version.name}/{version.version}"
    folder = cache / "registry" / _cache_name(f"{client.tracking_uri} {uri} {version.model_id or ''}")
    if not (folder / GRADIENT).is_file() and not _download(uri, folder):
        _export(uri, folder)
    return ModelEntry(
        "", str(folder), source, version.name, str(version.version), alias,
        _registry_metrics(client, version.run_id), _audit_of(version),
    )  # fmt: skip


def _audit_of(version: Any) -> dict[str, Any]:
    return _as_dict(AuditSummary.from_tags(dict(version.tags or {})))


def _as_dict(audit: AuditSummary | None) -> dict[str, Any]:
    return {} if audit is None else audit.to_dict()


def _registry_metrics(client: Any, run_id: str | None) -> dict[str, float]:
    if not run_id:
        return {}
    metrics = client.get_run(run_id).data.metrics
    matched = ((TEST_METRIC.fullmatch(name), value) for name, value in metrics.items())
    return {match["name"] or match["old"]: value for match, value in matched if match}


def _report_metrics(folder: Path) -> dict[str, float]:
    """The test metrics of a run's folder; none for another folder."""
    if not (folder / "report.json").is_file():
        return {}
    metrics = json.loads((folder / "report.json").read_text(encoding="utf-8"))["metrics"]
    return {name: value for name, value in metrics.items() if value is not None}


def _download(uri: str, folder: Path) -> bool:
    """Downloads the graphs that were logged with a version into a folder; False where it has none."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    _make_cache(folder.parent)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as tmp_dir:
        try:
            exported = Path(download_artifacts(artifact_uri=f"{uri}/artifacts/{EXPORTED}", dst_path=tmp_dir))
        except (MlflowException, OSError):
            return False
        if not (exported / GRADIENT).is_file():
            return False
        try:
            os.replace(exported, folder)
        except OSError:  # another process may have done so first
            if not (folder / GRADIENT).is_file():
                raise
    return True


def _export(source: str, folder: Path, head: str = "") -> Path:
    """Exports a model in its own process, so that torch's memory is freed afterwards."""
    if (folder / GRADIENT).is_file():
        return folder
    _make_cache(folder.parent)
    print(f"{source} has no ONNX graphs yet: exporting it to {folder} (once, about a minute)", file=sys.stderr)
    # -P: a folder called pct in the working directory is no package
    of_head = ["--head", head] if head else []
    command = [sys.executable, "-P", "-m", "pct.cli", "export", source, str(folder), *of_head]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason is known"])[-1].removeprefix("error: ")
        raise ValueError(f"{source} could not be exported: {reason}")
    return folder


def _from_hub(name: str) -> Path:
    """A repository's files in the cache of the hub's client: new ones, or those of the cache without a network."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(f"{NO_MODEL.format(name)}; the hub needs pip install huggingface_hub") from None
    try:
        return Path(snapshot_download(name, allow_patterns=OF_A_CLASSIFIER))
    except (OSError, ValueError) as problem:
        reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise FileNotFoundError(f"{NO_MODEL.format(name)} ({reason})") from problem


def _files_version(folder: Path) -> str:
    """A name that changes with the files of a classifier, except its audit. folder: its own, or a run's."""
    root = folder / MODEL if (folder / MODEL).is_dir() else folder
    files = sorted({path for pattern in OF_A_CLASSIFIER for path in root.rglob(pattern) if path.name != kept.FILE})
    if not any(path.suffix == WEIGHTS for path in files):
        raise FileNotFoundError(f"{folder} holds no model: give a folder that pct train or pct export made")
    states = ((path.absolute(), path.stat()) for path in files)
    return " ".join(f"{path} {state.st_mtime_ns} {state.st_size}" for path, state in states)


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OSError(
            f"exported models cannot be written to {folder} ({problem.strerror}); name another folder by --cache or "
            "PCT_CACHE_DIR, or serve a folder of `pct export`"
        ) from None


def _cached(cache: Path, version: str, head: str = "") -> Path:
    """The folder of a model that is exported into the cache."""
    return cache / "exported" / _cache_name(f"{version} {head}" if head else version)


def _cache_name(text: str) -> str:
    """The name of a folder in the cache. Another version of this project exports again."""
    return hashlib.sha256(f"{text} {pct.__version__}".encode()).hexdigest()[:16]


@dataclass
class RegistryWatch:
    """Checks whether the aliases in the registry still name the versions that are served."""

    models: list[ModelEntry]
    listed: Path
    cache: Path
    last_error: str = ""

    def check(self) -> bool:
        """Updates the list of models; returns whether it changed.

        A registry that does not answer, or a version that cannot be served, is reported once, and the models stay.
        """
        try:
            client = registry()
            current = [self._current(client, m) for m in self.models]
        except Exception as problem:  # whatever a server or its driver raises, the service goes on
            if str(problem) != self.last_error:
                self.last_error = str(problem)
                print(f"the models stay as they are: {problem}", file=sys.stderr, flush=True)
            return False
        self.last_error = ""
        if current == self.models:
            return False
        for before, after in zip(self.models, current, strict=True):
            if before.version != after.version:
                print(f"{after.id}: version {after.version} instead of {before.version}", flush=True)
        write_entries(self.listed, current)
        self.models = current
        return True

    @property
    def needed(self) -> bool:
        """Whether there is an alias to follow."""
        return any(m.alias for m in self.models)

    def _current(self, client: Any, model: ModelEntry) -> ModelEntry:
        match = REGISTERED.fullmatch(model.source)
        if match is None or not match["alias"]:
            return model
        version = find_version(client, match["name"], match["alias"], None)
        if str(version.version) == model.version:
            return replace(model, audit=_audit_of(version))  # it may have been audited meanwhile
        entry = entry_of_version(client, version, match["alias"], model.source, self.cache)
        return replace(entry, id=model.id, threshold=model.threshold)
