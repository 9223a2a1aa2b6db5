"""One tiny finished run, and a tracking of its own for each test."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from pct.settings import Settings
from pct.training.runs import run
from pipelines.figures import draw_figures
from pipelines.logged_model import export_run
from tests.project import REPOSITORY
from tests.shared import made_once
from tests.waiting import free_port

pytest.importorskip("mlflow")
# more threads than one only wait for each other at this size
torch.set_num_threads(1)

TINY = Settings(limit=48, epochs=2, evaluate_limit=16, lr=2e-3)  # learns enough to be a champion
TINY_OPTIONS = ["--limit", "48", "--epochs", "2", "--evaluate_limit", "16", "--lr", "2e-3", "--quiet"]


@pytest.fixture(scope="session")
def finished() -> Path:
    """The folder of a finished run; copy it before you change it."""

    def make(folder: Path) -> None:
        trained = run(TINY, folder / "run", progress=False)
        assert export_run(trained, print)  # once, not in each test that tracks it
        draw_figures(trained)

    return made_once("finished", make) / "run"


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    """A finished run that the test may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="session")
def empty_store() -> Path:
    """An MLflow database without runs: making its tables takes seconds, copying it none."""
    import mlflow

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as m:
            m.chdir(folder)  # where MLflow will put what runs leave: not into the checkout
            mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return made_once("store", make) / "mlflow.db"


@pytest.fixture(autouse=True)
def uri(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The test's own tracking, named by MLFLOW_TRACKING_URI; the test runs in its own folder."""
    import mlflow

    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "Default")  # the experiment that a new store has, by its number 0
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    yield f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(None)


@pytest.fixture
def client(uri: str) -> Any:
    """A client of the test's tracking."""
    import mlflow

    return mlflow.MlflowClient(uri)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Another process works in the folder, and is killed in the end."""
    code = (
        "import sys; from pathlib import Path; from pct.writing import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])):\n    print('in', flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(folder.absolute())]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        yield
    finally:
        other.kill()
        other.wait()


@pytest.fixture
def closed_port() -> int:
    """A loopback port where nothing listens."""
    return free_port()
