"""Services and Bentos that cannot begin: a line."""

import io
import json
import shutil
from contextlib import nullcontext, redirect_stderr
from types import SimpleNamespace

import pytest

from pct import cli
from pct.layout import CONFIG
from serving import model_sources
from serving.model_store import ModelEntry
from tests.one_line import ends_with_one_line
from tests.pipelines.conftest import empty_store  # noqa: F401  making a registry's tables takes seconds

pytest.importorskip("bentoml")

from serving.command import check_several

MODELS = ["nowhere", "a_file", "empty", "a=", "=x", "models:/none@champion", "runs:/none/model", "damaged"]
OPTIONS = [
    ["--port", "0"], ["--port", "99999"], ["--port", "x"], ["--workers", "0"], ["--threads", "-1"], ["--poll", "nan"],
    ["--poll", "0"], ["--poll", "inf"], ["--max-texts", "0"], ["--max-seconds", "nan"], ["--max-queue", "-1"],
    ["--host", "no.such.host.invalid"], ["--log", "magic"],
]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch, empty_store):  # noqa: F811
    """A folder with what is no model, beside an empty registry."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("PCT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "a_file").write_text("no model", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "model.onnx").write_bytes(b"\xff" * 64)
    return tmp_path


@pytest.mark.parametrize("command", ["serve", "bento"])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_is_none(command, model, place, capsys, monkeypatch):
    monkeypatch.setattr(model_sources.subprocess, "run", in_this_process)
    ends_with_one_line([command, model], capsys)


def in_this_process(command, **_):
    """A command of pct in place of a process that must import all of it again."""
    with redirect_stderr(io.StringIO()) as err:
        code = cli.main(command[command.index("pct.cli") + 1 :])
    return SimpleNamespace(returncode=code, stderr=err.getvalue())


@pytest.mark.parametrize("rest", OPTIONS, ids=" ".join)
def test_options_of_a_service_out_of_their_range_are_told_before_a_model_is_looked_for(rest, place, capsys):
    assert "nowhere" not in ends_with_one_line(["serve", "nowhere", *rest], capsys)


def test_a_threshold_for_a_model_of_one_class_is_refused_before_the_service_starts(tmp_path):
    for kind, wrong in (("sigmoid", False), ("softmax", True), ("value", True)):
        (tmp_path / CONFIG).write_text(json.dumps({"probabilities": kind}))
        refused = pytest.raises(ValueError, match=r"threshold 0.4: here does not assign several labels")
        with refused if wrong else nullcontext():
            check_several([ModelEntry("a", str(tmp_path), "here", threshold=0.4)])
