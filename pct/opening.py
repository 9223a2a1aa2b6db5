"""Opens a model by its name: an exported folder by ONNX Runtime, anything else by torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pct.classifier import Classifier
    from pct.onnx.predictor import OnnxPredictor


def open_model(name: str, device: str = "auto") -> Classifier | OnnxPredictor:
    """An exported folder by ONNX Runtime, which loads no torch; anything else as `pct.load` does."""
    from pct.onnx.predictor import GRADIENT, OnnxPredictor

    if (Path(name) / GRADIENT).is_file():
        return OnnxPredictor.load(name)
    from pct.classifier import load

    return load(name, device)
