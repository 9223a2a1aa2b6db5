"""The scripts that make the tables of docs/results: which sentences they select, and what a cell of a table says."""

import gzip
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np

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


def test_a_cell_is_the_mean_of_the_baseline_or_the_paired_change_from_it() -> None:
    table = script("method_table")
    base = np.tile(np.linspace(0, 1, 50), (3, 1))
    assert table.cell(base, None) == ".500"
    assert table.cell(base - 0.25, base) == "−.250 [−.250, −.250]"
    values = {"l2": {"comp": base, "suff": base - 0.1}}
    np.testing.assert_allclose(table.column(values, "l2", "comp-suff"), 0.1)
