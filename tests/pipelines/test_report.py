"""The report job: from run folders or from MLflow, and into MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines import report
from pipelines.upload import upload_run


def test_a_report_of_folders_is_written_and_logged(
    run_dir: Path, client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main([str(run_dir), "--out", "out", "--track", "--about", "by hand"]) == 0
    assert "report      out/report.html" in capsys.readouterr().out
    (run,) = client.search_runs(["0"], "tags.`pct.kind` = 'report'")
    assert run.info.status == "FINISHED"
    assert {"report.html", "metrics.csv", "gaps.svg"} <= {f.path for f in client.list_artifacts(run.info.run_id)}


def test_a_report_of_runs_in_mlflow_is_that_of_their_folders(run_dir: Path, client: Any) -> None:
    upload_run(run_dir, experiment="grid", registers=False)
    assert report.main([str(run_dir), "--out", "of-folders"]) == 0
    assert report.main(["--from-mlflow", "grid", "--out", "of-mlflow"]) == 0
    for name in ("metrics.csv", "claims.csv"):
        assert Path("of-mlflow", name).read_text() == Path("of-folders", name).read_text()


@pytest.mark.parametrize("argv", [["nowhere"], ["--from-mlflow", "nothing"]])
def test_a_report_of_nothing_is_an_error_in_a_line(
    argv: list[str], client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main(argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "no finished run" in err
    assert "Traceback" not in err
