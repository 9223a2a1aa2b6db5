"""The corpora of the paper by name: from the folder that PCT_DATA_DIR names, else from the hub."""

from __future__ import annotations

import os
from pathlib import Path

CLASSES = {
    "planted": ["negative", "positive"],
    "mr": ["negative", "positive"],
    "imdb": ["negative", "positive"],
    "ag_news": ["World", "Sports", "Business", "Sci/Tech"],
}
HUB = {
    "mr": "cornell-movie-review-data/rotten_tomatoes",
    "imdb": "stanfordnlp/imdb",
    "ag_news": "fancyzhang/ag_news",
}


def local_folder(name: str) -> Path | None:
    """The folder of a named corpus, with <split>.jsonl.gz, or None. Raises FileNotFoundError for half a corpus."""
    root = os.environ.get("PCT_DATA_DIR", "")
    if not root:
        return None
    folder = Path(root) / name
    have = [k for k in ("train", "test") if (folder / f"{k}.jsonl.gz").is_file()]
    if len(have) == 1:
        missing = "test" if have == ["train"] else "train"
        raise FileNotFoundError(f"PCT_DATA_DIR has {folder} without {missing}.jsonl.gz; add it, or unset PCT_DATA_DIR")
    return folder if have else None
