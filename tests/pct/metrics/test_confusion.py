"""Macro F1, recall a class and confusion counts against loops over texts."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pct
from pct.metrics.accuracy import confusion_counts, macro_f1, recalls
from tests.pct.toy import Scale

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def twin_f1(pairs, label):
    """F1 of a class; None where it is neither true nor predicted of any text."""
    hits = sum(1 for gold, actual in pairs if gold == actual == label)
    wrong = sum(1 for gold, actual in pairs if actual == label != gold)
    missed = sum(1 for gold, actual in pairs if gold == label != actual)
    return 2 * hits / (2 * hits + wrong + missed) if hits + wrong + missed else None


@given(LABELS)
def test_the_counts_recalls_and_macro_f1_are_the_loop_s(pairs):
    gold, predicted = (np.array(x) for x in zip(*pairs, strict=True))
    counts = confusion_counts(gold, predicted, 4)
    assert counts.tolist() == [[sum(p == (i, j) for p in pairs) for j in range(4)] for i in range(4)]
    for label, recall in enumerate(recalls(counts)):
        of_class = [actual for gold_, actual in pairs if gold_ == label]
        assert math.isnan(recall) if not of_class else recall == pytest.approx(of_class.count(label) / len(of_class))
    scores = [f for f in (twin_f1(pairs, label) for label in range(4)) if f is not None]
    assert macro_f1(counts) == pytest.approx(sum(scores) / len(scores))


def unequal():
    """Nineteen texts of one class and one of the other, all called the larger one."""
    return ["good film"] * 19 + ["good film"], [1] * 19 + [0]


def test_a_class_that_is_never_found_shows_in_the_report():
    report = pct.evaluate(Scale(), unequal())
    assert report.acc == 0.95
    assert report.macro_f1 == pytest.approx(0.5 * (2 * 19 / 39))
    assert report.recalls == {"negative": 0.0, "positive": 1.0}
    assert report.confusion.tolist() == [[0, 1], [0, 19]]
    assert "recall of negative              0.0000" in report.table()
    written = json.loads(report.to_json())
    assert written["recalls"] == {"negative": 0.0, "positive": 1.0}
    assert written["confusion"] == [[0, 1], [0, 19]]


def test_a_class_without_texts_has_no_recall_and_spoils_no_mean():
    report = pct.evaluate(Scale(), (["good film", "superb"], [1, 1]))
    assert math.isnan(report.recalls["negative"])
    assert report.macro_f1 == 1.0
    assert json.loads(report.to_json())["recalls"]["negative"] is None


def test_the_standard_error_is_that_of_many_samples():
    rng = np.random.default_rng(1)
    texts = [str(t) for t in rng.choice(["good", "bad"], 400)]
    labels = np.where(rng.random(400) < 0.8, [t == "good" for t in texts], [t == "bad" for t in texts]).astype(int)
    error = pct.evaluate(Scale(), (texts, labels), metrics=["macro_f1"]).errors["macro_f1"]
    assert error == pytest.approx(math.sqrt(0.8 * 0.2 / 400), rel=0.2)  # equal classes: nearly that of accuracy


class Broken(Scale):
    """A model that has no number for texts with a word."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def explain_rows(self, ids, words, classes):
        probabilities, saliency = super().explain_rows(ids, words, classes)
        hit = (ids == self.vocabulary.index["slow"]).any(1)
        (probabilities if self.what == "probabilities" else saliency)[hit] = np.nan
        return probabilities, saliency


@pytest.mark.parametrize("what", ["probabilities", "saliency"])
def test_numbers_that_are_none_are_an_error_that_names_the_text(what):
    with pytest.raises(FloatingPointError, match=f"the model's {what} of text 1 are not finite"):
        pct.evaluate(Broken(what), (["good film", "slow film", "bad"], [1, 0, 0]))


def test_texts_that_are_cut_are_counted():
    report = pct.evaluate(Scale(max_length=2), (["good film", "slow slow slow", "the the the the"], [1, 0, 0]))
    assert report.columns["cut"].tolist() == [0, 1, 2]
    assert report.cut_texts == 2
    assert "2 of 3 texts were cut to max_length" in report.table()
    assert json.loads(report.to_json())["cut_texts"] == 2
    assert "max_length" not in pct.evaluate(Scale(), (["good film"], [1])).table()


def test_texts_of_one_word_are_told_and_what_they_lack_is_a_dash():
    table = pct.evaluate(Scale(), (["good", "bad", "bad"], [1, 0, 0])).table()
    assert "3 of 3 texts have one word: nothing can be removed" in table
    assert f"{'comp':<28}{'-':>10}{'-':>10}" in table.splitlines()
    assert "nan" not in table
    assert "acc                             1.0000" in table
    assert "of one word" not in pct.evaluate(Scale(), (["good film"], [1])).table()
