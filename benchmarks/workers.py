"""Bulk jobs on Ray Data with 1, 2, 4 and 8 workers that sleep for each text: the efficiency of the engine alone."""

import tempfile
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._sleeping import open_stub, sleeping_rows
from benchmarks.common import Row
from pct.corpora.rows import ReadOptions
from tuning.bulk import run_bulk
from tuning.resources import Resources

TIMES = ("start", "end")
WORKERS = (1, 2, 4, 8)
TEXTS_A_WORKER, BYTES_A_TEXT, SECONDS_A_TEXT = 8192, 1000, 0.005


def main() -> Row:
    """One table. Takes minutes, most of them asleep."""
    texts = f"{TEXTS_A_WORKER} texts of {BYTES_A_TEXT} bytes a worker"
    rows = [efficiency_row(workers) for workers in WORKERS]
    return {"tables": {f"Bulk jobs whose workers sleep {SECONDS_A_TEXT:g} s a text, {texts}": rows}}


def efficiency_row(workers: int) -> Row:
    """The efficiency: the share of the workers' time that they slept."""
    texts = TEXTS_A_WORKER * workers
    schema = pa.schema([(name, pa.int64()) for name in ("row", "process")] + [(name, pa.float64()) for name in TIMES])
    with tempfile.TemporaryDirectory() as folder:
        data, output = Path(folder) / "texts.parquet", Path(folder) / "out"
        pq.write_table(pa.table({"text": [f"{i:0{BYTES_A_TEXT}}" for i in range(texts)]}), data)
        rows = partial(sleeping_rows, seconds=SECONDS_A_TEXT)
        start = time.perf_counter()
        done = run_bulk(
            str(data), str(output), rows, schema, open_stub, ReadOptions(), {}, Resources(workers=workers),
            quiet=True,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        assert done.rows == texts
        calls = pq.read_table(output, columns=["process", *TIMES]).to_pandas().drop_duplicates()
    by_worker = calls.groupby("process")
    first, last = by_worker["start"].min().max(), by_worker["end"].max().min()  # while all of them run
    busy = (calls["end"].clip(first, last) - calls["start"].clip(first, last)).sum()
    worker_seconds = TEXTS_A_WORKER * SECONDS_A_TEXT
    return {
        "workers": len(by_worker), "while all run": float(busy) / workers / (last - first),
        "from the first text to the last": worker_seconds / (calls["end"].max() - calls["start"].min()),
        "with Ray's start and end in it": worker_seconds / seconds,
    }  # fmt: skip
