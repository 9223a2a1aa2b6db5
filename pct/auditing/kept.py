"""The audit that is stored with a model, and its summary. This module does not import torch.

A model's folder holds the whole audit as `audit.json`. A version of a registered model has the summary as tags.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pct.auditing.result import Audit
from pct.metrics.bootstrap import Interval
from pct.saliency import saliencies
from pct.writing import write_text

FILE = "audit.json"  # in the folder of an audited model
PREFIX = "pct.audit."  # of the tags
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))
NONE = "none"  # the tag of the best saliency where none beats a random order
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")
_NUMBER = r"(-?\d+\.\d+|nan)"
_INTERVAL = re.compile(rf"{_NUMBER} \[{_NUMBER}, {_NUMBER}\]")

logger = logging.getLogger("pct.audit")


@dataclass(frozen=True)
class AuditSummary:
    """The summary of an audit.

    Attributes:
        best: the saliency to show; empty where none beats a random order.
        removal: the removal that decided.
        texts: the number of texts measured.
        margin: of the best saliency, in confidence, with its 95 % interval; of a random order where there is no best.
        win: likewise, the share of the random orders that it beats.
        verdict: the judgement in sentences.
        file: the file with the whole audit; None where it is unknown.
    """

    best: str
    removal: str
    texts: int
    margin: Interval
    win: Interval
    verdict: str
    file: Path | None = None

    @classmethod
    def of(cls, audit: Audit, file: Path | None = None) -> Self:
        """The summary of an audit. Margin and win are NaN where the audit lacks the numbers of its best saliency."""
        try:
            metrics = audit.best_metrics
        except KeyError:
            metrics = {}
        margin, win = (metrics.get(name, UNKNOWN) for name in ("margin", "win"))
        return cls(audit.best, audit.judgement.removal, audit.texts, margin, win, audit.verdict, file)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """The inverse of `to_tags`; None where the tags hold no audit, or a damaged one."""
        values = {key.removeprefix(PREFIX): value for key, value in tags.items() if key.startswith(PREFIX)}
        try:
            best = values["best"]
            return cls(
                "" if best == NONE else best, values["removal"], int(values["texts"]), _interval(values["margin"]),
                _interval(values["win"]), values.get("verdict", ""),
            )  # fmt: skip
        except (KeyError, ValueError):
            return None

    def to_tags(self) -> dict[str, str]:
        """Tags for a version of a registered model; an interval as "0.1234 [0.1000, 0.1400]"."""
        values = {
            "best": self.best or NONE, "removal": self.removal, "texts": str(self.texts), "verdict": self.verdict,
            "margin": _spelled(self.margin), "win": _spelled(self.win),
        }  # fmt: skip
        return {f"{PREFIX}{name}": value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        intervals = {name: Interval(*(np.nan if x is None else x for x in values[name])) for name in ("margin", "win")}
        return cls(**{**values, **intervals})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the file; an interval as [value, low, high], NaN as None."""
        plain = {name: [float(x) if np.isfinite(x) else None for x in vars(self)[name]] for name in ("margin", "win")}
        return {name: value for name, value in (vars(self) | plain).items() if name != "file"}


def read_audit(predictor: Any, *folders: str | Path) -> AuditSummary | None:
    """The summary of the audit in the first of the folders that has one.

    A file that cannot be read, or belongs to other weights, is ignored with a warning.

    Args:
        predictor: the loaded model, whose weights are compared; None compares none.
        folders: the folders to search.
    """
    path = next((file for folder in folders if (file := Path(folder) / FILE).is_file()), None)
    if path is None:
        return None
    try:
        audit = Audit.load(path)
        summary = AuditSummary.of(audit, path)
    except (OSError, ValueError) as problem:
        logger.warning("%s is not used: %s", path, problem)
        return None
    if predictor is not None and audit.about.get("model_digest") != model_digest(predictor):
        logger.warning("%s is not used: it belongs to other weights; audit again", path)
        return None
    return summary


def take_audit(predictor: Any, summary: AuditSummary | None, where: object) -> None:
    """Sets a predictor's `audit`, and `audited`, the saliency that explains it where none is named.

    `audited` is empty, with a warning, where the audit has no best saliency or the registry does not have it.

    Args:
        predictor: a `Classifier` or an `OnnxPredictor`.
        summary: of its audit; None where it has none.
        where: the name of the model in the log.
    """
    predictor.audit, predictor.audited = summary, ""
    if summary is None:
        return
    if not summary.best:
        logger.warning("the audit of %s is not used: it found no saliency that beats a random order", where)
    elif summary.best not in saliencies.names():
        logger.warning("the audit of %s is not used: no saliency is called %r", where, summary.best)
    else:
        predictor.audited = summary.best


def copy_audit(predictor: Any, copy: Any, folder: str | Path) -> None:
    """Copies the audit of a predictor, if there is one, into the folder of a copy of the model.

    An audit of other weights, for example before further training, is not copied.

    Args:
        predictor: the model.
        copy: the same model in another form; its weights are recorded in the copied audit.
        folder: the folder of that form.
    """
    audited: AuditSummary | None = getattr(predictor, "audit", None)
    if audited is None or audited.file is None or not audited.file.is_file():
        return
    values = json.loads(audited.file.read_text(encoding="utf-8"))
    if values["about"].get("model_digest") != model_digest(predictor):
        return
    values["about"]["model_digest"] = model_digest(copy)
    write_text(Path(folder) / FILE, json.dumps(values, indent=2, ensure_ascii=False))


def registered_tags(uri: str) -> dict[str, str]:
    """The tags of a version of a registered model; empty for any other URI. It needs MLflow.

    Args:
        uri: models:/<name>/<version> or models:/<name>@<alias>.
    """
    match = REGISTERED.fullmatch(uri)
    if match is None:
        return {}
    from mlflow import MlflowClient, MlflowException

    try:
        return dict(find_version(MlflowClient(), match["name"], match["alias"], match["version"]).tags)
    except MlflowException:  # the URI names a stage, or "latest"
        return {}


def find_version(client: Any, name: str, alias: str | None, version: str | None) -> Any:
    """MLflow's version of a registered model. Raises MlflowException where it does not exist."""
    return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)


def model_digest(predictor: Any) -> str:
    """A digest of a model's weights, in sixteen characters."""
    digest = hashlib.blake2b(digest_size=8)
    if hasattr(predictor, "model"):
        for name, tensor in predictor.model.state_dict().items():
            digest.update(name.encode())
            values = tensor.detach().cpu().contiguous().view(-1)
            if str(values.dtype) == "torch.bfloat16":  # numpy has no such type
                values = values.float()
            digest.update(values.numpy().tobytes())
    folder = getattr(predictor, "folder", None)
    for path in [] if folder is None else sorted(Path(folder).glob("weights*")):
        with path.open("rb") as weights:
            digest.update(hashlib.file_digest(weights, "blake2b").digest())
    return digest.hexdigest()


def _spelled(x: Interval) -> str:
    return f"{x.value:.6f} [{x.low:.6f}, {x.high:.6f}]"


def _interval(text: str) -> Interval:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an interval")
    return Interval(*map(float, match.groups()))
