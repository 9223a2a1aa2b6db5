"""Two models on the same texts: what changed, and that nothing is called improved that is not."""

import dataclasses
import json

import numpy as np
import pytest

from pct.metrics.bootstrap import paired_bootstrap
from pct.metrics.change import CONTROLS, compare_reports
from pct.metrics.names import CORE_METRICS
from pct.metrics.report import Report

TEXTS = 60


def report(seed=0, texts=TEXTS, **shifts):
    """A report of made-up values; a shift moves a metric in every text."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=texts) for name in (*CORE_METRICS, *CONTROLS)}
    columns["label"], columns["predicted"] = np.zeros(texts, np.int64), (np.arange(texts) % 5 == 0).astype(np.int64)
    columns["acc"] = (columns["predicted"] == 0).astype(float)
    for name, shift in shifts.items():
        columns[name] = columns[name] + shift
    return Report({k: float(columns[k].mean()) for k in (*CORE_METRICS, *CONTROLS)}, {}, columns, ["a", "b"])


def test_a_change_is_after_minus_before_text_by_text():
    before, after = report(), report(seed=1)
    actual = compare_reports(before, after)
    assert list(actual.differences) == [*CORE_METRICS, "comp-suff", "ur-ir", "i_var-u_var", "margin", "win"]
    gap = [r.columns["comp"] - r.columns["suff"] for r in (before, after)]
    assert actual.differences["comp-suff"] == paired_bootstrap(*gap)
    name, a, b, x = actual.rows()[2]
    assert (name, a, b) == ("comp", before.comp, after.comp)
    assert x.value == pytest.approx(b - a)


@pytest.mark.parametrize(("shifts", "reason"), [
    ({"comp": 0.1}, None),
    ({"comp": 0.1, "margin": 0.1}, None),
    ({"suff": -0.1}, None),
    ({"suff": -0.001}, "comp-suff grew by 0.001, less than 0.01"),
    ({}, "comp-suff did not become significantly larger"),
    ({"ir": -2.0}, "comp-suff did not become significantly larger"),
    ({"margin": 9.0, "i_var": 9.0}, "comp-suff did not become significantly larger"),
    # more sensitive to any removal: the gap widens, what saliency knows beyond chance does not
    ({"comp": 0.1, "margin": -0.02}, "the margin of comp over a random order became smaller by 0.020"),
    ({"comp": 0.1, "ur": -1.0}, "ur-ir became smaller by 1.000"),
    ({"comp": 0.1, "acc": -0.02}, "accuracy lost 0.020, more than 0.01"),
    ({"comp": 0.1, "acc": -0.01}, None),
    ({"comp": np.nan, "ir": np.nan}, "comp-suff did not become significantly larger"),
])  # fmt: skip
def test_it_is_called_improved_only_where_it_is(shifts, reason):
    actual = compare_reports(report(), report(**shifts))
    assert actual.improved == (reason is None)
    assert actual.reasons_against == ([] if reason is None else [reason])
    assert actual.verdict.startswith("improved" if reason is None else f"not improved: {reason}")


def test_all_that_speaks_against_it_is_told():
    actual = compare_reports(report(), report(acc=-0.02, comp=-0.1, margin=-0.1, ur=-1.0))
    assert actual.verdict == (
        "not improved: accuracy lost 0.020, more than 0.01; comp-suff did not become significantly larger; ur-ir "
        "became smaller by 1.000; the margin of comp over a random order became smaller by 0.100"
    )


def test_a_loss_of_margin_that_may_be_chance_does_not_speak_against_it():
    before, after = report(), report(comp=0.1)
    noise = np.random.default_rng(2).normal(size=TEXTS)
    after.columns["margin"] = before.columns["margin"] + noise - noise.mean() - 0.01
    margin = compare_reports(before, after).differences["margin"]
    assert margin.value < 0 < margin.high
    assert compare_reports(before, after).improved


def test_without_the_margin_nothing_is_called_improved():
    before, after = report(), report(comp=0.1)
    del after.columns["margin"]
    assert compare_reports(before, after).reasons_against == ["the margin of comp over a random order was not measured"]


@pytest.mark.parametrize("texts", [1, 19])
def test_few_texts_are_too_few_for_a_judgement(texts):
    before, after = report(), report(comp=0.1)
    before.columns["comp"][texts:] = np.nan  # texts of one word
    actual = compare_reports(before, after)
    assert actual.differences["comp-suff"].low > 0
    assert actual.reasons_against == [f"{texts} text{'s'[: texts > 1]} of two words or more, fewer than 20"]


def test_the_saliencies_are_named_where_they_differ():
    before, after = (dataclasses.replace(report(), saliency=name) for name in ("l2", "gim"))
    assert "words ranked by l2 before, by gim after" in compare_reports(before, after).table()
    assert "ranked" not in compare_reports(before, before).table()


def test_predictions_that_changed_are_counted_by_what_became_of_them():
    before, after = report(), report()
    after.columns["predicted"][:15] = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]  # 0, 5 and 10 were wrong
    actual = compare_reports(before, after)
    assert (actual.changed, actual.repaired, actual.broken) == (6, 1, 4)
    assert f"6 of {TEXTS} predictions changed: 1 repaired, 4 broken, 1 wrong both times" in actual.table()


def test_it_is_told_in_a_terminal_a_notebook_a_card_and_json():
    actual = compare_reports(report(), report(comp=0.1))
    assert "comp-suff" in actual.table()
    assert repr(actual) == actual.table()
    assert "| comp | " in actual.markdown()
    assert "<td>margin</td>" in actual._repr_html_()
    assert f"<b>{actual.verdict}</b>" in actual._repr_html_()
    read = json.loads(json.dumps(actual.to_dict(), allow_nan=False))
    assert read["improved"] is True
    assert read["metrics"]["comp"]["value"] == pytest.approx(0.1)


def test_reports_of_other_texts_are_refused():
    with pytest.raises(ValueError, match="not of the same texts"):
        compare_reports(report(), report(texts=TEXTS + 1))


def test_of_several_labels_the_table_holds_means_over_texts():
    columns = {
        "index": np.array([0, 0, 1]), "target": np.array([0, 1, 0]), "n": np.full(3, 5),
        "true_labels": np.array(['["a", "b"]'] * 2 + ['["a"]'], object),
        "assigned_labels": np.array(['["a"]'] * 3, object),
        "acc": np.array([0.0, 0.0, 1.0]), "comp": np.array([0.1, 0.3, 0.6]), "suff": np.zeros(3),
    }  # fmt: skip
    metrics = {name: float(columns[name].mean()) for name in ("acc", "comp", "suff")}
    report = Report(metrics, {}, columns, ["a", "b"])
    values = {name: (a, b) for name, a, b, _ in compare_reports(report, report).rows()}
    assert report.comp == pytest.approx(1 / 3)
    assert values["comp"] == values["comp-suff"] == (pytest.approx(0.4), pytest.approx(0.4))
