"""The evaluate job: any model on any texts of its classes, in a run of its own."""

import json

import pytest

from pct import cli
from pct.training import runs
from pipelines import evaluate as job
from pipelines.evaluate import main
from pipelines.upload import upload_run


def test_a_run_folder_measured_again_gives_its_own_report(run_dir, client, capsys):
    assert main(["--model", str(run_dir), "--limit", "48", "--quiet"]) == 0
    assert "on planted, test split, 48 texts" in capsys.readouterr().out
    (run,) = client.search_runs(["0"])
    wanted = runs.load_run(run_dir).test
    assert run.data.metrics["test/comp"] == pytest.approx(wanted.comp, abs=1e-5)
    (data,) = run.inputs.dataset_inputs
    assert [t.value for t in data.tags] == ["evaluation"]
    assert json.loads(data.dataset.profile)["num_rows"] == len(wanted.columns["n"])
    assert run.data.params["model.method"] == "pct"
    assert run.data.params["texts"] == "48"
    assert run.info.status == "FINISHED"
    assert {f.path for f in client.list_artifacts(run.info.run_id)} == {"report.json", "per_text.parquet"}


def test_a_registered_model_is_measured_on_a_file(run_dir, tmp_path, client, capsys):
    upload_run(run_dir)
    rows = [{"text": "a brilliant film", "label": "positive"}, {"text": "dull and stale", "label": "negative"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert main(["--model", "models:/pct-planted-textcnn@champion", "--data", "rows.jsonl", "--quiet"]) == 0
    assert "on rows.jsonl, 2 texts" in capsys.readouterr().out
    run = client.search_runs(["0"], order_by=["start_time DESC"])[0]
    assert "data/comp" in run.data.metrics


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "nowhere"], "holds no classifier"),
        (["--model", "models:/none@champion"], "cannot be downloaded from MLflow"),
        (["--model", "{run}", "--data", "none.csv"], "none.csv does not exist"),
    ],
)
def test_what_cannot_be_measured_is_an_error_and_a_failed_run(argv, message, run_dir, client, capsys):
    assert main([a.replace("{run}", str(run_dir)) for a in argv]) == 1
    assert message in capsys.readouterr().err
    assert [r.info.status for r in client.search_runs(["0"])] == ["FAILED"]


def test_a_corpus_of_other_classes_is_refused(run_dir, data_dir, capsys):
    assert main(["--model", str(run_dir), "--corpus", "ag_news"]) == 1
    assert "the texts have the class 'World', the model has negative, positive" in capsys.readouterr().err


def test_a_server_that_is_down_fails_before_the_model_is_read(closed_port, monkeypatch, capsys):
    monkeypatch.setattr(job, "load", lambda *a: pytest.fail("the model was read"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port}")
    assert main(["--model", "x"]) == 1
    assert "connection refused" in capsys.readouterr().err


def test_what_was_measured_is_shown_also_when_it_cannot_be_logged(run_dir, monkeypatch, capsys):
    def gone(*_):
        raise ConnectionError("gone")

    monkeypatch.setattr(job, "_log", gone)
    assert main(["--model", str(run_dir), "--limit", "10", "--quiet"]) == 3
    told = capsys.readouterr()
    assert "comp" in told.out
    assert "not logged to" in told.err


def test_what_was_skipped_cut_or_taken_for_an_index_stands_on_the_run(run_dir, tmp_path, client, monkeypatch, capsys):
    rows = [("a brilliant film", 1), ("dull and stale", 0), ("", 1), ("dull", 7), ("film " * 100, 0)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{t},{x}\n" for t, x in rows), encoding="utf-8")
    options = ["--data", "rows.csv", "--on-bad-row", "skip", "--labels", "indices"]
    assert cli.main(["evaluate", str(run_dir), *options, "--limit", "2", "--json"]) == 0
    notes = {"rows_skipped": {"no text": 1, "an unknown label": 1}, "labels_as_indices": 3, "left_out_by_limit": 1}
    assert json.loads(capsys.readouterr().out)["data"] == notes

    assert cli.main(["evaluate", str(run_dir), *options]) == 0
    output = capsys.readouterr().out.splitlines()[-3:]
    assert output == [
        "1 of 3 texts was cut to max_length",
        "2 rows were skipped: 1 with no text, 1 with an unknown label",
        "3 labels were read as class indices",
    ]

    assert main(["--model", str(run_dir), "--data", "rows.csv", "--quiet"]) == 1  # an error, unless told otherwise
    assert main(["--model", str(run_dir), "--data", "rows.csv", "--quiet", *options[2:]]) == 0
    run = client.search_runs(["0"], order_by=["start_time DESC"])[0]
    told = {name: value for name, value in run.data.tags.items() if name.startswith("data.")}
    assert told == {
        "data.rows_skipped": '{"no text": 1, "an unknown label": 1}',
        "data.labels_as_indices": "3",
        "data.cut_texts": "1",
    }
