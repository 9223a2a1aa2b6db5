"""mlflow.models.evaluate(.., evaluators="pct"): the same numbers as pct.evaluate, for what MLflow has logged."""

import json
from typing import Any

import mlflow
import pandas as pd
import pytest

import pct
from pct.training.runs import load_run
from pipelines.evaluator import PctEvaluator
from pipelines.upload import upload_run
from tests.pct.models import families

ROWS = pd.DataFrame({
    "id": range(6),
    "text": ["a brilliant film", "dull and stale", "not good at all", "fine acting , weak plot", "great fun", "a bore"],
    "label": ["positive", "negative", "negative", "negative", "positive", "negative"],
})  # fmt: skip


@pytest.fixture
def transformers_model() -> str:
    """A tiny classifier that was logged by MLflow's own flavour, and knows nothing of this project."""
    from transformers import pipeline

    parts = {"model": families.classifier("BERT", classes=2), "tokenizer": families.tokenizer("BERT")}
    logged = mlflow.transformers.log_model(
        pipeline("text-classification", **parts), name="stranger", pip_requirements=["transformers"]
    )
    return str(logged.model_uri)


def measured(model: str, data: pd.DataFrame = ROWS, **config: Any) -> Any:
    with mlflow.start_run():
        return mlflow.models.evaluate(
            model, data, targets="label", model_type="classifier", evaluators="pct", evaluator_config=config
        )


def test_mlflow_finds_it_by_its_entry_point():
    from importlib.metadata import entry_points

    (found,) = entry_points(group="mlflow.model_evaluator", name="pct")
    assert found.load() is PctEvaluator


def test_a_transformers_classifier_is_measured_as_pct_measures_it(transformers_model, client):
    result = measured(transformers_model)
    wanted = pct.evaluate(
        pct.wrap(families.classifier("BERT", classes=2), families.tokenizer("BERT")),
        (ROWS["text"].tolist(), [1, 0, 0, 0, 1, 0]),
    )
    for name, value in wanted.metrics.items():
        assert result.metrics[f"evaluation/{name}"] == pytest.approx(value, abs=1e-5)
    assert result.metrics["evaluation/comp_minus_suff"] == pytest.approx(wanted.comp - wanted.suff, abs=1e-5)
    run = next(r for r in client.search_runs(["0"]) if "evaluation/comp" in r.data.metrics)
    assert {f.path for f in client.list_artifacts(run.info.run_id)} >= {"report.json", "per_text.parquet"}


def test_a_model_that_pct_registered_is_measured(run_dir):
    uploaded = upload_run(run_dir)
    assert uploaded.registered is not None
    result = measured(uploaded.registered.uri, limit=4)
    wanted = pct.evaluate(load_run(run_dir).classifier(), (ROWS["text"].tolist(), [1, 0, 0, 0, 1, 0]), limit=4)
    assert result.metrics["evaluation/acc"] == wanted.acc
    assert result.metrics["evaluation/ir"] == wanted.ir


def test_an_option_or_a_column_that_is_not_there_is_named(transformers_model):
    with pytest.raises(ValueError, match="neutral"):
        measured(transformers_model, ROWS.replace({"label": {"positive": "neutral"}}))
    with pytest.raises(ValueError, match="evaluator_config of pct has no colour; there are text_column"):
        measured(transformers_model, colour="red")
    with pytest.raises(ValueError, match="no column 'text' but id, review; set text_column"):
        measured(transformers_model, ROWS.rename(columns={"text": "review"}))
    assert (
        "evaluation/acc"
        in measured(
            transformers_model, ROWS.rename(columns={"text": "review"}), text_column="review", metrics=["acc"]
        ).metrics
    )


def test_a_model_of_another_kind_is_left_to_other_evaluators(caplog):
    from sklearn.linear_model import LogisticRegression

    numbers = pd.DataFrame({"x": [0.0, 1.0, 0.2, 0.9], "label": [0, 1, 0, 1]})
    made = LogisticRegression().fit(numbers[["x"]], numbers["label"])
    # requirements that are not given are found in a process of their own
    logged = mlflow.sklearn.log_model(made, name="numbers", pip_requirements=["scikit-learn"])
    with pytest.raises(mlflow.MlflowException, match="could not be evaluated by any"):
        measured(logged.model_uri, numbers)
    assert "pct does not measure this model" in caplog.text


def test_a_classifier_of_transformers_is_registered_from_the_command_line_and_loads(
    tmp_path, client, capsys, monkeypatch
):
    from pipelines.evaluate import main

    # its graphs take long, and are compared with torch in tests/pct/onnx and tests/serving/test_wrapped.py
    monkeypatch.setattr("pipelines.logged_model.export_model", lambda *_: None)

    for part in (families.classifier("BERT", classes=2, num_hidden_layers=1), families.tokenizer("BERT")):
        part.save_pretrained(tmp_path / "mine")
    rows = ROWS.to_dict("records")
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = ["--model", "mine", "--data", "rows.jsonl", "--register", "mine", "--quiet"]
    assert main(asked) == 0
    assert "models:/mine/1 is not @champion: it has no accuracy on a validation split" in capsys.readouterr().out
    tags = client.get_model_version("mine", "1").tags
    assert "test_acc" in tags
    assert not {"validation_acc", "champion_rule"} & set(tags)
    assert main([*asked, "--split", "validation"]) == 0
    assert "models:/mine/1 is" in capsys.readouterr().out
    tags = client.get_model_version("mine", "1").tags
    loaded = pct.load("models:/mine/1")
    assert float(tags["validation_acc"]) == pytest.approx(pct.evaluate(loaded, (ROWS["text"], [1, 0, 0, 0, 1, 0])).acc)
    assert float(tags["largest_class"]) == pytest.approx(4 / 6)
    answer = mlflow.pyfunc.load_model("models:/mine/1").predict(ROWS)
    assert list(answer["label"]) == [loaded.classes[i] for i in loaded.predict(ROWS["text"].tolist()).argmax(1)]
