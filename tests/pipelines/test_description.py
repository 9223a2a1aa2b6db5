"""What a run's page says in three sentences, and only what is known."""

from dataclasses import replace
from pathlib import Path

import pytest

from pct.metrics.report import Report
from pct.training.runs import Run, load_run
from pipelines.description import describe
from tests.pipelines.test_registry import like, put


@pytest.fixture
def run(finished: Path) -> Run:
    return load_run(finished)


def on_test(run: Run, comp: float, suff: float, error: float = 0.005) -> Run:
    report = Report(
        {**run.test.metrics, "acc": 0.75, "comp": comp, "suff": suff}, {"comp": error, "suff": error}, {}, []
    )
    return replace(run, test=report)


@pytest.mark.parametrize(
    ("comp", "suff", "message"),
    [
        (
            0.2,
            0.01,
            "lowers the confidence by 0.200, the least salient lowers the confidence by 0.010; comp - suff +0.190",
        ),
        (0.2, 0.01, "± 0.007 is healthy."),
        (0.01, 0.2, "is pathological."),
        (0.019, 0.01, "is too little to call them healthy or pathological."),
        (-0.02, 0.1, "removing the most salient words raises the confidence by 0.020"),
        (float("nan"), float("nan"), "could not be measured"),
    ],
)
def test_the_health_is_told_where_it_can_be_told(client, run, comp, suff, message):
    text = describe(client, on_test(run, comp, suff))
    assert message in text
    assert text.startswith("textcnn trained by pct on 48 texts of planted, 2 epochs (kept: ")
    assert "accuracy 0.750 on 48 test texts." in text


@pytest.mark.parametrize(("labels", "message"), [
    ({"negative": 12, "positive": 36}, "test texts, no better than always the largest class (0.750). Its explanations"),
    ({"negative": 13, "positive": 35}, "test texts, not significantly better than always the largest class (0.729)."),
    ({"negative": 13, "positive": 35}, "is no verdict: the model is not significantly better than its largest class"),
    ({"negative": 24, "positive": 24}, "is healthy."),
])  # fmt: skip
def test_a_model_that_is_no_better_than_the_largest_class_is_told(client, run, labels, message):
    corpus = run.about["corpus"] | {"splits": {"test": {"labels": labels}}}
    assert message in describe(client, replace(on_test(run, 0.2, 0.01), about=run.about | {"corpus": corpus}))


def test_splits_that_differ_by_more_than_chance_are_told(client, run):
    texts = {**run.about["corpus"], "sizes": {"train": 48, "validation": 48, "test": 48}}
    alike = replace(on_test(run, 0.2, 0.01), about=run.about | {"corpus": texts})
    for accuracy, told in ((0.95, True), (0.80, False)):
        validation = replace(run.validation, metrics={**run.validation.metrics, "acc": accuracy})
        message = describe(client, replace(alike, validation=validation))
        assert (f"On validation it is {accuracy:.3f}: the splits differ by more than chance" in message) is told


def test_a_gap_within_its_error_is_no_verdict(client, run):
    assert "too little to call them" in describe(client, on_test(run, 0.2, 0.1, error=0.04))


def test_normal_training_is_not_compared_with_itself(client, run):
    normal = replace(run, settings=run.settings.replace(method="normal"))
    assert describe(client, normal).endswith("This is the normal training that other methods are compared with.")


def test_without_a_normal_version_measured_alike_nothing_is_claimed(client, run):
    assert "not known whether it is healthier than normal training" in describe(client, run)
    put(client, like(run, 0.9, 0.5, "w1", method="normal", saliency="l1"))
    assert "not known whether it is healthier than normal training" in describe(client, run)


@pytest.mark.parametrize(("gap", "message"), [(0.9, "Healthier"), (-0.9, "Less healthy"), (0.1, "Not distinguishable")])
def test_it_is_compared_with_the_normal_version_of_its_seed(client, run, gap, message):
    put(client, like(run, 0.9, 0.1, "w1", method="normal"))
    put(client, like(run, 0.9, 0.4, "w2", method="normal", seed=5))
    text = describe(client, like(run, 0.85, gap, "w3"))
    assert message in text
    assert (
        f"comp - suff {gap:.3f} against 0.100, accuracy 0.850 against 0.900, on the validation split, the same seed"
        in text
    )
