"""Large corpora: texts and tokens in files give the numbers of those in memory, bit by bit."""

import dataclasses
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.corpora.loading import load_splits
from pct.corpora.splits import texts_of_columns
from pct.corpora.text_file import TextFile
from pct.metrics import metrics
from pct.metrics.base import Metric, MetricOptions
from pct.metrics.column_files import BlockColumns, ColumnFiles, saved_columns
from pct.metrics.evaluation import blocks_by_length
from pct.metrics.report import Report
from pct.output.workers import Workers
from pct.settings import Settings
from pct.text.file_array import FileArray
from pct.text.subwords import SubWords
from pct.text.token_files import read_tokens, write_tokens
from pct.text.tokens import Tokens, only_side
from pct.text.words import split_all
from pct.training import kept_tokens
from pct.training.prepared import prepare
from tests.pct.models.families import TEXTS as PAIRED
from tests.pct.models.families import tokenizer as tokenizer_of
from tests.pct.small import same_weights, tokenizer
from tests.pct.toy import Scale

QUICK = {"epochs": 2, "batch_size": 16, "limit": 200, "threads": 1, "device": "cpu", "evaluate_epochs": False}
FIELDS = ("ids", "word_ids", "starts", "counts", "truncated", "lengths")


@pytest.fixture
def large(monkeypatch, tmp_path):
    """A function after which every corpus is a large one, in a cache of its own."""

    def change() -> None:
        monkeypatch.setenv("PCT_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setattr("pct.corpora.text_file.LARGE", 20)
        monkeypatch.setattr(kept_tokens, "TEXTS_A_TASK", 37)

    return change


def settings_of(**changes):
    return Settings(**{"corpus": "planted", "model": "textcnn", **QUICK, **changes})


def in_a_file(settings, tmp_path):
    """Settings of the same texts in a file, which is read as a large corpus."""
    corpus = load_splits(settings)
    paths = {}
    for name, split in corpus.splits.items():
        path = tmp_path / f"{name}.tsv"
        lines = [f"{text}\t{corpus.classes[label]}\n" for text, label in zip(split.texts, split.labels, strict=True)]
        path.write_text("text\tlabel\n" + "".join(lines))
        paths[f"{name}_file"] = str(path)
    return settings.replace(corpus="files", limit=0, **paths)


def same_tokens(one: Tokens, other: Tokens) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(np.asarray(getattr(one, name)), np.asarray(getattr(other, name)), name)
    assert (one.padding, one.unknown, one.kept is None) == (other.padding, other.unknown, other.kept is None)
    for text in range(len(one)):
        np.testing.assert_array_equal(one.places(text), other.places(text))
    for rows in (np.array([3, 0, 3]), np.array([1])):
        for mine, others in zip(one.rows(rows), other.rows(rows), strict=True):
            np.testing.assert_array_equal(mine, others)
            assert mine.dtype == others.dtype == np.int64


@pytest.mark.parametrize("method", ["normal", "pct"])
def test_a_training_on_files_gives_the_very_same_weights_and_columns(method, large, tmp_path):
    settings = in_a_file(settings_of(method=method), tmp_path)
    before = pct.train(settings, progress=False)
    report = pct.evaluate(before, load_splits(settings).splits["test"])
    large()
    corpus = load_splits(settings)
    assert isinstance(corpus.splits["train"].texts, TextFile)
    records = []
    after = pct.train(settings, corpus, on_epoch=records.append, progress=False)
    assert same_weights(before.model, after.model)
    assert (after.tokenizer.words, after.tokenizer.first_rare) == (before.tokenizer.words, before.tokenizer.first_rare)
    again = pct.evaluate(after, corpus.splits["test"])
    assert list(again.columns) == list(report.columns)
    for name, values in report.columns.items():
        np.testing.assert_array_equal(values, again.columns[name], name)
    assert again.to_json() == report.to_json()
    assert isinstance(again.columns, ColumnFiles)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_file_of_a_large_evaluation_is_that_of_a_small_one(pairs, monkeypatch, tmp_path):
    texts = [f"a film {i}" for i in range(50)]
    if pairs:
        texts[30:] = [(text, "a pair") for text in texts[30:]]
    blocks = [np.arange(25, 50), np.arange(25)]
    for name, most in (("small", 50), ("large", 20)):
        monkeypatch.setattr("pct.corpora.text_file.LARGE", most)
        measured = BlockColumns(len(texts))
        for index in blocks:
            names = np.array([f'["{i}"]' for i in index], object)
            measured.add({"index": index, "true_labels": names, "comp": index / 7})
        report = Report({}, {}, measured.joined("index"), ["a", "b"])
        report.to_parquet(tmp_path / name, texts)
    small, large = (saved_columns(tmp_path / name) for name in ("small", "large"))
    assert isinstance(large, ColumnFiles)
    assert list(large) == list(small) == ["index", "text", *(["text_pair"] if pairs else []), "true_labels", "comp"]
    for name in small:
        np.testing.assert_array_equal(large[name], small[name])
    assert texts_of_columns(dict(large)) == texts


class Means(Metric):
    names = ("comp", "f_x")


def test_a_summary_holds_one_column_in_parts(monkeypatch):
    monkeypatch.setattr("pct.corpora.text_file.LARGE", 1000)
    texts = 100_000
    measured = BlockColumns(texts)
    for index in np.random.default_rng(0).permutation(texts).reshape(-1, 1000):
        measured.add(
            {
                "index": index,
                "comp": np.where(index % 3, 1 / (index + 1), np.nan),
                "f_x": np.sqrt(index).astype(np.float32),
            }
        )
    columns = measured.joined("index")
    expected = {name: columns[name] for name in columns}
    monkeypatch.setattr(ColumnFiles, "__getitem__", None)  # that would read a whole column
    tracemalloc.start()
    try:
        estimates = Means(MetricOptions()).summary(columns, [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * 8 * texts
    for name, estimate in estimates.items():
        numbers = expected[name][~np.isnan(expected[name])]
        assert estimate == (numbers.mean(), numbers.std(ddof=1) / np.sqrt(len(numbers)), None)


class Words(Metric):
    """Of short texts an integer, of the others a float, as a metric of another package may have it."""

    names = ("half_words",)

    def columns(self, block):
        half = block.seen.counts / 2
        return {"half_words": half if (half % 1).any() else half.astype(np.int64)}


@pytest.mark.parametrize("most", [1, 1000])
def test_a_metric_may_give_integers_for_one_block_and_floats_for_the_next(most, monkeypatch):
    monkeypatch.setattr("pct.corpora.text_file.LARGE", most)
    monkeypatch.setitem(metrics._loaded, "half_words", Words)
    monkeypatch.setattr(blocks_by_length, "__defaults__", (1,))
    report = pct.evaluate(Scale(), (["good bad", "good bad good"], [1, 0]), metrics=["half_words"])
    assert report.columns["half_words"].tolist() == [1.0, 1.5]
    assert report.metrics["half_words"] == 1.25


def test_a_column_that_changes_its_type_is_refused(monkeypatch):
    monkeypatch.setattr("pct.corpora.text_file.LARGE", 1)
    measured = BlockColumns(2)
    measured.add({"n": np.array([1])})
    with pytest.raises(TypeError):
        measured.add({"n": np.array([0.5])})


def test_tokens_are_kept_for_the_next_run_and_no_other(large, caplog, monkeypatch):
    large()
    first = prepare(settings_of(), load_splits(settings_of()))
    assert isinstance(first.train.ids, FileArray)
    monkeypatch.setattr(kept_tokens, "encode", None)  # tokens are read, not made
    with caplog.at_level(logging.WARNING, "pct.training"):
        again = prepare(settings_of(seed=1, method="normal"), load_splits(settings_of(seed=1)))
    assert "are reused from" in caplog.text
    assert again.tokenizer.words == first.tokenizer.words
    assert again.tokenizer.first_rare == first.tokenizer.first_rare < len(again.tokenizer)
    same_tokens(again.train, first.train)
    same_tokens(again.validation, first.validation)
    for changes in ({"max_length": 9}, {"words": "spaces"}, {"vocabulary_size": 10}, {"corpus_seed": 1}):
        with pytest.raises(TypeError):
            prepare(settings_of(**changes), load_splits(settings_of(**changes)))
    with pytest.raises(TypeError):
        prepare(settings_of(), load_splits(settings_of()), again.tokenizer)


@pytest.mark.parametrize("damage", [
    lambda folder: os.truncate(folder / "train" / "starts", 400),
    lambda folder: os.truncate(folder / "train" / "ids", 0),
    lambda folder: (folder / "about.json").write_text(""),
    lambda folder: (folder / "validation" / "counts").unlink(),
])  # fmt: skip
def test_damaged_tokens_are_made_again(damage, large, caplog, tmp_path):
    large()
    first = prepare(settings_of(), load_splits(settings_of()))
    (folder,) = (tmp_path / "cache" / "tokens").iterdir()
    ids = np.array(first.train.ids)
    damage(folder)
    with caplog.at_level(logging.WARNING, "pct.training"):
        again = prepare(settings_of(), load_splits(settings_of()))
    assert "are damaged" in caplog.text
    np.testing.assert_array_equal(again.train.ids, ids)
    same_tokens(read_tokens(folder / "train"), again.train)


def test_nothing_is_kept_of_a_user_s_word_rule(large, tmp_path):
    large()
    own = settings_of(words="tests.pct.training.test_large:halves")
    data = prepare(own, load_splits(own))
    assert list((tmp_path / "cache" / "tokens").iterdir()) == []
    split = load_splits(own).splits["train"]
    same_tokens(data.train, data.tokenizer.encode(split_all(split.texts, own.words), own.text_length))


def halves(text):
    return [(0, len(text) // 2), (len(text) // 2, len(text))]


def test_an_unfinished_folder_is_not_read(large, monkeypatch, tmp_path):
    large()
    corpus = load_splits(settings_of())
    with monkeypatch.context() as broken:
        broken.setattr(kept_tokens, "encode", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(settings_of(), corpus)
    assert list((tmp_path / "cache" / "tokens").iterdir()) == []
    prepare(settings_of(), corpus)


def test_a_process_that_is_second_keeps_its_own_tokens(large, monkeypatch, tmp_path):
    large()
    corpus, own = load_splits(settings_of()), kept_tokens.count_words

    def slowly(*arguments):
        with monkeypatch.context() as other:  # another process prepares the same corpus meanwhile
            other.setattr(kept_tokens, "count_words", own)
            firsts.append(prepare(settings_of(), corpus))
        return own(*arguments)

    firsts = []
    with monkeypatch.context() as second:
        second.setattr(kept_tokens, "count_words", slowly)
        data = prepare(settings_of(), corpus)
    same_tokens(data.train, firsts[0].train)
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) == 1


def test_tokens_of_sub_words_and_of_one_side_are_those_in_memory(large, tmp_path):
    documents = split_all([(a, b) for a, b in zip(PAIRED, PAIRED[::-1], strict=True)])
    whole = only_side(SubWords(tokenizer_of("BERT")).encode(documents, 12), documents, "second")
    assert whole.kept is not None
    parts = [documents[:1], documents[1:3], documents[3:]]
    encoder = kept_tokens.Encoder("natural", 12, "second", SubWords(tokenizer_of("BERT")))
    write_tokens((kept_tokens.encode(encoder, part, 0) for part in parts), tmp_path / "tokens")
    kept = read_tokens(tmp_path / "tokens")
    same_tokens(kept, whole)
    shutil.rmtree(tmp_path / "tokens")
    same_tokens(kept, whole)  # an open file outlives its folder


def test_pickled_tokens_are_values_that_processes_can_share(large):
    large()
    data = prepare(settings_of(), load_splits(settings_of()))
    buffers = []
    content = pickle.dumps(data.train, 5, buffer_callback=buffers.append)
    assert len(content) < 2000
    same_tokens(pickle.loads(content, buffers=buffers), data.train)  # noqa: S301


def test_processes_give_the_tokens_of_one(large):
    texts = load_splits(settings_of(limit=30)).splits["train"].texts
    encoder = kept_tokens.Encoder("natural", 16, "both", SubWords(tokenizer()))
    workers = Workers(encoder, partial(kept_tokens.opened, encoder), 2, 0.0)
    parts = list(workers.map(kept_tokens.encode, iter([(texts[:20], 0), (texts[20:], 20)])))
    for part, own in zip(parts, (texts[:20], texts[20:]), strict=True):
        same_tokens(part, kept_tokens.encode(encoder, own, 0))
    assert os.environ.get("TOKENIZERS_PARALLELISM") == "false"


def test_a_text_without_words_is_named_by_its_place_in_the_split(large):
    large()
    corpus = load_splits(settings_of())
    train = corpus.splits["train"]
    broken = dataclasses.replace(train, texts=[*train.texts[:90], " ", *train.texts[91:]])
    corpus.splits["train"] = broken
    with pytest.raises(ValueError, match="text 90: a text needs at least one word"):
        prepare(settings_of(), corpus)


def test_an_array_in_a_file_is_read_as_an_array(tmp_path):
    values = np.array([5, -1, 2**30, 7], np.int32)
    (tmp_path / "values").write_bytes(values.tobytes())
    (tmp_path / "none").touch()
    array = FileArray((tmp_path / "values").open("rb"), np.int32, np.int64)
    assert len(array) == 4
    assert array[1:].tolist() == [-1, 2**30, 7]
    assert array[np.array([[3, 0]])].tolist() == [[7, 5]]
    assert int(array[2]) == 2**30
    assert array[:].dtype == np.diff(array).dtype == np.int64
    assert np.sum(array) == values.sum()
    assert len(np.asarray(FileArray((tmp_path / "none").open("rb"), np.int32))) == 0


PEAK = """
import sys
import numpy as np
from pct.corpora.loading import load_splits
from pct.settings import Settings
from pct.training.batches import batch_indices
from pct.training.memory import peak_mb, reset_peak
from pct.training.prepared import prepare
settings = Settings(corpus="files", train_file=sys.argv[1], model="textcnn", max_length=16)
reset_peak()
data = prepare(settings, load_splits(settings))
for rows in batch_indices(data.train.lengths, 64, 0, 1):
    data.train.rows(rows)
print(peak_mb())
"""


@pytest.mark.slow
def test_reading_tokenising_and_batching_of_four_times_the_texts_takes_about_the_same_memory(tmp_path):
    peaks = []
    for rows in (75_000, 300_000):
        path = tmp_path / f"{rows}.csv"
        path.write_text("text,label\n" + "".join(f"{i % 997} {'word ' * 20}{i % 991},{i % 2}\n" for i in range(rows)))
        environment = {
            **os.environ, "PYTHONPATH": str(Path(pct.__file__).parents[1]), "PCT_CACHE_DIR": str(tmp_path / "cache"),
            "MALLOC_MMAP_THRESHOLD_": str(2**20),  # freed memory goes back to the system
        }  # fmt: skip
        command = [sys.executable, "-c", PEAK, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        peaks.append(float(done.stdout))
    assert peaks[1] < 1.1 * peaks[0]
