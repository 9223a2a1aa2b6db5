"""What a run was trained and measured on, as MLflow gives it back."""

import json

import mlflow.data
import numpy as np
import pytest

from pct.corpora.fingerprints import describe_split
from pct.corpora.splits import Split
from pct.settings import Settings
from pct.training.runs import load_run
from pipelines.data_sets import as_input, measured_data_set, run_data_sets

TEXTS = Split(["good", "bad", "fine"], np.array([1, 0, 1]))


def test_a_run_has_three_with_schema_sizes_and_the_hash_of_their_rows(finished):
    run = load_run(finished)
    found = run_data_sets(run)
    assert list(found) == ["train", "validation", "test"]
    for split, data in found.items():
        assert data.name == f"planted {split}"
        assert data.digest == run.about["corpus"]["splits"][split]["fingerprint"]
        columns = json.loads(data.schema)["mlflow_colspec"]
        assert [(c["name"], c["type"]) for c in columns] == [("text", "string"), ("label", "string")]
        profile = json.loads(data.profile)
        assert profile["num_rows"] == sum(profile["labels"].values()) == 48
        assert mlflow.data.get_source(as_input(data, "training")) is not None


def test_a_run_of_0_1_0_is_known_by_the_hash_of_its_whole_corpus(finished):
    run = load_run(finished)
    del run.about["corpus"]["splits"]
    assert {data.digest for data in run_data_sets(run).values()} == {run.about["corpus"]["fingerprint"]}


@pytest.mark.parametrize(
    ("where", "kind"),
    [("hub: owner/name", "hugging_face"), ("rows.csv", "local"), ("/data/rows", "local"), ("mr, test split", "code")],
)
def test_the_source_is_of_a_kind_that_mlflow_knows(where, kind):
    data = measured_data_set(TEXTS, ["bad", "good"], where)
    assert data.source_type == kind
    assert mlflow.data.get_source(as_input(data, "evaluation")) is not None
    assert json.loads(data.profile) == {"num_rows": 3, "classes": ["bad", "good"], "labels": {"bad": 1, "good": 2}}


def test_files_name_the_file_of_each_split(finished):
    run = load_run(finished)
    files = {"train_file": "train.csv", "test_file": "test.csv"}
    settings = Settings(corpus="files", **files)
    object.__setattr__(run, "settings", settings)
    found = {k: json.loads(data.source) for k, data in run_data_sets(run).items()}
    assert found == {"train": {"uri": "train.csv"}, "validation": {"uri": "train.csv"}, "test": {"uri": "test.csv"}}


def test_a_split_is_known_by_texts_labels_and_class_names_in_order():
    same = describe_split(Split(["good", "bad", "fine"], np.array([1, 0, 1])), ["bad", "good"])
    assert same == {"fingerprint": same["fingerprint"], "labels": {"bad": 1, "good": 2}}
    others = [
        describe_split(TEXTS, ["good", "bad"]),
        describe_split(Split(TEXTS.texts, np.array([1, 1, 1])), ["bad", "good"]),
        describe_split(TEXTS.take(np.array([1, 0, 2])), ["bad", "good"]),
    ]
    assert describe_split(TEXTS, ["bad", "good"]) == same
    assert len({same["fingerprint"], *(o["fingerprint"] for o in others)}) == 4
