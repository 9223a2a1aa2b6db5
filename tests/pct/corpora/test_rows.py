"""Rows from anywhere are judged by one reader: what a text, a label, a missing value and a broken row are."""

import gzip
import io
import json
import logging
import sys

import numpy as np
import pandas as pd
import pytest

import pct
from pct.corpora.files import open_table
from pct.corpora.loading import corpus_of, load_splits, read_data
from pct.corpora.rows import ReadOptions, RowReader
from pct.corpora.splits import index_of_classes
from pct.corpora.tables import table_of
from pct.corpora.values import BadRow, canonical, plain_label
from pct.settings import Settings
from tests.pct.toy import Scale

ROWS = [("a fine film", "good"), ("a dull film", "bad"), ("so good, so fine", "good"), ('it said "bad"', "bad")]
SKIP = ReadOptions(on_bad_row="skip")
CLASSES = ["bad", "good"]


def write(folder, kind, rows=ROWS):
    """The rows as a file of a kind."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = pd.DataFrame(rows, columns=["text", "label"])
    plain = kind.removesuffix(".gz")
    path = folder / f"rows.{plain}"
    if plain in ("csv", "tsv"):
        frame.to_csv(path, index=False, sep="," if plain == "csv" else "\t")
    elif plain == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(("text", "label"), r, strict=True))) + "\n" for r in rows))
    elif plain == "json":
        frame.to_json(path, orient="records")
    else:
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if plain == "parquet":
            pq.write_table(table, path, row_group_size=2)
        else:
            with pa.ipc.new_file(path, table.schema) as out:
                out.write_table(table)
    if kind.endswith(".gz"):
        content, path = path.read_bytes(), folder / f"rows.{kind}"
        path.write_bytes(gzip.compress(content))
    return path


KINDS = [k + z for k in ("csv", "tsv", "jsonl", "json", "parquet", "arrow") for z in ("", ".gz")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_kind_holds_the_same_rows(tmp_path, kind):
    split, notes = read_data(write(tmp_path, kind), CLASSES, ReadOptions())
    assert list(zip(split.texts, [CLASSES[i] for i in split.labels], strict=True)) == ROWS
    assert notes == {"rows_skipped": {}, "labels_as_indices": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_some_rows_at_a_time(tmp_path, kind):
    rows = [(f"text {i}", CLASSES[i % 2]) for i in range(25)]
    reader = RowReader(ReadOptions())
    found = list(reader.chunks(open_table(write(tmp_path, kind, rows), ReadOptions()), CLASSES, size=10))
    assert [len(chunk) for chunk in found] == [10, 10, 5]
    assert [t for chunk in found for t in chunk.texts] == [t for t, _ in rows]
    assert np.concatenate([chunk.labels for chunk in found]).tolist() == [i % 2 for i in range(25)]
    assert [n for chunk in found for n in chunk.numbers] == list(range(1, 26))


def test_a_file_without_labels_gives_its_texts(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,fine\n2,dull\n")
    (chunk,) = RowReader(ReadOptions()).chunks(open_table(tmp_path / "a.csv", ReadOptions()), CLASSES)
    assert (chunk.texts, chunk.labels) == (["fine", "dull"], None)


def sources(rows):
    import datasets

    texts, labels = [t for t, _ in rows], [c for _, c in rows]
    return {
        "pair": (texts, labels), "columns": {"text": texts, "label": labels},
        "rows": [{"text": t, "label": c} for t, c in rows], "frame": pd.DataFrame(rows, columns=["text", "label"]),
        "dataset": datasets.Dataset.from_dict({"text": texts, "label": labels}),
        "arrays": (np.array(texts), np.array(labels)), "series": (pd.Series(texts), pd.Series(labels)),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(sources(ROWS)))
def test_rows_in_memory_are_the_same_rows(kind):
    split, _ = read_data(sources(ROWS)[kind], CLASSES, ReadOptions())
    assert (split.texts, split.labels.tolist()) == ([t for t, _ in ROWS], [1, 0, 1, 0])


# --- labels ---


@pytest.mark.parametrize(("given", "name"), [
    ("1.0", "1"), ("1.00", "1"), (" 1 ", "1"), ("1", "1"), ("+1", "1"), ("-2.0", "-2"), ("true", "True"),
    ("FALSE", "False"), (" good ", "good"), ("007", "007"), ("1e3", "1e3"), ("0.0", "0"), ("-0", "0"), ("-0.0", "0"),
    ("12345678901234568.0", "12345678901234568"), ("9" * 5000 + ".0", "9" * 5000), ("cafe\u0301", "caf\u00e9"),
])  # fmt: skip
def test_labels_that_are_equal_have_one_name(given, name):
    assert canonical(given) == name


@pytest.mark.parametrize("name", ["1.10", "1.50", "-0.50", "12345678901234568.5", "1.0.0"])
def test_a_label_that_may_be_a_version_keeps_its_digits(name):
    assert canonical(name) == name


def test_versions_are_classes_of_their_own(tmp_path):
    versions = ["1.1", "1.10", "2"]
    rows = [(f"text {i}", versions[i % 3]) for i in range(60)]
    for kept in (versions, versions[:2]):
        some = [(text, label) for text, label in rows if label in kept]
        path = tmp_path / "rows.csv"
        path.write_text("text,label\n" + "".join(f"{t},{c}\n" for t, c in some))
        assert load_splits(Settings(corpus="files", train_file=str(path))).classes == kept
        assert corpus_of([{"text": t, "label": c} for t, c in some], Settings()).classes == kept
    with pytest.raises(ValueError, match=r"label '1.10' is not one of 1.1, 2"):
        read_data((["a"], ["1.10"]), ["1.1", "2"], ReadOptions())


def test_numbers_that_are_equal_as_floats_are_sorted_by_value():
    labels = ["12345678901234568.5", "12345678901234568", "12345678901234567", "2.0", "1.10", "1.1"]
    rows = [{"text": f"text {i}", "label": labels[i % 6]} for i in range(60)]
    expected = ["1.1", "1.10", "2", "12345678901234567", "12345678901234568", "12345678901234568.5"]
    assert corpus_of(rows, Settings()).classes == expected


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "frame"])
def test_numbers_of_a_column_of_floats_are_one_class_in_every_table(tmp_path, kind):
    rows = [("a", 1.0), ("b", 1.5), ("c", 0.0)]
    data = pd.DataFrame(rows, columns=["text", "label"]) if kind == "frame" else write(tmp_path, kind, rows)
    assert read_data(data, ["0", "1", "1.5"], ReadOptions())[0].labels.tolist() == [1, 2, 0]


def test_floats_and_whole_numbers_are_one_class_across_files(tmp_path):
    """pandas writes integers as 1.0 where a column once had a gap."""
    train = [(f"text {i}", float(1 + i % 5)) for i in range(40)]
    test = [(f"text {i}", 1 + i % 4) for i in range(8)]
    (tmp_path / "a").mkdir()
    settings = Settings(
        corpus="files", train_file=str(write(tmp_path, "csv", train)), test_file=str(write(tmp_path / "a", "csv", test))
    )
    corpus = load_splits(settings)
    assert corpus.classes == ["1", "2", "3", "4", "5"]
    assert corpus.splits["test"].labels.tolist() == [i % 4 for i in range(8)]


@pytest.mark.parametrize(
    "label", ["", " ", None, float("nan"), pd.NA, pd.NaT, "nan", ["bad", "x"], {"a": 1}, b"bad"], ids=repr
)
@pytest.mark.parametrize("kind", ["pair", "rows", "frame"])
def test_a_label_that_is_none_or_no_single_one_is_refused_or_skipped_and_counted(label, kind, caplog):
    rows = [*ROWS, ("a text", label)]
    data = {
        "pair": ([t for t, _ in rows], [c for _, c in rows]), "rows": [{"text": t, "label": c} for t, c in rows],
        "frame": pd.DataFrame({"text": [t for t, _ in rows], "label": pd.Series([c for _, c in rows], dtype=object)}),
    }[kind]  # fmt: skip
    with pytest.raises(ValueError, match=r"row 5: column 'label' .*set on_bad_row to skip"):
        read_data(data, CLASSES, ReadOptions())
    with caplog.at_level(logging.WARNING):
        split, notes = read_data(data, CLASSES, SKIP)
    assert len(split) == 4
    assert sum(notes["rows_skipped"].values()) == 1
    assert "1 row skipped" in caplog.text


def test_a_row_that_lacks_a_column_others_have_is_a_bad_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "no label"}\n{"text": "fine", "label": "good"}\n{"label": "bad"}\n')
    with pytest.raises(ValueError, match="line 1: column 'label' has no label, got None"):
        read_data(path, CLASSES, ReadOptions())
    split, notes = read_data(path, CLASSES, SKIP)
    assert (split.texts, notes["rows_skipped"]) == (["fine"], {"no label": 1, "no text": 1})


def test_a_label_is_an_index_only_where_asked_for(tmp_path):
    path = write(tmp_path, "csv", [("fine", 1), ("dull", 0)])
    with pytest.raises(ValueError, match="label '1' is not one of bad, good; labels=indices reads it"):
        read_data(path, CLASSES, ReadOptions())
    split, notes = read_data(path, CLASSES, ReadOptions(labels="indices"))
    assert (split.labels.tolist(), notes["labels_as_indices"]) == ([1, 0], 2)
    with pytest.raises(ValueError, match=r"outside the model's classes 0\.\.0"):
        read_data(path, ["bad"], ReadOptions(labels="indices"))


def test_names_of_classes_are_compared_without_case_unless_case_tells_them_apart():
    assert read_data((["a", "b"], ["GOOD", "Bad"]), CLASSES, ReadOptions())[0].labels.tolist() == [1, 0]
    assert read_data((["a", "b"], ["US", "us"]), ["us", "US"], ReadOptions())[0].labels.tolist() == [1, 0]
    with pytest.raises(ValueError, match="label 'Us' is not one of us, US"):
        read_data((["a"], ["Us"]), ["us", "US"], ReadOptions())


@pytest.mark.parametrize(("own", "classes", "expected"), [
    (["IT", "it"], ["it", "IT"], [1, 0]), (["GOOD", "bad"], CLASSES, [1, 0]),
    (["e\u0301lan", "x"], ["x", "\u00c9lan"], [1, 0]), (["0.0", "1"], ["0", "1.0"], [0, 1]),
])  # fmt: skip
def test_classes_of_a_corpus_are_matched_as_labels_of_rows_are(own, classes, expected):
    assert index_of_classes(own, classes).tolist() == expected
    assert read_data((["a", "b"], own), classes, ReadOptions())[0].labels.tolist() == expected


def test_a_class_that_a_model_tells_apart_by_case_alone_is_unknown_in_another_case():
    with pytest.raises(ValueError, match="the texts have the class 'It', the model has it, IT"):
        index_of_classes(["It"], ["it", "IT"])


def test_a_model_without_names_of_classes_is_said_to_have_none():
    with pytest.raises(ValueError, match=r"not one of LABEL_0, LABEL_1; the model does not name its classes.*id2label"):
        read_data((["a"], ["good"]), ["LABEL_0", "LABEL_1"], ReadOptions())


def test_integers_of_a_program_are_indices_unless_classes_are_called_by_numbers():
    assert read_data((["a", "b"], [1, 0]), CLASSES, ReadOptions())[0].labels.tolist() == [1, 0]
    assert read_data((["a", "b"], [1, 3]), ["1", "3"], ReadOptions())[0].labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="label 0 is not one of 1, 3"):
        read_data((["a"], [0]), ["1", "3"], ReadOptions())


def test_a_dataset_that_names_its_classes_is_matched_by_name_whatever_their_order():
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["good", "bad"])}
    )
    made = datasets.Dataset.from_dict({"text": ["fine", "dull"], "label": [0, 1]}, features=features)
    assert read_data(made, CLASSES, ReadOptions())[0].labels.tolist() == [1, 0]
    with pytest.raises(ValueError, match="label 'good' is not one of negative, positive"):
        read_data(made, ["negative", "positive"], ReadOptions())
    unlabelled = datasets.Dataset.from_dict({"text": ["fine", "x"], "label": [0, -1]}, features=features)
    with pytest.raises(ValueError, match="row 2: column 'label' has no label"):
        read_data(unlabelled, CLASSES, ReadOptions())


def test_a_parquet_file_of_the_datasets_library_keeps_its_class_names(tmp_path):
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["good", "bad"])}
    )
    made = datasets.Dataset.from_dict({"text": ["fine", "dull"], "label": [0, 1]}, features=features)
    made.to_parquet(tmp_path / "a.parquet")
    assert read_data(tmp_path / "a.parquet", CLASSES, ReadOptions())[0].labels.tolist() == [1, 0]


def test_metadata_of_the_datasets_library_may_name_no_classes(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["fine"], "label": ["good"]}).replace_schema_metadata({"huggingface": "{}"})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_data(tmp_path / "a.parquet", CLASSES, ReadOptions())[0].labels.tolist() == [1]


def test_classes_of_a_training_corpus_that_differ_only_in_case_are_named(caplog):
    def read(labels):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "pct.corpora"):
            corpus = corpus_of(([f"text {i}" for i in range(40)], labels * 10), Settings())
        return corpus, [record.getMessage() for record in caplog.records if "case" in record.getMessage()]

    corpus, messages = read(["Pos", "neg", "pos", "Neg"])
    assert corpus.classes == ["Neg", "Pos", "neg", "pos"]
    (message,) = messages
    assert message.startswith("given: classes that differ only in case: Neg and neg, Pos and pos; if they are one")
    assert corpus.notes["train"]["classes_differing_in_case"] == [["Neg", "neg"], ["Pos", "pos"]]
    corpus, messages = read(["pos", "neg", "mixed", "none"])
    assert messages == []
    assert "classes_differing_in_case" not in corpus.notes["train"]


# --- rows (text, label) ---


@pytest.mark.parametrize(("classes", "options", "labels"), [
    (CLASSES, ReadOptions(), ["good", "BAD"]), (["1", "2"], ReadOptions(), ["1.0", "2"]),
    (CLASSES, ReadOptions(labels="indices"), ["1", "0"]), (["value"], ReadOptions(numbers=True), ["3", "2.5"]),
    (["food", "joy"], ReadOptions(multi_label=True, label_separator="|"), ["food", "joy|food"]),
])  # fmt: skip
def test_rows_of_a_text_and_its_label_are_not_taken_as_pairs_of_texts(classes, options, labels):
    rows = [("a fine film", labels[0]), ("a dull film", labels[1])]
    with pytest.raises(ValueError, match=rf"every second one is a label, as '{labels[0]}': give \(texts, labels\)"):
        read_data(rows, classes, options, needs_labels=False)
    with pytest.raises(ValueError, match=r"a pair \(texts, labels\), or rows as mappings.*got list of tuple"):
        read_data(rows, classes, options)


def test_pairs_of_texts_stay_pairs_where_one_is_no_label():
    pairs = [("is it good", "good"), ("is it", "it is good")]
    split, _ = read_data(pairs, CLASSES, ReadOptions(), needs_labels=False)
    assert (list(split.texts), split.labelled) == (pairs, False)
    named = [{"text": first, "text_pair": "good"} for first, _ in pairs]
    split, _ = read_data(named, CLASSES, ReadOptions(), needs_labels=False)
    assert list(split.texts) == [(first, "good") for first, _ in pairs]


def test_a_model_is_not_measured_without_the_labels_of_rows_of_a_text_and_its_label():
    rows = [("superb", "positive"), ("dreadful", "negative")]
    for measure in (pct.evaluate, pct.audit):
        with pytest.raises(ValueError, match=r"dicts with 'text' and 'label'; .* dicts with 'text' and 'text_pair'"):
            measure(pct.predictor_from(lambda texts: [[0.5, 0.5]] * len(texts), Scale().classes), rows)


def test_classes_may_be_booleans_and_digits_with_gaps():
    rows = [(f"t {i}", [True, False][i % 2]) for i in range(20)]
    assert corpus_of(rows and [{"text": t, "label": c} for t, c in rows], Settings()).classes == ["False", "True"]
    assert corpus_of(([t for t, _ in rows], [(2, 10)[i % 2] for i in range(20)]), Settings()).classes == ["2", "10"]


# --- broken files ---


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.csv", b"text,label\nfine, really good,good\n", "row 1: 3 fields, the header has 2"),
    ("a.csv", b"text,text,label\nfine,x,good\n", "the column 'text' more than once"),
    ("a.csv", b"t\0e\0x\0t\0,\0l\0a\0b\0e\0l\0\n\0", "NUL characters: if the file is UTF-16"),
    ("a.csv", b"", "has no rows"), ("a.json", b"[]", "has no rows"), ("a.json", b"{", "has no rows|not JSON"),
    ("a.json", b"[[1, 2]]", "row 1: a row must be an object, got list"),
    ("a.json", b'"x"', "a list of objects, got str"),
    ("a.csv", b'text,label\n"fine,good\ndull,bad\n', "cannot be read"),
    ("a.parquet", b"PAR1 not really", "cannot be read"), ("a.arrow", b"ARROW1 not really", "cannot be read"),
    ("a.parquet.gz", b"no gzip", "cannot be read"),
])  # fmt: skip
def test_a_broken_file_is_named_with_the_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_data(tmp_path / name, CLASSES, ReadOptions())
    assert name in str(error.value)


def test_a_text_that_is_its_own_label_is_refused(tmp_path):
    with pytest.raises(ValueError, match="text_column and label_column are both 'text'"):
        read_data(write(tmp_path, "csv"), CLASSES, ReadOptions(label="text"))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_of_a_csv_file_is_found(tmp_path, separator):
    pd.DataFrame(ROWS, columns=["text", "label"]).to_csv(tmp_path / "a.csv", index=False, sep=separator)
    assert read_data(tmp_path / "a.csv", CLASSES, ReadOptions())[0].texts == [t for t, _ in ROWS]


def test_another_separator_may_be_given(tmp_path):
    (tmp_path / "a.csv").write_text("text~label\na fine film~good\n")
    assert read_data(tmp_path / "a.csv", CLASSES, ReadOptions(separator="~"))[0].texts == ["a fine film"]
    with pytest.raises(ValueError, match="no column 'text', it has text~label"):
        read_data(tmp_path / "a.csv", CLASSES, ReadOptions())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("text,label\r\nça va,good\r\n".encode(encoding))
    assert read_data(tmp_path / "a.csv", CLASSES, ReadOptions())[0].texts == ["ça va"]


def test_line_breaks_in_quotes_stay_and_headers_may_have_spaces(tmp_path):
    (tmp_path / "a.csv").write_text('text, label\n"a fine\nfilm",good\n\n"x ""y""",bad\n')
    split, _ = read_data(tmp_path / "a.csv", CLASSES, ReadOptions())
    assert (split.texts, split.labels.tolist()) == (["a fine\nfilm", 'x "y"'], [1, 0])


