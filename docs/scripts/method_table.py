"""The table of docs/results/removal_margin.md: what each method changes, under three conditions of measurement.

    python docs/scripts/method_table.py FOLDER "LSTM, normal=runs/a runs/b" "LSTM, removal_margin=runs/c runs/d" ..

Each name has its run folders in the order of their seeds. A method is compared with the first one of its family (what
stands before the comma), seed by seed. Measures the models on their test splits; what is measured stays in FOLDER.
Prints Markdown.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import pct
from pct.corpora.loading import load_splits
from pct.corpora.splits import Split
from pct.metrics.bootstrap import crossed_bootstrap
from pct.output.numbers import bounds, number
from pct.settings import Settings
from pct.training.runs import load_run
from pct.writing import atomic_write

METRICS = ("acc", "f_x", "comp", "suff", "comp_random", "margin", "win")
CONDITIONS = {"l2": ("l2", "delete"), "best": ("grad_x_input", "delete"), "mask": ("l2", "mask")}
COLUMNS = {
    "accuracy": ("l2", "acc"), "comp − suff": ("l2", "comp-suff"), "margin": ("l2", "margin"), "win": ("l2", "win"),
    "margin, masked": ("mask", "margin"), "margin, grad × input": ("best", "margin"),
}  # fmt: skip
Values = dict[str, dict[str, np.ndarray]]  # condition -> metric -> (seeds, texts)


def main(arguments: list[str]) -> None:
    """Measures what is not measured yet, and prints the table."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    splits: dict[Settings, Split] = {}
    rows = {name: values(folder, runs.split(), splits) for name, runs in (x.split("=", 1) for x in arguments[1:])}
    print(f"| model, method | seeds | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * (len(COLUMNS) + 1)}")
    first: dict[str, Values] = {}
    for name, own in rows.items():
        base = first.setdefault(name.split(",")[0], own)
        seeds = min(len(own["l2"]["acc"]), len(base["l2"]["acc"]))
        cells = [
            cell(column(own, *c)[:seeds], None if own is base else column(base, *c)[:seeds]) for c in COLUMNS.values()
        ]
        print(f"| {name} | {seeds} | {' | '.join(cells)} |")


def values(folder: Path, runs: list[str], splits: dict[Settings, Split]) -> Values:
    """The measured values of a method, its seeds stacked."""
    seeds = [{c: measured(folder, Path(run), c, splits) for c in CONDITIONS} for run in runs]
    return {c: {m: np.stack([seed[c][m] for seed in seeds]) for m in METRICS} for c in CONDITIONS}


def measured(folder: Path, run: Path, condition: str, splits: dict[Settings, Split]) -> dict[str, np.ndarray]:
    """The metrics of each test text of a run, (texts,) each."""
    path = folder / f"{run.name}--{condition}.npz"
    if not path.is_file():
        settings = load_run(run).settings
        corpus = settings.replace(method="normal", seed=0, model="textcnn")
        if corpus not in splits:
            splits[corpus] = load_splits(corpus).splits["test"]
        saliency, removal = CONDITIONS[condition]
        report = pct.evaluate(
            pct.load(run), splits[corpus], metrics=METRICS, removal=removal, saliency=saliency,
            limit=settings.measure_limit,
        )  # fmt: skip
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez(file, **{m: report.columns[m] for m in METRICS})
    with np.load(path) as file:
        return {m: file[m].astype(float) for m in METRICS}


def column(own: Values, condition: str, metric: str) -> np.ndarray:
    """(seeds, texts) a metric; `a-b` is the difference of two."""
    first, _, second = metric.partition("-")
    return own[condition][first] - (own[condition][second] if second else 0)


def cell(own: np.ndarray, base: np.ndarray | None) -> str:
    """The mean of the baseline, or the difference from it with its interval."""
    if base is None:
        text = number(own.mean())
    else:
        change = crossed_bootstrap(own - base)
        text = f"{number(change.value, signed=True)} {bounds(change)}"
    return text.replace("0.", ".").replace("-", "−")


if __name__ == "__main__":
    main(sys.argv[1:])
