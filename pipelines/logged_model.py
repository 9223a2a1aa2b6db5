"""A run's classifier as an MLflow model: code and safetensors, with signature, example and requirements."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pct
from pct.classifier import MODEL
from pct.onnx.predictor import CONFIG
from pct.training.runs import Run

NAME, TEXT = "model", "text"
ALWAYS = ("mlflow", "numpy", "pandas", "safetensors", "torch", "tqdm")
ENCODERS = ("tokenizers", "transformers")


def log_model(client: Any, run: Run, run_id: str, experiment_id: str, exported: Path | None = None) -> str:
    """Logs the run's model once and returns its MLflow model id; a model that is there whole is found again.

    exported: its ONNX graphs, which go with it, and how closely they agree with torch into its metadata.
    The client's tracking must be MLflow's default one (`default_tracking`): MLflow logs models nowhere else.
    """
    import mlflow.pyfunc
    import pandas as pd  # type: ignore[import-untyped]
    from mlflow.models import Model

    found = _logged(client, run_id, experiment_id, run.about["weights"])
    if found:
        return found
    artifacts = {"classifier": str(run.folder / MODEL)}
    metadata = {"settings": run.settings.to_dict(), "classes": run.about["corpus"]["classes"]}
    if exported is not None:
        artifacts["exported"] = str(exported)
        metadata["onnx"] = json.loads((exported / CONFIG).read_text(encoding="utf-8"))["agreement"]
    made = client.create_logged_model(
        experiment_id, NAME, run_id, tags={"weights": run.about["weights"]}, model_type="text-classifier"
    )
    Model.log(
        artifact_path=None,
        name=NAME,
        flavor=mlflow.pyfunc,
        run_id=run_id,
        model_id=made.model_id,
        python_model=str(Path(__file__).with_name("pyfunc_model.py")),
        artifacts=artifacts,
        code_paths=[str(Path(pct.__file__).parent)],
        pip_requirements=requirements(run),
        signature=signature(),
        input_example=pd.DataFrame({TEXT: run.test.columns["text"][:2]}),
        metadata=metadata,
    )
    return str(made.model_id)


def requirements(run: Run) -> list[str]:
    """What loading the model needs, in the versions that this process has."""
    names = ALWAYS if run.settings.model in ("textcnn", "lstm") else ALWAYS + ENCODERS
    # a build's local label (torch's +cpu) is on no index
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


def signature() -> Any:
    """A table's column `text` -> label and confidence; words and saliency when asked. Other columns pass by.

    The column is of any type because of strings MLflow's server makes words: it would turn a null into "None" before
    the model sees it, which refuses what is no text.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array

    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), TEXT)]),
        outputs=Schema(
            [
                ColSpec(DataType.string, "label"),
                ColSpec(DataType.double, "confidence"),
                ColSpec(Array(DataType.string), "words", required=False),
                ColSpec(Array(DataType.double), "saliency", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("explain", DataType.boolean, False)]),
    )


def _logged(client: Any, run_id: str, experiment_id: str, weights: str) -> str | None:
    token = None
    while True:
        page = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'", page_token=token)
        for model in page:
            if model.name == NAME and str(model.status) == "READY" and model.tags.get("weights") == weights:
                return str(model.model_id)
        token = page.token
        if not token:
            return None
