"""A Bento holds its model, and answers as the model does; the container's recipe holds what it promises."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import psutil
import pytest

from pct.onnx.predictor import OnnxPredictor
from tests.project import REPOSITORY
from tests.serving.conftest import Running, wait
from tests.waiting import free_port

TEXTS = ["a moving film", "dull"]


def bento_of(home: Path) -> Path:
    """The one Bento of a store."""
    (found,) = (p.parent for p in home.glob("bentos/*/*/bento.yaml"))
    return found


CONTAINER = {("BENTOML_HOST", "0.0.0.0"), ("PCT_SERVE_HOSTS", "*")}


def container_variables(home: Path) -> set[tuple[str, str]]:
    """The names and values of the variables in the Dockerfile of a store's one Bento."""
    recipe = (bento_of(home) / "env" / "docker" / "Dockerfile").read_text()
    return {(name, value.strip("'\"")) for name, value in re.findall(r"^(?:ENV|ARG) (\w+)=(.*)$", recipe, re.MULTILINE)}


def listening(port: int) -> set[str]:
    """The addresses at which processes listen at a port."""
    connections = psutil.net_connections("tcp")
    return {c.laddr.ip for c in connections if c.laddr.port == port and c.status == psutil.CONN_LISTEN}


def test_a_bento_is_built_by_one_command_and_serves_its_model(exported, tmp_path):
    model = Path(shutil.copytree(exported["pct"], tmp_path / "model"))
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "pct.cli", "bento", f"reviews={model}", "--name", "reviews", "--version", "one"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "bentoml serve reviews:one" in done.stdout
    shutil.rmtree(model)  # it is in the Bento
    environment.pop("PYTHONPATH")  # and so is the code
    log, port = tmp_path / "log", free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "reviews:one", "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT)
    try:
        running = Running(f"http://127.0.0.1:{port}", process, log)
        wait(running)
        status, answer = running.ask("/predict", {"texts": TEXTS})
        assert (status, answer["model"]["id"]) == (200, "reviews")
        assert running.ask("/predict", {"texts": TEXTS}, {"Host": "any.example"})[0] == 421
        assert listening(port) == {"127.0.0.1"}
        assert container_variables(tmp_path / "home") >= CONTAINER
        expected = OnnxPredictor.load(exported["pct"], 1).predict(TEXTS)
        found = [list(p["probabilities"].values()) for p in answer["predictions"]]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert str(tmp_path) not in str(running.ask("/model"))
    finally:
        process.terminate()
        process.wait(30)


def test_bentoml_build_takes_the_model_that_was_exported_to_served(exported, tmp_path):
    checkout = tmp_path / "checkout"
    for part in ("pct", "serving"):
        shutil.copytree(REPOSITORY / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("bentofile.yaml", "requirements-serve.lock"):
        shutil.copy(REPOSITORY / part, checkout / part)
    shutil.copytree(exported["pct"], checkout / "served")
    environment = {**os.environ, "BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build"]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    bento = bento_of(tmp_path / "home")
    assert (bento / "src" / "served" / "model.onnx").is_file()
    assert (bento / "src" / "serving" / "page" / "index.html").is_file()
    assert "torch" not in (bento / "env" / "python" / "requirements.txt").read_text()
    assert container_variables(tmp_path / "home") >= CONTAINER


def test_the_image_of_a_sweep_s_nodes_gets_what_it_installs():
    recipe = (REPOSITORY / "cluster" / "Dockerfile").read_text()
    admitted = (REPOSITORY / "cluster" / "Dockerfile.dockerignore").read_text().splitlines()
    assert re.findall(r"^COPY --chown=ray (.*) \S+$", recipe, re.MULTILINE) == ["requirements.lock", "."]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages = [pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    for name in ("requirements.lock", "pyproject.toml", project["project"]["readme"], *packages):
        assert (REPOSITORY / name).exists()
        assert f"!{name}" in admitted


def test_the_containers_recipe():
    recipe = (REPOSITORY / "Dockerfile").read_text()
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    final = recipe.rpartition("FROM ")[2]
    assert re.search(r"^USER [1-9]", final, re.MULTILINE)
    assert "COPY pct" not in final  # the environment alone, nothing to write to
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", recipe, re.MULTILINE) for name in line.split()]
    assert len(copied) > 4
    for name in copied:
        assert (REPOSITORY / name).exists()
        assert f"!{name}" in ignored


@pytest.mark.slow
def test_the_containers_steps_in_an_environment_of_a_user_without_a_home(exported, tmp_path):
    recipe = (REPOSITORY / "Dockerfile").read_text()
    python = tmp_path / "venv" / "bin" / "python"
    context = tmp_path / "context"
    context.mkdir()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", recipe, re.MULTILINE):
        for name in line.split():
            source = REPOSITORY / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, context / name)
    for line in re.findall(r"^RUN (.*)$", recipe, re.MULTILINE):
        step = line.replace("/venv", str(tmp_path / "venv"))
        subprocess.run(["sh", "-c", step], cwd=context, check=True, capture_output=True)
    log, port = tmp_path / "log", free_port()
    environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": "/proc", "ORT_DISABLE_TELEMETRY": "1"}
    command = [str(python.parent / "pct"), "serve", "--host", "0.0.0.0", str(exported["pct"]), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd="/", stdout=out, stderr=subprocess.STDOUT)
    try:
        running = Running(f"http://127.0.0.1:{port}", process, log)
        wait(running)
        assert running.ask("/explain", {"texts": TEXTS})[0] == 200
        assert "Traceback" not in running.log
    finally:
        process.terminate()
        process.wait(30)
