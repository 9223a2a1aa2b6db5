"""Metrics, explanations and audits of a number, held against loops."""

import math

import numpy as np
import pytest

import pct
from pct.explaining.explanation import Explanation
from pct.metrics.change import compare_reports
from pct.metrics.number_errors import number_errors
from pct.output.html import explanation_html
from pct.output.terminal import render
from tests.pct import twins
from tests.pct.number import number_model
from tests.pct.small import small_texts

TEXTS = small_texts(30, seed=3)
GOLD = np.random.default_rng(4).normal(10, 3, 30)
FAMILIES = ("textcnn", "lstm", "transformer")


def metrics_of(predictor, words, share):
    """The metrics of one text by the definitions: f is the number."""
    asked, n = twins.Asked(predictor), len(words)
    whole = asked.probabilities(words)[0]
    expected = {"f_x": whole}
    if n == 1:
        return expected | dict.fromkeys(("comp", "suff", "i_var", "u_var", "comp_aopc"), math.nan)
    saliency = asked.saliency(words, 0)
    for important, drop, var in ((True, "comp", "i_var"), (False, "suff", "u_var")):
        order = twins.removal_order(saliency, important)
        after = [asked.probabilities(twins.without(words, order[:t]))[0] for t in range(n)]
        m = twins.how_many(n, share)
        expected[drop] = sum(whole - after[t] for t in range(1, m + 1)) / m
        expected[var], _ = twins.rank_variance(asked, words, saliency, order[0], 0)
        if important:
            expected["comp_aopc"] = sum(whole - after[twins.how_many(n, s)] for s in twins.AOPC) / len(twins.AOPC)
    return expected


@pytest.mark.parametrize("family", FAMILIES)
def test_the_metrics_are_those_of_the_loop(family):
    model = number_model(family, words="spaces")
    report = pct.evaluate(model, (TEXTS, GOLD.tolist()), p_important=0.3, p_unimportant=0.3)
    rows = [metrics_of(model, text.split(), 0.3) for text in TEXTS]
    for name in rows[0]:
        expected = np.array([row[name] for row in rows], float)
        np.testing.assert_allclose(report.columns[name], expected, rtol=1e-4, atol=5e-5, err_msg=name)
    assert not {"acc", "macro_f1", "ir", "ur", "ir_rate"} & set(report.metrics)
    assert set(report.gaps) == {"comp-suff", "i_var-u_var"}
    assert (report.confusion, report.recalls) == (None, {})
    assert "recall" not in report.table()


def test_the_errors_are_those_of_the_loop():
    model = number_model("textcnn")
    report = pct.evaluate(model, (TEXTS, GOLD.tolist()), metrics=["mae", "rmse", "pearson"])
    given, true = model.predict(TEXTS)[:, 0].tolist(), GOLD.tolist()
    n = len(true)
    assert report.mae == pytest.approx(sum(abs(f - y) for f, y in zip(given, true, strict=True)) / n)
    assert report.rmse == pytest.approx(math.sqrt(sum((f - y) ** 2 for f, y in zip(given, true, strict=True)) / n))
    means = sum(given) / n, sum(true) / n
    covariance = sum((f - means[0]) * (y - means[1]) for f, y in zip(given, true, strict=True))
    sizes = [math.sqrt(sum((x - mean) ** 2 for x in xs)) for xs, mean in ((given, means[0]), (true, means[1]))]
    assert report.pearson == pytest.approx(covariance / (sizes[0] * sizes[1]), abs=1e-6)
    assert all(math.isfinite(report.errors[name]) for name in ("mae", "rmse", "pearson"))
    for constant in (1.0, 0.1, 4.35):
        assert math.isnan(number_errors(np.full(7, constant), np.arange(7.0))["pearson"])
        assert math.isnan(number_errors(np.arange(7.0), np.full(7, constant))["pearson"])


@pytest.mark.parametrize("name", ["acc", "macro_f1", "ir", "ur_rate"])
def test_a_metric_of_classes_says_why_a_number_has_none(name):
    with pytest.raises(ValueError, match=f"metric {name}: a number has no class"):
        pct.evaluate(number_model("textcnn"), (TEXTS, GOLD.tolist()), metrics=[name])


