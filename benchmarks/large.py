"""The peak memory of training, evaluation and explanation on 100 thousand and on 1 million texts.

Each runs in its own single-threaded process. A narrow TextCNN is trained; a linear model is evaluated and explained.
The texts are drawn from 20,000 words with the frequencies of Zipf's law, 5 to 30 words each, and cut to 16; one
evaluation has ten labels, drawn at random. PCT_BENCH_ROWS sets other numbers of texts, and PCT_BENCH_PARTS selects
parts: PCT_BENCH_PARTS="train,evaluate".
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import Row, in_own_process
from pct.corpora.files import open_table
from pct.corpora.loading import load_splits, read_data
from pct.corpora.rows import ReadOptions, RowReader
from pct.corpora.splits import Corpus, Split
from pct.explaining.predictor import TextInterface
from pct.metrics.evaluation import evaluate
from pct.models import build
from pct.output.files import ROWS_PER_CHUNK, write_explanations
from pct.output.workers import Workers
from pct.settings import Settings
from pct.tasks import SeveralLabels
from pct.text.tokens import Ints, Tokens
from pct.text.vocabulary import Vocabulary
from pct.training import trainer
from pct.training.memory import peak_mb
from pct.training.prepared import prepare

SIZES = (100_000, 1_000_000)
WORDS, SHORTEST, LONGEST = 20_000, 5, 30
LENGTH = 16  # words that the models read
WIDTH = 16  # of the embeddings
LABEL_COUNT = 10  # in the evaluation of several labels
METRICS = ("acc", "f_x", "comp", "suff")
MULTI_LABEL = "evaluate several labels"
PARTS = ("train", "train again", "evaluate", MULTI_LABEL, "explain")


def main() -> Row:
    """A table with a row per part."""
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
    """Writes a CSV file of texts; the first word determines the class."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, WORDS + 1)
    words = np.array([f"w{i}" for i in range(WORDS)])
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for start in range(0, texts, 10_000):
            sizes = rng.integers(SHORTEST, LONGEST + 1, min(10_000, texts - start))
            drawn = words[rng.choice(WORDS, int(sizes.sum()), p=shares / shares.sum())]
            for row, text_words in enumerate(np.split(drawn, np.cumsum(sizes)[:-1])):
                file.write(f"{('good', 'bad')[row % 2]} {' '.join(text_words)},{row % 2}\n")


def measure(part: str, folder: Path) -> tuple[float, float]:
    """The peak resident memory in MB, and the seconds."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    data, model = str(folder / "texts.csv"), Linear()
    if part.startswith("train"):
        train(data)
    elif part == "evaluate":
        split, _ = read_data(data, model.classes, ReadOptions())
        evaluate(model, split, metrics=METRICS)
    elif part == MULTI_LABEL:
        split, _ = read_data(data, model.classes, ReadOptions())
        gold = np.random.default_rng(0).integers(0, 5, (len(split), LABEL_COUNT), np.uint8) == 0  # a byte each
        split = Split(split.texts, gold)  # drops the classes of the file
        evaluate(MultiLabelLinear(), split, metrics=(*METRICS, "micro_f1", "macro_f1"))
    else:
        chunks = RowReader(ReadOptions()).chunks(open_table(data, ReadOptions()), model.classes, ROWS_PER_CHUNK)
        write_explanations(Workers(model), chunks, folder / "explained.jsonl", {}, max_steps=1)
    return peak_mb(), time.perf_counter() - start


class Linear(TextInterface):
    """The cheapest model: the log-odds are the sum of a weight for each word."""

    def __init__(self) -> None:
        self.classes = ["0", "1"]
        self.vocabulary = Vocabulary(["good", "bad", *(f"w{i}" for i in range(WORDS))])
        self.weights = np.random.default_rng(0).normal(size=len(self.vocabulary)).astype(np.float32)

    def tokens(self, texts: Sequence[Sequence[str]]) -> Tokens:
        """See `Predictor`."""
        return self.vocabulary.encode(texts, LENGTH)

    def forward(self, ids: Ints, mask: Any) -> Any:
        """See `Predictor`."""
        positive = 1 / (1 + np.exp(-(self.weights[ids] * mask).sum(1)))
        return np.stack([1 - positive, positive], 1)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Any, Any]:
        """See `Predictor`."""
        return self.forward(ids, words > -2), np.abs(self.weights[ids])


class MultiLabelLinear(Linear):
    """The same model with several labels, of which a text has one or two."""

    task = SeveralLabels()

    def __init__(self) -> None:
        super().__init__()
        self.classes = [f"l{i}" for i in range(LABEL_COUNT)]
        self.weights = np.random.default_rng(0).normal(size=(len(self.vocabulary), LABEL_COUNT)).astype(np.float32)

    def forward(self, ids: Ints, mask: Any) -> Any:
        """See `Predictor`."""
        return self.task.probabilities((self.weights[ids] * mask[..., None]).sum(1) - LENGTH**0.5)

    def explain_rows(self, ids: Ints, words: Ints, classes: Ints | None) -> tuple[Any, Any]:
        """See `Predictor`."""
        assert classes is not None  # with several labels they are always given
        return self.forward(ids, words > -2), np.abs(self.weights[ids, classes[:, None]])


def train(data: str) -> None:
    """One epoch of normal training of a narrow TextCNN, in large batches."""
    build.EMBEDDING_WIDTH = WIDTH
    settings = Settings(
        corpus="files", train_file=data, model="textcnn", method="normal", epochs=1, batch_size=512, threads=1,
        device="cpu", evaluate_epochs=False, max_length=LENGTH,
    )  # fmt: skip
    corpus: Corpus = load_splits(settings)
    trainer.train(settings, prepare(settings, corpus), progress=False)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
