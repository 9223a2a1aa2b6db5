"""What metrics cost, and how a long evaluation tells it."""

import numpy as np
import pytest

import pct
from pct.metrics import RATIONALE, SHORTCUT, metrics
from pct.metrics.base import MetricOptions
from pct.metrics.cost import cost_table, most_passes
from pct.metrics.evaluation import MetricSet
from pct.metrics.number_errors import NumberErrors
from tests.pct.toy import Scale

TEXT = "the good bad the slow superb the fine dreadful the good slow"
UNMEASURED = (
    *RATIONALE, *SHORTCUT, *NumberErrors.names, "cos_important", "cos_unimportant", "separation"
)  # fmt: skip
MEASURED = [name for name in metrics.own if name not in UNMEASURED]


@pytest.mark.parametrize("name", MEASURED)
def test_no_metric_takes_more_passes_than_is_said(name):
    model = Scale()
    pct.evaluate(model, ([TEXT], [1]), metrics=[name])
    most = int(most_passes(MetricSet([name], MetricOptions()), np.array([len(TEXT.split())]))[0])
    assert 1 <= model.rows_seen <= most


@pytest.mark.parametrize("name", ["acc", "comp", "comp_aopc", "tau_loo"])
def test_metrics_that_stop_nowhere_take_as_many_passes_as_is_said(name):
    model = Scale()
    pct.evaluate(model, ([TEXT], [1]), metrics=[name])
    assert model.rows_seen == most_passes(MetricSet([name], MetricOptions()), np.array([len(TEXT.split())]))[0]


def test_the_help_says_what_metrics_cost():
    lines = cost_table(["acc", "f_x", "comp", "ir", "tau_loo"]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1", "1", "acc,", "f_x"], ["3", "21", "comp"], ["21", "201", "tau_loo"], ["39", "399", "ir"],
    ]  # fmt: skip


def test_progress_says_what_is_computed_and_how_much(monkeypatch):
    seen = []

    class Bar:
        def __init__(self, **about):
            seen.append(about)

        def __enter__(self):
            return self

        def __exit__(self, *problem):
            return None

        def set_postfix_str(self, text):
            seen.append(text)

        def update(self, texts):
            seen.append(texts)

    monkeypatch.setattr("tqdm.tqdm", Bar)
    pct.evaluate(Scale(), ([TEXT, "good bad"], [1, 0]), metrics=["acc", "comp", "suff", "tau_loo"], progress=True)
    assert (seen[0]["desc"], seen[0]["total"]) == ("acc, comp, suff and 1 more", 2)
    assert seen[1:] == ["texts of up to 12 words, up to 17 passes each", 2]
