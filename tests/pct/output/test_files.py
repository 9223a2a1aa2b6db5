"""Whole files predicted and explained: what stands in each kind of output."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import pct
from pct.auditing.kept import model_digest
from pct.corpora.rows import Chunk
from pct.output.bulk import Csv, no_formula
from pct.output.files import write_explanations, write_predictions
from pct.output.workers import Workers
from tests.pct.small import small_classifier
from tests.pct.toy import Scale

TEXTS = ["good the bad superb fine", 'superb, "the" the bad', "bad the bad\nnight", "fine"]
GOLD = ["positive", "negative", "negative", "negative"]


def pieces(gold=True):
    labels = np.array([["negative", "positive"].index(name) for name in GOLD])
    for start in (0, 2):
        part = slice(start, start + 2)
        yield Chunk(TEXTS[part], labels[part] if gold else None, list(range(start + 1, start + 3)))


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-x", "@x", "\tx", "\rx", " =1", "＝1"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe_unless_raw_cells_are_wanted(cell, tmp_path):
    for escaped, expected in ((True, f"'{cell}"), (False, cell)):
        part, output = tmp_path / "part", tmp_path / f"{escaped}.csv"
        format_ = Csv(["text", "p_=x"], escaped)
        format_.write([{"text": cell, "p_=x": -0.5}, {"text": "1 - 1 = 0", "p_=x": 1.0}], part)
        format_.join([part], output)
        with output.open(newline="", encoding="utf-8") as lines:
            assert list(csv.reader(lines)) == [["text", "p_=x"], [expected, "-0.5"], ["1 - 1 = 0", "1.0"]]


@pytest.mark.parametrize("cell", ["-1", "+1", "-0.5", " -1", "1"])
def test_a_number_is_no_formula(cell):
    assert no_formula(cell) == cell


def test_predictions_as_csv_hold_no_formula(tmp_path):
    rows = [Chunk(["=HYPERLINK(0) good"], None, [1])]
    write_predictions(Workers(Scale()), rows, tmp_path / "a.csv", {})
    assert read(tmp_path / "a.csv")[0]["text"] == "'=HYPERLINK(0) good"
    write_predictions(Workers(Scale()), rows, tmp_path / "b.csv", {}, escaped=False)
    assert read(tmp_path / "b.csv")[0]["text"] == "=HYPERLINK(0) good"
    write_predictions(Workers(Scale()), rows, tmp_path / "a.jsonl", {})
    assert read(tmp_path / "a.jsonl")[0]["text"] == "=HYPERLINK(0) good"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("gold", [True, False])
def test_explanations_are_those_of_the_call(kind, gold, tmp_path):
    output = tmp_path / f"out.{kind}"
    assert write_explanations(Workers(Scale()), pieces(gold), output, {}, max_steps=3) == 4
    actual = read(output)
    for row, e, true in zip(actual, pct.explain(Scale(), TEXTS, max_steps=3), GOLD, strict=True):
        assert (row["text"], row["label"], row["verdict"]) == (e.text, e.label_name, e.verdict.kind)
        assert row["gold"] == (true if gold else None)
        assert row["words"] == e.words
        assert [e.text[a:b] for a, b in zip(row["starts"], row["ends"], strict=True)] == e.words
        assert row["saliency"] == pytest.approx(e.saliency.tolist())
        assert row["important_confidences"] == pytest.approx(e.important.confidences)
        assert row["unimportant_flips_at"] == e.unimportant.flips_at
    assert actual[3]["comp"] is None  # a text of one word


def test_a_page_of_a_file_has_every_text_and_its_true_class(tmp_path):
    write_explanations(Workers(Scale()), pieces(), tmp_path / "out.html", {}, title="reviews")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<article ") == 4
    assert "<h1>reviews</h1>" in page
    assert "it is negative" in page
    assert 'data-right="wrong"' in page


def test_another_kind_of_output_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"out.xlsx must end in .jsonl, .parquet, .html"):
        write_explanations(Workers(Scale()), pieces(), tmp_path / "out.xlsx", {})


def test_two_models_have_different_digests_and_one_has_always_the_same():
    assert model_digest(small_classifier("textcnn")) == model_digest(small_classifier("textcnn"))
    assert model_digest(small_classifier("textcnn")) != model_digest(small_classifier("textcnn", seed=1))
