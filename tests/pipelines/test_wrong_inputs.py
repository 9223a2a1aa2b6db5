"""Jobs on wrong inputs: a line, no traceback, nothing half registered."""

import pytest

from pipelines import evaluate, finetune
from tests.one_line import ends_with_one_line
from tests.pipelines.conftest import TINY_OPTIONS

MARGINS = [["--champion-margin", margin] for margin in ("nan", "2", "-1", "x")]
NAMES = [["--name", name] for name in ("a/b", "a:b", " ")]


@pytest.mark.parametrize("rest", [
    *MARGINS, *NAMES, ["--corpus", "nowhere"], ["--epochs", "0"], ["--lr", "nan"], ["--limit", "-1"], ["--seed", "1.5"],
    ["--corpus", "files"], ["--corpus", "files", "--train-file", "nowhere.csv"], ["--model", "/no/such"],
    ["--glove", "/no/file"], ["--words", "missing:x"], ["--words", "os:getcwd"], ["--extra-metrics", "magic"],
    ["--run-dir", "a_file"], ["--run-dir", "a_file/below"], ["--corpus", "files", "--train-file", "a_file"],
], ids=" ".join)  # fmt: skip
def test_a_run_that_cannot_begin(rest, capsys, tmp_path, client):
    (tmp_path / "a_file").write_text("not a run\n", encoding="utf-8")
    ends_with_one_line(["run", *TINY_OPTIONS, *([] if "--run-dir" in rest else ["--run-dir", "run"]), *rest], capsys)
    assert (tmp_path / "a_file").read_text(encoding="utf-8") == "not a run\n"
    assert all(run.info.status == "FAILED" for run in client.search_runs(["0"]))
    assert not client.search_registered_models()


@pytest.mark.parametrize("rest", [*MARGINS, *NAMES], ids=" ".join)
def test_an_upload_that_cannot_be_made_logs_nothing(rest, run_dir, capsys, client):
    ends_with_one_line(["track", str(run_dir), *rest], capsys)
    assert not client.search_runs(["0"])


def test_a_folder_without_a_run_is_not_uploaded(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a_file").write_text("", encoding="utf-8")
    for name in ("empty", "a_file", "nowhere"):
        ends_with_one_line(["track", name], capsys)


@pytest.mark.parametrize("command", [
    ["models", "nowhere"], ["models", "a'b"], ["models", "a'b\"c"], ["models", "nowhere", "--delete", "1"],
    ["models", "--delete", "1"], ["models", "x", "--delete", "y"], ["promote"], ["promote", "nowhere"],
    ["promote", "nowhere", "1"], ["promote", "nowhere", "x"], ["promote", "a'b", "1"], ["promote", ""],
    ["report"], ["report", "nowhere"], ["report", "a_file"], ["report", "--from-mlflow", "nowhere"],
], ids=" ".join)  # fmt: skip
def test_models_and_runs_that_are_not_there(command, capsys, tmp_path):
    (tmp_path / "a_file").write_text("", encoding="utf-8")
    ends_with_one_line(command, capsys)
    assert not (tmp_path / "report").exists()


def test_a_report_does_not_go_where_a_file_is(run_dir, capsys, tmp_path):
    (tmp_path / "a_file").write_text("kept", encoding="utf-8")
    ends_with_one_line(["report", str(run_dir), "--out", "a_file"], capsys)
    assert (tmp_path / "a_file").read_text(encoding="utf-8") == "kept"


@pytest.mark.parametrize("command", [
    ["run", *TINY_OPTIONS, "--run-dir", "new"], ["track", "RUN"], ["models"], ["promote", "x"],
    ["report", "--from-mlflow", "Default"],
], ids=lambda command: command[0])  # fmt: skip
@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:PORT", "sqlite:////no/folder/mlflow.db", "magic://x", "sqlite:///a_file"]
)
def test_a_tracking_that_is_not_there(command, where, run_dir, closed_port, capsys, tmp_path, monkeypatch):
    (tmp_path / "a_file").write_text("no database", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", where.replace("PORT", str(closed_port)))
    ends_with_one_line([str(run_dir) if part == "RUN" else part for part in command], capsys)
    assert (tmp_path / "a_file").read_text(encoding="utf-8") == "no database"


@pytest.mark.parametrize("job", [finetune, evaluate], ids=lambda job: job.__name__)
@pytest.mark.parametrize("rest", [["--register", "a/b"], ["--device", "toaster"], ["--model", "nowhere"]], ids=" ".join)
def test_a_job_on_a_model_that_cannot_begin(job, rest, run_dir, capsys):
    assert job.main(["--model", str(run_dir), "--quiet", *rest]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")


def test_a_registered_model_whose_name_has_quotes_is_listed(client, capsys):
    from pct import cli

    for name in ("it's", 'the "best"', 'it\'s "both"'):
        client.create_registered_model(name)
        assert cli.main(["models", name]) == 0
        assert capsys.readouterr().out.startswith(name)
