"""Training methods side by side: one run a model, method and seed; means and standard deviations over the seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pct.corpora.loading import load_splits
from pct.metrics.names import CORE_METRICS
from pct.settings import Settings
from pct.training.grid import check_distinct, free_settings
from pct.training.paper import RESULTS
from pct.training.runs import Run, default_folder, run
from pct.writing import write_text

GAPS = ("comp-suff", "ur-ir", "i_var-u_var")


@dataclass(frozen=True)
class Row:
    """One model and method. metrics: name -> (mean, standard deviation) over the runs; NaN deviation for one run."""

    model: str
    method: str
    runs: int
    metrics: dict[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; NaN is written as null."""
        return {
            "model": self.model, "method": self.method, "runs": self.runs,
            "metrics": {
                k: {"mean": _known(mean), "deviation": _known(deviation)}
                for k, (mean, deviation) in self.metrics.items()
            },
        }  # fmt: skip


def compare(
    base: Settings,
    models: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    root: str | Path = "runs",
    progress: bool = True,
    on_run: Callable[[Run], None] | None = None,
) -> list[Row]:
    """Trains and measures every model by every method under every seed, on the test split.

    base: everything but model, method and seed; the settings named in `grid.OWN` are each model's own unless base
    holds other values than its own model's. root: where the run folders are made: a run that is finished there is not
    run again, so a comparison that was stopped goes on. Raises as `pct.training.runs.run`, and as `check_distinct`.
    """
    check_distinct(models=models, methods=methods, seeds=seeds)
    free = free_settings(base)
    # all of them before the first is trained: a wrong name is told at once
    wanted = [
        [base.replace(model=model, method=method, seed=seed, **free) for seed in seeds]
        for model in models
        for method in methods
    ]
    corpus = load_splits(base)
    rows = []
    for cell in wanted:
        done = []
        for settings in cell:
            done.append(run(settings, default_folder(settings, root), progress=progress, corpus=corpus))
            if on_run is not None:
                on_run(done[-1])
        rows.append(summary(done))
    return rows


def summary(runs: Sequence[Run]) -> Row:
    """Mean and standard deviation over runs of one model and method. Raises ValueError where they differ in these."""
    kinds = {(r.settings.model_name, r.settings.method) for r in runs}
    if len(kinds) != 1:
        raise ValueError(f"a row needs runs of one model and method, got {sorted(kinds) or 'none'}")
    (model, method) = kinds.pop()
    values = [{**r.test.metrics, **r.test.gaps} for r in runs]
    metrics = {k: _spread([v[k] for v in values]) for k in values[0]}
    return Row(model, method, len(runs), metrics)


def table(rows: Sequence[Row], corpus: str = "") -> str:
    """The rows as a Markdown table: the eight metrics and the three gaps, beside the paper's where it has the row."""
    names = (*CORE_METRICS, *GAPS)
    lines = ["| model | method | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for row in rows:
        cells = [_cell(*row.metrics[name]) for name in names]
        lines.append(f"| {row.model} | {row.method} ({row.runs}) | " + " | ".join(cells) + " |")
        paper = RESULTS.get(corpus, {}).get(row.model, {}).get(row.method)
        if paper:
            known = dict(zip(CORE_METRICS, paper, strict=True))
            gaps = (known["comp"] - known["suff"], known["ur"] - known["ir"], known["i_var"] - known["u_var"])
            cells = [_number(x) for x in (*paper, *gaps)]
            lines.append(f"| {row.model} | {row.method}, paper | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(rows: Sequence[Row], path: str | Path) -> None:
    """The rows as JSON, whole or not at all."""
    write_text(path, json.dumps([row.to_dict() for row in rows], indent=2) + "\n")


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _cell(mean: float, deviation: float) -> str:
    return _number(mean) if np.isnan(deviation) else f"{_number(mean)} ± {_number(deviation)}"


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _number(value: float) -> str:
    if not np.isfinite(value):  # nothing to measure: texts of one word
        return "-"
    text = f"{value:.3f}" if abs(value) < 1 else f"{value:.1f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
