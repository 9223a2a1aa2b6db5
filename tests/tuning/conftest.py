"""Ledgers made by hand, and a tracking of its own for each test."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytest.importorskip("optuna")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray yields to all else by default; a busy machine would starve it

from pct.settings import Settings
from tests.pipelines.conftest import client, closed_port, empty_store, uri  # noqa: F401  the same tracking
from tests.pipelines.test_main import mlflow_server  # noqa: F401  a real tracking server
from tuning.cluster import connected
from tuning.ledger import FINISHED, NORMAL, SEARCH, Ledger
from tuning.plan import Plan
from tuning.resources import Resources

TINY = ["--limit", "64", "--epochs", "2", "--evaluate_limit", "16", "--quiet", "--device", "cpu"]


def tiny_plan(**changes: Any) -> Plan:
    """A plan of two ranges over tiny trainings."""
    base = Settings(limit=64, epochs=2, evaluate_limit=16, threads=1, measure_important=0.1, measure_unimportant=0.1)
    ranges = {"alpha": "loguniform(0.02, 1.0)", "batch_size": "choice(16, 32, 64)"}
    return Plan(**{"base": base, "ranges": ranges, "trials": 4, **changes})


def record(epoch: int, accuracy: float = 0.7, gap: float = 0.1) -> dict[str, Any]:
    """An epoch's record as the trainer gives it, in brief."""
    return {
        "epoch": epoch, "train_loss": 0.5, "validation_acc": accuracy, "validation_comp": gap, "validation_suff": 0.0,
    }  # fmt: skip


def ended(
    ledger: Ledger, number: int, accuracy: float, gap: float, config: dict[str, Any] | None = None, arm: str = ""
) -> None:
    """Puts a finished trial into a ledger; number 0 is the normal baseline."""
    ledger.start(number, config or {"alpha": 0.1, "batch_size": 32}, arm or (SEARCH if number else NORMAL))
    ledger.epoch(number, record(1, accuracy, gap))
    ledger.end(number, FINISHED, {"acc": accuracy, "f_x": 0.8, "comp": gap, "suff": 0.0, "comp_minus_suff": gap})


@pytest.fixture(autouse=True)
def _on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test joins a cluster that it did not start."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(autouse=True)
def _no_figures_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of each run that is uploaded take seconds, and are tested in tests/pipelines."""
    monkeypatch.setattr("pipelines.upload.draw_figures", lambda run: [])


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A Ray of three CPUs on this machine, for all tests that need one and leave it as it is: a start is expensive."""
    import ray

    with connected(Resources(workers=3)):
        assert ray.is_initialized()
        yield


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path / "sweep")
