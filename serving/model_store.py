"""The models that a worker serves: loaded from exported folders, replaced when their list changes."""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pct.auditing.kept import FILE, AuditSummary, take_audit
from pct.onnx.predictor import CONFIG, OnnxPredictor
from pct.onnx.sessions import FileStamp, file_stamp
from pct.saliency import make_saliency, saliencies
from pct.saliency.base import Saliency
from pct.saliency.defaults import Choice, default_saliency
from pct.tasks import with_threshold
from pct.writing import write_text

LIST_FILE = "models.json"
SERVED = "served"  # the folder of a Bento's models

logger = logging.getLogger("pct.serving")


@dataclass(frozen=True)
class ModelEntry:
    """A model to serve.

    Attributes:
        id: what a request calls it.
        folder: an exported model.
        source: what the user named.
        name: that of the registered model; None where the source is no registry, as the next two.
        version: the registered version.
        alias: the alias that is followed.
        metrics: those in the registry.
        audit: an `AuditSummary` as a dictionary; where it is empty, that of the folder counts.
        threshold: of several labels, the probability from which one is assigned; None for the model's own.
    """

    id: str
    folder: str
    source: str
    name: str | None = None
    version: str | None = None
    alias: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded model."""

    entry: ModelEntry
    predictor: OnnxPredictor
    stamp: FileStamp

    def identity(self) -> dict[str, Any]:
        """What an answer says about its model."""
        e = self.entry
        return {"id": e.id, "name": e.name, "version": e.version, "alias": e.alias}

    @cached_property
    def default_saliency(self) -> Choice:
        """The saliency of its explanations where a request names none."""
        return default_saliency(self.predictor)

    @cached_property
    def saliencies(self) -> dict[str, Saliency]:
        """All that it can give, by name."""
        return {name: saliency for name in saliencies.names() if (saliency := self._saliency(name)) is not None}

    def _saliency(self, name: str) -> Saliency | None:
        try:
            saliency = make_saliency(name, self.predictor.settings)
            saliency.check(self.predictor)
        except (ValueError, ImportError):  # the model cannot give it, or its package cannot be imported
            return None
        return saliency

    def about(self) -> dict[str, Any]:
        """What GET /model says about it."""
        settings, audit = self.predictor.settings, self.predictor.audit
        return {
            **self.identity(), "source": self.entry.source, "method": settings.method,
            "architecture": self.predictor.about["model"], "corpus": settings.corpus,
            "weights": self.predictor.about["weights"], "labels": self.predictor.classes,
            "saliency": self.default_saliency.name, "saliency_reason": self.default_saliency.reason,
            "saliencies": list(self.saliencies), "audit": None if audit is None else audit.to_dict(),
            "max_length": settings.max_length, "words": self.predictor.word_rule,
            "pairs": self.predictor.reads_pairs(), "metrics": self.entry.metrics,
        }  # fmt: skip


def write_entries(path: Path, entries: Iterable[ModelEntry]) -> None:
    """Writes the list of models to a file, atomically."""
    write_text(path, json.dumps({"models": [asdict(e) for e in entries]}, indent=2))


def read_entries(path: Path) -> list[ModelEntry]:
    """The list of models in a file of `write_entries`, or in a folder's models.json; or the one of an exported folder.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no list of models.
    """
    if path.is_dir() and not (path / LIST_FILE).is_file():
        return [ModelEntry("model", str(path), str(path))]
    if path.is_dir():
        path /= LIST_FILE
    try:
        entries = [ModelEntry(**one) for one in json.loads(path.read_text(encoding="utf-8"))["models"]]
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError(f"{path} is not a list of models ({problem}); `pct serve` writes one") from problem
    # a list may be in the folder of its models, and move with it
    entries = [replace(e, folder=str(path.parent / e.folder)) for e in entries]
    if not entries or len({e.id for e in entries}) < len(entries):
        raise ValueError(f"{path} must list at least one model, and each with its own id")
    return entries


class ModelStore:
    """The models of a list (a file of `write_entries`, or an exported folder) by id. The first one is the default.

    Raises what loading them raises.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self._path, self._threads = path, threads
        self._refreshing = threading.Lock()
        self._models: dict[str, ServedModel] = {}
        self._models = self._load()
        self._stamps = self._current_stamps()

    @property
    def models(self) -> list[ServedModel]:
        """All of them; `refresh` may change the list."""
        return list(self._models.values())

    def find(self, id: str | None) -> ServedModel:
        """The model of an id, the default one for None. Raises ValueError with the ids for another one."""
        models = self._models
        if id is None:
            return next(iter(models.values()))
        if id not in models:
            raise ValueError(f"no model is called {id!r:.80}; there are {', '.join(models)}")
        return models[id]

    def refresh(self) -> bool:
        """Loads the list of models where it changed; returns whether it did.

        A list that cannot be loaded is logged, and the models stay. Running requests keep the model that they began
        with.
        """
        with self._refreshing:
            stamps = self._current_stamps()
            if stamps == self._stamps:
                return False
            self._stamps = stamps  # a broken list is logged once
            try:
                self._models = self._load()
                self._stamps = self._current_stamps()
            except (OSError, ValueError, ImportError) as problem:
                logger.error("the models stay as they are: %s", problem)
                return False
            logger.info("now serving %s", ", ".join(f"{s.entry.id} from {s.entry.source}" for s in self.models))
            return True

    def _current_stamps(self) -> list[FileStamp]:
        """The stamps of the list and of its folders; they change when one of these does."""
        return [
            file_stamp(self._path),
            file_stamp(self._path / LIST_FILE),
            *(_folder_stamp(s.entry.folder) for s in self.models),
        ]

    def _load(self) -> dict[str, ServedModel]:
        loaded_before = {(s.entry.folder, s.stamp, s.entry.threshold): s.predictor for s in self._models.values()}
        loaded = {}
        for entry in read_entries(self._path):
            stamp = _folder_stamp(entry.folder)
            predictor = loaded_before.get((entry.folder, stamp, entry.threshold))
            if predictor is None:
                predictor = with_threshold(OnnxPredictor.load(entry.folder, self._threads), entry.threshold)
                # ONNX Runtime plans its memory in the first call
                predictor.saliency([["warm"] * 8], by=default_saliency(predictor).name)
            loaded[entry.id] = ServedModel(entry, _with_audit(predictor, entry), stamp)
        return loaded


def _with_audit(predictor: OnnxPredictor, entry: ModelEntry) -> OnnxPredictor:
    """The predictor with the audit of its entry, if there is one."""
    if not entry.audit or (predictor.audit and predictor.audit.to_dict() == entry.audit):
        return predictor
    audited = copy.copy(predictor)  # another entry may serve the same folder
    take_audit(audited, AuditSummary.from_dict(entry.audit), entry.source)
    return audited


def _folder_stamp(folder: str) -> FileStamp:
    return (*file_stamp(Path(folder) / CONFIG), *file_stamp(Path(folder) / FILE))
