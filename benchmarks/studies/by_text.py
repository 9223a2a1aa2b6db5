"""Metrics of each test text for trained models, measured once and kept in a file per model; cells of tables of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pct.classifier import Classifier
from pct.corpora.splits import Split
from pct.metrics.bootstrap import crossed_bootstrap
from pct.metrics.evaluation import evaluate
from pct.output.numbers import bounds, number
from pct.writing import atomic_write

METRICS = ("acc", "f_x", "comp", "suff", "comp_random", "margin", "win")
NONE = "–"  # the cell of a missing measurement
Columns = dict[str, np.ndarray]  # "condition/metric" -> (texts,), and facts of the model
Runs = dict[int, Columns]  # by seed
BySeed = dict[int, np.ndarray]  # seed -> (texts,)


class Condition(NamedTuple):
    """How a model is measured: the saliency that ranks words, how they are removed, the metrics, the most texts (0:
    all), and what reads the texts if they are not the test split of the model's corpus."""

    saliency: str
    removal: str
    metrics: tuple[str, ...] = METRICS
    texts: int = 0
    read_texts: Callable[[], Split] | None = None


def measure(
    path: Path,
    conditions: Mapping[str, Condition],
    open_model: Callable[[], tuple[Classifier, Split, Columns]],
) -> Columns:
    """The values in a file, after measuring the conditions that it lacks.

    Args:
        path: of the file (.npz).
        conditions: by name.
        open_model: returns the model, the texts, and facts to keep with the values; called if a condition is missing.
    """
    columns = read(path) if path.is_file() else {}
    missing = [name for name in conditions if not any(column.startswith(f"{name}/") for column in columns)]
    if not missing:
        return columns
    classifier, split, facts = open_model()
    columns |= facts
    for name in missing:
        saliency, removal, metrics, limit, read_texts = conditions[name]
        texts = read_texts() if read_texts else split
        report = evaluate(classifier, texts, limit=limit, metrics=metrics, removal=removal, saliency=saliency)
        columns |= {f"{name}/{metric}": report.columns[metric].astype(np.float32).round(5) for metric in metrics}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez_compressed(file, **columns)
        print(path.stem, name, {k: round(v, 3) for k, v in report.metrics.items()}, file=sys.stderr, flush=True)
    return columns


def read(path: Path) -> Columns:
    """The values in a file."""
    with np.load(path) as file:
        return dict(file)


def values(runs: Runs, condition: str, metric: str) -> BySeed:
    """A metric (texts,) of each run that was measured under the condition; `a-b` is the difference of two metrics."""
    first, _, second = metric.partition("-")
    return {
        seed: run[f"{condition}/{first}"].astype(float) - (run[f"{condition}/{second}"] if second else 0)
        for seed, run in runs.items()
        if f"{condition}/{first}" in run
    }


def mean(of_seeds: BySeed) -> str:
    """The mean over texts and seeds, as a cell of a table."""
    return _cell(number(np.mean([np.nanmean(x) for x in of_seeds.values()]))) if of_seeds else NONE


def change(before: BySeed, after: BySeed) -> str:
    """The mean difference over the common seeds, with its interval by a bootstrap over texts and seeds."""
    seeds = sorted(before.keys() & after.keys())
    if not seeds:
        return NONE
    interval = crossed_bootstrap(np.stack([after[seed] - before[seed] for seed in seeds]))
    return _cell(f"{number(interval.value, signed=True)} {bounds(interval)}")


def without_zeros(text: str) -> str:
    """Numbers without the zero before the point: .5, and 20.5 as it is."""
    return re.sub(r"(?<!\d)0\.", ".", text)


def _cell(text: str) -> str:
    return without_zeros(text).replace("-", "−")
