"""The objectives of a sweep: accuracy and comp - suff on the validation split, or one score made of both."""

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
METRICS = ("acc", "f_x", "comp", "suff")  # of every trial; the chosen one is measured by all


def measure(classifier: Classifier, corpus: Corpus, settings: Settings) -> dict[str, float]:
    """A trained model's metrics on the validation split, with comp_minus_suff."""
    report = evaluate(classifier, corpus.splits["validation"], **settings.evaluation_options, metrics=METRICS)
    return {**report.metrics, GAP: report.gaps["comp-suff"]}


def epoch_objectives(record: dict[str, Any]) -> tuple[float, float]:
    """Accuracy and gap of an epoch's record; NaN where not measured."""
    gap = record.get("validation_comp", math.nan) - record.get("validation_suff", math.nan)
    return float(record["validation_acc"]), float(gap)


def trial_objectives(trial: Trial) -> tuple[float, float]:
    """Accuracy and gap of a trial: the final ones, else those of its last epoch."""
    if trial.values:
        return trial.values[ACCURACY], trial.values[GAP]
    return epoch_objectives(trial.records[-1]) if trial.records else (math.nan, math.nan)


def accuracy_floor(ledger: Ledger, margin: float) -> float:
    """The accuracy that the single objective requires: the normal baseline's minus the margin; NaN while unknown."""
    base = ledger.baseline
    return base.values[ACCURACY] - margin if base is not None and base.state == FINISHED else math.nan


def score(accuracy: float, gap: float, floor: float) -> float:
    """The single objective: the gap (at least -2) where the accuracy reaches the floor, else -2 minus the shortfall.

    Every trial that reaches the floor scores above every one that does not; non-finite numbers score lowest.
    """
    if not (math.isfinite(accuracy) and math.isfinite(gap)):
        return NOT_FINITE
    shortfall = floor - accuracy
    return gap if not shortfall > 1e-9 else -2.0 - shortfall
