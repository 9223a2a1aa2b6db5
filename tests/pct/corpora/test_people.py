"""Corpora with people's rationales: how they are read, what they can be used for, and what is refused."""

import gzip
import json

import numpy as np
import pytest

from pct.corpora.loading import choose_texts, load_corpus, load_splits, read_splits
from pct.corpora.named import reviews_with_marks
from pct.settings import Settings
from tests.pct.corpora.test_corpora import read_file

SENTENCES = [
    {"text": "a fine film", "label": 1, "rationale": [0, 1, 0], "share": [0.0, 0.8, 0.2], "annotators": 5},
    {"text": "so dull", "label": 0, "rationale": [0, 1], "share": [0.333, 1], "annotators": 3},
]
REVIEWS = [
    {"review": "a fine film .\nfine it is .\n", "label": 1, "evidences": ["fine film", "it is"]},
    {"review": "so dull , so very dull .\n", "label": 0, "evidences": ["dull"]},
]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def sentences(tmp_path, monkeypatch):
    """A folder with short sst_rationales, named by PCT_DATA_DIR."""
    write(tmp_path / "sst_rationales" / "test.jsonl.gz", SENTENCES)
    monkeypatch.setenv("PCT_DATA_DIR", str(tmp_path))


@pytest.mark.usefixtures("sentences")
def test_the_sentences_have_marks_and_the_shares_of_the_annotators():
    corpus = read_splits(Settings(corpus="sst_rationales"))
    assert list(corpus.splits) == ["test"]
    split = corpus.splits["test"]
    assert split.labels.tolist() == [1, 0]
    assert split.rationale == [[0, 1, 0], [0, 1]]
    assert split.rationale_share == [[0.0, 0.8, 0.2], [0.333, 1]]
    assert split.marked_share == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert len(corpus.fingerprint) == 16


@pytest.mark.usefixtures("sentences")
def test_a_corpus_of_a_test_split_alone_is_measured_on_and_not_trained_on():
    settings, classes = Settings(corpus="planted"), ["negative", "positive"]
    chosen = choose_texts(settings, classes, "sst_rationales")
    assert (len(chosen.split), chosen.source) == (2, "sst_rationales, test split")
    turned = choose_texts(settings, ["Positive", "Negative"], "sst_rationales")
    assert turned.split.labels.tolist() == [0, 1]
    with pytest.raises(
        ValueError, match=r"the texts have the class 'negative', the model has .*: name them .*id2label"
    ):
        choose_texts(settings, ["LABEL_0", "LABEL_1"], "sst_rationales")
    with pytest.raises(ValueError, match="corpus sst_rationales has no train split; it has test"):
        choose_texts(settings, classes, "sst_rationales", split="train")
    with pytest.raises(ValueError, match="corpus sst_rationales has only a test split: train on another, and give"):
        load_splits(Settings(corpus="sst_rationales"))


@pytest.mark.usefixtures("sentences")
def test_as_a_dataset_it_has_the_shares_too():
    made = load_corpus(Settings(corpus="sst_rationales"))
    assert list(made) == ["test"]
    assert made["test"].column_names == ["text", "label", "rationale", "rationale_share"]


def test_what_is_not_on_the_hub_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PCT_DATA_DIR", str(tmp_path))
    remedy = r"is not on the hub: set PCT_DATA_DIR to a folder that has sst_rationales/test\.jsonl\.gz$"
    with pytest.raises(FileNotFoundError, match=remedy):
        read_splits(Settings(corpus="sst_rationales"))


def test_shares_in_a_file_are_kept_and_checked(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"text": "a fine film", "label": "good", "rationale": [0, 1, 0], "rationale_share": [0, 0.75, 1.0]}
    path.write_text(json.dumps(row), encoding="utf-8")
    assert read_file(path, "text", "label", ["bad", "good"]).rationale_share == [[0, 0.75, 1.0]]
    for wrong in ([0, 1], [0, 1.5, 0], [0, "1", 0], None):
        path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"rationale_share": wrong}), encoding="utf-8")
        with pytest.raises(ValueError, match=r"line 2: column 'rationale_share' must be a list of numbers from 0 to 1"):
            read_file(path, "text", "label", ["bad", "good"])


def test_the_hub_s_reviews_are_marked_where_their_evidence_stands(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load_dataset(name):
        asked.append(name)
        made = datasets.Dataset.from_list(REVIEWS * 10)
        made = made.cast_column("label", datasets.ClassLabel(names=["NEG", "POS"]))
        return datasets.DatasetDict({"train": made, "validation": made, "test": made})

    monkeypatch.delenv("PCT_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    corpus = load_splits(Settings(corpus="movie_rationales"))
    assert asked == ["eraser-benchmark/movie_rationales"]
    assert corpus.classes == ["negative", "positive"]
    split = corpus.splits["test"]
    assert split.labels.tolist()[:2] == [1, 0]
    assert split.rationale[0] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert split.rationale[1] == [0, 1, 0, 0, 0, 1, 0]  # the span's place is not known: each of them


def test_evidence_that_is_not_in_its_review_is_an_error_with_the_row():
    rows = [*REVIEWS, {"review": "a finer film", "label": 1, "evidences": ["fine film"]}]
    with pytest.raises(ValueError, match="movie_rationales, row 3: the evidence 'fine film' is not in the review"):
        reviews_with_marks(rows)


@pytest.mark.parametrize(("name", "sizes", "share"), [
    ("movie_rationales", {"train": 1600, "validation": 200, "test": 199}, 0.31), ("sst_rationales", {"test": 259}, 0.3)
])  # fmt: skip
def test_the_real_corpora_have_their_sizes_and_their_share_of_marks(data_dir, name, sizes, share):
    if not (data_dir / name).is_dir():
        pytest.skip(f"PCT_DATA_DIR has no {name}")
    corpus = read_splits(Settings(corpus=name))
    assert {k: len(split) for k, split in corpus.splits.items()} == sizes
    test = corpus.splits["test"]
    assert test.marked_share == pytest.approx(share, abs=0.02)
    assert 0.4 < np.mean(test.labels) < 0.6
    if name == "sst_rationales":
        for marks, shares in zip(test.rationale, test.rationale_share, strict=True):
            assert [int(x >= 0.5) for x in shares] == marks
