"""Agreement with marked words, against loops over words, spans and thresholds, and against scikit-learn."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pct
from pct.corpora.splits import Split
from pct.metrics import RATIONALE, SHORTCUT
from pct.metrics.rationale import AGREEMENT, agreement, average_precision
from tests.pct import control_twins, twins
from tests.pct.small import LEXICON, small_classifier, small_texts
from tests.pct.toy import Scale

WEIGHTS = {word: float(7 * i % 11) for i, word in enumerate(LEXICON)}
# few values, so that many are equal
TEXTS = st.lists(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=9), min_size=1, max_size=5)
MARKS = st.lists(st.tuples(st.sampled_from(list(LEXICON)), st.booleans(), st.booleans()), min_size=1, max_size=8,
                 unique_by=lambda item: item[0])  # fmt: skip


def padded(rows, kind):
    out = np.full((len(rows), max(map(len, rows))), 7, np.float64)  # what lies beyond a text is of no account
    for row, values in zip(out, rows, strict=True):
        row[: len(values)] = values
    inside = np.arange(out.shape[1]) < np.array([len(row) for row in rows])[:, None]
    return (out.astype(kind) & inside) if kind is bool else out


@settings(max_examples=60)
@given(TEXTS, st.sampled_from([0.1, 0.28, 0.5, 1.0]))
def test_agreement_is_the_loop_s(texts, share):
    saliency = [[float(s) for s, _ in text] for text in texts]
    marks = [[int(m) for _, m in text] for text in texts]
    counts = np.array([len(text) for text in texts])
    actual = agreement(padded(saliency, float), counts, padded(marks, bool), share)
    for i, row in enumerate(saliency):
        expected = twins.rationale(row, marks[i], share)
        assert {name: actual[name][i] for name in AGREEMENT} == pytest.approx(expected, nan_ok=True)


def test_the_area_is_scikit_learn_s_average_precision():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    for values in (rng.random((50, 12)), rng.integers(0, 4, (50, 12)).astype(float)):
        marked = rng.random((50, 12)) < 0.3
        marked[:, 0] |= ~marked.any(1)
        actual = average_precision(values, np.full(50, 12), marked)
        expected = [metrics.average_precision_score(m, v) for m, v in zip(marked, values, strict=True)]
        assert actual == pytest.approx(np.array(expected))


def test_the_area_of_chance_is_the_mean_over_all_orders():
    for n, k in ((1, 1), (3, 1), (5, 2), (6, 6)):
        marked = np.arange(n) < k
        orders = np.array(list(itertools.permutations(range(n))), float)
        actual = average_precision(orders, np.full(len(orders), n), np.tile(marked, (len(orders), 1)))
        assert actual.mean() == pytest.approx(twins.average_precision_by_chance(n, k))


@settings(max_examples=20)
@given(st.lists(MARKS, min_size=1, max_size=4))
def test_an_evaluation_has_the_loop_s_agreement_and_that_of_the_texts_with_a_shortcut(rows):
    texts = [" ".join(w for w, _, _ in row) for row in rows]
    rationale, shortcut = ([[int(item[i]) for item in row] for row in rows] for i in (1, 2))
    data = {"text": texts, "label": [i % 2 for i in range(len(rows))], "rationale": rationale, "shortcut": shortcut}
    columns = pct.evaluate(Scale(WEIGHTS), data).columns
    shares = [np.mean(marks) for marks in rationale if any(marks)]
    for i, row in enumerate(rows):
        saliency = [WEIGHTS[w] for w, _, _ in row]
        if not any(rationale[i]):
            assert all(math.isnan(columns[name][i]) for name in (*RATIONALE, *SHORTCUT))
            continue
        expected = twins.rationale(saliency, rationale[i], float(np.mean(shares)))
        assert {name: columns[name][i] for name in AGREEMENT} == pytest.approx(expected)
        top = twins.top_words(saliency, float(np.mean(shares)))
        lured = {
            "rationale_auprc_shortcut": expected["rationale_auprc"], "rationale_f1_shortcut": expected["rationale_f1"],
            "shortcut_share": sum(shortcut[i][w] for w in top) / len(top),
        }  # fmt: skip
        nothing = dict.fromkeys(lured, math.nan)
        actual = {name: columns[name][i] for name in SHORTCUT}
        assert actual == pytest.approx(lured if any(shortcut[i]) else nothing, nan_ok=True)


def test_tau_is_of_the_annotators_shares_where_they_are_known_and_of_the_marks_elsewhere():
    texts = small_texts(30, seed=3)
    rng = np.random.default_rng(0)
    shares = [np.round(rng.random(len(text.split())), 1).tolist() for text in texts]
    marks = [[int(x >= 0.5) for x in row] for row in shares]
    for known in (None, shares):
        split = Split(texts, np.zeros(30, np.int64), marks, None, known)
        actual = pct.evaluate(Scale(WEIGHTS), split, metrics=["rationale_tau"]).columns["rationale_tau"]
        for i, text in enumerate(texts):
            second = (known or marks)[i]
            expected = control_twins.tau_b([WEIGHTS[w] for w in text.split()], second) if any(marks[i]) else math.nan
            assert actual[i] == pytest.approx(expected, nan_ok=True)


def test_the_random_orders_are_the_same_for_every_model_and_change_with_the_seed():
    texts = small_texts(20, seed=1)
    data = {"text": texts, "label": [0] * 20, "rationale": [[1] + [0] * (len(t.split()) - 1) for t in texts]}
    names = [f"{name}_random" for name in AGREEMENT]
    models = (Scale(), Scale(dict.fromkeys(LEXICON, 1.0)), small_classifier("lstm"))
    first, other, third = (pct.evaluate(m, data, metrics=names, labels="indices").metrics for m in models)
    assert first == other == third
    assert pct.evaluate(models[0], data, metrics=names, labels="indices", seed=1).metrics != first


def test_each_has_an_interval_that_holds_its_mean():
    texts = small_texts(40, seed=2, longest=8)
    marks = [[int(i % 3 == 0) for i in range(len(text.split()))] for text in texts]
    data = {"text": texts, "label": [0] * 40, "rationale": marks}
    report = pct.evaluate(Scale(WEIGHTS), data, labels="indices")
    for name in RATIONALE:
        low, high = report.intervals[name]
        assert low < report.metrics[name] < high


def test_marks_beyond_the_cut_are_no_rationale():
    data = {"text": ["good the superb"], "label": [1], "rationale": [[1, 0, 1]]}
    report = pct.evaluate(Scale(max_length=2), data)
    assert report.rationale_auprc == 1.0
    assert "shortcut_share" not in report.metrics


def test_metrics_of_marks_that_the_data_lacks_are_refused():
    data = {"text": ["good the superb"], "label": [1], "rationale": [[1, 0, 1]]}
    with pytest.raises(ValueError, match="the shortcut metrics need a dataset with the columns rationale and shortcut"):
        pct.evaluate(Scale(), data, metrics=["shortcut_share"])
    with pytest.raises(ValueError, match="the rationale metrics need a dataset with a column rationale"):
        pct.evaluate(Scale(), (["good"], [1]), metrics=["rationale_f1"])


def test_the_mark_of_a_word_between_spaces_goes_to_each_of_its_natural_words():
    """`superb!` is two words for the model, one between spaces for the annotators."""
    model = small_classifier("textcnn", words="natural")
    split = Split(["a superb! film"], np.zeros(1, np.int64), [[0, 1, 0]])
    saliency = [[0.0, 3.0, 2.0, 1.0]]
    report = pct.evaluate(model, split, metrics=["rationale_auprc"], saliency=saliency)
    assert report.columns["n"].tolist() == [4]
    assert report.rationale_auprc == 1.0


def test_marks_that_do_not_fit_the_words_are_an_error_that_names_the_row():
    split = Split(["a film", "a fine film"], np.zeros(2, np.int64), [[0, 1], [0, 1]])
    with pytest.raises(ValueError, match="row 2 has 2 marks for 3 space-separated words; give one mark per word"):
        pct.evaluate(Scale(), split)
