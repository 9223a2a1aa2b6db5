"""What a sweep is after: accuracy and comp - suff, both on the validation split, or one score made of both."""

from __future__ import annotations

import math
from typing import Any

from pct.classifier import Classifier
from pct.corpora.loading import Corpus
from pct.metrics.evaluation import evaluate
from pct.settings import Settings
from tuning.ledger import FINISHED, Ledger, Trial

ACCURACY, GAP = "acc", "comp_minus_suff"
NOT_FINITE = -4.0  # the score of such a trial; no other is below -3
METRICS = ("acc", "f_x", "comp", "suff")  # what a trial is chosen by; the chosen one gets all eight


def measure(classifier: Classifier, corpus: Corpus, settings: Settings) -> dict[str, float]:
    """A trained model's metrics on the validation split, with comp_minus_suff."""
    report = evaluate(classifier, corpus.splits["validation"], **settings.how_measured, metrics=METRICS)
    return {**report.metrics, GAP: report.gaps["comp-suff"]}


def epoch_objectives(record: dict[str, Any]) -> tuple[float, float]:
    """Accuracy and gap of an epoch's record; NaN for what was not measured."""
    gap = record.get("validation_comp", math.nan) - record.get("validation_suff", math.nan)
    return float(record["validation_acc"]), float(gap)


def trial_objectives(trial: Trial) -> tuple[float, float]:
    """Accuracy and gap of a trial: those of its end, else those of its last epoch."""
    if trial.values:
        return trial.values[ACCURACY], trial.values[GAP]
    return epoch_objectives(trial.records[-1]) if trial.records else (math.nan, math.nan)


def accuracy_floor(ledger: Ledger, margin: float) -> float:
    """The accuracy that the single objective wants: the normal baseline's less the margin; NaN while it is unknown."""
    base = ledger.baseline
    return base.values[ACCURACY] - margin if base is not None and base.state == FINISHED else math.nan


def score(accuracy: float, gap: float, floor: float) -> float:
    """The single objective. Where accuracy keeps the floor it is the gap, which is at least -2; below the floor it is
    -2 less what is lacking: every trial that keeps the floor stands above every one that does not, and below both
    stands one whose numbers are not finite."""
    if not (math.isfinite(accuracy) and math.isfinite(gap)):
        return NOT_FINITE
    lacking = floor - accuracy
    return gap if not lacking > 1e-9 else -2.0 - lacking
