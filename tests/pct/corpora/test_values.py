"""Values of the formats that people have: each is read, or its row and its column are named."""

import datetime
import decimal
import json
import time
import uuid

import numpy as np
import pandas as pd
import pytest

from pct.corpora.loading import read_data
from pct.corpora.rows import ReadOptions
from pct.corpora.tables import table_of
from pct.corpora.values import BadRow, plain_label
from tests.pct.toy import Scale

CLASSES = ["bad", "good"]
SKIP = ReadOptions(on_bad_row="skip")


@pytest.mark.parametrize(("value", "name"), [
    (decimal.Decimal("1.00"), "1"), (decimal.Decimal("1.50"), "1.5"),
    (decimal.Decimal("12345678901234568.50"), "12345678901234568.5"), (decimal.Decimal("-0.0"), "0"), (1.5, "1.5"),
    (-0.0, "0"), (np.float64(1.1), "1.1"), (datetime.date(2020, 1, 2), "2020-01-02"),
    (datetime.datetime(2020, 1, 2), "2020-01-02"), (datetime.datetime(2020, 1, 2, 3), "2020-01-02 03:00:00"),
    (pd.Timestamp("2020-01-02"), "2020-01-02"), (np.datetime64("2020-01-02", "ns"), "2020-01-02"),
    (datetime.time(3, 4), "03:04:00"), (np.timedelta64(90, "s"), "0:01:30"), (np.float32(2), "2"), (np.str_("x"), "x"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
])  # fmt: skip
def test_a_single_value_of_any_type_is_a_class(value, name):
    assert plain_label(value, "label") == name


@pytest.mark.parametrize("value", [
    ["good"], ("good",), np.array(["good"], object), '["good"]', "['good']", '{"choices": ["good"]}',
    '{"choices":"good"}', {"choices": ["good"]}, ' [ "good" ] ',
])  # fmt: skip
def test_a_list_of_one_choice_is_that_choice(value):
    assert plain_label(value, "label") == "good"


@pytest.mark.parametrize("value", [
    ["bad", "good"], np.array(["bad", "good"]), '["bad", "good"]', "['bad', 'good']", "['bad' 'good']", "('a', 'b')",
    '{"choices":["bad","good"]}', {"choices": ["bad", "good"]}, "{'bad', 'good'}", {"value": "good"}, [["good"]],
    '{"a": 1}', {"good"}, "['it\\'s', 'x']",
])  # fmt: skip
def test_several_choices_are_no_single_label_however_they_are_written(value):
    with pytest.raises(BadRow, match="column 'label' must have one label per text") as error:
        plain_label(value, "label")
    assert error.value.kind == "no single label"


@pytest.mark.parametrize("value", ["[]", [], '{"choices": []}', decimal.Decimal("NaN"), decimal.Decimal("sNaN"),
                                   np.datetime64("NaT"), np.array([])], ids=repr)  # fmt: skip
def test_an_empty_choice_is_a_missing_label(value):
    with pytest.raises(BadRow, match="has no label"):
        plain_label(value, "label")


@pytest.mark.parametrize("name", ["[positive]", "{x}", "(a) first", "[a] and [b]"])
def test_a_name_in_brackets_that_is_no_list_stays_a_name(name):
    assert plain_label(name, "label") == name


@pytest.mark.parametrize("start", ["['a'", "['a',", "['a' 'b'", "[' ' '"])
def test_a_long_cell_that_is_almost_a_list_is_read_in_linear_time(start):
    name = f"{start}{' ' * 100_000}x]"
    began = time.perf_counter()
    assert plain_label(name, "label") == name
    assert time.perf_counter() - began < 1  # in quadratic time, minutes


@pytest.mark.parametrize("written", ["[ 'a' , ]", "['a'  ]", "['a',]", "{'a'}", "(\n'a'\n)"])
def test_white_space_and_a_comma_may_end_a_written_list(written):
    assert plain_label(written, "label") == "a"


def parquet(path, columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return path


def test_a_field_of_a_nested_column_is_read_by_its_path(tmp_path):
    rows = [{"review": {"text": "fine", "stars": 5}, "out": {"label": "good"}}, {"review": None, "out": None}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    file = parquet(tmp_path / "a.parquet", {k: [r[k] for r in rows] for k in rows[0]})
    options = ReadOptions("review.text", "out.label", on_bad_row="skip")
    for data in (tmp_path / "a.jsonl", file, rows, pd.DataFrame(rows), {k: [r[k] for r in rows] for k in rows[0]}):
        split, notes = read_data(data, CLASSES, options)
        assert (split.texts, split.labels.tolist()) == (["fine"], [1])
        assert notes["rows_skipped"] == {"no text": 1}
    with pytest.raises(ValueError, match=r"row 1: column 'review' .*set text_column to review\.text"):
        read_data(file, CLASSES, ReadOptions("review", "out.label"))


def test_a_column_whose_own_name_has_a_dot_is_that_column(tmp_path):
    file = parquet(tmp_path / "a.parquet", {"review.text": ["fine"], "label": ["good"]})
    assert read_data(file, CLASSES, ReadOptions("review.text"))[0].texts == ["fine"]


def test_parquet_labels_of_other_types_are_read(tmp_path):
    import pyarrow as pa

    labels = pa.array([decimal.Decimal("1.00"), decimal.Decimal("2.00")], pa.decimal128(5, 2))
    file = parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "label": labels})
    assert read_data(file, ["1", "2"], ReadOptions())[0].labels.tolist() == [0, 1]
    days = pa.array([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)])
    file = parquet(tmp_path / "b.parquet", {"text": ["a", "b"], "label": days})
    assert read_data(file, ["2020-01-01", "2021-01-01"], ReadOptions())[0].labels.tolist() == [0, 1]


