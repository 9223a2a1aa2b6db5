"""Runs of a number and of several labels: tracked, registered, loaded from MLflow, measured there, and reported."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest

import pct
from pct.training.runs import run
from pipelines.report import main as report_main
from pipelines.upload import upload_run
from tests.pct.number import number_rows
from tests.pct.several import several_rows
from tests.pct.small import small_settings


@pytest.fixture(autouse=True)
def no_graphs(monkeypatch):
    """They take long, and are compared with torch in tests/pct."""
    monkeypatch.setattr("pipelines.upload.export_run", lambda *_: None)


def number_run(folder, method="normal"):
    settings = small_settings(method=method, head="value", label_column="stars", epochs=1)
    return run(settings, folder, progress=False, corpus=number_rows(80))


def test_a_run_of_a_number_is_tracked_registered_and_measured(tmp_path, client):
    trained = number_run(tmp_path / "run")
    uploaded = upload_run(tmp_path / "run", name="stars")
    assert uploaded.registered is not None
    assert not uploaded.registered.champion
    assert "a model of a number has none" in uploaded.registered.reason
    tags = client.get_model_version("stars", "1").tags
    assert float(tags["test_mae"]) == pytest.approx(trained.test.mae, abs=1e-6)
    logged = client.get_run(uploaded.mlflow_run.run_id)
    assert logged.data.metrics["test/mae"] == pytest.approx(trained.test.mae)
    assert "mean absolute error" in logged.data.tags["mlflow.note.content"]
    assert (tmp_path / "run" / "figures" / "examples.png").is_file()
    rows = pd.DataFrame(number_rows(6, seed=1))
    loaded = mlflow.pyfunc.load_model("models:/stars/1")
    answer = loaded.predict(rows[["text"]], params={"explain": True})
    own = trained.classifier()
    assert list(answer) == ["label", "value", "words", "saliency"]
    np.testing.assert_allclose(answer["value"], own.predict(rows["text"].tolist())[:, 0], rtol=1e-6)
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            "models:/stars/1", rows, targets="stars", model_type="regressor", evaluators="pct"
        )
    wanted = pct.evaluate(own, (rows["text"].tolist(), rows["stars"].tolist()))
    assert result.metrics["evaluation/mae"] == pytest.approx(wanted.mae)


def test_a_report_leaves_out_runs_of_a_number(tmp_path, capsys):
    number_run(tmp_path / "number" / "a")
    assert report_main([str(tmp_path / "number"), "--out", str(tmp_path / "report")]) == 1
    assert "no run chooses classes: the tables and claims compare accuracies" in capsys.readouterr().err


def test_a_report_has_runs_of_several_labels(tmp_path):
    for method in ("normal", "pct"):
        settings = small_settings(method=method, multi_label=True, epochs=2, lr=5e-3)
        run(settings, tmp_path / "runs" / method, progress=False, corpus=several_rows(120))
    assert report_main([str(tmp_path / "runs"), "--out", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "comp − suff" in text
    reports = [json.loads((tmp_path / "runs" / m / "report.json").read_text()) for m in ("normal", "pct")]
    assert all(one["pairs"] >= one["texts"] for one in reports)
