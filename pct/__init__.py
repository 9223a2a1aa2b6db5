"""Text classifiers whose explanations can be trusted: trained, measured and explained.

The names are loaded when they are first used: reading `pct.metrics` or `pct.explanation` needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pct.classifier import Classifier, load
    from pct.corpora import load_corpus
    from pct.explanation import Curve, Explanation, explain
    from pct.metrics import Report, evaluate
    from pct.predictor import Predictor
    from pct.settings import Settings
    from pct.trainer import train

__version__ = "0.1.0"
_WHERE = {
    "Classifier": "classifier", "load": "classifier", "load_corpus": "corpora", "Curve": "explanation",
    "Explanation": "explanation", "explain": "explanation", "Report": "metrics", "evaluate": "metrics",
    "Predictor": "predictor", "Settings": "settings", "train": "trainer",
}  # fmt: skip
__all__ = [
    "Classifier", "Curve", "Explanation", "Predictor", "Report", "Settings", "evaluate", "explain", "load",
    "load_corpus", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'pct' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"pct.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
