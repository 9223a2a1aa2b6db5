"""Texts in a file: the same rows, splits and fingerprints as in a list."""

import hashlib
import json
import pickle

import numpy as np
import pytest

from pct.corpora.fingerprints import corpus_fingerprint, split_fingerprint
from pct.corpora.loading import corpus_of, load_splits
from pct.corpora.splits import Split
from pct.corpora.text_file import TextFile, TextStore
from pct.settings import Settings

TEXTS = [
    "plain", "naïve 東京 \u2028", ("a premise", "a hypothesis"), ["words", "of one", "\ud800"], '{"words": []}',
    "x" * 5000,
]  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    """Every split is a large one."""
    monkeypatch.setattr("pct.corpora.text_file.LARGE", 3)


def in_file(texts):
    store = TextStore()
    for text in texts:
        store.extend([text])
    return store.finish()


def test_texts_of_every_kind_are_read_back_as_they_were(small):
    texts = in_file(TEXTS)
    assert isinstance(texts, TextFile)
    assert list(texts) == TEXTS
    assert [texts[i] for i in range(-6, 6)] == TEXTS * 2
    assert texts[1:4] == TEXTS[1:4]
    with pytest.raises(IndexError):
        texts[6]


def test_few_texts_stay_a_list(small):
    assert in_file(TEXTS[:3]) == TEXTS[:3]


def test_rows_of_rows_are_the_right_ones(small):
    texts = in_file(TEXTS).take(np.array([5, 3, 1, 1]))
    assert list(texts) == [TEXTS[i] for i in (5, 3, 1, 1)]
    assert list(texts.take(np.array([2, 0]))) == [TEXTS[1], TEXTS[5]]


def test_pickled_texts_need_no_file(small):
    buffers = []
    content = pickle.dumps(in_file(TEXTS), 5, buffer_callback=buffers.append)
    assert len(content) < 1000 < sum(b.raw().nbytes for b in buffers)  # Ray shares buffers among processes
    assert list(pickle.loads(content, buffers=buffers)) == TEXTS  # noqa: S301


def test_a_split_has_the_fingerprint_of_its_json(small):
    labels = np.arange(6) % 2
    twin = json.dumps(["train", TEXTS, labels.tolist()])
    own = json.dumps([["a", "b"], labels.tolist()]) + json.dumps(TEXTS)
    for texts in (TEXTS, in_file(TEXTS)):
        split = Split(texts, labels)
        assert corpus_fingerprint({"train": split}) == hashlib.sha256(twin.encode()).hexdigest()[:16]
        assert split_fingerprint(split, ["a", "b"]) == hashlib.sha256(own.encode()).hexdigest()[:16]


@pytest.mark.parametrize(("labels", "kind"), [
    (["b", "a", "10", "b", "a", "a", "b"], {}),
    ([["x", "y"], [], ["y"], ["z"], ["x"], ["x"], ["y"]], {"multi_label": True}),
    ([0.5, 1, 2, 3, 4, 5, 6.25], {"head": "value"}),
])  # fmt: skip
def test_a_large_file_is_read_as_a_small_one(labels, kind, tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings(corpus="files", train_file=str(path), **kind)
    before = load_splits(settings)
    monkeypatch.setattr("pct.corpora.text_file.LARGE", 3)
    monkeypatch.setattr("pct.corpora.rows.ROWS_PER_CHUNK", 2)
    after = load_splits(settings)
    assert isinstance(after.splits["train"].texts, TextFile)
    assert after.classes == before.classes
    assert after.fingerprint == before.fingerprint
    assert after.notes == before.notes
    for name, split in after.splits.items():
        np.testing.assert_array_equal(split.labels, before.splits[name].labels)
        assert list(split.texts) == list(before.splits[name].texts)


def test_marks_of_many_rows_stay_with_their_texts(small):
    texts = [f"one {i} three" for i in range(10)]
    data = {"text": texts, "label": ["a", "b"] * 5, "rationale": [[i % 2, 1, 0] for i in range(10)]}
    train = corpus_of(data, Settings(corpus="")).splits["train"]
    assert isinstance(train.texts, TextFile)
    assert [marks[0] for marks in train.rationale] == [int(text.split()[1]) % 2 for text in train.texts]
