"""Files as people have them: long fields, broken quotes, other line ends, encodings, Excel."""

import csv
import datetime
import gzip
import io
import json
import sys

import pytest

from pct.commands import explain as command
from pct.corpora.files import open_table
from pct.corpora.loading import read_data
from pct.corpora.rows import ReadOptions, RowReader
from pct.settings import Settings
from pct.text.encodings import likely_encoding
from pct.text.lines import split_lines

CLASSES = ["bad", "good"]
SKIP = ReadOptions(on_bad_row="skip")
NO_LINE_ENDS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"


def put(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def texts_of(path, options=None):
    return [
        t for chunk in RowReader(options or ReadOptions()).chunks(open_table(path, ReadOptions())) for t in chunk.texts
    ]


# --- lines ---


def test_only_line_feeds_and_carriage_returns_end_a_line():
    assert split_lines(f"a{NO_LINE_ENDS}b\nc\r\nd\re") == [f"a{NO_LINE_ENDS}b", "c", "d", "e"]
    assert (split_lines(""), split_lines("a\n"), split_lines("a\n\n")) == ([], ["a"], ["a", ""])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "txt"])
def test_a_line_of_a_file_ends_nowhere_else(tmp_path, kind, end):
    texts = [f"one{c}text" for c in NO_LINE_ENDS]
    lines = {
        "csv": ["text,label", *(f"{t},good" for t in texts)], "tsv": ["text\tlabel", *(f"{t}\tgood" for t in texts)],
        "jsonl": [json.dumps({"text": t}, ensure_ascii=False) for t in texts], "txt": texts,
    }[kind]  # fmt: skip
    if kind == "jsonl":  # JSON allows no raw control characters in strings
        texts, lines = texts[:3], lines[:3]
    assert texts_of(put(tmp_path, f"a.{kind}", end.join(lines) + end)) == texts


def test_a_typed_text_ends_at_a_line_feed_alone(monkeypatch):
    given = f"one{NO_LINE_ENDS}text\n\nanother\r\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8"))
    assert command._typed_texts("") == [f"one{NO_LINE_ENDS}text", "another"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("café".encode("cp1252"))))
    with pytest.raises(ValueError, match=r"standard input is not utf-8.*: set encoding to cp1252"):
        command._typed_texts("")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("café".encode("cp1252"))))
    assert command._typed_texts("cp1252") == ["café"]


# --- CSV ---


def test_a_long_field_is_read_as_from_json_lines(tmp_path):
    text = "the film is good " * 9000
    for name, content in (
        ("a.csv", f"text,label\n{text},good\n"), ("b.csv", f'text,label\n"{text}",good\n'),
        ("c.tsv", f"text\tlabel\n{text}\tgood\n"), ("d.jsonl", json.dumps({"text": text, "label": "good"})),
    ):  # fmt: skip
        assert read_data(put(tmp_path, name, content), CLASSES, ReadOptions())[0].texts[0].strip() == text.strip()
    assert csv.field_size_limit() >= len(text)


@pytest.mark.parametrize(("lines", "message", "left"), [
    (['"a" b,good', "c,bad"], "row 2: cannot be read: .*write a quote inside a text twice", ["first", "c"]),
    (['"a,good', "c,bad", "d,good"], "row 2: .* a quote is not closed", ["first", "c", "d"]),
    (["a,b,good", "c,bad"], "row 2: 3 fields, the header has 2", ["first", "c"]),
    (['"a', 'b" c,good', "d,bad"], "row 2: .*it has 2 lines", ["first", "d"]),
])  # fmt: skip
def test_a_broken_csv_row_is_named_or_skipped_alone(tmp_path, lines, message, left):
    path = put(tmp_path, "a.csv", "\n".join(["text,label", "first,good", *lines]) + "\n")
    with pytest.raises(ValueError, match=message):
        read_data(path, CLASSES, ReadOptions())
    split, notes = read_data(path, CLASSES, SKIP)
    assert (split.texts, sum(notes["rows_skipped"].values())) == (left, 1)


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("closing", ['12"{}good', '"so ""good"", so fine"{}good', 'a "film{}good', "none"])
def test_a_quote_that_is_not_closed_loses_one_row(tmp_path, kind, closing):
    separator = {"csv": ",", "tsv": "\t"}[kind]
    rows = [f"film {i}{separator}good" for i in range(1000)]
    rows[10] = f'"film 10{separator}good'
    rows[20] = f"film 20{separator}"  # another bad row
    if closing != "none":
        rows[600] = closing.format(separator)
    path = put(tmp_path, f"a.{kind}", "\n".join([f"text{separator}label", *rows]))
    with pytest.raises(ValueError, match="row 11: cannot be read: a quote is not closed"):
        read_data(path, CLASSES, ReadOptions())
    split, notes = read_data(path, CLASSES, SKIP)
    assert notes["rows_skipped"] == {"broken quotes": 1, "no label": 1}
    assert len(split) == 998


