"""Corpora by name: the planted one, the local folder, the hub, files; and what is said when they cannot be had."""

import csv
import gzip
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pct.corpora.files import open_table
from pct.corpora.loading import CLASSES, HUB, load_corpus, load_splits, read_data
from pct.corpora.rows import MARKS, ReadOptions, RowReader
from pct.corpora.splits import SPLITS, Corpus, Split, with_limit
from pct.settings import Settings

ROWS = [("a fine film", 1), ("a dull film", 0), ("what a joy", 1), ("no joy at all", 0), ("so good", 1), ("so bad", 0)]
NAMED = [(text, ("bad", "good")[label]) for text, label in ROWS]
MANY = [(f"{text} {number}", label) for number in range(10) for text, label in ROWS]


def write(path, rows, text="text", label="label"):
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        if ".csv" in path.name:
            csv.writer(file).writerows([(text, label), *rows])
        else:
            file.writelines(json.dumps({text: t, label: c}) + "\n" for t, c in rows)
    return str(path)


def read_file(path, text, label, classes):
    return read_data(Path(path), classes, ReadOptions(text, label))[0]


def files(tmp_path, kind="jsonl", rows=ROWS, **changes):
    paths = {f"{k}_file": write(tmp_path / f"{k}.{kind}", rows) for k in ("train", "validation", "test")}
    return Settings(corpus="files", **(paths | changes))


