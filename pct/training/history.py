"""Summaries of the records of a run's epochs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.layout import Record


def epoch_line(record: Record, epochs: int) -> str:
    """An epoch as one line for the log.

    Args:
        record: of the epoch.
        epochs: the number of epochs of the run.
    """
    values = {"loss": record["train_loss"], "validation accuracy": record["validation_acc"]}
    if "validation_comp" in record:
        values["comp - suff"] = record["validation_comp"] - record["validation_suff"]
    shown = ", ".join(f"{name} {round(value, 3) + 0.0:.3f}" for name, value in values.items())
    return f"epoch {record['epoch']} of {epochs}: {shown}"


def best_epoch(history: Sequence[Record], best_by: str) -> int:
    """The number, from 1, of the best epoch on validation; the first one on a tie.

    Args:
        history: one record per epoch, at least one.
        best_by: `Settings.best_by`: a metric, or a gap "a-b" of two.

    Raises:
        ValueError: the metric of an epoch is not finite.
    """
    values = [_measure(record, best_by) for record in history]
    if not np.isfinite(values).all():
        raise ValueError(
            f"best_by {best_by} is {values} on validation: its texts have no values of this metric; choose best_by acc"
        )
    return int(np.argmax(values)) + 1


def _measure(record: Record, best_by: str) -> float:
    parts = [float(record.get(f"validation_{name}", "nan")) for name in best_by.split("-")]
    return parts[0] - sum(parts[1:])
