"""The table of docs/results/removal_margin.md: the change by each method, under three conditions of measurement.

python -m benchmarks.studies.methods FOLDER "LSTM, normal=runs/a runs/b" "LSTM, removal_margin=runs/c runs/d" ..

Each name has its run folders, one per seed. A method is compared with the first one of its family (the part of the
name before the comma), seed by seed. Measures the models on their test splits, and keeps the values in FOLDER. Prints
Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pct
from benchmarks.studies.by_text import Columns, Condition, Runs, change, mean, measure, values
from pct.classifier import Classifier
from pct.corpora.loading import load_splits
from pct.corpora.splits import Split
from pct.settings import Settings
from pct.training.runs import load_run

CONDITIONS = {
    "l2": Condition("l2", "delete"), "best": Condition("grad_x_input", "delete"), "mask": Condition("l2", "mask"),
}  # fmt: skip
COLUMNS = {
    "accuracy": ("l2", "acc"), "comp − suff": ("l2", "comp-suff"), "margin": ("l2", "margin"), "win": ("l2", "win"),
    "margin, masked": ("mask", "margin"), "margin, grad × input": ("best", "margin"),
}  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Measures what is missing, and prints the table."""
    splits: dict[Settings, Split] = {}
    rows = dict(argument.split("=", 1) for argument in arguments[1:])
    methods = {name: measured(Path(arguments[0]), runs.split(), splits) for name, runs in rows.items()}
    print(f"| model, method | seeds | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * (len(COLUMNS) + 1)}")
    first: dict[str, Runs] = {}
    for name, method_runs in methods.items():
        base = first.setdefault(name.split(",")[0], method_runs)
        cells = [
            mean(values(method_runs, *c)) if method_runs is base else change(values(base, *c), values(method_runs, *c))
            for c in COLUMNS.values()
        ]
        print(f"| {name} | {len(method_runs.keys() & base.keys())} | {' | '.join(cells)} |")


def measured(folder: Path, runs: Sequence[str], splits: dict[Settings, Split]) -> Runs:
    """The values of a method's runs. splits: a cache of test splits, by the settings of their corpus."""
    seeds = {}
    for run in map(Path, runs):
        settings = load_run(run).settings

        def open_run(run: Path = run, settings: Settings = settings) -> tuple[Classifier, Split, Columns]:
            corpus = settings.replace(method="normal", seed=0, model="textcnn")
            if corpus not in splits:
                splits[corpus] = load_splits(corpus).splits["test"]
            return pct.load(run), splits[corpus], {}

        conditions = {name: condition._replace(texts=settings.measure_limit) for name, condition in CONDITIONS.items()}
        seeds[settings.seed] = measure(folder / f"{run.name}.npz", conditions, open_run)
    return seeds


if __name__ == "__main__":
    main(sys.argv[1:])
