"""Two models measured on the same texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pct.corpora.splits import Split, index_of_classes, with_classes
from pct.explaining.predictor import Predictor, check_predictor
from pct.metrics.change import CONTROLS, Change, check_same_classes, compare_reports
from pct.metrics.evaluation import evaluate, fitting
from pct.metrics.names import CORE_METRICS
from pct.tasks import Task, task_of


def diff(before: Predictor, after: Predictor, dataset: Any, seed: int = 0, **options: Any) -> Change:
    """Measures two models on the same texts: each difference with its interval, and whether the second is better.

    Args:
        before: the first model.
        after: the second model. Its classes may have another order.
        dataset: what `pct.evaluate` takes. The labels of a `Split` are indices of the first model's classes.
        seed: of the random orders of removal, of the texts that `limit` draws, and of the bootstrap.
        options: others of `pct.evaluate`, such as `removal` and `limit`. Without `saliency`, each model takes its own.

    Raises:
        ValueError: the models have different classes or tasks; and as `pct.evaluate`.
        TypeError: what is not a model.
    """
    check_predictor(before)
    check_predictor(after)
    task, other = task_of(before), task_of(after)
    if task.labels_are != other.labels_are:
        raise ValueError(f"the first model has {task.labels_are} for each text, the second {other.labels_are}")
    second = dataset = list(dataset) if isinstance(dataset, Iterator) else dataset  # it is read twice
    if not task.number:  # the name of a number is that of its column
        check_same_classes(before.classes, after.classes)
        if isinstance(dataset, Split):
            second = with_classes(dataset, index_of_classes(before.classes, after.classes), len(after.classes))
    options = {"metrics": compared_metrics(task), **options, "seed": seed}
    return compare_reports(evaluate(before, dataset, **options), evaluate(after, second, **options), seed)


def compared_metrics(task: Task) -> list[str]:
    """The metrics by which two models are compared."""
    return fitting(dict.fromkeys((*task.scores, *CORE_METRICS, *CONTROLS)), task)
