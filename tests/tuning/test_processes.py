"""A trial that several processes train: the weights of one process, and no process that outlives its trial."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from pct.corpora.loading import load_splits
from pct.layout import CHECKPOINT
from pct.settings import Settings
from pct.training.prepared import prepare
from pct.training.trainer import train
from tests.tuning.conftest import ended, tiny_plan
from tests.waiting import until
from tuning.ledger import BASELINE, FAILED, FINISHED, STOPPED, Ledger
from tuning.plan import Plan
from tuning.resources import Resources
from tuning.search import resources_of_trial, search

TOGETHER = Resources(workers=1, cpus=2, devices=2, retries=1)


def settings(**changes: Any) -> Settings:
    values = {"method": "pct", "limit": 64, "epochs": 2, "evaluate_limit": 16, "dropout": 0.0, "threads": 1}
    return Settings(**{**values, "device": "cpu", "measure_important": 0.1, "measure_unimportant": 0.1, **changes})


def run(plan: Plan, ledger: Ledger, folder: Path) -> None:
    """A sweep on the connected Ray."""
    import ray
    from ray import tune

    from tuning.driver import with_data

    data = prepare(plan.base, load_splits(plan.base))
    search(plan, TOGETHER, folder, ledger, tune.with_parameters(with_data, shared=[ray.put(data)]))


def parts(driver: int | None = None) -> list[psutil.Process]:
    """The processes that train, oldest first."""
    parts = []
    for process in psutil.Process(driver).children(recursive=True):
        try:
            if "train_part" in " ".join(process.cmdline()):
                parts.append(process)
        except psutil.NoSuchProcess:
            continue
    return sorted(parts, key=lambda p: p.create_time())


@contextmanager
def watched(act: Callable[[], bool] = lambda: True) -> Iterator[set[int]]:
    """The ids of all processes that train during the block. act: called until it returns true."""
    ids: set[int] = set()
    over = Event()

    def watch() -> None:
        done = False
        while not over.wait(0.1):
            ids.update(p.pid for p in parts())
            done = done or act()

    thread = Thread(target=watch)
    thread.start()
    try:
        yield ids
    finally:
        over.set()
        thread.join()


def assert_weights_of_one_process(ledger: Ledger, plan: Plan, sweep: Path, alone: Path) -> None:
    trial = ledger.trials[1]
    assert (trial.state, trial.error) == (FINISHED, "")
    records: list[dict[str, Any]] = []
    train(plan.settings(trial.config), None, alone, records.append, progress=False)
    assert [r["train_loss"] for r in trial.records] == pytest.approx([r["train_loss"] for r in records], abs=1e-5)
    assert [r["validation_comp"] for r in trial.records] == pytest.approx(
        [r["validation_comp"] for r in records], abs=1e-5
    )
    (path,) = sweep.rglob(CHECKPOINT)
    expected = {k: v for k, v in load_file(alone / CHECKPOINT).items() if k.startswith("model.")}
    weights = load_file(path)
    differences = torch.cat([(weights[name] - value).abs().flatten() for name, value in expected.items()])
    # where a gradient is rounding noise, Adam may go a step or two another way
    assert float((differences < 1e-5).float().mean()) > 0.9
    assert float(differences.max()) < 3 * plan.settings(trial.config).lr


@pytest.mark.faults
def test_a_trial_of_which_a_process_is_killed_goes_on_to_the_weights_of_one_process(local_ray, ledger, tmp_path):
    plan = tiny_plan(base=settings(limit=600, epochs=6), trials=1, baseline=False)

    def kill() -> bool:
        if not (1 in ledger.trials and ledger.trials[1].checkpoint and len(two := parts()) == 2):
            return False
        two[1].send_signal(signal.SIGKILL)
        return True

    with watched(kill) as ids:
        run(plan, ledger, tmp_path / "sweep")
    assert len(ids) == 4
    assert ledger.trials[1].retries == 1
    assert ledger.trials[1].resumed >= 1
    assert_weights_of_one_process(ledger, plan, tmp_path / "sweep", tmp_path / "alone")


@pytest.mark.faults
def test_an_error_in_the_processes_is_that_of_the_trial_and_is_not_tried_again(local_ray, ledger, tmp_path):
    run(tiny_plan(base=settings(lr=1e30), trials=1, baseline=False), ledger, tmp_path / "sweep")
    trial = ledger.trials[1]
    assert (trial.state, trial.retries) == (FAILED, 0)
    assert trial.error.startswith("FloatingPointError: ")
    until(lambda: not parts())


@pytest.mark.faults
def test_a_trial_that_is_stopped_early_leaves_no_process(local_ray, ledger, tmp_path):
    base = settings(epochs=4)
    plan = tiny_plan(base=base, mode="single", stop_early=True, trials=7)
    ended(ledger, BASELINE, 0.1, 0.9, {"method": "normal"})
    for number in range(1, 6):
        ended(ledger, number, 0.99, 0.95)
    with watched() as ids:
        run(plan, ledger, tmp_path / "sweep")
        until(lambda: not parts())
    assert [(ledger.trials[n].state, ledger.trials[n].epoch) for n in (6, 7)] == [(STOPPED, 1)] * 2
    assert len(ids) == 4


@pytest.mark.faults
def test_the_processes_of_a_trial_end_with_the_driver(tmp_path):
    options = ["--devices=2", "--workers=1", "--trials=1", "--no-baseline", "--limit=2000", "--epochs=50", "--quiet"]
    command = [sys.executable, "-m", "tuning.sweep", "--folder=sweep", "--device=cpu", *options]
    driver = subprocess.Popen(command, start_new_session=True, cwd=tmp_path)
    try:
        until(lambda: driver.poll() is not None or len(parts(driver.pid)) == 2)
        two = parts(driver.pid)
        assert len(two) == 2
        driver.kill()
        until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in two))
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()


def test_a_trial_of_several_gpus_has_a_process_and_a_bundle_for_each():
    assert [Resources(gpus=gpus).processes for gpus in (0, 0.5, 1, 4)] == [1, 1, 1, 4]
    assert resources_of_trial(Resources(gpus=0.5)) == {"CPU": 1, "GPU": 0.5}
    group = resources_of_trial(Resources(cpus=5, gpus=2, custom={"disk": 1}))
    assert group.bundles == [{"CPU": 2, "GPU": 1, "disk": 0.5}] * 2
    assert group.strategy == "STRICT_PACK"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gpus": 1.5}, "gpus must be a share of one GPU or a whole number, got 1.5"),
        ({"devices": 2, "gpus": 0.5}, "a trial of 2 devices has 2 GPUs or none, got 0.5"),
        ({"devices": 0}, "devices must be >= 1, got 0"),
    ],
)
def test_devices_that_a_trial_cannot_have_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Resources(**values)
