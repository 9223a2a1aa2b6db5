"""The metrics of several labels: means over the explained pairs of a text and a label, held against loops."""

import json
import math

import numpy as np
import pytest

import pct
from pct.corpora.splits import Split
from pct.metrics.change import compare_reports
from pct.metrics.column_files import ColumnFiles
from pct.metrics.evaluation import summarise
from pct.metrics.label_sets import f1_scores, scores_of_sets
from pct.metrics.report import Report
from tests.pct import twins
from tests.pct.several import several_classifier
from tests.pct.small import small_texts

TEXTS = small_texts(30, seed=3)
GOLD = np.random.default_rng(4).random((30, 3)) < 0.4
CLASSES = ["negative", "positive", "neither"]


def split():
    return Split(list(TEXTS), GOLD)


def pairs_of(probabilities, threshold):
    """The labels of a text that are explained."""
    assigned = [label for label, p in enumerate(probabilities) if p >= threshold]
    return assigned or [max(range(len(probabilities)), key=lambda label: probabilities[label])]


def pair_metrics(predictor, words, label, threshold, share):
    """The metrics of one pair by the definitions: f is the label's own probability, a flip its crossing."""
    asked, n = twins.Asked(predictor), len(words)
    whole = asked.probabilities(words)[label]
    expected = {"f_x": whole}
    if n == 1:
        return expected | dict.fromkeys(("comp", "suff", "ir", "ur", "i_var", "u_var", "comp_aopc"), math.nan)
    saliency = asked.saliency(words, label)
    for important, drop, flip, var in ((True, "comp", "ir", "i_var"), (False, "suff", "ur", "u_var")):
        order = twins.removal_order(saliency, important)
        after = [asked.probabilities(twins.without(words, order[:t]))[label] for t in range(n)]
        m = twins.how_many(n, share)
        expected[drop] = sum(whole - after[t] for t in range(1, m + 1)) / m
        flips = [t for t in range(1, n) if (after[t] >= threshold) != (whole >= threshold)]
        expected[flip] = flips[0] if flips else n - 1
        expected[var], _ = twins.rank_variance(asked, words, saliency, order[0], label)
        if important:
            expected["comp_aopc"] = sum(whole - after[twins.how_many(n, s)] for s in twins.AOPC) / len(twins.AOPC)
    return expected


@pytest.mark.parametrize(("family", "threshold"), [("textcnn", 0.5), ("lstm", 0.3), ("transformer", 0.4)])
def test_the_metrics_are_the_means_over_pairs_of_the_loop(family, threshold):
    model = several_classifier(family, threshold=threshold, words="spaces")
    report = pct.evaluate(model, split(), p_important=0.3, p_unimportant=0.3)
    probabilities = model.predict(TEXTS)
    rows = [
        (text, label, pair_metrics(model, TEXTS[text].split(), label, threshold, 0.3))
        for text in range(len(TEXTS))
        for label in pairs_of(probabilities[text], threshold)
    ]
    assert list(zip(report.columns["index"], report.columns["target"], strict=True)) == [(t, c) for t, c, _ in rows]
    assert len(rows) > len(TEXTS)
    for name in rows[0][2]:
        expected = np.array([found[name] for *_, found in rows], float)
        np.testing.assert_allclose(report.columns[name], expected, atol=2e-5, err_msg=name)
        assert report.metrics[name] == pytest.approx(np.nanmean(expected), abs=2e-5)


def test_accuracy_is_that_of_whole_sets_and_f1_is_the_loop_s():
    model = several_classifier("textcnn")
    report = pct.evaluate(model, split(), metrics=["acc", "micro_f1", "macro_f1", "f_x"])
    predicted = [[bool(p >= 0.5) for p in row] for row in model.predict(TEXTS)]
    gold = GOLD.tolist()
    right = [a == b for a, b in zip(predicted, gold, strict=True)]
    assert report.acc == pytest.approx(sum(right) / len(right))
    counts = []
    for label in range(3):
        pairs = [(row[label], own[label]) for row, own in zip(gold, predicted, strict=True)]
        counts.append([pairs.count(kind) for kind in ((True, True), (False, True), (True, False))])
    f1 = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts]
    tp, fp, fn = (sum(column) for column in zip(*counts, strict=True))
    assert report.macro_f1 == pytest.approx(sum(f1) / 3)
    assert report.micro_f1 == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_the_scores_of_one_class_are_accuracy_and_macro_f1():
    true, predicted = np.array([0, 1, 2, 1]), np.array([0, 1, 1, 1])
    scores = scores_of_sets(true, predicted[:, None] == np.arange(3))
    assert scores == {"acc": 0.75, "macro_f1": pytest.approx((1 + 0.8 + 0) / 3)}


