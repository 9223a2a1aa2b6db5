"""Tokenising a large corpus by two processes against one: words are counted, then tokens are written to files.

PCT_BENCH_ROWS sets another number of texts.
"""

import os
import tempfile
from functools import partial
from pathlib import Path
from unittest.mock import patch

from benchmarks.common import Row, alternate, ratio
from benchmarks.large import LENGTH, write_texts
from pct.corpora.loading import load_splits
from pct.corpora.splits import Corpus
from pct.settings import Settings
from pct.training import kept_tokens

TEXTS, PROCESSES, ROUNDS = 1_000_000, (1, 2), 3


def main() -> Row:
    """A table with a row per number of processes."""
    texts = int(os.environ.get("PCT_BENCH_ROWS", TEXTS))
    with tempfile.TemporaryDirectory() as folder:
        write_texts(Path(folder) / "texts.csv", texts)
        settings = Settings(
            corpus="files", train_file=f"{folder}/texts.csv", model="textcnn", max_length=LENGTH, device="cpu"
        )
        with patch.dict(os.environ, PCT_CACHE_DIR=folder):
            corpus = load_splits(settings)
            calls = {str(n): partial(tokenise, settings, corpus, n) for n in PROCESSES}
            timings = alternate(calls, ROUNDS, warmup=0)
    rows: list[Row] = []
    for processes, timing in timings.items():
        gain = ratio(timings["1"], timing)
        times = {"times as fast": gain["median"], "lowest": gain["low"], "highest": gain["high"]}
        rows.append({"processes": int(processes), "s": timing.median, **times})
    return {"tables": {f"Tokenising {texts:,} texts of 5 to 30 words, {ROUNDS} rounds": rows}}


def tokenise(settings: Settings, corpus: Corpus, processes: int) -> None:
    """Tokenises a corpus into a new cache folder."""
    with (
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, PCT_CACHE_DIR=cache),
        patch.object(kept_tokens, "available_cores", lambda: processes),
        patch.object(kept_tokens, "_is_own_command", lambda: True),  # lets a benchmark start processes
    ):
        kept_tokens.kept_tokens(settings, corpus, None)
