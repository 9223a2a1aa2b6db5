"""What is kept of an audit with a model: its best saliency, and how sure that is. No torch here.

A model's folder keeps the whole audit as `audit.json`. A version of a registered model has the summary as tags.
"""

from __future__ import annotations

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

FILE = "audit.json"  # beside a model that was audited
PREFIX = "pct.audit."  # of the tags
UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))
NONE = "none"  # the tag of the best saliency where none beats a random order
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+))")
_NUMBER = r"(-?\d+\.\d+|nan)"
_INTERVAL = re.compile(rf"{_NUMBER} \[{_NUMBER}, {_NUMBER}\]")

logger = logging.getLogger("pct.audit")


@dataclass(frozen=True)
class AuditSummary:
    """What a reader of a model has to know of its audit.

    Attributes:
        best: the saliency to show; empty where none beats a random order.
        removal: how words were removed where that was judged.
        texts: how many were measured.
        margin: of the best saliency, in confidence, with its 95 % interval; of a random order where there is no best.
        win: likewise, the share of the random orders that it beats.
        verdict: the judgement in sentences.
        file: where the whole audit lies; None where that is not known.
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
        """The summary of an audit; NaN where it lacks the numbers of its best saliency."""
        try:
            metrics = audit.best_metrics
        except KeyError:
            metrics = {}
        margin, win = (metrics.get(name, UNKNOWN) for name in ("margin", "win"))
        return cls(audit.best, audit.judgement.removal, audit.texts, margin, win, audit.verdict, file)

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """What `to_tags` gave; None where the tags hold no audit, or a damaged one."""
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
        """The tags of a version of a registered model; an interval as "0.1234 [0.1000, 0.1400]"."""
        values = {
            "best": self.best or NONE, "removal": self.removal, "texts": str(self.texts), "verdict": self.verdict,
            "margin": _spelled(self.margin), "win": _spelled(self.win),
        }  # fmt: skip
        return {f"{PREFIX}{name}": value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        intervals = {name: Interval(*(np.nan if x is None else x for x in values[name])) for name in ("margin", "win")}
        return cls(**{**values, **intervals})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the file; an interval as [value, low, high], NaN as None."""
        plain = {name: [float(x) if np.isfinite(x) else None for x in vars(self)[name]] for name in ("margin", "win")}
        return {name: value for name, value in (vars(self) | plain).items() if name != "file"}


def read_audit(predictor: Any, *folders: str | Path) -> AuditSummary | None:
    """The summary of the audit that one of the folders keeps; the first folder that has one counts.

    A file that cannot be used, or is of other weights, is ignored, with a line in the log that says why.

    Args:
        predictor: the model that was loaded from there; None where it is not at hand: its weights are not compared.
        folders: where the audit may be.
    """
    path = next((file for folder in folders if (file := Path(folder) / FILE).is_file()), None)
    if path is None:
        return None
    try:
        kept = Audit.load(path)
        summary = AuditSummary.of(kept, path)
    except (OSError, ValueError) as problem:
        logger.warning("%s is not used: %s", path, problem)
        return None
    if predictor is not None and kept.about.get("model_digest") != _digest(predictor):
        logger.warning("%s is not used: it is of other weights; audit again", path)
        return None
    return summary


def take_audit(predictor: Any, summary: AuditSummary | None, where: object) -> None:
    """Sets `audit`, and `audited`, the saliency that explains a predictor where nobody names one.

    An audit without a best saliency, or with one that nothing here is called, leaves that empty, with a line in the
    log.

    Args:
        predictor: a `Classifier` or an `OnnxPredictor`.
        summary: of its audit; None for none.
        where: what is named in the log.
    """
    predictor.audit, predictor.audited = summary, ""
    if summary is None:
        return
    if not summary.best:
        logger.warning("the audit of %s is not used: it found no saliency that beats a random order", where)
    elif summary.best not in saliencies.names():
        logger.warning("the audit of %s is not used: no saliency is called %r here", where, summary.best)
    else:
        predictor.audited = summary.best


def copy_audit(predictor: Any, copy: Any, folder: str | Path) -> None:
    """Copies the audit that is kept with a predictor, if there is one, into a folder of the same model.

    An audit of other weights, as those before further training, is not copied.

    Args:
        predictor: the model.
        copy: the same model in another form, whose weights the copied audit is for from then on.
        folder: of that form.
    """
    audited: AuditSummary | None = getattr(predictor, "audit", None)
    if audited is None or audited.file is None or not audited.file.is_file():
        return
    values = json.loads(audited.file.read_text(encoding="utf-8"))
    if values["about"].get("model_digest") != _digest(predictor):
        return
    values["about"]["model_digest"] = _digest(copy)
    write_text(Path(folder) / FILE, json.dumps(values, indent=2, ensure_ascii=False))


def registered_tags(uri: str) -> dict[str, str]:
    """The tags of a version of a registered model; none for another URI. It needs MLflow.

    Args:
        uri: models:/<name>/<version> or models:/<name>@<alias>.
    """
    match = REGISTERED.fullmatch(uri)
    if match is None:
        return {}
    from mlflow import MlflowClient, MlflowException

    try:
        return dict(find_version(MlflowClient(), match["name"], match["alias"], match["version"]).tags)
    except MlflowException:  # a stage, or "latest"
        return {}


def find_version(client: Any, name: str, alias: str | None, version: str | None) -> Any:
    """MLflow's version of a registered model. Raises MlflowException for one that there is not."""
    return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)


def _digest(predictor: Any) -> str:
    from pct.output.files import model_digest

    return model_digest(predictor)


def _spelled(x: Interval) -> str:
    return f"{x.value:.6f} [{x.low:.6f}, {x.high:.6f}]"


def _interval(text: str) -> Interval:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no interval")
    return Interval(*map(float, match.groups()))