@pytest.mark.parametrize("text", [
    "Dear all,\nI liked it, really.\nThe cast, too,\nand the end, mostly.\nBest,\nA", "a\n\n\n\n\nb", "a, b\n" * 9,
    "x,y\nmore\n1,2\nthan\n3,4\nnumbers\n5,6",
])  # fmt: skip
def test_a_text_of_several_lines_is_one_row(tmp_path, text):
    for columns in (["text", "label"], ["text"]):
        path = tmp_path / "a.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, [text, "good"][: len(columns)]])
        assert read_data(path, CLASSES, ReadOptions(), needs_labels=False)[0].texts == [text]


def test_excel_s_line_that_names_the_separator_is_no_header(tmp_path):
    path = put(tmp_path, "a.csv", "sep=;\r\ntext;label\r\nfine, really;good\r\n")
    assert read_data(path, CLASSES, ReadOptions())[0].texts == ["fine, really"]


def test_a_json_line_that_cannot_be_parsed_is_named_or_skipped(tmp_path):
    bad = ["{", "[" * 100_000, '{"label": ' + "1" * 5000 + "}"]
    path = put(tmp_path, "a.jsonl", "\n".join(['{"text": "fine", "label": "good"}', *bad]) + "\n")
    with pytest.raises(ValueError, match="line 2: not JSON"):
        read_data(path, CLASSES, ReadOptions())
    split, notes = read_data(path, CLASSES, SKIP)
    assert (split.texts, notes["rows_skipped"]) == (["fine"], {"no JSON": 3})


# --- .txt ---


def test_a_txt_file_is_tab_separated_rows_as_excel_saves_them(tmp_path):
    rows = 'text\tlabel\r\n"fine, with\ttab"\tgood\r\n映画は良い\tbad\r\n'
    for encoding in ("utf-16", "utf-8-sig", "utf-8", "utf-32"):
        split, _ = read_data(put(tmp_path, "a.txt", rows.encode(encoding)), CLASSES, ReadOptions())
        assert (split.texts, split.labels.tolist()) == (["fine, with\ttab", "映画は良い"], [1, 0])


def test_another_txt_file_holds_a_text_a_line(tmp_path):
    path = put(tmp_path, "a.txt", 'He said "no, never\n\nfine\n')
    table = list(RowReader(ReadOptions()).chunks(open_table(path, ReadOptions()), CLASSES))
    assert [(chunk.texts, chunk.labels, chunk.numbers) for chunk in table] == [
        (['He said "no, never', "fine"], None, [1, 3])
    ]
    with pytest.raises(ValueError, match="has no column 'label', it has text"):
        read_data(path, CLASSES, ReadOptions())


# --- encodings ---

SAMPLES = {
    "cp1252": "Das Café ist schön, die Gäste sind müde. L’été à la plage, très réussi.",
    "cp1250": "Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "cp1251": "Хороший фильм, но очень длинный", "koi8-r": "Хороший фильм, но очень длинный",
    "cp1253": "Μια πολύ καλή ταινία, αλλά μεγάλη",
    "shift_jis": "この映画はとても良かったです。", "gb18030": "这部电影很好看，我们都喜欢在家里看他的作品。",
    "euc_kr": "이 영화는 정말 좋았습니다", "utf-16-le": "a good film", "utf-16-be": "a good film",
}  # fmt: skip


@pytest.mark.parametrize("encoding", SAMPLES)
def test_the_likely_encoding_of_undecodable_bytes_is_named(encoding):
    assert likely_encoding(SAMPLES[encoding].encode(encoding)) == encoding


