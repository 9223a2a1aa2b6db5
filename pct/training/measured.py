"""Further measurements of finished runs, kept in their folders: controls, and the metrics under other conditions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pct.corpora.loading import Corpus, with_limit
from pct.metrics.evaluation import evaluate
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import Report
from pct.training.runs import Run
from pct.writing import write_text

MEASURED = "measured"


@dataclass(frozen=True)
class Measurement:
    """What is measured of a finished model, and how.

    metrics: their names. removal, order, saliency: as in the settings; empty: the run's own. limit: so many test texts,
    the same for every model; 0 takes all.
    """

    metrics: tuple[str, ...] = CORE_METRICS
    removal: str = "delete"
    order: str = ""
    saliency: str = ""
    limit: int = 0


# By name: the controls that keep the eight honest, and the eight with one choice changed.
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
    """Measures a run's model on its test split and keeps it in the run's folder; read back where it is there already.

    Raises:
        ValueError: an unknown metric, or a corpus other than the run's.
    """
    if is_measured(run.folder, name):
        return load_measured(run.folder, name)
    if list(corpus.splits["test"].texts) != list(run.test.columns["text"]):
        raise ValueError(f"{run.folder} was measured on other texts than {corpus.source} holds; give its own corpus")
    classifier, s = run.classifier("cpu" if run.settings.device == "cpu" else "auto"), run.settings
    if what.saliency:
        classifier.settings = s.replace(saliency=what.saliency)
    split = with_limit(corpus.splits["test"], what.limit) if what.limit else corpus.splits["test"]
    found = evaluate(
        classifier, split, *s.measured_shares, what.order or s.order, metrics=what.metrics, removal=what.removal
    )
    folder = run.folder / MEASURED
    folder.mkdir(exist_ok=True)
    found.to_parquet(folder / f"{name}.parquet")
    about = {"measurement": asdict(what), "classes": found.classes, **json.loads(found.to_json())}
    write_text(folder / f"{name}.json", json.dumps(about, indent=2))  # the last file: the measurement is whole
    return found


def load_measured(folder: Path, name: str) -> Report:
    """A measurement that was kept. Raises FileNotFoundError where there is none."""
    path = folder / MEASURED / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no measurement {name}; make it with pct measure {folder}")
    import pyarrow.parquet as pq

    about = json.loads(path.read_text(encoding="utf-8"))
    table = pq.read_table(path.with_suffix(".parquet"))
    columns = {column: table[column].to_numpy() for column in table.column_names}
    means, errors = (_numbers(about[part]) for part in ("metrics", "standard_errors"))
    return Report(means, errors, columns, about["classes"])


def missing(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[Run, str]]:
    """The runs and measurements that are still to be made, measurement by measurement."""
    return [(run, name) for name in names for run in runs if not is_measured(run.folder, name)]


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    return {name: np.nan if value is None else value for name, value in values.items()}
