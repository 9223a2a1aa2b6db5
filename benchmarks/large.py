"""The peak memory of training, evaluation and explanation on 100 thousand and on 1 million texts, with a small TextCNN.

Each is a process of its own, of one thread. The texts are drawn from 20,000 words with the frequencies of Zipf's law, 5
to 30 words each, and cut to 16. PCT_BENCH_ROWS and PCT_BENCH_PARTS choose other numbers of texts, and some parts:
PCT_BENCH_PARTS="train,evaluate".
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Row, in_own_process
from pct.commands.explain import main as explain
from pct.corpora.loading import load_splits, read_data
from pct.corpora.rows import ReadOptions
from pct.corpora.splits import Corpus
from pct.metrics.evaluation import evaluate
from pct.models import build
from pct.opening import open_model
from pct.settings import Settings
from pct.training import trainer
from pct.training.memory import peak_mb
from pct.training.prepared import prepare

SIZES = (100_000, 1_000_000)
WORDS, SHORTEST, LONGEST = 20_000, 5, 30
WIDTH = 16  # of the embeddings
PARTS = ("train", "train again", "evaluate", "explain")


def main() -> Row:
    """A row for each part."""
    sizes = [int(n) for n in os.environ.get("PCT_BENCH_ROWS", "").split()] or list(SIZES)
    parts = [part for part in PARTS if part in os.environ.get("PCT_BENCH_PARTS", ",".join(PARTS)).split(",")]
    measured: dict[str, list[list[float]]] = {part: [] for part in parts}
    for texts in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            os.environ["PCT_CACHE_DIR"] = str(folder / "cache")
            write_texts(folder / "texts.csv", texts)
            for part in parts:
                measured[part].append(in_own_process("benchmarks.large", part, folder))
                print(part, texts, measured[part][-1], file=sys.stderr, flush=True)
    rows = []
    for part, of_sizes in measured.items():
        row: Row = {"part": part}
        for texts, (peak, seconds) in zip(sizes, of_sizes, strict=True):
            row |= {f"peak MB, {texts:,}": peak, f"s, {texts:,}": seconds}
        rows.append(row | {"growth": of_sizes[-1][0] / of_sizes[0][0]})
    return {"tables": {"Peak memory (RSS) of large corpora": rows}}


def write_texts(path: Path, texts: int) -> None:
    """Writes a CSV file of texts; the first word says the class."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, WORDS + 1)
    words = np.array([f"w{i}" for i in range(WORDS)])
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for start in range(0, texts, 10_000):
            sizes = rng.integers(SHORTEST, LONGEST + 1, min(10_000, texts - start))
            drawn = words[rng.choice(WORDS, int(sizes.sum()), p=shares / shares.sum())]
            for row, own in enumerate(np.split(drawn, np.cumsum(sizes)[:-1])):
                file.write(f"{('good', 'bad')[row % 2]} {' '.join(own)},{row % 2}\n")


def measure(part: str, folder: Path) -> tuple[float, float]:
    """The peak of resident memory in MB, and seconds."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    data, model = str(folder / "texts.csv"), folder / "model"
    if part.startswith("train"):
        train(data, model)
    elif part == "evaluate":
        predictor = open_model(str(model), "cpu")
        split, _ = read_data(data, predictor.classes, ReadOptions())
        evaluate(predictor, split, metrics=["acc", "f_x", "macro_f1"])
    else:
        output = str(folder / "explained.jsonl")
        explain([str(model), "--data", data, "--output", output, "--processes", "1", "--max-steps", "1", "--quiet"])
    return peak_mb(), time.perf_counter() - start


def train(data: str, model: Path) -> None:
    """One epoch of normal training, in large batches, of a narrow TextCNN."""
    build.EMBEDDING_WIDTH = WIDTH
    settings = Settings(
        corpus="files", train_file=data, model="textcnn", method="normal", epochs=1, batch_size=512, threads=1,
        device="cpu", evaluate_epochs=False, max_length=16,
    )  # fmt: skip
    corpus: Corpus = load_splits(settings)
    trainer.train(settings, prepare(settings, corpus), progress=False).save(model)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
