"""Further measurements of finished runs, saved in their folders: controls, and the metrics under other conditions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pct.corpora.splits import TEXT_COLUMNS, Corpus, texts_of_columns, with_limit
from pct.layout import MEASURED
from pct.metrics.evaluation import evaluate, fitting
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import Report
from pct.training.runs import Run, report_of
from pct.writing import write_text


@dataclass(frozen=True)
class Measurement:
    """The metrics and conditions of a measurement.

    metrics: their names; those that a model of the run's task does not have are left out. removal, order, saliency: as
    in the settings; if empty, the run's own. limit: the number of test texts, the same for every model; 0 uses all.
    """

    metrics: tuple[str, ...] = CORE_METRICS
    removal: str = ""
    order: str = ""
    saliency: str = ""
    limit: int = 0


# by name: the controls, and the eight core metrics with one condition changed
STANDARD = {
    "controls": Measurement(("comp", "suff", "comp_random", "margin", "suff_margin", "win", "ir_rate", "ur_rate")),
    "collapse": Measurement(("cos_important", "cos_unimportant", "separation")),
    "normalised": Measurement(("naopc_comp", "naopc_suff", "tau_loo"), limit=300),
    "mask": Measurement(removal="mask"),
    "recomputed": Measurement(order="recomputed", limit=300),
    "l1": Measurement(saliency="l1"),
    "grad_x_input": Measurement(saliency="grad_x_input"),
    "integrated_gradients": Measurement(saliency="integrated_gradients", limit=300),
}


def is_measured(folder: Path, name: str) -> bool:
    """Whether a run's folder has a measurement."""
    return (folder / MEASURED / f"{name}.json").is_file()


def measure_run(run: Run, name: str, what: Measurement, corpus: Corpus) -> Report:
    """Measures a run's model on its test split and saves the report in the run's folder. A saved report is read.

    Raises:
        ValueError: an unknown metric, or a corpus other than the run's.
    """
    if is_measured(run.folder, name):
        return load_measured(run.folder, name)
    if list(corpus.splits["test"].texts) != texts_of_run(run):
        raise ValueError(f"{run.folder} was measured on other texts than those of {corpus.source}; give its own corpus")
    classifier, s = run.classifier("cpu" if run.settings.device == "cpu" else "auto"), run.settings
    if what.saliency:
        classifier.settings = s.replace(saliency=what.saliency)
    split = with_limit(corpus.splits["test"], what.limit)
    report = evaluate(
        classifier, split, *s.measured_shares, what.order or s.order, metrics=fitting(what.metrics, classifier.task),
        removal=what.removal or s.removal,
    )  # fmt: skip
    folder = run.folder / MEASURED
    folder.mkdir(exist_ok=True)
    report.to_parquet(folder / f"{name}.parquet")
    about = {"measurement": asdict(what), "classes": report.classes, **json.loads(report.to_json())}
    write_text(folder / f"{name}.json", json.dumps(about, indent=2))  # the last file marks a complete measurement
    return report


def texts_of_run(run: Run) -> list[Any]:
    """The test texts of a run, each once: of several labels, its columns have a row for each explained label."""
    _, first = np.unique(run.test.columns["index"], return_index=True)
    columns = run.test.columns
    return texts_of_columns({name: columns[name][first] for name in TEXT_COLUMNS if name in columns})


def load_measured(folder: Path, name: str) -> Report:
    """Reads a saved measurement. Raises FileNotFoundError if there is none."""
    path = folder / MEASURED / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no measurement {name}; run pct measure {folder}")
    about = json.loads(path.read_text(encoding="utf-8"))
    return report_of(about, about["classes"], path.with_suffix(".parquet"))


def pending(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[Run, str]]:
    """The pairs of run and measurement without a report, ordered by measurement."""
    return [(run, name) for name in names for run in runs if not is_measured(run.folder, name)]
