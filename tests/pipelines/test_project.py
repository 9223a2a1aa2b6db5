"""MLproject says what the code takes, and `mlflow run` works as it is written."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from pct.commands.options import given_settings
from pct.settings import Settings
from pct.training.finetune import finetune_settings
from pipelines import finetune
from pipelines.champion import MARGIN
from pipelines.main import _parser
from tests.pct.small import small_classifier
from tests.project import REPOSITORY, clone


@pytest.fixture
def project() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "MLproject").read_text())
    return found


def test_the_parameters_of_main_are_settings_with_their_defaults(project):
    defaults = {f.name: f.default for f in fields(Settings)} | {"champion_margin": MARGIN}
    parameters = project["entry_points"]["main"]["parameters"]
    assert {name: p["default"] for name, p in parameters.items()} == {name: defaults[name] for name in parameters}


def test_the_commands_use_each_of_their_parameters_and_parse(project):
    for entry in project["entry_points"].values():
        assert set(re.findall(r"{(\w+)}", entry["command"])) == set(entry["parameters"])
    main = project["entry_points"]["main"]
    command = main["command"].format(**{k: p["default"] for k, p in main["parameters"].items()})
    _parser().parse_args(command.split()[3:])


@pytest.mark.parametrize(("family", "method"), [("transformer", "removal_margin"), ("textcnn", "pct")])
def test_finetune_leaves_the_method_to_the_kind_of_model(project, family, method):
    entry = project["entry_points"]["finetune"]
    given = {name: shlex.quote(str(p.get("default", "x"))) for name, p in entry["parameters"].items()}
    options = finetune._parser().parse_args(shlex.split(entry["command"].format(**given))[3:])
    classifier = small_classifier(family)
    assert finetune_settings(classifier, **given_settings(options)).method == method


def test_the_environment_is_the_lock():
    environment = yaml.safe_load((REPOSITORY / "python_env.yaml").read_text())
    assert environment == {"dependencies": ["-r requirements.lock"]}
    assert (REPOSITORY / "requirements.lock").is_file()


@pytest.mark.slow
def test_mlflow_run_with_the_local_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    place = clone(tmp_path / "clone")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}

    def mlflow_run(*options):
        command = [sys.executable, "-m", "mlflow", "run", ".", "--env-manager", "local", *options]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    output = mlflow_run("-P", "method=pct", "-P", "limit=200", "-P", "epochs=1", "-P", "p_important=0.2")
    assert "models:/pct-planted-textcnn/1 is @champion" in output
    assert f"mlflow ui --backend-store-uri sqlite:///{place}/mlflow.db" in output
    output = mlflow_run("-e", "evaluate", "-P", "model=models:/pct-planted-textcnn@champion", "-P", "limit=50")
    assert "50 texts" in output
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{place}/mlflow.db")
    assert len(client.search_runs(["0"])) == 1  # what `mlflow run` itself made, empty
    found = client.search_runs([client.get_experiment_by_name("pct").experiment_id])
    assert [r.info.status for r in found] == ["FINISHED", "FINISHED"]
    assert "pct-planted-textcnn-seed0" in {r.info.run_name for r in found}
    assert {r.data.params.get("p_important") for r in found} == {"0.2", None}


@pytest.mark.slow
@pytest.mark.timeout(3600)  # it installs everything anew
@pytest.mark.skipif(shutil.which("pyenv") is None, reason="mlflow run makes its environments with pyenv")
def test_mlflow_run_as_it_is_written_with_only_mlflow_installed(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    place = clone(tmp_path / "clone")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "bare")], check=True)
    bare = tmp_path / "bare" / "bin"
    version = next(line for line in (place / "requirements.lock").read_text().split() if line.startswith("mlflow=="))
    subprocess.run([str(bare / "pip"), "install", "--quiet", version], check=True)
    command = [str(bare / "mlflow"), "run", ".", "-P", "method=pct", "-P", "limit=200", "-P", "epochs=1"]
    environment = {**os.environ, "MLFLOW_ENV_ROOT": str(tmp_path / "environments")}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "models:/pct-planted-textcnn/1 is @champion" in done.stdout
