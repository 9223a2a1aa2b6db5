"""Opens a model by its name: an exported folder with ONNX Runtime, any other model with torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pct.tasks import with_threshold

if TYPE_CHECKING:
    from pct.classifier import Classifier
    from pct.onnx.predictor import OnnxPredictor


def open_model(
    name: str,
    device: str = "auto",
    head: str = "",
    threshold: float | None = None,
    threads: int = 0,
    windows: str = "",
) -> Classifier | OnnxPredictor:
    """Opens an exported folder with ONNX Runtime and without torch, or any other model as `pct.load`.

    threads: CPU threads of one call; 0 uses all cores.
    """
    from pct.onnx.predictor import GRADIENT, WITHOUT_WINDOWS, OnnxPredictor

    if (Path(name) / GRADIENT).is_file():
        if head:
            raise ValueError(f"head {head}: {name} is an exported classifier, which has its own head; leave it out")
        if windows:
            raise ValueError(
                f"windows {windows}: {name} is an exported classifier, which reads none: {WITHOUT_WINDOWS}"
            )
        return with_threshold(OnnxPredictor.load(name, threads), threshold)
    from pct.classifier import load

    if threads:
        import torch

        torch.set_num_threads(threads)
    return load(name, device, head, threshold, windows)
