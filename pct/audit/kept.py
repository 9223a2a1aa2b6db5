"""The audit that lies beside a model: its best saliency explains the model from then on. No torch here."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

FILE = "audit.json"  # beside a model that was audited

logger = logging.getLogger("pct.audit")


def kept_best(folder: str | Path, predictor: Any) -> str:
    """The saliency that the audit in a model's folder found best; empty where there is none, or of other weights.

    Args:
        folder: the model's, as `pct audit FOLDER --keep` was given it.
        predictor: the model that was loaded from it.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return ""
    from pct.audit.result import Audit
    from pct.output.files import model_digest

    try:
        kept = Audit.load(path)
    except ValueError as problem:
        logger.warning("%s is not used: %s", path, problem)
        return ""
    if kept.about.get("model_digest") != model_digest(predictor):
        logger.warning("%s is not used: it is of other weights; audit again", path)
        return ""
    return kept.best
