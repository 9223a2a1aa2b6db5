"""Texts with several labels: lists, separated cells, a column of 0 and 1 for each label; clear errors for the rest."""

import json

import numpy as np
import pytest

from pct.corpora.fingerprints import label_counts
from pct.corpora.loading import corpus_of, load_corpus, read_data, read_splits
from pct.corpora.rows import ReadOptions
from pct.settings import Settings

ROWS = [
    ("good soup", ["food", "happy"]), ("a terrible day", ["angry"]), ("it is", []),
    ("bread and joy", ["happy", "food"]),
]  # fmt: skip
CLASSES = ["angry", "food", "happy"]
EXPECTED = [[False, True, True], [True, False, False], [False, False, False], [False, True, True]]
SEVERAL = ReadOptions(multi_label=True)


def read(data, **options):
    split, _ = read_data(data, CLASSES, ReadOptions(multi_label=True, **options))
    assert split.texts == [text for text, _ in ROWS]
    return split.labels.tolist()


def test_lists_in_json_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": t, "label": names}) + "\n" for t, names in ROWS))
    assert read(path) == EXPECTED


def test_lists_in_parquet_and_in_datasets(tmp_path):
    from datasets import ClassLabel, Dataset, Features, Sequence, Value

    data = Dataset.from_dict({"text": [t for t, _ in ROWS], "label": [names for _, names in ROWS]})
    assert read(data) == EXPECTED
    data.to_parquet(str(tmp_path / "rows.parquet"))
    assert read(tmp_path / "rows.parquet") == EXPECTED
    features = Features({"text": Value("string"), "label": Sequence(ClassLabel(names=["happy", "food", "angry"]))})
    indices = [[["happy", "food", "angry"].index(x) for x in names] for _, names in ROWS]
    named = Dataset.from_dict({"text": [t for t, _ in ROWS], "label": indices}, features=features)
    assert read(named) == EXPECTED
    named.to_parquet(str(tmp_path / "named.parquet"))
    assert read(tmp_path / "named.parquet") == EXPECTED


@pytest.mark.parametrize("one", ["1", "1.0", "True"])
def test_a_column_for_each_label(tmp_path, one):
    zero = {"1": "0", "1.0": "0.0", "True": "False"}[one]
    lines = ["text,happy,angry,food"]
    lines += [",".join([t, *(one if x in names else zero for x in ("happy", "angry", "food"))]) for t, names in ROWS]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    assert read(tmp_path / "rows.csv", label="happy,angry,food") == EXPECTED


def test_a_column_for_each_label_in_a_data_frame():
    import pandas as pd

    frame = pd.DataFrame({"text": [t for t, _ in ROWS]} | {x: [int(x in n) for _, n in ROWS] for x in CLASSES})
    assert read(frame, label="angry,food,happy") == EXPECTED


def test_names_separated_in_a_cell(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(f"{t},{' | '.join(n)}" for t, n in ROWS))
    assert read(tmp_path / "rows.csv", label_separator="|") == EXPECTED


def test_pairs_of_texts_and_lists_or_of_an_array():
    texts = [t for t, _ in ROWS]
    assert read((texts, [names for _, names in ROWS])) == EXPECTED
    assert read((texts, np.array(EXPECTED, int))) == EXPECTED


def test_lists_of_indices():
    assert read([{"text": t, "label": [CLASSES.index(x) for x in names]} for t, names in ROWS]) == EXPECTED


@pytest.mark.parametrize("kind", [float, int, bool, np.int64])
@pytest.mark.parametrize("source", ["rows", "pair", "columns", "file"])
def test_lists_of_0_and_1_for_each_label(tmp_path, kind, source):
    texts, labels = [t for t, _ in ROWS], [[kind(x in names) for x in CLASSES] for _, names in ROWS]
    rows = [{"text": t, "label": own} for t, own in zip(texts, labels, strict=True)]
    if source == "file":
        data = tmp_path / "rows.jsonl"
        data.write_text("\n".join(json.dumps(row, default=int) for row in rows))
    else:
        data = {"rows": rows, "pair": (texts, labels), "columns": {"text": texts, "label": labels}}[source]
    assert read(data) == EXPECTED
    assert read(data, labels="indices") == EXPECTED
    split, _ = read_data(data, ["2", "0", "1"], SEVERAL)
    assert split.labels.tolist() == EXPECTED  # the places of the list are those of the classes, whatever their names


