"""Two models on the same texts: what changed, and that nothing is called mended that is not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pct.metrics.bootstrap import paired_bootstrap
from pct.metrics.change import compare_reports
from pct.metrics.report import EIGHT, Report

TEXTS = 200


def report(seed=0, texts=TEXTS, **shifts):
    """A report of made-up values; a shift moves a metric in every text."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=texts) for name in EIGHT}
    columns["label"], columns["predicted"] = np.zeros(texts, np.int64), (np.arange(texts) % 5 == 0).astype(np.int64)
    columns["acc"] = (columns["predicted"] == 0).astype(float)
    for name, shift in shifts.items():
        columns[name] = columns[name] + shift
    return Report({k: float(columns[k].mean()) for k in EIGHT}, {}, columns, ["a", "b"])


def test_a_change_is_after_minus_before_text_by_text():
    before, after = report(), report(seed=1)
    found = compare_reports(before, after)
    assert list(found.differences) == [*EIGHT, "comp-suff", "ur-ir", "i_var-u_var"]
    gap = [r.columns["comp"] - r.columns["suff"] for r in (before, after)]
    assert found.differences["comp-suff"] == paired_bootstrap(*gap)
    name, a, b, x = found.rows()[2]
    assert (name, a, b) == ("comp", before.comp, after.comp)
    assert x.value == pytest.approx(b - a)


@pytest.mark.parametrize(("shifts", "reason"), [
    ({"comp": 0.1}, None),
    ({"ir": -2.0}, None),
    ({}, "neither comp-suff nor ur-ir became surely larger"),
    ({"i_var": 9.0}, "neither comp-suff nor ur-ir became surely larger"),
    ({"comp": 0.1, "ur": -1.0}, "ur-ir became smaller by 1.000"),
    ({"comp": 0.1, "acc": -0.02}, "accuracy lost 0.020, more than 0.01"),
    ({"comp": 0.1, "acc": -0.01}, None),
    ({"comp": np.nan, "ir": np.nan}, "neither comp-suff nor ur-ir became surely larger"),
])  # fmt: skip
def test_it_is_called_mended_only_where_it_is(shifts, reason):
    found = compare_reports(report(), report(**shifts))
    assert found.mended == (reason is None)
    assert found.reasons_against == ([] if reason is None else [reason])
    assert found.verdict.startswith("mended" if reason is None else f"not mended: {reason}")


def test_predictions_that_changed_are_counted_by_what_became_of_them():
    before, after = report(), report()
    after.columns["predicted"][:15] = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]  # 0, 5 and 10 were wrong
    found = compare_reports(before, after)
    assert (found.changed, found.repaired, found.broken) == (6, 1, 4)
    assert "6 of 200 texts are predicted otherwise: 1 repaired, 4 broken, 1 wrong both times" in found.table()


def test_it_is_told_in_a_terminal_a_card_and_json():
    found = compare_reports(report(), report(comp=0.1))
    assert "comp-suff" in found.table()
    assert "| comp | " in found.markdown()
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["mended"] is True
    assert read["metrics"]["comp"]["value"] == pytest.approx(0.1)


def test_reports_of_other_texts_are_refused():
    with pytest.raises(ValueError, match="not of the same texts"):
        compare_reports(report(), report(texts=TEXTS + 1))
