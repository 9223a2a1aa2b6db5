"""A classifier fine-tuned in an MLflow run: the table of what changed is logged; only an improvement is registered."""

import json
from pathlib import Path

import pytest

import pct
from pct.corpora.loading import read_splits
from pct.training.runs import load_run
from pipelines.finetune import main

OPTIONS = ["--limit", "48", "--epochs", "1", "--evaluate_limit", "16", "--quiet"]


def test_the_table_before_and_after_is_logged(run_dir, client, capsys):
    code = main(["--model", str(run_dir), "--output", "out", "--register", "finetuned", *OPTIONS])
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FINISHED"
    before = load_run(run_dir).test
    assert run.data.metrics["before/acc"] == pytest.approx(before.acc)
    assert run.data.metrics["before/comp_minus_suff"] == pytest.approx(before.gaps["comp-suff"], abs=1e-6)
    for name in ("acc", "comp_minus_suff", "ur_minus_ir"):
        difference = run.data.metrics[f"after/{name}"] - run.data.metrics[f"before/{name}"]
        assert run.data.metrics[f"change/{name}"] == pytest.approx(difference, abs=1e-6)
    assert "| comp-suff |" in run.data.tags["mlflow.note.content"]
    assert {f.path for f in client.list_artifacts(run.info.run_id)} >= {"change.md", "change.json"}
    improved = json.loads(Path(client.download_artifacts(run.info.run_id, "change.json")).read_text())["improved"]
    assert code == (0 if improved else 3)
    assert len(client.search_model_versions("name = 'finetuned'")) == int(improved)
    assert "95 % interval" in capsys.readouterr().out


def test_an_improved_model_is_registered_with_numbers_of_the_validation_split(run_dir, client, monkeypatch, capsys):
    monkeypatch.setattr("pct.metrics.change.Change.improved", True)
    monkeypatch.setattr("pipelines.logged_model.export_model", lambda *_: None)
    assert main(["--model", str(run_dir), "--output", "out", "--register", "finetuned", *OPTIONS]) == 0
    tags = client.get_model_version("finetuned", "1").tags
    classifier = pct.load("out")
    validation = read_splits(classifier.settings.replace(limit=48)).splits["validation"]
    wanted = pct.evaluate(classifier, validation)
    assert float(tags["validation_acc"]) == pytest.approx(wanted.acc, abs=1e-6)
    assert float(tags["validation_comp_minus_suff"]) == pytest.approx(wanted.gaps["comp-suff"], abs=1e-5)
    assert tags["limited"] == "true"


def test_the_table_is_printed_where_it_cannot_be_logged(run_dir, client, monkeypatch, capsys):
    def gone(*_):
        raise ConnectionError("gone")

    monkeypatch.setattr("pipelines.finetune._log", gone)
    assert main(["--model", str(run_dir), "--output", "out", *OPTIONS]) == 3
    output = capsys.readouterr()
    assert "95 % interval" in output.out
    assert "not logged to" in output.err
    assert Path("out").is_dir()
    assert [r.info.status for r in client.search_runs(["0"])] == ["FAILED"]


def test_other_classes_end_the_run_as_failed(run_dir, tmp_path, client, capsys):
    rows = [{"text": "a film", "label": label} for label in ("good", "bad")] * 8
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert main(["--model", str(run_dir), "--train_file", "rows.jsonl", "--test_file", "rows.jsonl", "--quiet"]) == 1
    assert "the texts have the class 'bad', the model has negative, positive" in capsys.readouterr().err
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FAILED"
