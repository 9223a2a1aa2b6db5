"""Training, evaluation and explanation of text classifiers whose explanations can be trusted.

The names of `__all__` are the public interface. They are imported at their first use; metrics and explanations import
no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pct.renamed import renamed

if TYPE_CHECKING:
    from pct.auditing.audit import audit
    from pct.auditing.result import Audit
    from pct.classifier import Classifier, load, wrap
    from pct.corpora.loading import load_corpus
    from pct.explaining.explain import explain
    from pct.explaining.explanation import Curve, Explanation
    from pct.explaining.explanations import Explanations
    from pct.explaining.function_predictor import predictor_from
    from pct.explaining.prediction import Prediction, Predictions, predict
    from pct.explaining.predictor import Predictor
    from pct.metrics.change import Change
    from pct.metrics.diff import diff
    from pct.metrics.evaluation import evaluate
    from pct.metrics.report import Report
    from pct.output.records import words_of
    from pct.saliency import saliencies
    from pct.saliency.base import ForwardSaliency, GradientSaliency
    from pct.settings import Settings
    from pct.training.finetune import Finetuned, finetune
    from pct.training.trainer import train

__version__ = "0.2.0"
_MODULES = {
    "auditing.audit": ("audit",),
    "auditing.result": ("Audit",),
    "classifier": ("Classifier", "load", "wrap"),
    "corpora.loading": ("load_corpus",),
    "explaining.explain": ("explain",),
    "explaining.explanation": ("Curve", "Explanation"),
    "explaining.explanations": ("Explanations",),
    "explaining.function_predictor": ("predictor_from",),
    "explaining.prediction": ("Prediction", "Predictions", "predict"),
    "explaining.predictor": ("Predictor",),
    "metrics.change": ("Change",),
    "metrics.diff": ("diff",),
    "metrics.evaluation": ("evaluate",),
    "metrics.report": ("Report",),
    "output.records": ("words_of",),
    "saliency": ("saliencies",),
    "saliency.base": ("ForwardSaliency", "GradientSaliency"),
    "settings": ("Settings",),
    "training.finetune": ("Finetuned", "finetune"),
    "training.trainer": ("train",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [
    "Audit", "Change", "Classifier", "Curve", "Explanation", "Explanations", "Finetuned", "ForwardSaliency",
    "GradientSaliency", "Prediction", "Predictions", "Predictor", "Report", "Settings", "audit", "diff", "evaluate",
    "explain", "finetune", "load", "load_corpus", "predict", "predictor_from", "saliencies", "train", "words_of",
    "wrap",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        return renamed(__name__)(name)
    from importlib import import_module

    return getattr(import_module(f"pct.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
