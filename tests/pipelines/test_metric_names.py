"""Metrics fall into MLflow's groups by what they are, those of other packages too."""

import pytest

from pct.metrics.report import Report
from pipelines.metric_names import as_metrics, cost_metrics, epoch_metrics, report_metrics

RECORD = {
    "epoch": 2, "train_loss": 0.5, "train_contrastive": 2.0, "step_seconds": 0.1, "words_per_second": 9.0,
    "memory_mb": 7, "validation_acc": 0.8, "validation_comp": 0.3, "validation_suff": 0.1, "validation_new_metric": 4.0,
    "validation_seconds": 3.0,
}  # fmt: skip


def test_an_epoch_s_record_is_curves_of_training_validation_and_gaps_and_what_it_took():
    assert epoch_metrics(RECORD) == {
        "gap/comp_minus_suff": pytest.approx(0.2), "train/loss": 0.5, "train/contrastive": 2.0, "validation/acc": 0.8,
        "validation/comp": 0.3, "validation/suff": 0.1, "validation/new_metric": 4.0, "workload/step_seconds": 0.1,
        "workload/words_per_second": 9.0, "workload/memory_mb": 7, "workload/validation_seconds": 3.0,
    }  # fmt: skip


def test_the_gap_is_logged_first_for_the_comparison_of_runs_opens_on_it():
    assert next(iter(epoch_metrics(RECORD))) == "gap/comp_minus_suff"


def test_an_epoch_without_the_pathology_metrics_has_no_gap():
    assert epoch_metrics({"epoch": 1, "validation_acc": 0.5}) == {"validation/acc": 0.5}


def test_a_report_stands_in_the_group_of_its_split_without_standard_errors():
    report = Report({"acc": 0.9, "ur": 5.0, "ir": 3.0}, {"acc": 0.01, "ur": 0.1, "ir": 0.1}, {}, [])
    assert report_metrics("test", report) == {"test/acc": 0.9, "test/ur": 5.0, "test/ir": 3.0, "test/ur_minus_ir": 2.0}


def test_what_a_run_took_is_a_group_of_its_own():
    about = {"seconds": {"training": 4.0}, "peak_memory_mb": {"process": 100.0}}
    assert cost_metrics(about) == {"workload/seconds_training": 4.0, "workload/peak_memory_mb_process": 100.0}


def test_what_is_not_finite_is_not_logged_and_any_class_has_a_name():
    found = as_metrics({"test/acc": float("nan"), "test/x": float("inf"), "test/recall_Sci&Tech?": 0.5}, 3)
    assert [(m.key, m.value, m.step) for m in found] == [("test/recall_Sci_Tech_", 0.5, 3)]
