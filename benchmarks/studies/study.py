"""Studies: variants of a training, each a few settings, trained and measured once per seed, one line per run.

Runs that are already in the file are skipped, so that a stopped study continues; runs of another size (rows, epochs,
texts) are kept beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pct
from benchmarks.common import RESULTS, Row, table
from pct.corpora.loading import load_splits
from pct.corpora.splits import Corpus, with_limit
from pct.settings import Settings
from pct.training.trainer import train

METRICS = ("acc", "f_x", "comp", "suff", "comp_random", "margin", "win", "separation")
SHOWN = ("acc", "f_x", "comp", "suff", "comp-suff", "margin", "win", "separation", "cpu_step_seconds", "memory_mb")


@dataclass(frozen=True)
class Study:
    """A question and its variants.

    Attributes:
        name: of the file benchmarks/results/<name>.jsonl.
        base: settings that all variants share.
        variants: name -> changed settings; `longer` multiplies the epochs.
        around: name -> a context in which a variant is trained, for changes that no setting makes.
        rows, texts, epochs: the command line's defaults: training texts and test texts (0: all), and epochs.
    """

    name: str
    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    around: dict[str, Callable[[], AbstractContextManager[None]]] = field(default_factory=dict)
    rows: int = 1000
    texts: int = 300
    epochs: int = 2


def command(study: Study, about: str, arguments: Sequence[str] | None = None) -> int:
    """The command line: runs what is missing, and prints the table of all runs."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.studies.{study.name}", description=about)
    parser.add_argument("names", nargs="*", help=f"of {'; '.join(study.variants)}; default: all")
    for name in ("rows", "texts", "epochs"):
        parser.add_argument(f"--{name}", type=int, default=getattr(study, name))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--start", default="", metavar="FOLDER", help="a fine-tuned classifier instead of the base")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{study.name}.jsonl")
    options = parser.parse_args(arguments)
    size: dict[str, Any] = {name: getattr(options, name) for name in ("rows", "texts", "epochs")}
    if options.start:
        study = replace(study, base={**study.base, "model": options.start})
        size["start"] = Path(options.start).name
    done = {(r["variant"], r["seed"]) for r in read(options.out) if r["size"] == size}
    for seed in options.seeds:
        for name in options.names or study.variants:
            if (name, seed) not in done:
                row = {"variant": name, "seed": seed, "size": size, **measure(study, name, seed, size)}
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(table([brief(row)]), flush=True)
    print(f"\n{size}, means over seeds\n\n{table(means([r for r in read(options.out) if r['size'] == size]))}")
    return 0


def read(path: Path) -> list[Row]:
    """The runs so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def brief(row: Row) -> Row:
    """A row of the table for one run."""
    return {"variant": row["variant"], "seed": row["seed"]} | {k: row["metrics"][k] for k in SHOWN}


def measure(study: Study, name: str, seed: int, size: dict[str, Any]) -> Row:
    """Trains a variant and measures it on the test texts. Times are CPU times, so that a busy machine does not change
    them."""
    changes = dict(study.variants[name])
    threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    fixed = {"seed": seed, "epochs": size["epochs"] * changes.pop("longer", 1), "threads": threads}
    settings = Settings(**{"evaluate_epochs": False, "restore_best": False, **study.base, **fixed, **changes})
    data = part_of(load_splits(settings), size)
    records: list[Row] = []
    torch.set_num_threads(threads)
    with study.around.get(name, nullcontext)():
        start = time.process_time()
        trained = train(settings, data, None, records.append, progress=False)
        seconds = time.process_time() - start
    report = pct.evaluate(trained, data.splits["test"], *settings.measured_shares, metrics=METRICS)
    steps = settings.epochs * -(-len(data.splits["train"]) // settings.batch_size)
    measured = {"cpu_step_seconds": seconds / steps, "memory_mb": max(r["memory_mb"] for r in records)}
    return {
        "metrics": {**report.metrics, **report.gaps, **measured},
        "errors": report.errors,
        "losses": {k: v for k, v in records[-1].items() if k.startswith("train_")},
        "validation_acc": [r["validation_acc"] for r in records],
        "settings": settings.to_dict(),
    }


def part_of(corpus: Corpus, size: dict[str, Any]) -> Corpus:
    """Some rows of each split, drawn with a fixed seed."""
    sizes = {"train": size["rows"], "validation": 200, "test": size["texts"]}
    splits = {name: with_limit(corpus.splits[name], n, 0) for name, n in sizes.items()}
    return Corpus(corpus.name, splits, corpus.classes, corpus.source)


def means(rows: Sequence[Row]) -> list[Row]:
    """A row per variant: means over its seeds."""
    names = dict.fromkeys(r["variant"] for r in rows)
    grouped = {name: [r["metrics"] for r in rows if r["variant"] == name] for name in names}
    return [
        {"variant": name, "seeds": len(rows_of_name)} | {k: float(np.mean([m[k] for m in rows_of_name])) for k in SHOWN}
        for name, rows_of_name in grouped.items()
    ]