def test_an_error_of_numbers_is_refused_for_classes():
    from tests.pct.small import small_classifier

    with pytest.raises(ValueError, match="metric mae: it is the error of a number, and the model chooses classes"):
        pct.evaluate(small_classifier("textcnn"), (TEXTS[:3], [0, 1, 2]), metrics=["mae"])


@pytest.mark.parametrize(
    ("label", "reason"),
    [("good", "must be a finite number, got 'good'"), (None, "has no number"), (float("inf"), "must be a finite")],
)
def test_a_label_that_is_no_number_names_its_row(label, reason):
    rows = [{"text": "a film", "label": 2.5}, {"text": "a work", "label": label}]
    with pytest.raises(ValueError, match=f"row 2: column 'label' {reason}"):
        pct.evaluate(number_model("textcnn"), rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_explanation_has_the_number_and_no_flip(family):
    model = number_model(family)
    for e, number in zip(pct.explain(model, TEXTS[:8]), model.predict(TEXTS[:8])[:, 0], strict=True):
        assert e.confidence == pytest.approx(float(number), rel=1e-4, abs=1e-5)
        assert (e.label_name, e.probabilities, e.number) == ("stars", {}, True)
        assert e.important.flips_at is None
        assert math.isnan(e.ir)
        assert e.verdict.kind == "undecided"
        values = e.to_dict()
        assert values["value"] == e.confidence
        assert not {"confidence", "probabilities"} & set(values)
        assert Explanation.from_dict(values).to_dict() == values
        assert "NaN" not in explanation_html(e) + render(e, colour=False)
    (e,) = pct.explain(model, ["a work of astonishing delicacy"])
    assert "lowers the number by" in e.verdict.reasons[0] or "raises the number by" in e.verdict.reasons[0]
    assert "no scale" in e.verdict.reasons[1]


def test_occlusion_is_the_drop_of_the_number():
    model = number_model("textcnn", words="spaces")
    text = "a work of astonishing delicacy"
    (scores,) = model.saliency([text], by="occlusion")
    words = text.split()
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    expected = model.predict([text])[0, 0] - model.predict(without)[:, 0]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_function_may_give_a_number():
    lengths = pct.predictor_from(lambda texts: [[len(text.split())] for text in texts], ["words"], head="value")
    (e,) = pct.explain(lengths, ["three small words"])
    assert (e.confidence, e.saliency.tolist(), e.important.confidences) == (3.0, [1.0, 1.0, 1.0], [3.0, 2.0, 1.0])
    assert pct.predict(lengths, ["two words"])[0].value == 2.0
    assert pct.evaluate(lengths, (["one", "two words"], [1, 4])).mae == 1.0
    with pytest.raises(ValueError, match="classes must be one name in a list"):
        pct.predictor_from(lambda texts: texts, ["a", "b"], head="value")


def test_an_audit_measures_in_the_number_s_unit():
    values = {"good": 1.0, "great": 2.0, "awful": -2.0}

    def score(texts):
        return [[100.0 * sum(values.get(word, 0.0) for word in text.split())] for text in texts]

    fillers = ["the", "a", "film", "in", "on", "this", "that", "was", "it", "and"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.permutation([*rng.choice(fillers, 6, False), word])) for word in [*values] * 12]
    predictor = pct.predictor_from(score, ["stars"], head="value")
    audit = pct.audit(predictor, (texts, [row[0] for row in score(texts)]))
    assert audit.best == "occlusion"
    assert audit.facts["errors"]["mae"] == 0.0
    assert audit.row("occlusion").metrics["margin"].value > 10
    assert "lowers the number by" in audit.verdict
    assert "accuracy" not in audit.summary()
    assert "confidence" not in audit.to_html()
    assert set(audit.row("random").metrics).isdisjoint({"ir", "ur", "ur-ir"})
    assert type(audit).from_dict(audit.to_dict()).verdict == audit.verdict


def test_two_models_of_numbers_are_compared():
    reports = [pct.evaluate(number_model(f), (TEXTS, GOLD.tolist())) for f in ("textcnn", "lstm")]
    change = compare_reports(*reports)
    grown = reports[1].mae - reports[0].mae
    assert change.differences["mae"].value == pytest.approx(grown)
    assert any("the error grew by" in reason for reason in change.reasons_against) == (grown > 0.01 * GOLD.std())
    assert "acc" not in change.table()
