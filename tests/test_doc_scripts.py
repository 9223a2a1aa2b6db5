"""The scripts that make the tables of docs/results: which sentences they select."""

import gzip
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

from pct.corpora.loading import read_splits
from pct.settings import Settings
from tests.project import REPOSITORY


def script(name: str) -> ModuleType:
    """A script of docs/scripts as a module."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sentences_that_no_model_was_trained_on_are_those_that_no_training_text_equals(data_dir: Path) -> None:
    texts = read_splits(Settings(corpus="sst_rationales")).splits["test"].texts
    selected = script("rationale_table").not_in_training(texts)
    with gzip.open(data_dir / "mr" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        training = [re.sub(r"[\W_]+", "", json.loads(line)["text"].lower()) for line in file]
    equal = [re.sub(r"[\W_]+", "", text.lower()) in training for text in texts]
    assert selected.tolist() == [not same for same in equal]
    assert (len(texts), int(selected.sum())) == (259, 86)