@pytest.mark.parametrize(("classes", "value"), [
    (["a", "b"], [0, 0]), (["a", "b"], [1, 1]), (["a", "b"], [0, 1]), (["a"], [0]), (["a", "b", "c"], [1, 1]),
])  # fmt: skip
def test_integers_that_may_be_indices_or_0_and_1_for_each_label_are_refused(classes, value):
    rows = [{"text": "a b", "label": value}]
    with pytest.raises(ValueError, match=r"row 1: .* may be indices of labels, or 0 or 1 for each label: give the na"):
        read_data(rows, classes, SEVERAL)
    if len(value) == len(classes):
        split, _ = read_data([{"text": "a b", "label": list(map(float, value))}], classes, SEVERAL)
        assert split.labels.tolist() == [[x == 1 for x in value]]


def test_two_integers_are_labels_where_they_cannot_be_0_and_1_for_each():
    rows = [{"text": "a b", "label": [0, 1]}]
    assert read_data(rows, CLASSES, SEVERAL)[0].labels.tolist() == [[True, True, False]]
    assert read_data(rows, ["1", "0"], SEVERAL)[0].labels.tolist() == [[True, True]]
    indices = ReadOptions(multi_label=True, labels="indices")
    assert read_data(rows, ["a", "b"], indices)[0].labels.tolist() == [[True, True]]


@pytest.mark.parametrize("value", [[1, 0, 1, 0], [1.0, 0.0]])
def test_0_and_1_for_another_number_of_labels_is_refused(value):
    message = rf"{len(value)} values of 0 and 1 for the 3 labels of the model: give one for each"
    with pytest.raises(ValueError, match=message):
        read_data([{"text": "a b", "label": value}], CLASSES, SEVERAL)


def test_training_reads_integers_for_each_label():
    lists = [{"text": f"text {i}", "label": [[1, 0, 1], [0, 0, 1], [0, 1, 0]][i % 3]} for i in range(30)]
    whole = corpus_of(lists, Settings(multi_label=True))
    assert whole.classes == ["0", "1", "2"]
    assert sum(split.labels.sum(0) for split in whole.splits.values()).tolist() == [10, 10, 20]
    each = [{"text": f"text {i}", "label": [[0, 1], [1, 0]][i % 2]} for i in range(30)]
    with pytest.raises(ValueError, match=r"has the labels 0 and 1 in every row: .* give 0\.0 and 1\.0"):
        corpus_of(each, Settings(multi_label=True))


@pytest.mark.parametrize(("value", "message"), [
    (["food", "sad"], "label 'sad' is not one of angry, food, happy"),
    (None, "has no labels, got None; a text without labels has"),
    ({"food": 1}, "must be a list of labels"),
    ("{'food': 'x'}", "must be a list of labels, got .{'food'"),
    ([["food"], ["happy", "angry"]], "must have one label per text"),
])  # fmt: skip
def test_a_bad_list_is_named_with_its_row(value, message):
    rows = [{"text": "a b", "label": ["food"]}, {"text": "c", "label": value}]
    with pytest.raises(ValueError, match=rf"row 2: .*{message}"):
        read_data(rows, CLASSES, SEVERAL)
    split, notes = read_data(rows, CLASSES, ReadOptions(multi_label=True, on_bad_row="skip"))
    assert (len(split), sum(notes["rows_skipped"].values())) == (1, 1)


