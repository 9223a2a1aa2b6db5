"""The models that a worker serves: loaded from exported folders, swapped when the list of them changes."""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pct.auditing.kept import FILE, AuditSummary, take_audit
from pct.onnx.predictor import CONFIG, OnnxPredictor
from pct.saliency import make_saliency, saliencies
from pct.saliency.base import Saliency
from pct.saliency.defaults import Choice, default_saliency
from pct.writing import write_text

LIST_FILE = "models.json"
SERVED = "served"  # the folder of a Bento's models

FileStamp = tuple[int, ...]

logger = logging.getLogger("pct.serving")


@dataclass(frozen=True)
class ModelEntry:
    """A model to serve. id: what a request calls it. folder: an exported model. source: where it came from; name,
    version and alias where that is a registry, and the metrics that stand there. audit: an `AuditSummary` as a
    dictionary; where empty, that of the folder counts."""

    id: str
    folder: str
    source: str
    name: str | None = None
    version: str | None = None
    alias: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model at work."""

    entry: ModelEntry
    predictor: OnnxPredictor
    stamp: FileStamp

    def identity(self) -> dict[str, Any]:
        """What an answer says of the model that gave it."""
        e = self.entry
        return {"id": e.id, "name": e.name, "version": e.version, "alias": e.alias}

    @cached_property
    def default_saliency(self) -> Choice:
        """The saliency of its explanations where a request names none."""
        return default_saliency(self.predictor)

    @cached_property
    def saliencies(self) -> dict[str, Saliency]:
        """By name, all that it can give."""
        return {name: saliency for name in saliencies.names() if (saliency := self._saliency(name)) is not None}

    def _saliency(self, name: str) -> Saliency | None:
        try:
            saliency = make_saliency(name, self.predictor.settings)
            saliency.check(self.predictor)
        except (ValueError, ImportError):  # the model does not have it, or the package that brings it is broken
            return None
        return saliency

    def about(self) -> dict[str, Any]:
        """What GET /model says of it."""
        settings, audited = self.predictor.settings, self.predictor.audit
        return {
            **self.identity(), "source": self.entry.source, "method": settings.method,
            "architecture": self.predictor.about["model"], "corpus": settings.corpus,
            "weights": self.predictor.about["weights"], "labels": self.predictor.classes,
            "saliency": self.default_saliency.name, "saliency_reason": self.default_saliency.reason,
            "saliencies": list(self.saliencies), "audit": None if audited is None else audited.to_dict(),
            "max_length": settings.max_length, "words": self.predictor.word_rule,
            "metrics": self.entry.metrics,
        }  # fmt: skip


def write_entries(path: Path, entries: Iterable[ModelEntry]) -> None:
    """The list of models as a file, in one stroke."""
    write_text(path, json.dumps({"models": [asdict(e) for e in entries]}, indent=2))


def read_entries(path: Path) -> list[ModelEntry]:
    """What `write_entries` wrote, there or into a folder's models.json; or the one model of an exported folder.

    Raises ValueError for anything else, FileNotFoundError for nothing.
    """
    if path.is_dir() and not (path / LIST_FILE).is_file():
        return [ModelEntry("model", str(path), str(path))]
    if path.is_dir():
        path /= LIST_FILE
    try:
        found = [ModelEntry(**one) for one in json.loads(path.read_text(encoding="utf-8"))["models"]]
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError(f"{path} is not a list of models ({problem}); `pct serve` writes one") from problem
    # a list may lie beside its models, and move with them
    found = [replace(e, folder=str(path.parent / e.folder)) for e in found]
    if not found or len({e.id for e in found}) < len(found):
        raise ValueError(f"{path} must list one model or more, each with an id of its own")
    return found


class ModelStore:
    """The models of a list (a file of `write_entries`, or an exported folder), by id, the first one the default."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        self._path, self._threads = path, threads
        self._models: dict[str, ServedModel] = {}
        self._seen: list[FileStamp] = []
        self._refreshing = threading.Lock()

    @classmethod
    def open(cls, path: Path, threads: int = 0) -> Self:
        """With its models loaded. Raises what loading them raises."""
        made = cls(path, threads)
        made._models = made._load()
        made._seen = made._look()
        return made

    @property
    def models(self) -> list[ServedModel]:
        """All of them; the list may be another one at the next call."""
        return list(self._models.values())

    def find(self, id: str | None) -> ServedModel:
        """The model of that id, the default one for None. Raises ValueError, naming those that there are."""
        models = self._models
        if id is None:
            return next(iter(models.values()))
        if id not in models:
            raise ValueError(f"no model is called {id!r:.80}; there are {', '.join(models)}")
        return models[id]

    def refresh(self) -> bool:
        """Whether another list of models is served from now on. A list that cannot be loaded is told in the log, and
        the models stay. Requests at work end with the model that they began with."""
        with self._refreshing:
            now = self._look()
            if now == self._seen:
                return False
            self._seen = now  # a list that is broken is told once
            try:
                self._models = self._load()
                self._seen = self._look()
            except (OSError, ValueError, ImportError) as problem:
                logger.error("the models stay as they are: %s", problem)
                return False
            logger.info("now serving %s", ", ".join(f"{s.entry.id} from {s.entry.source}" for s in self.models))
            return True

    def _look(self) -> list[FileStamp]:
        """What changes when the list does, or a folder on it."""
        return [
            _file_stamp(self._path),
            _file_stamp(self._path / LIST_FILE),
            *(_folder_stamp(s.entry.folder) for s in self.models),
        ]

    def _load(self) -> dict[str, ServedModel]:
        known = {(s.entry.folder, s.stamp): s.predictor for s in self._models.values()}
        loaded = {}
        for entry in read_entries(self._path):
            stamp = _folder_stamp(entry.folder)
            predictor = known.get((entry.folder, stamp))
            if predictor is None:
                predictor = OnnxPredictor.load(entry.folder, self._threads)
                # ONNX Runtime plans its memory in a first call
                predictor.saliency([["warm"] * 8], by=default_saliency(predictor).name)
            loaded[entry.id] = ServedModel(entry, _audited(predictor, entry), stamp)
        return loaded


def _audited(predictor: OnnxPredictor, entry: ModelEntry) -> OnnxPredictor:
    """The predictor with the audit that its entry brings, if there is one."""
    if not entry.audit or (predictor.audit and predictor.audit.to_dict() == entry.audit):
        return predictor
    other = copy.copy(predictor)  # another entry may serve the same folder
    take_audit(other, AuditSummary.from_dict(entry.audit), entry.source)
    return other


def _folder_stamp(folder: str) -> FileStamp:
    return (*_file_stamp(Path(folder) / CONFIG), *_file_stamp(Path(folder) / FILE))


def _file_stamp(path: Path) -> FileStamp:
    """Another one when the file is replaced; that of no file where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    return found.st_mtime_ns, found.st_ino