@pytest.mark.parametrize("kind", ["csv", "tsv", "txt", "jsonl", "json"])
@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "shift_jis"])
def test_a_file_of_another_encoding_is_read_by_it_and_the_error_names_it(tmp_path, kind, encoding):
    text = SAMPLES[encoding].replace(",", "")
    content = {
        "csv": f"text,label\nfirst,bad\n{text},good\n", "tsv": f"text\tlabel\nfirst\tbad\n{text}\tgood\n",
        "txt": f"text\tlabel\nfirst\tbad\n{text}\tgood\n",
        "jsonl": "".join(json.dumps({"text": t, "label": c}, ensure_ascii=False) + "\n"
                         for t, c in (("first", "bad"), (text, "good"))),
        "json": json.dumps([{"text": "first", "label": "bad"}, {"text": text, "label": "good"}], ensure_ascii=False),
    }[kind]  # fmt: skip
    path = put(tmp_path, f"a.{kind}", content.encode(encoding))
    with pytest.raises(
        ValueError, match=f"not utf-8.*: set encoding to {encoding}|row 2: .*{encoding}|line 2: .*{encoding}"
    ):
        read_data(path, CLASSES, ReadOptions())
    assert read_data(path, CLASSES, ReadOptions(encoding=encoding))[0].texts == ["first", text]
    if kind != "json":
        assert read_data(path, CLASSES, SKIP)[0].texts == ["first"]


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "utf_8", "utf-8-sig", "U8"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_utf_8_may_have_a_byte_order_mark_by_any_of_its_names(tmp_path, kind, name):
    rows = [{"text": "ça va", "label": "good"}]
    content = {"csv": "text,label\nça va,good\n", "jsonl": json.dumps(rows[0]), "json": json.dumps(rows)}[kind]
    for mark in (b"\xef\xbb\xbf", b""):
        path = put(tmp_path, f"a.{kind}", mark + content.encode())
        assert read_data(path, CLASSES, ReadOptions(encoding=name))[0].texts == ["ça va"]


def test_bytes_that_are_not_of_the_encoding_that_was_given_are_told(tmp_path):
    path = put(tmp_path, "a.csv", "text,label\nfilm,good\n\x81é,bad\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"its bytes are not cp1252|not charmap"):
        read_data(path, CLASSES, ReadOptions(encoding="cp1252"))


@pytest.mark.parametrize("name", ["no such", "base64", "rot13"])
def test_what_is_no_encoding_is_refused_where_it_is_set(name):
    with pytest.raises(ValueError, match="encoding must be an encoding of Python"):
        Settings(encoding=name)


# --- Excel ---


def workbook(path, rows):
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_and_its_rows_are_named(tmp_path):
    rows = [["text", "label", "day"], ["fine\nfilm", "good", datetime.date(2020, 1, 1)], [None, None, None],
            ["dull", "bad", None], ["no label", None, None], [3.5, "bad", None]]  # fmt: skip
    path = workbook(tmp_path / "a.xlsx", rows)
    split, notes = read_data(path, CLASSES, SKIP)
    assert (split.texts, split.labels.tolist()) == (["fine\nfilm", "dull"], [1, 0])
    assert notes["rows_skipped"] == {"no label": 1, "no text": 1}
    with pytest.raises(ValueError, match=r"a\.xlsx, row 4: column 'label' has no label"):
        read_data(path, CLASSES, ReadOptions())
    (tmp_path / "b.xlsx.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_data(tmp_path / "b.xlsx.gz", CLASSES, SKIP)[0].texts == ["fine\nfilm", "dull"]


def test_labels_of_a_workbook_may_be_numbers_dates_and_errors(tmp_path):
    rows = [["text", "label"], ["a", 1], ["b", 2.0], ["c", datetime.datetime(2020, 1, 1)], ["d", "#N/A"]]
    split, notes = read_data(workbook(tmp_path / "a.xlsx", rows), ["1", "2", "2020-01-01"], SKIP)
    assert (split.labels.tolist(), notes["rows_skipped"]) == ([0, 1, 2], {"no label": 1})


def test_a_cell_beyond_the_named_columns_is_a_bad_row(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["text", "label"], ["a", "good", "stray"], ["b", "bad"]])
    with pytest.raises(ValueError, match="row 1: 1 cell is beyond the last named column"):
        read_data(path, CLASSES, ReadOptions())
    assert read_data(path, CLASSES, SKIP)[0].texts == ["b"]


def test_what_is_no_workbook_or_an_old_one_is_said(tmp_path):
    with pytest.raises(ValueError, match="cannot be read as a workbook"):
        read_data(put(tmp_path, "a.xlsx", b"not a zip"), CLASSES, ReadOptions())
    with pytest.raises(ValueError, match=r"save it as \.xlsx"):
        read_data(put(tmp_path, "a.xls", b"\xd0\xcf"), CLASSES, ReadOptions())
    with pytest.raises(ValueError, match="has no rows"):
        read_data(workbook(tmp_path / "b.xlsx", []), CLASSES, ReadOptions())
