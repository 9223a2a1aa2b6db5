"""From what a user calls a model to an exported folder: one that is there, one of the registry, or one made now."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pct.auditing import kept
from pct.auditing.kept import REGISTERED, AuditSummary
from pct.onnx.predictor import CONFIG, GRADIENT
from pct.settings import Settings
from serving.model_store import ModelEntry

EXPORTED, CHAMPION = "exported", "champion"
MODEL = "model"  # where a run's folder keeps its classifier
NO_MODEL = "there is no model {}: give a folder, models:/<name>@champion, or a classifier's name on the hub"
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
OF_A_CLASSIFIER = ["*.json", "*.safetensors", "*.txt", "*.model"]  # what transformers reads of a repository
# metrics of the registry that a reader of GET /model wants, without the prefix of the split that they were measured on;
# the second is that of runs of 0.1.0
TEST_METRIC = re.compile(r"test/(?P<name>.+)|test_(?P<old>.+(?<!_se))")


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model. model_id: of MLflow's logged model; empty for one that was made otherwise.
    audit: what its tags say of one, as `ModelEntry` has it."""

    name: str
    version: str
    alias: str | None
    model_id: str
    run_id: str | None
    audit: dict[str, Any] = field(default_factory=dict)


def default_cache() -> Path:
    """PCT_CACHE_DIR, else pct/ in the user's cache folder."""
    named = os.environ.get("PCT_CACHE_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pct"


def resolve(source: str, cache: Path) -> ModelEntry:
    """The model of a source as an exported folder; its id is that of its settings.

    source: an exported folder, a run's or a model's folder, a transformers classifier by its folder or hub name,
    models:/<name>@<alias>, models:/<name>/<version> or runs:/<id>/model. Raises FileNotFoundError, ValueError or
    ImportError, each with the remedy.
    """
    if (Path(source) / GRADIENT).is_file():
        entry = ModelEntry("", str(Path(source).absolute()), source)
    elif match := REGISTERED.fullmatch(source):
        client = registry()
        entry = entry_of_version(
            client, find_version(client, match["name"], match["alias"], match["version"]), source, cache
        )
    elif source.startswith(("runs:/", "models:/")):
        entry = ModelEntry("", str(_export(source, cache / "exported" / _cache_name(source))), source)
    elif Path(source).is_dir():
        folder = _export(source, cache / "exported" / _cache_name(_weights_version(Path(source))))
        # an audit may be newer than the exported folder in the cache
        audited = kept.read_audit(None, source, Path(source) / MODEL)
        entry = ModelEntry("", str(folder), source, metrics=_report_metrics(Path(source)), audit=_plain(audited))
    elif not Path(source).exists() and HUB_NAME.fullmatch(source):
        folder = _export(source, cache / "exported" / _cache_name(_weights_version(_from_hub(source))))
        entry = ModelEntry("", str(folder), source)
    else:
        raise FileNotFoundError(NO_MODEL.format(source))
    return replace(entry, id=default_id(entry))


def default_id(entry: ModelEntry) -> str:
    """<corpus>-<model>-<method>, what a request calls a model that was given no id."""
    about = json.loads((Path(entry.folder) / CONFIG).read_text(encoding="utf-8"))
    settings = Settings.from_saved(about["settings"])
    parts = (settings.corpus, settings.model_name, settings.method)  # the corpus of a wrapped classifier is not known
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(filter(None, parts)))


def registry() -> Any:
    """MLflow's client, by MLFLOW_TRACKING_URI. Raises ImportError without MLflow, OSError where it does not answer."""
    try:
        import mlflow  # noqa: F401

        from pipelines.connection import TrackingError, connect, tracking_uri
    except ImportError:
        raise ImportError(
            "a registered model is found by MLflow: pip install 'pct-explain[tracking]', or serve an exported folder"
        ) from None
    try:
        return connect(tracking_uri())
    except TrackingError as problem:
        raise ConnectionError(str(problem)) from problem


def find_version(client: Any, name: str, alias: str | None, version: str | None) -> RegisteredVersion:
    """What the registry says of a version. Raises FileNotFoundError for one that there is not."""
    from mlflow.exceptions import MlflowException

    try:
        found = kept.find_version(client, name, alias, version)
    except MlflowException as problem:
        what = f"@{alias}" if alias else f"/{version}"
        said = (_no_champion(client, name) if alias == CHAMPION else "") or str(problem)
        raise FileNotFoundError(f"models:/{name}{what} is not in the registry: {said}") from problem
    audit = _plain(AuditSummary.from_tags(_tags(found)))
    return RegisteredVersion(name, str(found.version), alias, found.model_id or "", found.run_id, audit)


