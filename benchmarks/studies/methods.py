"""The table of docs/results/removal_margin.md: what each method changes, under three conditions of measurement.

python -m benchmarks.studies.methods FOLDER "LSTM, normal=runs/a runs/b" "LSTM, removal_margin=runs/c runs/d" ..

Each name has its run folders, one a seed. A method is compared with the first one of its family (what stands before
the comma), seed by seed. Measures the models on their test splits; what is measured stays in FOLDER. Prints Markdown.
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
    """Measures what is not measured yet, and prints the table."""
    splits: dict[Settings, Split] = {}
    rows = dict(argument.split("=", 1) for argument in arguments[1:])
    methods = {name: measured(Path(arguments[0]), runs.split(), splits) for name, runs in rows.items()}
    print(f"| model, method | seeds | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * (len(COLUMNS) + 1)}")
    first: dict[str, Runs] = {}
    for name, own in methods.items():
        base = first.setdefault(name.split(",")[0], own)
        cells = [
            mean(values(own, *c)) if own is base else change(values(base, *c), values(own, *c))
            for c in COLUMNS.values()
        ]
        print(f"| {name} | {len(own.keys() & base.keys())} | {' | '.join(cells)} |")


def measured(folder: Path, runs: Sequence[str], splits: dict[Settings, Split]) -> Runs:
    """The values of a method's runs. splits: the test splits that were read, by the settings of their corpus."""
    seeds = {}
    for run in map(Path, runs):
        settings = load_run(run).settings

        def opened(run: Path = run, settings: Settings = settings) -> tuple[Classifier, Split, Columns]:
            corpus = settings.replace(method="normal", seed=0, model="textcnn")
            if corpus not in splits:
                splits[corpus] = load_splits(corpus).splits["test"]
            return pct.load(run), splits[corpus], {}

        conditions = {name: one._replace(texts=settings.measure_limit) for name, one in CONDITIONS.items()}
        seeds[settings.seed] = measure(folder / f"{run.name}.npz", conditions, opened)
    return seeds


if __name__ == "__main__":
    main(sys.argv[1:])