def test_a_value_that_python_cannot_hold_is_named_by_row_and_column_or_skipped(tmp_path):
    import pyarrow as pa

    far = pa.array([0, 2**30], pa.int32()).cast(pa.date32())  # the second lies beyond year 9999
    file = parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "label": far})
    with pytest.raises(ValueError, match=r"row 2: column 'label' .*cannot be read.*on_bad_row to skip"):
        read_data(file, ["1970-01-01"], ReadOptions())
    assert read_data(file, ["1970-01-01"], SKIP)[0].texts == ["a"]


def test_a_parquet_text_that_is_no_utf8_is_named_by_row_and_column_or_skipped(tmp_path):
    import pyarrow as pa

    raw = pa.array([b"fine", b"fin\xe9"]).view(pa.string())
    file = parquet(tmp_path / "a.parquet", {"text": raw, "label": ["good", "bad"]})
    with pytest.raises(ValueError, match=r"row 2: column 'text' .*cannot be read"):
        read_data(file, CLASSES, ReadOptions())
    assert read_data(file, CLASSES, SKIP)[0].texts == ["fine"]


def rows_of():
    yield {"text": "fine", "label": "good"}
    yield {"text": "dull", "label": "bad"}


def streams():
    import datasets

    stream = datasets.Dataset.from_list(list(rows_of())).to_iterable_dataset()
    return {
        "stream": stream, "mapped": stream.map(lambda r: {"text": r["text"]}),
        "renamed": stream.rename_column("text", "t").map(lambda r: {"text": r["t"]}),
        "filtered": stream.map(dict).filter(lambda r: True), "from a generator":
        datasets.IterableDataset.from_generator(rows_of), "formatted": stream.map(dict).with_format("numpy"),
        "generator": rows_of(), "iterator": iter(list(rows_of())),
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(streams()))
def test_a_stream_that_does_not_know_its_columns_is_read(kind):
    split, _ = read_data(streams()[kind], CLASSES, ReadOptions())
    assert (split.texts, split.labels.tolist()) == (["fine", "dull"], [1, 0])


@pytest.mark.parametrize("kind", ["mapped", "from a generator", "generator"])
def test_a_stream_without_the_column_says_which_it_has(kind):
    with pytest.raises(ValueError, match=r"has no column 'body', it has .*text.*; set text_column"):
        read_data(streams()[kind], CLASSES, ReadOptions("body"))


def test_an_empty_stream_has_no_rows():
    with pytest.raises(ValueError, match="has no rows"):
        table_of(iter(()), ReadOptions())


def test_the_texts_of_a_stream_that_does_not_know_its_columns_are_predicted():
    assert np.array_equal(Scale().predict(streams()["mapped"]), Scale().predict(["fine", "dull"]))


def test_a_pyarrow_table_is_read():
    import pyarrow as pa

    split, _ = read_data(pa.table({"id": [1, 2], "text": ["a", "b"], "label": ["bad", "good"]}), CLASSES, ReadOptions())
    assert (split.texts, split.labels.tolist()) == (["a", "b"], [0, 1])
