"""Standard errors of metrics that are no means over texts: those of all samples drawn at once, in bounded memory."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from pct.metrics.accuracy import MacroF1, confusion_counts, macro_f1
from pct.metrics.base import Metric, MetricOptions
from pct.metrics.bootstrap import drawn_counts, resamples
from pct.metrics.label_sets import ASSIGNED, TRUE, LabelSets, f1_scores, names_of
from pct.metrics.number_errors import NUMBER, TRUE_NUMBER, NumberErrors, number_errors

CLASSES = ["a", "b", "c"]
SAMPLES = 500


def labels(texts: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return rng.random((texts, 3)) < 0.3, rng.random((texts, 3)) < 0.3


def columns_of(kind: type[Metric], texts: int) -> dict[str, Any]:
    """The columns that the summary of a metric reads."""
    rng = np.random.default_rng(2)
    if kind is LabelSets:
        true, assigned = (names_of(sets, CLASSES) for sets in labels(texts))
        return {"index": np.arange(texts), TRUE: true, ASSIGNED: assigned, "acc": np.ones(texts)}
    if kind is NumberErrors:
        return {TRUE_NUMBER: rng.normal(size=texts), NUMBER: rng.normal(size=texts).astype(np.float32)}
    return {"label": rng.integers(0, 3, texts), "predicted": rng.integers(0, 3, texts)}


def errors_of(kind: type[Metric], columns: dict[str, Any]) -> dict[str, float]:
    estimates = kind(MetricOptions()).summary(columns, CLASSES)
    return {name: estimate.error for name, estimate in estimates.items()}


@pytest.mark.parametrize("texts", [2, 7, 101])
def test_the_errors_are_bit_for_bit_those_of_all_samples_at_once(texts: int) -> None:
    rows = np.random.default_rng(0).integers(0, texts, (SAMPLES, texts))
    true, assigned = labels(texts)
    f1 = np.nanstd([f1_scores(true[own], assigned[own]) for own in rows], axis=0, ddof=1)
    sets = errors_of(LabelSets, columns_of(LabelSets, texts))
    assert (sets["micro_f1"], sets["macro_f1"]) == tuple(f1)

    columns = columns_of(NumberErrors, texts)
    y, f = columns[TRUE_NUMBER], columns[NUMBER]
    drawn = [number_errors(y[own], f[own])["rmse"] for own in rows]
    assert errors_of(NumberErrors, columns)["rmse"] == np.std(drawn, ddof=1)

    columns = columns_of(MacroF1, texts)
    counts = confusion_counts(columns["label"], columns["predicted"], 3)
    samples = np.random.default_rng(0).multinomial(texts, counts.ravel() / texts, SAMPLES).reshape(-1, 3, 3)
    assert errors_of(MacroF1, columns)["macro_f1"] == np.std([macro_f1(one) for one in samples], ddof=1)


@pytest.mark.parametrize("kind", [LabelSets, NumberErrors])
def test_the_samples_are_never_in_memory_at_once(kind: type[Metric], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pct.metrics.bootstrap.RESAMPLES", 40)
    texts = 10_000
    columns = columns_of(kind, texts)
    tracemalloc.start()
    try:
        errors_of(kind, columns)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * texts * 8  # half of the indices of all samples


def test_counts_of_kinds_are_those_of_whole_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pct.metrics.bootstrap._DRAWN_AT_ONCE", 7)
    kinds = np.random.default_rng(3).integers(0, 3, 101)
    expected = [np.bincount(kinds[rows], minlength=3) for rows in resamples(101)]
    np.testing.assert_array_equal(list(drawn_counts(kinds, 3)), expected)


def test_equal_sets_of_labels_are_one_string() -> None:
    one, other = (names_of(np.array([[True, False, True]]), CLASSES) for _ in "12")
    assert one[0] is other[0]