@pytest.mark.parametrize(
    "content",
    [b"text,label\nfine,good\n", b'{"text": "fine", "label": "good"}\n', b'[{"text": "fine", "label": "good"}]'],
)
def test_standard_input_is_csv_or_json(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    assert read_data("-", CLASSES, ReadOptions())[0].texts == ["fine"]


# --- held out ---


def test_only_training_rows_are_required_and_the_rest_is_held_out_and_said(tmp_path, caplog):
    rows = [(f"text {i}", CLASSES[i % 2]) for i in range(40)]
    with caplog.at_level(logging.WARNING):
        corpus = load_splits(Settings(corpus="files", train_file=str(write(tmp_path, "csv", rows))))
    assert {k: len(v) for k, v in corpus.splits.items()} == {"train": 32, "validation": 4, "test": 4}
    assert corpus.notes["test"] == {"held_out_of_train": 4}
    assert "no test file is given: 4 training rows are held out" in caplog.text
    assert len({text for split in corpus.splits.values() for text in split.texts}) == 40


def test_a_class_of_one_row_keeps_it_in_training(tmp_path, caplog):
    rows = [*((f"text {i}", CLASSES[i % 2]) for i in range(40)), ("so so", "mixed")]
    with caplog.at_level(logging.WARNING):
        corpus = load_splits(Settings(corpus="files", train_file=str(write(tmp_path, "csv", rows))))
    assert corpus.classes == ["bad", "good", "mixed"]
    assert (corpus.splits["train"].labels == 2).sum() == 1
    assert "only one training row of the class mixed" in caplog.text


# --- everywhere ---


def test_evaluation_takes_names_frames_and_datasets_alike():
    texts, gold = ["superb", "dreadful", "good fine"], ["positive", "negative", "positive"]
    expected = pct.evaluate(Scale(), (texts, [1, 0, 1])).metrics
    rows = list(zip(texts, gold, strict=True))
    for data in sources(rows).values():
        assert pct.evaluate(Scale(), data).metrics == pytest.approx(expected, nan_ok=True)


def test_a_limit_is_drawn_under_a_seed():
    texts, labels = ["superb"] * 50 + ["dreadful"] * 50, [1] * 50 + [0] * 50
    report = pct.evaluate(Scale(), (texts, labels), limit=20)
    assert len(report.columns["n"]) == 20
    assert 0 < report.columns["label"].sum() < 20
    assert (
        report.columns["label"].tolist() == pct.evaluate(Scale(), (texts, labels), limit=20).columns["label"].tolist()
    )


def test_a_report_says_what_was_left_out():
    texts = (["good", "", "bad"], ["positive", "positive", "neither"])
    report = pct.evaluate(Scale(), texts, on_bad_row="skip")
    assert len(report.columns["n"]) == 1
    skipped = {"no text": 1, "an unknown label": 1}
    assert json.loads(report.to_json())["data"] == {"rows_skipped": skipped, "labels_as_indices": 0}


def test_predicting_a_table_takes_its_text_column_or_refuses():
    texts = ["superb", "dreadful"]
    expected = Scale().predict(texts)
    for data in (
        pd.DataFrame({"id": [1, 2], "text": texts}), pd.DataFrame({"only": texts}), [{"text": t} for t in texts],
        {"text": texts}, sources([(t, "x") for t in texts])["dataset"], pd.Series(texts), np.array(texts),
    ):  # fmt: skip
        assert np.array_equal(Scale().predict(data), expected)
    with pytest.raises(ValueError, match="needs the column 'text', it has review, stars"):
        Scale().predict(pd.DataFrame({"review": texts, "stars": [1, 2]}))
    assert [e.label for e in pct.explain(Scale(), pd.DataFrame({"text": texts}))] == [1, 0]
    with pytest.raises(TypeError, match="text 1: a text must be a string"):
        Scale().predict(pd.DataFrame({"text": ["superb", None]}))


def test_a_classifier_is_trained_on_data_in_memory():
    rows = [{"text": f"{('good', 'bad')[i % 2]} film {i}", "label": ("pos", "neg")[i % 2]} for i in range(60)]
    settings = Settings(epochs=1, batch_size=16, threads=1, device="cpu", evaluate_epochs=False)
    trained = pct.train(settings, pd.DataFrame(rows), progress=False)
    assert (trained.classes, trained.settings.corpus) == (["neg", "pos"], "")


def test_what_is_no_data_is_refused():
    for data in (3, "film", [1, 2], []):
        with pytest.raises(ValueError, match="data must be a file"):
            table_of(data, ReadOptions())


def test_data_of_several_splits_is_asked_for_one():
    import datasets

    made = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"text": ["a"], "label": [0]})})
    with pytest.raises(ValueError, match="has the splits train: give one of them"):
        read_data(made, CLASSES, ReadOptions())


# --- columns that are none ---


@pytest.mark.parametrize(("data", "said"), [
    ({"text": "a film", "label": "positive"}, "column 'text' must be a list with one value for each text, got 'a f"),
    ({"text": ["a", "b"], "label": [1]}, r"different lengths \(text 2, label 1\)"),
    (("film", [1, 0, 1, 0]), "texts must be a list with one value for each text, got 'film'"),
    ((["a film"], 1), "labels must be a list with one value for each text, got 1"),
    ((["a film"], np.array(1)), "labels must be a list"),
])  # fmt: skip
def test_one_value_is_no_column(data, said):
    with pytest.raises(ValueError, match=said):
        read_data(data, CLASSES, ReadOptions())


def test_large_whole_floats_are_the_numbers_they_equal():
    assert plain_label(1e16, "label") == plain_label(10**16, "label") == "1" + "0" * 16


@pytest.mark.parametrize("label", [float("inf"), -float("inf"), 1 + 2j, object()])
def test_what_is_no_label_is_refused(label):
    with pytest.raises(BadRow, match="must have one label per text"):
        plain_label(label, "label")