@pytest.fixture
def local(tmp_path, monkeypatch):
    """An empty folder that PCT_DATA_DIR names."""
    monkeypatch.setenv("PCT_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """The hub's client, replaced: what it was asked for, and what it gives."""
    import datasets

    class Hub:
        asked: list[str]
        gives: object

        def load_dataset(self, name):
            self.asked.append(name)
            if isinstance(self.gives, Exception):
                raise self.gives
            return self.gives

    made = Hub()
    made.asked, made.gives = [], None
    monkeypatch.delenv("PCT_DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", made.load_dataset)
    return made


def as_columns(rows):
    return {"text": [t for t, _ in rows], "label": [c for _, c in rows]}


# --- planted ---


def test_the_planted_corpus_needs_nothing_and_knows_its_rationales():
    corpus = load_splits(Settings(limit=50))
    assert (corpus.name, corpus.classes, corpus.source) == ("planted", ["negative", "positive"], "generated")
    for split in corpus.splits.values():
        assert len(split) == 50
        for text, rationale, shortcut in zip(split.texts, split.rationale, split.shortcut, strict=True):
            assert len(rationale) == len(shortcut) == len(text.split())


def test_another_corpus_seed_is_another_corpus():
    first, same, other = (load_splits(Settings(limit=40, corpus_seed=s)).fingerprint for s in (0, 0, 1))
    assert first == same != other


# --- the limit and the fingerprint ---


def test_the_limit_draws_rows_and_keeps_their_order(tmp_path):
    settings = files(tmp_path, rows=sorted(MANY, key=lambda row: row[1]))
    limited = load_splits(settings.replace(limit=20)).splits["train"]
    assert len(limited) == 20
    assert 0 < limited.labels.sum() < 20  # the file is ordered by class: its first rows are of one
    whole = load_splits(settings).splits["train"].texts
    places = [whole.index(t) for t in limited.texts]
    assert places == sorted(places)
    assert load_splits(settings.replace(limit=20)).splits["train"].texts == limited.texts


def test_the_measured_splits_have_a_limit_of_their_own_and_the_notes_say_what_limits_left_out(tmp_path):
    settings = files(tmp_path)
    whole = load_splits(settings)
    assert not any("left_out_by_limit" in notes for notes in whole.notes.values())
    for limit in (0, 20):
        corpus = load_splits(settings.replace(limit=limit, measure_limit=3))
        expected = {k: min(limit or len(v), len(v)) for k, v in whole.splits.items()} | {"validation": 3, "test": 3}
        assert {k: len(v) for k, v in corpus.splits.items()} == expected
        left_out = {k: len(v) - expected[k] for k, v in whole.splits.items()}
        assert {k: corpus.notes.get(k, {}).get("left_out_by_limit", 0) for k in SPLITS} == left_out


def test_a_limit_beyond_the_rows_takes_all(tmp_path):
    split = load_splits(files(tmp_path)).splits["train"]
    assert with_limit(split, 0) is split
    assert len(with_limit(split, 99)) == len(split)


def test_the_fingerprint_sees_every_text_and_label(tmp_path):
    first = load_splits(files(tmp_path / "a")).fingerprint
    assert first == load_splits(files(tmp_path / "b")).fingerprint
    assert first != load_splits(files(tmp_path / "c", rows=[*ROWS[:-1], ("so bad", 1)])).fingerprint
    assert first != load_splits(files(tmp_path / "d", rows=[*ROWS[:-1], ("so bad!", 0)])).fingerprint
    assert first != load_splits(files(tmp_path / "e", rows=ROWS[::-1])).fingerprint


# --- the local folder ---


@pytest.mark.parametrize("name", ["mr", "imdb", "ag_news"])
def test_the_local_folder_comes_before_the_hub(local, name):
    for split in ("train", "validation", "test"):
        write(local / name / f"{split}.jsonl.gz", ROWS)
    corpus = load_splits(Settings(corpus=name))
    assert (corpus.source, corpus.classes) == ("local folder", CLASSES[name])
    assert corpus.splits["test"].texts == [t for t, _ in ROWS]
    assert corpus.splits["test"].labels.tolist() == [c for _, c in ROWS]


def test_without_a_validation_split_a_tenth_of_each_class_is_held_out(local):
    write(local / "imdb" / "train.jsonl.gz", MANY)
    write(local / "imdb" / "test.jsonl.gz", ROWS)
    parts = load_splits(Settings(corpus="imdb")).splits
    assert (len(parts["train"]), len(parts["validation"])) == (54, 6)
    assert parts["validation"].labels.sum() == 3
    both = sorted(parts["train"].texts + parts["validation"].texts)
    assert both == sorted(t for t, _ in MANY)
    again = load_splits(Settings(corpus="imdb")).splits["validation"].texts
    assert parts["validation"].texts == again
    other = load_splits(Settings(corpus="imdb", corpus_seed=1)).splits["validation"].texts
    assert parts["validation"].texts != other


@pytest.mark.parametrize(("there", "missing"), [("train", "test"), ("test", "train")])
def test_a_local_folder_with_half_a_corpus_is_named(local, there, missing):
    write(local / "mr" / f"{there}.jsonl.gz", ROWS)
    with pytest.raises(FileNotFoundError, match=rf"without {missing}\.jsonl\.gz; add it, or unset PCT_DATA_DIR"):
        load_splits(Settings(corpus="mr"))


def test_a_label_outside_the_classes_is_named_with_its_row(local):
    write(local / "mr" / "train.jsonl.gz", [*ROWS, ("what", 2)])
    write(local / "mr" / "test.jsonl.gz", ROWS)
    with pytest.raises(ValueError, match=r"line 7: label '2' is outside the model's classes 0\.\.1"):
        load_splits(Settings(corpus="mr"))


def test_mr_has_the_paper_s_sizes(data_dir):
    parts = load_splits(Settings(corpus="mr")).splits
    assert {k: len(v) for k, v in parts.items()} == {"train": 8530, "validation": 1066, "test": 1066}
    assert all(v.labels.mean() == 0.5 for v in parts.values())


# --- the hub ---


@pytest.mark.parametrize("name", ["mr", "imdb", "ag_news"])
def test_without_a_local_folder_the_hub_is_asked(hub, name):
    hub.gives = {"train": as_columns(MANY), "test": as_columns(ROWS), "unsupervised": as_columns(ROWS)}
    corpus = load_splits(Settings(corpus=name))
    assert hub.asked == [HUB[name]]
    assert corpus.source == f"hub: {HUB[name]}"
    assert set(corpus.splits) == {"train", "validation", "test"}
    assert corpus.splits["test"].labels.tolist() == [c for _, c in ROWS]
    assert len(corpus.splits["train"]) + len(corpus.splits["validation"]) == len(MANY)


def test_the_hub_s_own_validation_split_is_taken(hub):
    hub.gives = {"train": as_columns(MANY), "validation": as_columns(ROWS[:2]), "test": as_columns(ROWS)}
    corpus = load_splits(Settings(corpus="mr"))
    assert (len(corpus.splits["train"]), len(corpus.splits["validation"])) == (len(MANY), 2)


@pytest.mark.parametrize("problem", [ConnectionError("no route"), FileNotFoundError("offline"), ValueError("gone")])
def test_a_hub_that_gives_nothing_is_an_error_with_the_ways_out(hub, problem):
    hub.gives = problem
    with pytest.raises(FileNotFoundError, match=rf"{type(problem).__name__}\); set PCT_DATA_DIR .* corpus=planted"):
        load_splits(Settings(corpus="mr"))


def test_a_local_folder_without_the_corpus_falls_back_to_the_hub(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("PCT_DATA_DIR", str(tmp_path))
    hub.gives = {"train": as_columns(MANY), "test": as_columns(ROWS)}
    assert load_splits(Settings(corpus="mr")).source.startswith("hub")


# --- files ---


@pytest.mark.parametrize("kind", ["csv", "jsonl", "csv.gz", "jsonl.gz"])
def test_files_of_every_kind_give_the_same_corpus(tmp_path, kind):
    corpus = load_splits(files(tmp_path, kind, NAMED))
    assert (corpus.classes, corpus.source) == (["bad", "good"], "files")
    for split in corpus.splits.values():
        assert split.texts == [t for t, _ in ROWS]
        assert split.labels.tolist() == [c for _, c in ROWS]


def test_columns_may_have_other_names(tmp_path):
    path = write(tmp_path / "a.csv", NAMED, "review", "stars")
    settings = Settings(
        corpus="files", train_file=path, validation_file=path, test_file=path, text_column="review",
        label_column="stars",
    )  # fmt: skip
    assert load_splits(settings).splits["train"].texts == [t for t, _ in ROWS]


def test_numbered_classes_are_sorted_as_numbers(tmp_path):
    rows = [(f"text {c}", c) for c in (10, 9, 2, 10)]
    corpus = load_splits(files(tmp_path, rows=rows))
    assert corpus.classes == ["2", "9", "10"]
    assert corpus.splits["train"].labels.tolist() == [2, 1, 0, 2]


def test_a_number_is_no_index_where_the_classes_are_numbers(tmp_path):
    """Classes 1, 2, 3: a row of class 0 in the test file is a mistake, not class 1."""
    rows = [(f"text {c}", c) for c in (1, 2, 3)]
    settings = files(tmp_path, rows=rows, test_file=write(tmp_path / "other.jsonl", [*rows, ("what", 0)]))
    with pytest.raises(ValueError, match=r"other\.jsonl, line 4: label '0' is not one of 1, 2, 3"):
        load_splits(settings)


def test_a_class_that_training_lacks_is_named(tmp_path):
    other = write(tmp_path / "other.jsonl", [*NAMED, ("so so", "mixed")])
    with pytest.raises(ValueError, match=r"other\.jsonl, line 7: label 'mixed' is not one of bad, good"):
        load_splits(files(tmp_path, rows=NAMED, test_file=other))


def test_files_may_leave_the_validation_split_out(tmp_path):
    path = write(tmp_path / "a.csv", MANY)
    parts = load_splits(Settings(corpus="files", train_file=path, test_file=path)).splits
    assert (len(parts["train"]), len(parts["validation"]), len(parts["test"])) == (54, 6, 60)


def test_too_few_rows_to_hold_out_are_an_error_with_the_remedy(tmp_path):
    path = write(tmp_path / "a.csv", [("good", 1), ("bad", 0)])
    with pytest.raises(ValueError, match="too few to hold a split out: give validation_file"):
        load_splits(Settings(corpus="files", train_file=path, test_file=path))


def test_a_spreadsheet_s_byte_order_mark_is_no_part_of_the_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbftext,label\r\na fine film,good\r\na dull film,bad\r\n")
    assert read_file(path, "text", "label", ["bad", "good"]).texts == ["a fine film", "a dull film"]


def test_commas_quotes_and_line_breaks_inside_a_csv_text_stay(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"a ""fine"", long\nfilm",good\nbad,bad\n', encoding="utf-8")
    assert read_file(path, "text", "label", ["bad", "good"]).texts[0].split() == ["a", '"fine",', "long", "film"]


def test_empty_lines_of_jsonl_are_skipped(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine", "label": "good"}\n\n{"text": "dull", "label": "bad"}\n\n', encoding="utf-8")
    assert read_file(path, "text", "label", ["bad", "good"]).labels.tolist() == [1, 0]


def test_rationales_in_jsonl_are_kept_and_checked(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"text": "a fine film", "label": "good", "rationale": [0, 1, 0]}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert read_file(path, "text", "label", ["bad", "good"]).rationale == [[0, 1, 0]]
    for wrong in ([0, 1], [0, 2, 0], None, "010"):
        path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"rationale": wrong}) + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"'rationale' must be a list of 0 and 1, one for each of 3 words, got"):
            read_file(path, "text", "label", ["bad", "good"])


def test_a_list_that_happens_to_be_called_rationale_is_not_marks(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a fine film", "label": "good", "rationale": ["fine", "film"]}))
    assert read_file(path, "text", "label", ["bad", "good"]).rationale is None


def test_texts_that_are_predicted_have_no_marks_to_check(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a fine film", "rationale": [3, 7]}))
    (chunk,) = RowReader(ReadOptions()).chunks(open_table(path, ReadOptions()), ["bad", "good"])
    assert chunk.texts == ["a fine film"]


def test_marks_without_those_of_the_first_row_are_left_out_and_reported(tmp_path, caplog):
    rows = [{"text": "a fine film", "label": "good", "rationale": marks} for marks in (None, [0, 1, 0], [0, 1, 0])]
    with caplog.at_level(logging.WARNING):
        split, _ = read_data(rows, ["bad", "good"], ReadOptions())
    assert split.rationale is None
    assert "column 'rationale' has marks in 2 rows but not in the first, and is not read: give each" in caplog.text


def test_a_csv_column_that_happens_to_be_called_rationale_is_not_marks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label,rationale\na fine film,good,because\n", encoding="utf-8")
    assert read_file(path, "text", "label", ["bad", "good"]).rationale is None


BAD_FILES = {
    "no column": ("a.csv", b"review,label\nfine,1\n", "no column 'text', it has review, label; set text_column"),
    "no label column": ("a.csv", b"text,stars\nfine,1\n", "no column 'label', it has text, stars; set label_column"),
    "no rows": ("a.csv", b"text,label\n", "has no rows"),
    "nothing": ("a.jsonl", b"", "has no rows"),
    "an empty text": ("a.csv", b"text,label\nfine,1\n ,0\n", "row 2: column 'text' must be a text with words, got ' '"),
    "a text that is null": ("a.jsonl", b'{"text": null, "label": 1}\n', "line 1: .* must be a text .*, got None"),
    "a text that is a number": ("a.jsonl", b'{"text": 3, "label": 1}\n', "must be a text with words, got 3"),
    "a short row": ("a.csv", b"text,label\nfine\n", "row 1: 1 fields, the header has 2"),
    "not JSON": ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": \n', "line 2: not JSON"),
    "no object": ("a.jsonl", b'["a", 1]\n', "line 1: a row must be an object, got list"),
    "not UTF-8": ("a.csv", b"text,label\nfin\xe9,1\n", "row 1: .* not UTF-8: set encoding to cp1252"),
    "not gzip": ("a.csv.gz", b"text,label\nfine,1\n", "cannot be read .*save it again"),
    "gzip cut short": ("a.jsonl.gz", gzip.compress(b'{"text": "a", "label": 1}\n' * 99)[:-20], "cannot be read"),
    "another kind": ("a.doc", b"fine 1", r"must end in \.csv, \.tsv"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name):
    file, content, message = BAD_FILES[name]
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_file(path, "text", "label", ["bad", "good"])
    assert str(path) in str(error.value)


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_file(tmp_path / "a.csv", "text", "label", ["a", "b"])


def test_training_rows_of_one_class_are_refused(tmp_path):
    with pytest.raises(ValueError, match="column 'label' has 1 class, a classifier needs at least two"):
        load_splits(files(tmp_path, rows=[("fine", 1), ("good", 1)]))


# --- datasets ---


def test_a_corpus_is_given_as_a_dataset_dict(tmp_path):
    from datasets import DatasetDict

    made = load_corpus(files(tmp_path, rows=NAMED))
    assert isinstance(made, DatasetDict)
    assert set(made) == {"train", "validation", "test"}
    assert made["train"].column_names == ["text", "label"]
    assert made["train"].features["label"].names == ["bad", "good"]
    assert list(made["test"]["text"]) == [t for t, _ in ROWS]
    assert list(made["test"]["label"]) == [c for _, c in ROWS]


def test_the_planted_corpus_as_a_dataset_has_its_rationales():
    made = load_corpus(Settings(limit=20))
    expected = load_splits(Settings(limit=20)).splits["test"]
    assert made["test"].column_names == ["text", "label", "rationale", "shortcut"]
    assert list(made["test"]["rationale"]) == expected.rationale
    assert list(made["test"]["shortcut"]) == expected.shortcut


def test_lone_surrogates_reach_no_dataset(tmp_path):
    """JSON carries them as escapes; Arrow's UTF-8 cannot hold them."""
    made = load_corpus(files(tmp_path, rows=[("a \ud800 film", 1), ("dull", 0)]))
    assert list(made["train"]["text"]) == ["a \ufffd film", "dull"]


def test_a_split_keeps_its_columns_together():
    split = load_splits(Settings(limit=30)).splits["train"]
    split = replace(split, rationale_share=[[x / 2 for x in marks] for marks in split.rationale])
    taken = split.take(np.array([7, 2]))
    assert taken.texts == [split.texts[7], split.texts[2]]
    assert taken.labels.tolist() == split.labels[[7, 2]].tolist()
    for name in MARKS:
        assert getattr(taken, name) == [getattr(split, name)[7], getattr(split, name)[2]]


def test_a_corpus_with_another_number_of_labels_than_texts_is_refused():
    corpus = load_splits(Settings(limit=20))
    short = dict(corpus.splits) | {"test": Split(corpus.splits["test"].texts, np.zeros(3, np.int64))}
    with pytest.raises(ValueError, match="planted test: 20 texts, but 3 labels"):
        Corpus("planted", short, corpus.classes, corpus.source)
