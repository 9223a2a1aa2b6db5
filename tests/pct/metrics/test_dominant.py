"""A mean that one text makes is told, with the median beside it."""

import json

import numpy as np

from pct.metrics.dominant import dominant_texts
from pct.metrics.report import Report


def report(values):
    columns = {"index": np.arange(len(values)), "n": np.full(len(values), 9), "i_var": np.array(values, float)}
    columns["acc"] = np.array([0.0] + [1.0] * (len(values) - 1))
    return Report({"i_var": float(np.nanmean(values)), "acc": 0.9}, {"i_var": 1.0, "acc": 0.1}, columns, ["a", "b"])


def test_the_text_with_most_of_a_metric_s_error_is_named_and_the_median_told():
    values = [5.0, 6.0, 7.0, 1700.0, 5.5, float("nan"), 6.5, 6.2]
    actual = report(values).dominant_texts["i_var"]
    squares = [(v - np.nanmean(values)) ** 2 for v in values if v == v]
    assert (actual.text, actual.value, actual.words) == (3, 1700.0, 9)
    assert actual.share == max(squares) / sum(squares)
    assert actual.median == 6.2
    measured = report(values)
    assert "i_var: text 3 (9 words, 1700) has 86% of its error; the median is 6.2" in measured.table()
    assert json.loads(measured.to_json())["dominant_texts"]["i_var"]["text"] == 3
    assert "text 3 (9 words" in measured.to_html()


def test_a_mean_that_no_text_makes_alone_is_left_as_it_is():
    measured = report([5.0, 6.0, 7.0, 8.0, 5.5, 6.6, 7.7])
    assert measured.dominant_texts == {}
    assert "dominant_texts" not in json.loads(measured.to_json())
    assert "has" not in measured.table()


def test_right_or_wrong_is_no_error_of_one_text():
    assert dominant_texts({"acc": np.array([0.0] + [1.0] * 70)}, {"acc": 0.99}) == {}