def test_a_report_of_columns_in_files_is_that_of_columns_in_memory(monkeypatch, tmp_path):
    model = several_classifier("textcnn", threshold=0.3)
    small = pct.evaluate(model, split())
    monkeypatch.setenv("PCT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("pct.corpora.text_file.LARGE", 7)  # the pairs of some text are in two parts
    large = pct.evaluate(model, split())
    assert isinstance(large.columns, ColumnFiles)
    assert large.to_json() == small.to_json()
    for name, values in small.columns.items():
        np.testing.assert_array_equal(large.columns[name], values, name)
        assert large.columns[name].dtype == values.dtype


def test_the_order_of_the_rows_does_not_change_f1():
    model = several_classifier("textcnn", threshold=0.3)
    report = pct.evaluate(model, split(), metrics=["micro_f1", "macro_f1"])
    mixed = np.random.default_rng(0).permutation(len(report.columns["n"]))
    columns = {name: values[mixed] for name, values in report.columns.items()}
    again = summarise(model, columns, metrics=["micro_f1", "macro_f1"])
    assert (again.metrics, again.errors) == (report.metrics, report.errors)


def test_f1_of_nothing_is_not_a_number():
    assert all(math.isnan(x) for x in f1_scores(np.zeros((2, 3), bool), np.zeros((2, 3), bool)))


def test_the_report_says_what_its_means_are_over():
    model = several_classifier("textcnn")
    report = pct.evaluate(model, split(), metrics=["acc", "comp"])
    written = json.loads(report.to_json())
    assert (written["texts"], written["pairs"]) == (30, len(report.columns["n"]))
    assert f"means over {written['pairs']} explained pairs of a text and a label" in report.table()
    assert "confusion" not in written
    assert json.loads(report.columns["true_labels"][0]) == [x for x, own in zip(CLASSES, GOLD[0], strict=True) if own]


def test_random_orders_are_the_same_for_all_labels_of_a_text():
    model = several_classifier("textcnn", threshold=0.01)  # all labels of every text are explained
    report = pct.evaluate(model, split(), metrics=["comp", "comp_random", "margin", "win"])
    assert len(report.columns["n"]) == 90
    assert np.isfinite(report.margin)


def test_equal_models_do_not_differ():
    model = several_classifier("textcnn")
    reports = [pct.evaluate(model, split(), metrics=["acc", "comp", "suff", "ir", "ur", "margin"]) for _ in "12"]
    change = compare_reports(*reports)
    assert (change.changed, change.repaired, change.broken) == (0, 0, 0)
    assert change.to_dict()["texts"] == 30
    assert all(x.value == 0 for x in change.differences.values())


def test_a_change_compares_the_means_of_each_text():
    columns = {
        "index": np.array([0, 0, 1]), "n": np.array([4, 4, 4]), "target": np.array([0, 1, 0]),
        "is_true": np.array([True, False, True]), "is_assigned": np.array([True, True, False]),
        "true_labels": np.array(['["a"]', '["a"]', '["a"]'], object),
        "assigned_labels": np.array(['["a", "b"]', '["a", "b"]', "[]"], object),
        "acc": np.array([0.0, np.nan, 0.0]), "comp": np.array([0.2, 0.4, 0.5]), "suff": np.array([0.0, 0.1, np.nan]),
    }  # fmt: skip
    by_text = Report({}, {}, columns, ["a", "b"]).by_text
    np.testing.assert_allclose(by_text["comp"], [0.3, 0.5])
    np.testing.assert_allclose(by_text["suff"], [0.05, np.nan])
    np.testing.assert_allclose(by_text["acc"], [0.0, 0.0])
    assert by_text["predicted"].tolist() == ['["a", "b"]', "[]"]


def test_labels_of_the_other_kind_are_refused():
    one = Split(list(TEXTS), np.zeros(30, np.int64))
    with pytest.raises(ValueError, match="the model has several labels for each text, the data one class"):
        pct.evaluate(several_classifier("textcnn"), one)


def test_a_given_saliency_is_that_of_all_labels_of_its_text():
    model = several_classifier("textcnn", words="spaces")
    numbers = [np.arange(len(text.split()), dtype=float) for text in TEXTS]
    report = pct.evaluate(model, split(), saliency=numbers, metrics=["comp"])
    assert report.saliency == "given"
    assert len(report.columns["comp"]) > 30


def test_a_function_of_several_labels_is_measured():
    model = several_classifier("textcnn", words="spaces")
    function = pct.predictor_from(lambda texts: model.predict(texts), CLASSES, words="spaces", multi_label=True)
    ours = pct.evaluate(function, split(), saliency="occlusion", metrics=["acc", "comp", "ir"])
    theirs = pct.evaluate(model, split(), saliency="occlusion", metrics=["acc", "comp", "ir"])
    for name, value in theirs.metrics.items():
        assert ours.metrics[name] == pytest.approx(value, abs=1e-5)
    with pytest.raises(ValueError, match="a number from 0 to 1 for each label"):
        pct.predictor_from(lambda texts: np.full((len(texts), 3), 1.5), CLASSES, multi_label=True).predict(["a"])
