"""A run's classifier as an MLflow model: code and safetensors, with signature, example and requirements."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import pct
from pct.classifier import Classifier
from pct.corpora.fingerprints import describe_split
from pct.corpora.rows import PAIR
from pct.corpora.splits import Split, text_columns, texts_of_columns
from pct.layout import EXPORTED, MODEL, WEIGHTS
from pct.metrics.report import Report
from pct.onnx.predictor import CONFIG, GRADIENT
from pct.settings import WORD_MODELS, Settings
from pct.tasks import Task, task_of_settings
from pct.training.runs import Run
from pipelines.champion import MARGIN
from pipelines.connection import default_tracking, search_pages
from pipelines.mlflow_runs import MlflowRun
from pipelines.registry import RegisteredVersion, measured_tags, register_version

NAME, TEXT = "model", "text"
ALWAYS = ("mlflow", "numpy", "pandas", "safetensors", "torch", "tqdm")
ENCODERS = ("tokenizers", "transformers")


@dataclass(frozen=True)
class SavedClassifier:
    """A classifier in a folder, and what MLflow stores with it. weights: their hash. examples: some texts."""

    folder: Path
    settings: Settings
    classes: list[str]
    weights: str
    examples: list[Any]

    @classmethod
    def of_run(cls, run: Run) -> Self:
        """The classifier that a run trained."""
        texts = texts_of_columns(run.test.columns)[:2]
        return cls(run.folder / MODEL, run.settings, run.about["corpus"]["classes"], run.about["weights"], texts)

    @classmethod
    def save(cls, classifier: Classifier, folder: Path, examples: list[Any]) -> Self:
        """Writes a classifier of any origin into a new folder."""
        classifier.save(folder)
        with (folder / WEIGHTS).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        return cls(folder, classifier.settings, classifier.classes, weights, examples)


def log_model(
    client: Any, saved: SavedClassifier, run_id: str, experiment_id: str, exported: Path | None = None
) -> str:
    """Logs a run's model, unless it is logged already; returns its MLflow model id.

    exported: its ONNX graphs, which are logged with it; the metadata has their agreement with torch.
    The client's tracking must be MLflow's default (`default_tracking`): MLflow logs models nowhere else.
    """
    import mlflow.pyfunc
    import pandas as pd  # type: ignore[import-untyped]
    from mlflow.models import Model

    models = search_pages(client.search_logged_models, [experiment_id], f"source_run_id = '{run_id}'")
    for model in models:
        if model.name == NAME and str(model.status) == "READY" and model.tags.get("weights") == saved.weights:
            return str(model.model_id)
    artifacts = {"classifier": str(saved.folder)}
    metadata = {"settings": saved.settings.to_dict(), "classes": saved.classes}
    if exported is not None:
        artifacts["exported"] = str(exported)
        metadata["onnx"] = json.loads((exported / CONFIG).read_text(encoding="utf-8"))["agreement"]
    model = client.create_logged_model(
        experiment_id, NAME, run_id, tags={"weights": saved.weights}, model_type="text-classifier"
    )
    Model.log(
        artifact_path=None,
        name=NAME,
        flavor=mlflow.pyfunc,
        run_id=run_id,
        model_id=model.model_id,
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts=artifacts,
        code_paths=[str(Path(pct.__file__).parent)],
        pip_requirements=requirements(saved.settings),
        signature=signature(task_of_settings(saved.settings), saved.settings.model not in WORD_MODELS),
        input_example=pd.DataFrame(text_columns(saved.examples)),
        metadata=metadata,
    )
    return str(model.model_id)


def export_run(run: Run, say: Callable[[str], None]) -> Path | None:
    """The folder of a run's ONNX graphs within the run's, made if it is missing; None as `export_model`."""
    folder = run.folder / EXPORTED
    return folder if (folder / GRADIENT).is_file() else export_model(run.folder / MODEL, folder, say)


def export_model(model: Path, folder: Path, say: Callable[[str], None]) -> Path | None:
    """A saved classifier as ONNX graphs in a folder: the service runs the registry's models in this form.

    None, and a message, where the packages are missing or the graphs disagree with torch: the model is logged in any
    case.
    """
    try:
        from pct.onnx.export import export

        export(Classifier.load(model, "cpu"), folder)
    except (ImportError, ValueError) as problem:
        say(f"the model is logged without its ONNX graphs: {problem}")
        return None
    return folder


def register_classifier(
    mlflow_run: MlflowRun, name: str, classifier: Classifier, texts: Split, report: Report, split: str = "test",
    limit: int = 0,
) -> RegisteredVersion:  # fmt: skip
    """Registers a classifier of any origin as a version of a model, with its graphs and metrics.

    texts, report: what it was measured on, and the result. split: their name; only a version with numbers of the
    validation split may become the champion. limit: of the texts; 0 for none.
    """
    with tempfile.TemporaryDirectory() as scratch, default_tracking(mlflow_run.uri):
        saved = SavedClassifier.save(classifier, Path(scratch) / MODEL, list(texts.texts[:2]))
        exported = export_model(saved.folder, Path(scratch) / EXPORTED, print)
        model_id = log_model(mlflow_run.client, saved, mlflow_run.run_id, mlflow_run.experiment_id, exported)
        described = describe_split(texts, classifier.classes)
        tags = measured_tags(classifier.settings, saved.weights, split, report, described, MARGIN, limit)
        return register_version(
            mlflow_run.client, name, classifier.settings, tags, f"models:/{model_id}", model_id, mlflow_run.run_id
        )


def requirements(settings: Settings) -> list[str]:
    """The packages that loading the model needs, in the versions of this process."""
    names = ALWAYS if settings.model in WORD_MODELS else ALWAYS + ENCODERS
    # no index has a build's local label (torch's +cpu)
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


def signature(task: Task, pairs: bool = False) -> Any:
    """The column `text` of a table -> label and confidence; words and saliency on demand. Other columns are ignored.

    Of several labels, the column `labels` has the assigned ones; of a number, `value` replaces `confidence`. pairs:
    whether the model reads pairs of texts: the column `text_pair`, if there is one, has the second text of each.

    The column is of any type: MLflow's server would turn the values of a string column into strings, a null into the
    word "None", before the model gets them. The model refuses what is not a text.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array

    second = [ColSpec(AnyType(), PAIR, required=False)] if pairs else []
    several_labels = [ColSpec(Array(DataType.string), "labels")] if task.several else []
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), TEXT), *second]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "label"),
                ColSpec(DataType.double, "value" if task.number else "confidence"),
                *several_labels,
                ColSpec(Array(DataType.string), "words", required=False),
                ColSpec(Array(DataType.double), "saliency", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("explain", DataType.boolean, False)]),
    )
