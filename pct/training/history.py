"""What the records of a run's epochs tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.layout import Record


def epoch_line(record: Record, epochs: int) -> str:
    """An epoch in a line, which a log shows too, where there is no bar.

    Args:
        record: of the epoch.
        epochs: how many the run has.
    """
    values = {"loss": record["train_loss"], "validation accuracy": record["validation_acc"]}
    if "validation_comp" in record:
        values["comp - suff"] = record["validation_comp"] - record["validation_suff"]
    shown = ", ".join(f"{name} {round(value, 3) + 0.0:.3f}" for name, value in values.items())
    return f"epoch {record['epoch']} of {epochs}: {shown}"


def best_epoch(history: Sequence[Record], best_by: str) -> int:
    """The first epoch that is the best on validation.

    Args:
        history: one record an epoch, at least one.
        best_by: `Settings.best_by`: a metric, or a gap "a-b" of two.

    Returns:
        Its number, from 1.

    Raises:
        ValueError: an epoch has no such number, so that none can be the best.
    """
    values = [_measure(record, best_by) for record in history]
    if not np.isfinite(values).all():
        raise ValueError(
            f"best_by {best_by} is {values} on validation: its texts have nothing that it measures; choose best_by acc"
        )
    return int(np.argmax(values)) + 1


def _measure(record: Record, best_by: str) -> float:
    parts = [float(record.get(f"validation_{name}", "nan")) for name in best_by.split("-")]
    return parts[0] - sum(parts[1:])
