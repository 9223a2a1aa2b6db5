"""mlflow.models.evaluate(model, data, targets="label", model_type="classifier", evaluators="pct").

MLflow finds this evaluator by the entry point `mlflow.model_evaluator` of the installed package.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from mlflow import MlflowClient, MlflowException
from mlflow.models import EvaluationResult
from mlflow.models.evaluation import ModelEvaluator

from pct.auditing.audit import audit
from pct.classifier import Classifier, wrap
from pct.corpora.rows import PAIR
from pct.layout import PER_TEXT, REPORT
from pct.metrics.evaluation import evaluate
from pct.metrics.report import Report
from pipelines.audit import log_audit
from pipelines.metric_names import as_metrics, report_metrics
from pipelines.mlflow_runs import MlflowRun

GROUP = "evaluation"  # of the metrics: evaluation/comp, evaluation/comp_minus_suff
OPTIONS = (
    "text_column", "text_pair_column", "remove", "p_important", "p_unimportant", "order", "metrics", "limit", "audit",
)  # fmt: skip
AUDIT_OPTIONS = ("saliencies", "budget", "removals", "limit", "seed")
_log = logging.getLogger(__name__)


class PctEvaluator(ModelEvaluator):  # type: ignore[misc]
    """Measures accuracy and the pathology metrics of text classifiers that MLflow has logged."""

    @classmethod
    def can_evaluate(cls, *, model_type: str, evaluator_config: dict[str, Any], **kwargs: Any) -> bool:
        """Text classifiers, which MLflow calls classifiers, and models of a number."""
        return model_type in ("classifier", "text-classifier", "regressor")

    def evaluate(
        self, *, model_type: str, dataset: Any, run_id: str, evaluator_config: dict[str, Any], model: Any = None,
        model_id: str | None = None, **kwargs: Any,
    ) -> EvaluationResult | None:  # fmt: skip
        """Measures the model, and logs metrics, report.json and per_text.parquet into the run.

        Args:
            model_type: classifier, text-classifier or regressor.
            dataset: MLflow's evaluation data set, with texts in one column and labels (names or indices) as targets.
            run_id: the run that is logged to.
            evaluator_config: text_column (default: `text`, or the only column), text_pair_column (the second texts of
                pairs; default: `text_pair` where there is one), remove, p_important, p_unimportant, order, metrics
                (default: the standard ones) and limit, as in `pct.evaluate`; audit: True, or the saliencies, budget,
                removals, limit and seed of `pct.audit`, logs an audit too.
            model: of the pyfunc or transformers flavour, see `classifier_of`.
            model_id: MLflow's id of the logged model; its page then shows the metrics too.

        Returns:
            The metrics by the names that they have in MLflow. None, with a warning, for a model that is no text
            classifier of these flavours: MLflow asks every evaluator when none is named.

        Raises:
            ValueError: no labels, no column of texts, or an unknown option.
        """
        try:
            classifier = classifier_of(model)
        except ValueError as problem:
            _log.warning("pct does not measure this model: %s", problem)
            return None
        report = measure(classifier, dataset, evaluator_config)
        values = report_metrics(GROUP, report)
        mlflow_run = MlflowRun(MlflowClient(), "", run_id, "")
        of = {"model_id": model_id} if model_id else {}
        mlflow_run.log_metrics(as_metrics(values, 0, of=of))
        mlflow_run.log_files({PER_TEXT: report.to_parquet, REPORT: report.to_json()})
        if wanted := evaluator_config.get("audit"):
            options = {} if wanted is True else dict(wanted)
            result = audit(classifier, _labelled(dataset, evaluator_config), **options, name=model_id or "")
            values |= log_audit(mlflow_run, result, **of)
        return EvaluationResult(values, {}, run_id)


def classifier_of(model: Any) -> Classifier:
    """The classifier in an MLflow model: one that this project registered, or a transformers text classifier.

    Raises ValueError for any other.
    """
    metadata = getattr(model, "metadata", None)
    flavors = metadata.flavors if metadata is not None else {}
    if "transformers" in flavors:
        return wrap(model.get_raw_model())
    with suppress(MlflowException, AttributeError):  # of another flavour, or not a model of MLflow
        if isinstance(classifier := model.unwrap_python_model().classifier, Classifier):
            return classifier
    what = ", ".join(flavors) or type(model).__name__
    raise ValueError(f"it is neither a transformers text classifier nor a model that pct registered, but of {what}")


def measure(classifier: Classifier, dataset: Any, config: dict[str, Any]) -> Report:
    """The report on an MLflow evaluation data set. Raises ValueError as `PctEvaluator.evaluate`."""
    _check_names(config, OPTIONS, "evaluator_config of pct")
    wanted = config.get("audit", False)
    if not isinstance(wanted, bool | dict):
        raise ValueError(f"audit must be True, False or a dictionary of {', '.join(AUDIT_OPTIONS)}, got {wanted!r}")
    if isinstance(wanted, dict):
        _check_names(wanted, AUDIT_OPTIONS, "audit")
    if dataset.labels_data is None:
        raise ValueError("pct needs the true labels: give targets, the name of their column")
    options = {k: v for k, v in config.items() if k not in ("text_column", "text_pair_column", "audit")}
    return evaluate(classifier, _labelled(dataset, config), **options)


def _check_names(given: Iterable[str], names: Sequence[str], what: str) -> None:
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"{what} has no {', '.join(unknown)}; there are {', '.join(names)}")


def _labelled(dataset: Any, config: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    features, second = dataset.features_data, config.get("text_pair_column", "")
    texts: list[Any] = _texts(features, config.get("text_column", ""))
    if second or PAIR in getattr(features, "columns", ()):
        texts = list(zip(texts, _texts(features, second or PAIR), strict=True))
    return texts, np.asarray(dataset.labels_data).tolist()


def _texts(features: Any, column: str) -> list[str]:
    if isinstance(features, np.ndarray):
        if features.ndim == 2 and features.shape[1] != 1:
            raise ValueError(f"pct needs one column of texts, the data have {features.shape[1]} without names")
        return [str(text) for text in features.reshape(-1)]
    names = list(features.columns)
    chosen = column or ("text" if "text" in names else names[0] if len(names) == 1 else "")
    if chosen not in names:
        there = ", ".join(map(str, names))
        raise ValueError(f"the data have no column {chosen or 'text'!r} but {there}; set text_column")
    return list(features[chosen])
