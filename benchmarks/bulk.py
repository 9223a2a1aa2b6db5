"""Explaining a file of texts: texts a second beside `pct.evaluate`, and the peak memory as the file grows tenfold."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pct
from benchmarks.common import Row, alternate, classifier, corpus, cpu_ratio, in_own_process, ratio
from pct.corpora.rows import Chunk
from pct.output.files import ROWS_PER_CHUNK, write_explanations
from pct.training.memory import peak_mb, reset_peak

TEXTS, ROUNDS = 4264, 3
SIZES = (10_000, 100_000)
KINDS = (".jsonl", ".parquet", ".html")


def main() -> Row:
    """Two tables: speed by kind of output, and memory by number of texts."""
    model, pool = classifier("textcnn"), corpus().splits["train"]
    data = pool.texts[:TEXTS], pool.labels[:TEXTS]
    with tempfile.TemporaryDirectory() as folder:
        calls = {kind: lambda kind=kind: explain_file(model, TEXTS, Path(folder) / f"out{kind}") for kind in KINDS}
        timings = alternate({"evaluate": lambda: pct.evaluate(model, data), **calls}, rounds=ROUNDS)
    base = timings["evaluate"]
    speed = [
        {"output": kind, "texts/s": TEXTS / timings[kind].median, "/ evaluate": ratio(base, timings[kind])["median"],
         "/ evaluate, by CPU time": cpu_ratio(base, timings[kind])}
        for kind in KINDS
    ]  # fmt: skip
    few, many = ([in_own_process("benchmarks.bulk", kind, n) for kind in KINDS] for n in SIZES)
    memory = [
        {"output": kind, f"peak MB, {SIZES[0]} texts": a, f"peak MB, {SIZES[1]} texts": b, "growth": b / a}
        for kind, a, b in zip(KINDS, few, many, strict=True)
    ]
    return {
        "tables": {
            f"Explaining {TEXTS} {corpus().name} texts into a file, TextCNN, beside evaluate's "
            f"{TEXTS / base.median:.0f} texts/s": speed,
            "Peak memory (RSS) of explaining files": memory,
        }
    }


def chunks(texts: int) -> Iterator[Chunk]:
    """So many rows, the corpus' own over and over, as a file's reader gives them."""
    pool = corpus().splits["train"].texts
    for start in range(0, texts, ROWS_PER_CHUNK):
        rows = range(start, min(start + ROWS_PER_CHUNK, texts))
        yield Chunk([pool[i % len(pool)] for i in rows], None, [i + 1 for i in rows])


def explain_file(model: pct.Classifier, texts: int, output: Path) -> None:
    """`pct explain MODEL --data .. --output ..`, without the reading."""
    write_explanations(model, chunks(texts), output, {})


def measure(kind: str, texts: int) -> float:
    """The peak of resident memory, in MB."""
    model = classifier("textcnn")
    with tempfile.TemporaryDirectory() as folder:
        explain_file(model, 64, Path(folder) / f"first{kind}")  # what is loaded at first use is not the texts' doing
        reset_peak()
        explain_file(model, texts, Path(folder) / f"out{kind}")
    return peak_mb()


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