def _no_champion(client: Any, name: str) -> str:
    """Why a registered model has no champion; empty where there is no such model, or it has one."""
    from mlflow.exceptions import MlflowException

    from pipelines.champion_alias import champion_of, no_champion

    try:
        return "" if champion_of(client, name) else no_champion(client, name)
    except MlflowException:
        return ""


def entry_of_version(client: Any, found: RegisteredVersion, source: str, cache: Path) -> ModelEntry:
    """A registered version, with the figures of its run: its ONNX graphs as they were logged, or made now."""
    uri = f"models:/{found.name}/{found.version}"
    folder = cache / "registry" / _cache_name(f"{client.tracking_uri} {uri} {found.model_id}")
    if not (folder / GRADIENT).is_file() and not _download(uri, folder):
        _export(uri, folder)
    return ModelEntry(
        "", str(folder), source, found.name, found.version, found.alias, _registry_metrics(client, found.run_id),
        found.audit,
    )  # fmt: skip


def _plain(audited: AuditSummary | None) -> dict[str, Any]:
    return {} if audited is None else audited.to_dict()


def _tags(version: Any) -> Mapping[str, str]:
    return dict(version.tags or {})


def _registry_metrics(client: Any, run_id: str | None) -> dict[str, float]:
    if not run_id:
        return {}
    found = client.get_run(run_id).data.metrics
    matched = ((TEST_METRIC.fullmatch(name), value) for name, value in found.items())
    return {match["name"] or match["old"]: value for match, value in matched if match}


def _report_metrics(folder: Path) -> dict[str, float]:
    """The test metrics of a run's folder; none for another."""
    if not (folder / "report.json").is_file():
        return {}
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))["metrics"]
    return {k: v for k, v in found.items() if v is not None}


def _download(uri: str, folder: Path) -> bool:
    """The graphs that were logged with a version, into a folder; False where it has none."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    _make_cache(folder.parent)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as room:
        try:
            found = Path(download_artifacts(artifact_uri=f"{uri}/artifacts/{EXPORTED}", dst_path=room))
        except (MlflowException, OSError):
            return False
        if not (found / GRADIENT).is_file():
            return False
        _move(found, folder)
    return True


def _move(made: Path, folder: Path) -> None:
    """Moves a folder to its place in the cache; another process may have been there first."""
    try:
        os.replace(made, folder)
    except OSError:
        if not (folder / GRADIENT).is_file():
            raise


def _export(source: str, folder: Path) -> Path:
    """Exports a model in a process of its own: torch's memory goes when it is done."""
    if (folder / GRADIENT).is_file():
        return folder
    _make_cache(folder.parent)
    print(f"{source} has no ONNX graphs yet: exporting it", file=sys.stderr)
    command = [sys.executable, "-m", "pct.cli", "export", source, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no word of why"])[-1].removeprefix("error: ")
        raise ValueError(f"{source} could not be exported: {said}")
    return folder


def _from_hub(name: str) -> Path:
    """A repository's files in the cache of the hub's client: asked for, or as they were when there is no network."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(f"{NO_MODEL.format(name)}; the hub needs pip install huggingface_hub") from None
    try:
        return Path(snapshot_download(name, allow_patterns=OF_A_CLASSIFIER))
    except (OSError, ValueError) as problem:
        said = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise FileNotFoundError(f"{NO_MODEL.format(name)} ({said})") from problem


def _weights_version(folder: Path) -> str:
    """Another name when a folder holds other weights, be they in one file or in several."""
    found = sorted(folder.rglob("model*.safetensors"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no model: give a folder that pct train or pct export made")
    states = ((path.absolute(), path.stat()) for path in found)
    return " ".join(f"{path} {state.st_mtime_ns} {state.st_size}" for path, state in states)


def _make_cache(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OSError(
            f"exported models cannot be kept in {folder} ({problem.strerror}); name another folder by --cache or "
            "PCT_CACHE_DIR, or serve a folder of `pct export`"
        ) from None


def _cache_name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
