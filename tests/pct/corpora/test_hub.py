"""Data sets of the hub by name: what it is asked for, its splits and columns by their names, and what is refused."""

import csv
from typing import Any

import pytest

from pct.corpora.loading import load_splits
from pct.settings import Settings

datasets = pytest.importorskip("datasets")

GOOD, BAD = ["a fine film", "joy throughout", "warm and funny"], ["a dull film", "tired jokes", "cold and long"]
ROWS = [(t, 1) for t in GOOD] + [(t, 0) for t in BAD]


def data_set(rows: list[tuple[str, int]], text: str = "text", label: str = "label") -> Any:
    """Rows as the hub has them: integers with the names of a ClassLabel."""
    features = datasets.Features({text: datasets.Value("string"), label: datasets.ClassLabel(names=["bad", "good"])})
    columns = {text: [t for t, _ in rows], label: [c for _, c in rows]}
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.fixture
def hub(monkeypatch):
    """The client's one function, replaced: what it was asked for, and what it gives."""
    asked: list[tuple[str, ...]] = []
    gives = {k: data_set(ROWS) for k in ("train", "validation", "test")}

    def load_dataset(*name: str) -> Any:
        asked.append(name)
        return datasets.DatasetDict(gives)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked, gives


@pytest.mark.parametrize(("corpus", "wanted"), [
    ("hub:someone/reviews", ("someone/reviews",)), ("hub:imdb", ("imdb",)),
    ("hub:nyu-mll/glue:sst2", ("nyu-mll/glue", "sst2")),
])  # fmt: skip
def test_it_is_asked_for_by_its_name_and_its_configuration(corpus, wanted, hub):
    asked, _ = hub
    found = load_splits(Settings(corpus=corpus))
    assert asked == [wanted]
    assert (found.name, found.source) == (corpus, f"hub: {wanted[0]}")
    assert found.classes == ["bad", "good"]
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 6, "validation": 6, "test": 6}


def test_the_splits_and_columns_have_the_names_that_are_given(hub):
    _, gives = hub
    gives.clear()
    for name, rows in (("first", ROWS), ("second", ROWS[:2]), ("third", ROWS[3:]), ("unlabelled", ROWS[:1])):
        gives[name] = data_set(rows, "sentence", "stars")
    named = {"train_split": "first", "validation_split": "second", "test_split": "third"}
    found = load_splits(Settings(corpus="hub:a/b", text_column="sentence", label_column="stars", **named))
    assert found.splits["train"].texts == [t for t, _ in ROWS]
    assert found.splits["validation"].texts == GOOD[:2]
    assert (found.splits["test"].texts, found.splits["test"].labels.tolist()) == (BAD, [0, 0, 0])
    assert found.notes.get("test", {}).get("held_out_of_train") is None


def test_a_split_that_is_not_there_is_held_out_and_said(hub, caplog):
    _, gives = hub
    gives["train"] = data_set(ROWS * 5)
    del gives["validation"], gives["test"]
    found = load_splits(Settings(corpus="hub:a/b"))
    assert sum(map(len, found.splits.values())) == 30
    assert found.notes["test"]["held_out_of_train"] == len(found.splits["test"]) > 0
    assert "hub:a/b has no validation split" in caplog.text


@pytest.mark.parametrize("name", ["validation_split", "test_split"])
def test_a_split_that_was_named_and_is_not_there_is_refused(name, hub):
    with pytest.raises(ValueError, match=rf"hub:a/b has the splits train, validation, test, not dev: set {name}"):
        load_splits(Settings(corpus="hub:a/b", **{name: "dev"}))


def test_a_training_split_that_is_not_there_is_refused(hub):
    _, gives = hub
    gives["training"] = gives.pop("train")
    with pytest.raises(ValueError, match="has the splits validation, test, training, not train: set train_split"):
        load_splits(Settings(corpus="hub:a/b"))


def test_a_column_that_is_not_there_is_refused(hub):
    with pytest.raises(ValueError, match=r"has no column 'sentence', it has text, label; set text_column"):
        load_splits(Settings(corpus="hub:a/b", text_column="sentence"))


def test_a_split_without_labels_is_refused_with_the_way_out(hub):
    _, gives = hub
    gives["test"] = data_set([(t, -1) for t in GOOD])
    with pytest.raises(ValueError, match=r"has no label|unlabelled"):
        load_splits(Settings(corpus="hub:a/b"))
    found = load_splits(Settings(corpus="hub:a/b", test_split="validation"))
    assert len(found.splits["test"]) == 6


def test_the_hub_s_own_client_reads_what_lies_under_the_name(tmp_path, monkeypatch):
    """The client takes a folder of that name before it asks the network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "someone" / "reviews"
    folder.mkdir(parents=True)
    for name in ("train", "validation", "test"):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *((t, ["bad", "good"][c]) for t, c in ROWS)])
    found = load_splits(Settings(corpus="hub:someone/reviews"))
    assert found.classes == ["bad", "good"]
    assert found.splits["test"].texts == [t for t, _ in ROWS]
