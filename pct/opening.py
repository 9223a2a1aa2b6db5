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

    Args:
        name: see `pct.load`; also the folder of an exported model.
        device: of a model that torch runs.
        head: see `pct.load`.
        threshold: of several labels: the probability from which a label is assigned; None takes the model's own.
        threads: CPU threads of an exported model's calls; of a model that torch runs, those of the whole process from
            then on. 0 leaves the default.
        windows: see `pct.load`.

    Raises:
        ValueError: head or windows is given for an exported model, or as `pct.load`.
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
