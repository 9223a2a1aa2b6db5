"""Explaining a file of texts: its speed against `pct.evaluate`, two processes against one, and the peak memory."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

import pct
from benchmarks.common import THREADS, Row, alternate, classifier, corpus, cpu_ratio, in_own_process, ratio
from pct.corpora.rows import Chunk
from pct.opening import open_model
from pct.output.files import ROWS_PER_CHUNK, write_explanations
from pct.output.workers import Workers
from pct.training.memory import peak_mb, reset_peak

TEXTS, ROUNDS = 4264, 3
SIZES = (10_000, 100_000)
KINDS = (".jsonl", ".parquet", ".html")
LONG = {"textcnn": 20_000, "minilm": 1024}  # texts: enough work to outweigh the start of two processes


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
            "Two processes beside one, their start included": [processes(family) for family in LONG],
            "Peak memory (RSS) of explaining files": memory,
        }
    }


def processes(family: str) -> Row:
    """Explaining texts into a file by one single-threaded process, and by two."""
    texts, size = LONG[family], LONG[family] // 16
    with tempfile.TemporaryDirectory() as folder:
        saved = str(classifier(family).save(Path(folder) / "model"))
        torch.set_num_threads(1)
        open_saved = partial(open_on_cpu, saved)
        model, output = open_saved(1), Path(folder) / "out.jsonl"
        calls = {
            count: partial(
                write_explanations, Workers(model, open_saved, count, patience), chunks(texts, size), output, {}
            )
            for count, patience in ((1, 1.0), (2, 0.0))
        }
        seconds = {count: elapsed(call) for count, call in calls.items()}
    torch.set_num_threads(THREADS)
    return {"model": family, "texts": texts, **{f"texts/s, {n}": texts / s for n, s in seconds.items()},
            "speed-up": seconds[1] / seconds[2]}  # fmt: skip


def open_on_cpu(folder: str, threads: int) -> Any:
    """Opens a model as `Workers` does."""
    return open_model(folder, "cpu", threads=threads)


def elapsed(call: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def chunks(texts: int, size: int = ROWS_PER_CHUNK) -> Iterator[Chunk]:
    """`texts` rows, the corpus repeated as needed, as a file reader yields them, in chunks of `size` rows."""
    pool = corpus().splits["train"].texts
    for start in range(0, texts, size):
        rows = range(start, min(start + size, texts))
        yield Chunk([pool[i % len(pool)] for i in rows], None, [i + 1 for i in rows])


def explain_file(model: pct.Classifier, texts: int, output: Path) -> None:
    """`pct explain MODEL --data .. --output ..`, without reading a file."""
    write_explanations(Workers(model), chunks(texts), output, {})


def measure(kind: str, texts: int) -> float:
    """The peak resident memory, in MB."""
    model = classifier("textcnn")
    with tempfile.TemporaryDirectory() as folder:
        explain_file(model, 64, Path(folder) / f"first{kind}")  # what is loaded at first use must not count
        reset_peak()
        explain_file(model, texts, Path(folder) / f"out{kind}")
    return peak_mb()


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
