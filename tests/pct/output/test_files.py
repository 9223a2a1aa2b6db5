"""Whole files predicted and explained: what stands in each kind of output."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest

import pct
from pct.output.files import model_digest, write_explanations, write_predictions
from tests.pct.small import small_classifier
from tests.pct.toy import Scale

TEXTS = ["good the bad superb fine", 'superb, "the" the bad', "bad the bad\nnight", "fine"]
GOLD = ["positive", "negative", "negative", "negative"]


@dataclass
class Rows:
    texts: list[str]
    labels: list[int] | None
    numbers: list[int]

    def __len__(self):
        return len(self.texts)


def pieces(gold=True):
    labels = [["negative", "positive"].index(name) for name in GOLD]
    for start in (0, 2):
        part = slice(start, start + 2)
        yield Rows(TEXTS[part], labels[part] if gold else None, list(range(start + 1, start + 3)))


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_predictions_are_those_of_the_model_in_the_file_s_order(kind, tmp_path):
    output = tmp_path / f"out.{kind}"
    assert write_predictions(Scale(), pieces(), output, {}) == 4
    found, expected = read(output), Scale().predict(TEXTS)
    assert [r["text"] for r in found] == TEXTS
    assert [int(r["row"]) for r in found] == [1, 2, 3, 4]
    assert [r["gold"] for r in found] == GOLD
    for row, p in zip(found, expected, strict=True):
        assert row["label"] == ["negative", "positive"][p.argmax()]
        assert [float(row["p_negative"]), float(row["p_positive"])] == pytest.approx(p.tolist(), abs=1e-6)
        assert float(row["confidence"]) == pytest.approx(p.max(), abs=1e-6)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("gold", [True, False])
def test_explanations_are_those_of_the_call(kind, gold, tmp_path):
    output = tmp_path / f"out.{kind}"
    assert write_explanations(Scale(), pieces(gold), output, {}, max_steps=3) == 4
    found = read(output)
    for row, e, true in zip(found, pct.explain(Scale(), TEXTS, max_steps=3), GOLD, strict=True):
        assert (row["text"], row["label"], row["verdict"]) == (e.text, e.label_name, e.verdict.kind)
        assert row["gold"] == (true if gold else None)
        assert row["words"] == e.words
        assert [e.text[a:b] for a, b in zip(row["starts"], row["ends"], strict=True)] == e.words
        assert row["saliency"] == pytest.approx(e.saliency.tolist())
        assert row["important_confidences"] == pytest.approx(e.important.confidences)
        assert row["unimportant_flips_at"] == e.unimportant.flips_at
    assert found[3]["comp"] is None  # a text of one word


def test_a_page_of_a_file_has_every_text_and_its_true_class(tmp_path):
    write_explanations(Scale(), pieces(), tmp_path / "out.html", {}, title="reviews")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<article ") == 4
    assert "<h1>reviews</h1>" in page
    assert "it is negative" in page
    assert 'data-right="wrong"' in page


def test_another_kind_of_output_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"out.xlsx must end in .jsonl, .parquet, .html"):
        write_explanations(Scale(), pieces(), tmp_path / "out.xlsx", {})


def test_two_models_have_different_digests_and_one_has_always_the_same():
    assert model_digest(small_classifier("textcnn")) == model_digest(small_classifier("textcnn"))
    assert model_digest(small_classifier("textcnn")) != model_digest(small_classifier("textcnn", seed=1))