def test_a_bad_cell_of_a_label_s_column():
    rows = [{"text": "a", "angry": 0, "food": 2, "happy": 1}]
    with pytest.raises(ValueError, match="column 'food' must have 0 or 1 for each text, got 2"):
        read_data(rows, CLASSES, ReadOptions(label="angry,food,happy", multi_label=True))
    with pytest.raises(ValueError, match="label_column has the labels angry, food, the model angry, food, happy;"):
        read_data(rows, CLASSES, ReadOptions(label="angry,food", multi_label=True))
    with pytest.raises(ValueError, match=r"has no column 'sad'.*set label_column"):
        read_data(rows, ["angry", "sad"], ReadOptions(label="angry,sad", multi_label=True))


@pytest.mark.parametrize("written", ["['food', 'happy']", "['food' 'happy']", '("food", "happy")', '["food", "happy"]'])
def test_a_list_is_read_as_python_numpy_and_json_print_it(written):
    split, _ = read_data([{"text": "a b", "label": written}], CLASSES, SEVERAL)
    assert split.labels.tolist() == [[False, True, True]]


def test_a_label_s_column_is_named_once():
    rows = [{"text": "a", "angry": 0, "food": 1}]
    with pytest.raises(ValueError, match="label_column names 'food' more than once"):
        read_data(rows, ["angry", "food"], ReadOptions(label="angry,food,food", multi_label=True))


def test_one_column_of_0_and_1_is_not_two_labels():
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(20)]
    with pytest.raises(ValueError, match="has 0 or 1 in every row, which multi_label would read as the names of two"):
        corpus_of(rows, Settings(multi_label=True))
    lists = [{"text": f"text {i}", "label": [0, 1][: i % 3]} for i in range(20)]
    assert corpus_of(lists, Settings(multi_label=True)).classes == ["0", "1"]


def test_labels_that_need_a_separator_or_are_numbers_are_refused():
    several = [{"text": f"text {i}", "label": ["food", "happy", "food|happy"][i % 3]} for i in range(20)]
    with pytest.raises(ValueError, match=r"has 'food\|happy', whose parts are labels too: set label_separator to '\|'"):
        corpus_of(several, Settings(multi_label=True))
    assert len(corpus_of(several, Settings()).classes) == 3
    numbers = [{"text": f"text {i}", "label": i / 10} for i in range(40)]
    with pytest.raises(ValueError, match=r"holds numbers \(0.1, .* and 26 more\): set head to value"):
        corpus_of(numbers, Settings())


def test_one_class_says_how_to_read_several():
    with pytest.raises(ValueError, match=r"must have one label per text.*set multi_label if a text may have several"):
        read_data([{"text": "a", "label": ["food", "happy"]}], CLASSES, ReadOptions())


def corpus(rows=ROWS * 5, **settings):
    data = [{"text": f"{text} {i}", "label": names} for i, (text, names) in enumerate(rows)]
    return corpus_of(data, Settings(multi_label=True, **settings))


def test_a_corpus_has_the_labels_of_its_training_rows():
    whole = corpus()
    assert whole.classes == CLASSES
    assert whole.task.several
    sizes = {name: split.labels.shape for name, split in whole.splits.items()}
    assert sizes == {"train": (16, 3), "validation": (2, 3), "test": (2, 3)}
    assert sum(label_counts(whole.splits["train"], CLASSES).values()) == int(whole.splits["train"].labels.sum())
    assert corpus().fingerprint == whole.fingerprint


def test_the_columns_give_the_labels_their_order(tmp_path):
    lines = ["text,happy,angry", *(f"text {i},{i % 2},{i % 3 % 2}" for i in range(20))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    settings = Settings(
        corpus="files", train_file=str(tmp_path / "rows.csv"), label_column="happy,angry", multi_label=True
    )
    assert read_splits(settings).classes == ["happy", "angry"]
    data = load_corpus(settings)["train"]
    assert data.features["label"].feature.names == ["happy", "angry"]
    assert all(isinstance(row, list) for row in data["label"])


def test_a_separator_means_several_labels():
    assert Settings(label_separator="|").multi_label
    assert not Settings().multi_label
