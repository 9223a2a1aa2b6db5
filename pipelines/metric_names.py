"""The names of metrics in MLflow. Its pages group them by the part before the slash, in alphabetical order.

gap/ has the three gaps over the epochs, on validation: a run's page opens on these curves. train/ and validation/ are
curves too; test/ and validation_final/ are of the final model; workload/ has time and memory. A metric that is added
to the reports, or to the epochs' records, gets its group without a change here.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from typing import Any

from pct.auditing.result import Audit
from pct.layout import Record
from pct.metrics.report import Report

VALIDATION_FINAL = "validation_final"  # of the kept weights on the whole split; validation/ holds the curves
COSTS = re.compile(r"(^|_)(seconds|per_second|mb)$")  # time and memory of a step are no learning curves


def epoch_metrics(record: Record) -> dict[str, float]:
    """An epoch's record: gap/comp_minus_suff, train/loss, validation/comp, workload/step_seconds.

    The gaps come first: MLflow's comparison of runs opens on the metric that was logged first.
    """
    validated = {k.removeprefix("validation_"): v for k, v in record.items() if k.startswith("validation_")}
    gaps = in_group("gap", Report(validated, {}, {}, []).gaps)
    return gaps | {_of_epoch(name): value for name, value in record.items() if name != "epoch"}


def report_metrics(split: str, report: Report) -> dict[str, float]:
    """A report: test/comp, test/comp_minus_suff. Its standard errors are in the report only."""
    return in_group(split, {**report.metrics, **report.gaps})


def in_group(group: str, values: Mapping[str, float]) -> dict[str, float]:
    """Values under the name of their group; comp-suff becomes comp_minus_suff, as in the registry's tags."""
    return {f"{group}/{name.replace('-', '_minus_')}": value for name, value in values.items()}


def audit_metrics(result: Audit) -> dict[str, float]:
    """An audit: the metrics of its best saliency, or of a random order where there is none, each with its interval.

    audit.margin, audit.margin_low, audit.margin_high.
    """
    return {
        f"audit.{name}{part}": value
        for name, interval in result.best_metrics.items()
        for part, value in zip(("", "_low", "_high"), interval, strict=True)
    }


def cost_metrics(about: Mapping[str, Any]) -> dict[str, float]:
    """Time and memory of a run: workload/seconds_training, workload/peak_memory_mb_process."""
    return {f"workload/{kind}_{k}": v for kind in ("seconds", "peak_memory_mb") for k, v in about[kind].items()}


def as_metrics(
    values: Mapping[str, Any], step: int, seconds: float = 0, of: Mapping[str, str] | None = None
) -> list[Any]:
    """MLflow's metrics of the finite numbers among the values.

    Args:
        values: numbers by name; a character that MLflow does not allow in a name (a class may have any) becomes "_".
        step: the epoch, 0 for what was measured once.
        seconds: when, since 1970; now where 0.
        of: what was measured: model_id, dataset_name, dataset_digest.
    """
    from mlflow.entities import Metric

    milliseconds = int((seconds or time.time()) * 1000)
    finite = {k: v for k, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
    return [
        Metric(re.sub(r"[^\w\-. :/]", "_", k), float(v), milliseconds, step, **(of or {})) for k, v in finite.items()
    ]


def _of_epoch(name: str) -> str:
    group, _, rest = name.partition("_")
    return f"{group}/{rest}" if group in ("train", "validation") and not COSTS.search(rest) else f"workload/{name}"
