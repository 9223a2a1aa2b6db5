"""A fine-tuned encoder, trained for one more epoch by each method: does a method widen its gaps or its margin?

PCT_DATA_DIR=... python -m benchmarks.studies.finetune FOLDER --seeds 0 1 2 3 4
PCT_DATA_DIR=... python -m benchmarks.studies.finetune FOLDER --from-start ag_news --seeds 0 1 2

The encoder is trained normally on all of MR (3 epochs), then further on 3,000 of its rows (1 epoch) by each method, a
base for each seed. All are measured under three conditions: by the norm of the gradient on all 1,066 test texts, else
on 500 of them. FOLDER keeps the models and the values of each text, so an interrupted study continues, and several
processes may share it. `--table` prints Markdown: each method's change from one more normal epoch under the same seeds.

`--from-start` trains by each method from the pretrained encoder instead, on MR or on 6,000 rows of AG News.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import encoder_folder
from pct.classifier import Classifier
from pct.corpora.loading import load_splits
from pct.metrics.bootstrap import crossed_bootstrap
from pct.metrics.evaluation import evaluate
from pct.output.numbers import bounds, number
from pct.settings import Settings
from pct.training.trainer import train
from pct.writing import atomic_write

SHARED: dict[str, Any] = {
    "corpus": "mr", "words": "spaces", "batch_size": 32, "restore_best": False, "evaluate_epochs": False, "threads": 1,
}  # fmt: skip
BASE = {"method": "normal", "epochs": 3, "lr": 1e-4}
FURTHER = {"epochs": 1, "lr": 5e-5, "limit": 3000}
FROM_START = {  # of a corpus: the settings, and the most test texts under each condition; 0: those of `CONDITIONS`
    "mr": ({"epochs": 3, "lr": 1e-4}, 0),
    "ag_news": ({"corpus": "ag_news", "epochs": 1, "lr": 1e-4, "limit": 6000}, 250),
}
MILD = {"alpha": 0.15, "temperature": 0.15}
VARIANTS: dict[str, dict[str, Any]] = {
    "normal": {"method": "normal"}, "removal_margin": {"method": "removal_margin", "margin_bound": 4.0},
    "rm_bound2": {"method": "removal_margin", "margin_bound": 2.0},
    "saliency_guided": {"method": "saliency_guided"}, "pct": {"method": "pct", **MILD},
    "rm_frozen": {"method": "removal_margin", "saliency": "frozen_grad_x_input"},
    "rm_either": {"method": "removal_margin", "train_removal": "either"},
    "rm_w.1": {"method": "removal_margin", "margin_weight": 0.1}, "unirex": {"method": "unirex"},
    "masked": {"method": "masked"},
}  # fmt: skip
METRICS = ("acc", "f_x", "comp", "suff", "comp_random", "margin", "win")
CONDITIONS = {  # the file of a condition -> the saliency that ranks words, how they are removed, and the texts; 0: all
    "l2": ("l2", "delete", 0),
    "best": ("frozen_grad_x_input", "delete", 500),
    "mask": ("l2", "mask", 500),
}
COLUMNS = {  # title -> condition and metric
    "accuracy": ("l2", "acc"), "comp − suff": ("l2", "comp-suff"), "margin": ("l2", "margin"), "win": ("l2", "win"),
    "margin, masked": ("mask", "margin"), "margin, frozen": ("best", "margin"),
    "comp − suff, frozen": ("best", "comp-suff"),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the cells that are missing, or prints the table of those that are there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.finetune", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--from-start", choices=FROM_START, help="train from the pretrained encoder on this corpus")
    parser.add_argument("--table", action="store_true", help="print the table, and train nothing")
    options = parser.parse_args(arguments)
    if options.table:
        print("\n".join(table(options.folder, options.variants, options.from_start or "ft")))
        return 0
    if options.from_start:
        shared, texts = FROM_START[options.from_start]
        for seed, name in product(options.seeds, options.variants):
            folder = options.folder / f"{options.from_start}-{name}-{seed}"
            cell(folder, settings(seed, **{**shared, **VARIANTS[name]}), texts=texts)
        return 0
    for seed in options.seeds:
        cell(options.folder / f"base-normal-{seed}", settings(seed, **BASE))
        for name in options.variants:
            base = options.folder / f"base-normal-{seed}"
            cell(options.folder / f"ft-{name}-{seed}", settings(seed, **FURTHER, **VARIANTS[name]), base)
    return 0


def settings(seed: int, **more: Any) -> Settings:
    """The settings of a cell."""
    return Settings.from_dict({"model": encoder_folder(), "seed": seed, **SHARED, **more})


def cell(folder: Path, chosen: Settings, base: Path | None = None, texts: int = 0) -> None:
    """Trains a model into a folder, from the model of `base` where one is given, and measures it. What exists stays.

    texts: the most test texts under each condition; 0 for those of `CONDITIONS`.
    """
    if not (folder / "trained").is_file():
        start = Classifier.load(base / "model") if base else None
        if start is not None:
            start = Classifier(start.model, start.tokenizer, start.classes, chosen)
        seconds = time.process_time()
        train(chosen, load_splits(chosen), folder, progress=False, start=start).save(folder / "model")
        (folder / "trained").write_text(f"{time.process_time() - seconds:.0f}", encoding="utf-8")
    classifier, test = Classifier.load(folder / "model"), load_splits(chosen.replace(limit=0)).splits["test"]
    for name, (saliency, removal, limit) in CONDITIONS.items():
        path = folder / f"{name}.npz"
        if path.is_file():
            continue
        most = min(limit or texts, texts) if texts else limit
        report = evaluate(classifier, test, limit=most, metrics=METRICS, removal=removal, saliency=saliency)
        with atomic_write(path) as part, part.open("wb") as file:
            np.savez(file, **{metric: report.columns[metric] for metric in METRICS if metric in report.columns})
        print(folder.name, name, {k: round(v, 3) for k, v in report.metrics.items()}, flush=True)


def table(folder: Path, variants: Sequence[str], kind: str = "ft") -> Iterator[str]:
    """Rows of Markdown: the mean over seeds of normal training, then each variant's change from it.

    kind: of the cells: ft, one more epoch, or a corpus of `FROM_START`.
    """
    further = kind == "ft"
    yield f"| {'one epoch more by' if further else 'trained by'} | seeds | {' | '.join(COLUMNS)} | CPU seconds |"
    yield "| --- |" + " --- |" * (len(COLUMNS) + 2)
    if further:
        before = read(folder, "base-normal")
        yield row("(before)", before, means(before), "")
    normal = read(folder, f"{kind}-normal")
    yield row("normal", normal, means(normal), seconds(folder, f"{kind}-normal"))
    for name in variants:
        runs = read(folder, f"{kind}-{name}")
        if name == "normal" or not runs:
            continue
        changes = [change(values(normal, *c), values(runs, *c)) for c in COLUMNS.values()]
        yield row(name, runs, changes, seconds(folder, f"{kind}-{name}"))


def row(name: str, runs: dict[int, Any], cells: Sequence[str], cost: str) -> str:
    """A row of the table."""
    return f"| {name} | {', '.join(map(str, runs))} | {' | '.join(cells)} | {cost} |"


def read(folder: Path, name: str) -> dict[int, dict[str, dict[str, np.ndarray]]]:
    """The measured cells of a variant: seed -> condition -> metric -> (texts,)."""
    seeds = sorted(int(path.parent.name.rsplit("-", 1)[1]) for path in folder.glob(f"{name}-*/trained"))
    return {
        seed: {c: dict(np.load(folder / f"{name}-{seed}" / f"{c}.npz")) for c in CONDITIONS}
        for seed in seeds
        if all((folder / f"{name}-{seed}" / f"{c}.npz").is_file() for c in CONDITIONS)
    }


def values(runs: dict[int, dict[str, dict[str, np.ndarray]]], condition: str, metric: str) -> dict[int, np.ndarray]:
    """By seed, (texts,) a metric; `a-b` is the difference of two."""
    first, _, second = metric.partition("-")
    return {
        seed: run[condition][first].astype(float) - (run[condition][second] if second else 0)
        for seed, run in runs.items()
    }


def means(runs: dict[int, dict[str, dict[str, np.ndarray]]]) -> list[str]:
    """The means over texts and seeds, a cell for each column."""
    return [f"{np.mean([x.mean() for x in values(runs, *column).values()]):.3f}" for column in COLUMNS.values()]


def change(before: dict[int, np.ndarray], after: dict[int, np.ndarray]) -> str:
    """The mean difference over the seeds of both, with its interval by a bootstrap over texts and seeds."""
    seeds = sorted(before.keys() & after.keys())
    interval = crossed_bootstrap(np.stack([after[seed] - before[seed] for seed in seeds]))
    return f"{number(interval.value, signed=True)} {bounds(interval)}"


def seconds(folder: Path, name: str) -> str:
    """The mean CPU seconds of the training of a variant."""
    spent = [float(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{name}-*/trained"))]
    return f"{np.mean(spent):.0f}" if spent else ""


if __name__ == "__main__":
    raise SystemExit(main())
