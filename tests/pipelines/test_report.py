"""The report job: from run folders or from MLflow, and into MLflow."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import report
from pipelines.upload import upload_run


def test_a_report_of_folders_is_written_and_logged(run_dir, client, capsys):
    assert report.main([str(run_dir), "--out", "out", "--track", "--about", "by hand"]) == 0
    assert "report      out/report.html" in capsys.readouterr().out
    (run,) = client.search_runs(["0"], "tags.`pct.kind` = 'report'")
    assert run.info.status == "FINISHED"
    assert {"report.html", "metrics.csv", "gaps.svg"} <= {f.path for f in client.list_artifacts(run.info.run_id)}


@pytest.fixture
def tables_alone(monkeypatch):
    """The figures of reports take seconds."""
    monkeypatch.setattr("pct.output.report.page.make_figures", lambda *_: {})


@pytest.mark.usefixtures("tables_alone")
def test_a_report_of_runs_in_mlflow_is_that_of_their_folders(run_dir, client):
    upload_run(run_dir, experiment="grid", registers=False)
    assert report.main([str(run_dir), "--out", "of-folders"]) == 0
    assert report.main(["--from-mlflow", "grid", "--out", "of-mlflow"]) == 0
    for name in ("metrics.csv", "claims.csv"):
        assert Path("of-mlflow", name).read_text() == Path("of-folders", name).read_text()


@pytest.mark.parametrize("argv", [["nowhere"], ["--from-mlflow", "nothing"]])
def test_a_report_of_nothing_is_an_error_in_a_line(argv, client, capsys):
    assert report.main(argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "no finished run" in err
    assert "Traceback" not in err


def other_run(run_dir: Path, **changes: Any) -> dict[str, Any]:
    """A copy of a run in the folder `other`, as if made by other settings; returns the run's own."""
    path = Path(shutil.copytree(run_dir, "other")) / "settings.json"
    own: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(own | {"settings": own["settings"] | changes}))
    return dict(own["settings"])


@pytest.mark.usefixtures("tables_alone")
def test_sentences_are_shown_by_normal_and_by_pct(run_dir, client, capsys):
    Path("own.txt").write_text("The film is brilliant .\n\nA dull <script> .\n", encoding="utf-8")
    assert report.main([str(run_dir), "--out", "out", "--sentences", "own.txt"]) == 1
    assert "--sentences shows a model by normal and by pct: train both" in capsys.readouterr().err
    assert other_run(run_dir, method="normal")["method"] == "pct"
    assert report.main([str(run_dir), "other", "--out", "out", "--sentences"]) == 1  # no model of film reviews
    assert "name a file of your own sentences" in capsys.readouterr().err
    assert report.main([str(run_dir), "other", "--out", "out", "--sentences", "own.txt"]) == 0
    assert {"planted-textcnn-1.png", "planted-textcnn-2.png"} <= {f.name for f in Path("out").iterdir()}
    assert "&lt;script" in Path("out/report.html").read_text()


@pytest.mark.usefixtures("tables_alone")
def test_runs_that_differ_in_their_epochs_alone_are_drawn_side_by_side(run_dir, client):
    method = other_run(run_dir, epochs=7)["method"]
    assert report.main([str(run_dir), "other", "--out", "out", "--ridges"]) == 0
    names = {f.name for f in Path("out").glob("*.png")}
    assert {f"ridges-planted-textcnn-{method}.png", f"epochs-planted-textcnn-{method}.png"} <= names
    assert report.main([str(run_dir), "--out", "alone", "--ridges"]) == 0
    assert not list(Path("alone").glob("epochs-*"))
