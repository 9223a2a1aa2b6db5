"""A run's classifier as ONNX graphs, logged with it to MLflow: the service runs the registry's models in this form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pct.classifier import Classifier
from pct.layout import MODEL
from pct.onnx.predictor import GRADIENT
from pct.training.runs import Run

EXPORTED = "exported"


def export_run(run: Run, say: Callable[[str], None]) -> Path | None:
    """The folder of the exported model within the run's, made if it is missing.

    None, and a message, where the packages are missing or the graphs disagree with torch: the run is tracked in any
    case.
    """
    folder = run.folder / EXPORTED
    return folder if (folder / GRADIENT).is_file() else export_model(run.folder / MODEL, folder, say)


def export_model(model: Path, folder: Path, say: Callable[[str], None]) -> Path | None:
    """A saved classifier as ONNX graphs in a folder; None as `export_run`."""
    try:
        from pct.onnx.export import export

        export(Classifier.load(model, "cpu"), folder)
    except (ImportError, ValueError) as problem:
        say(f"the model is logged without its ONNX graphs: {problem}")
        return None
    return folder
