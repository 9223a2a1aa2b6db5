"""A run in three sentences for its page in MLflow: its result, whether it is healthy, and beside normal training."""

from __future__ import annotations

import math
from typing import Any

from pct.explaining.verdict import TOLERANCE
from pct.metrics.learned import BesideLargestClass, beside_largest_class, saved_label_counts
from pct.tasks import task_of_settings
from pct.training.runs import Run
from pipelines.champion import read_versions
from pipelines.registry import model_name, splits_differ, version_tags

ERRORS = 2.0  # a difference counts where it exceeds so many standard errors


def describe(client: Any, run: Run, name: str = "") -> str:
    """The three sentences. name: the registered model whose versions are searched for normal training."""
    parts = [_result(run), _health(run), _beside_normal(client, run, name or model_name(run.settings))]
    return " ".join(filter(None, parts))


def _result(run: Run) -> str:
    s, about = run.settings, run.about
    epochs = "one epoch" if about["epochs"] == 1 else f"{about['epochs']} epochs (kept: {about['epoch_kept']})"
    texts = about["corpus"]["sizes"]
    return (
        f"{s.model_name} trained by {s.method} on {texts['train']:,} texts of {s.corpus}, {epochs}: "
        f"{_score(run)} on {texts['test']:,} test texts{_beside_largest_class(run)}.{_splits_differ(run)}"
    )


def _score(run: Run) -> str:
    test = run.test
    if run.settings.has_number:
        return f"mean absolute error {test.mae:.3f}, correlation {test.pearson:.3f}"
    return f"accuracy {test.acc:.3f}"


def _test_accuracy(run: Run) -> BesideLargestClass | None:
    counts = saved_label_counts(run.about["corpus"], "test")  # empty for numbers
    return beside_largest_class(run.test.acc, counts) if counts else None


def _beside_largest_class(run: Run) -> str:
    """The accuracy of a model that has not learned is put beside the largest class, before its explanations."""
    accuracy = _test_accuracy(run)
    return "" if accuracy is None or accuracy.learned else f", {accuracy}"


def _splits_differ(run: Run) -> str:
    if run.settings.has_number or not splits_differ(run):
        return ""
    return (
        f" On validation it is {run.validation.acc:.3f}: the splits differ by more than chance, so a result on "
        "one may not hold on the other."
    )


def _health(run: Run) -> str:
    comp, suff = run.test.metrics["comp"], run.test.metrics["suff"]
    gap, error = comp - suff, math.hypot(run.test.errors["comp"], run.test.errors["suff"])
    if not math.isfinite(gap):
        return "Its explanations could not be measured: no test text has words to remove."
    accuracy, what = _test_accuracy(run), task_of_settings(run.settings).quantity
    verdict = "healthy" if gap > 0 else "pathological"
    if run.settings.has_number:
        verdict = "in the unit of the number"
    elif not abs(gap) > max(ERRORS * error, TOLERANCE):
        verdict = "too little to call them healthy or pathological"
    if accuracy is not None and not accuracy.learned:
        verdict = "no verdict: the model is not significantly better than its largest class"
    return (
        f"Its explanations: removing the most salient words {_moves(comp, what)}, the least salient "
        f"{_moves(suff, what)}; comp - suff {gap:+.3f} ± {error:.3f} is {verdict}."
    )


def _beside_normal(client: Any, run: Run, name: str) -> str:
    """The run beside the normally trained version that was measured alike, of the same seed where there is one."""
    if run.settings.has_number:
        return ""
    if run.settings.method == "normal":
        return "This is the normal training that other methods are compared with."
    mine = version_tags(run, 0.0)
    measures = {key: mine[key] for key in ("measure", "measured_on") if key in mine}
    normals = [v.tags for v in read_versions(client, name) if v.tags.get("method") == "normal"]
    alike = [tags for tags in normals if any(tags.get(key) == value for key, value in measures.items())]
    if not alike:
        return (
            f"It is not known whether it is healthier than normal training: {name} has no such version measured alike."
        )
    normal = max(alike, key=lambda tags: tags["seed"] == mine["seed"])  # versions come newest first
    gap, other = (float(tags["validation_comp_minus_suff"]) for tags in (mine, normal))
    error = math.hypot(*(float(tags.get("validation_comp_minus_suff_se", "nan")) for tags in (mine, normal)))
    seeds = "the same seed" if normal["seed"] == mine["seed"] else f"seed {normal['seed']}"
    numbers = (
        f"comp - suff {gap:.3f} against {other:.3f}, accuracy {float(mine['validation_acc']):.3f} against "
        f"{float(normal['validation_acc']):.3f}, on the validation split, {seeds}"
    )
    if not abs(gap - other) > ERRORS * error:
        return f"Not distinguishable from normal training ({numbers})."
    return f"{'Healthier' if gap > other else 'Less healthy'} than normal training ({numbers})."


def _moves(drop: float, what: str) -> str:
    return f"lowers the {what} by {drop:.3f}" if drop >= 0 else f"raises the {what} by {-drop:.3f}"
