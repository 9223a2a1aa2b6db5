"""Data sets of the Hugging Face hub."""

from __future__ import annotations

from typing import Any

from pct.corpora.named import HUB, TEST_ONLY, required_splits
from pct.settings import HUB_PREFIX


def load_hub(corpus: str) -> tuple[Any, str]:
    """Downloads a corpus. Returns its splits by name, and its name on the hub.

    corpus: a name of `pct.corpora.named.HUB`, or hub:OWNER/NAME, hub:OWNER/NAME:CONFIGURATION. Raises ImportError
    without datasets, and FileNotFoundError with the remedies if the download fails.
    """
    files = " and ".join(f"{corpus}/{split}.jsonl.gz" for split in required_splits(corpus))
    remedy = f"set PCT_DATA_DIR to a folder that has {files}"
    if corpus in TEST_ONLY:
        raise FileNotFoundError(f"corpus {corpus} is not on the hub: {remedy}")
    if corpus.startswith(HUB_PREFIX):
        remedy = "download its files and give them as --corpus files --train-file FILE"
    name, _, configuration = HUB.get(corpus, corpus.removeprefix(HUB_PREFIX)).partition(":")
    try:
        from datasets import load_dataset
    except ImportError:
        raise ImportError(f"corpus {corpus} is on the hub: pip install 'pct-explain[data]', or {remedy}") from None
    try:
        return load_dataset(*filter(None, (name, configuration))), name
    except Exception as problem:  # the hub's client raises many types: offline, not found, timeout
        raise FileNotFoundError(
            f"corpus {corpus} cannot be downloaded from the hub ({name}: {type(problem).__name__}); {remedy}, or use "
            "corpus=planted"
        ) from problem
