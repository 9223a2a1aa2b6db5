"""Data sets of the Hugging Face hub by name."""

from __future__ import annotations

from typing import Any

from pct.corpora.named import HUB, TEST_ONLY, needed_splits
from pct.settings import HUB_PREFIX


def load_hub(corpus: str) -> tuple[Any, str]:
    """The splits of a corpus by name, and what it is called on the hub.

    corpus: a name of `pct.corpora.named.HUB`, or hub:OWNER/NAME, hub:OWNER/NAME:CONFIGURATION. Raises ImportError
    without datasets, FileNotFoundError, with the ways out, where the hub gives nothing.
    """
    files = " and ".join(f"{corpus}/{split}.jsonl.gz" for split in needed_splits(corpus))
    ways = f"set PCT_DATA_DIR to a folder that has {files}"
    if corpus in TEST_ONLY:
        raise FileNotFoundError(f"corpus {corpus} is not on the hub: {ways}")
    if corpus.startswith(HUB_PREFIX):
        ways = "download its files and give them as --corpus files --train-file FILE"
    name, _, configuration = HUB.get(corpus, corpus.removeprefix(HUB_PREFIX)).partition(":")
    try:
        from datasets import load_dataset
    except ImportError:
        raise ImportError(f"corpus {corpus} comes from the hub: pip install 'pct-explain[data]', or {ways}") from None
    try:
        return load_dataset(*filter(None, (name, configuration))), name
    except Exception as problem:  # the hub's client raises many types: offline, not found, timeout
        raise FileNotFoundError(
            f"corpus {corpus} could not be had from the hub ({name}: {type(problem).__name__}); {ways}, or take "
            "corpus=planted"
        ) from problem
