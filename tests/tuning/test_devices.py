"""One training by several processes of Ray Train."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import psutil
import pytest

from pct.training.runs import load_run, read_history
from pct.training.trainer import train
from tests.pct.processes import start
from tests.pct.small import same_weights, small_settings
from tests.pct.training.test_devices import joined
from tests.waiting import free_port
from tuning import devices
from tuning.devices import on_devices


def test_an_impossible_number_of_devices_is_refused():
    with pytest.raises(ValueError, match="devices must be >= 1, got 0"):
        on_devices(0, "")


def test_after_an_interrupt_python_does_not_wait_for_ray(monkeypatch, tmp_path):
    """A call of a Ray that was shut down may never return: so it is made by a daemon thread."""
    threads, called = [], threading.Event()

    class Trainer:
        def __init__(self, *_, **__):
            pass

        def fit(self):
            threads.append(threading.current_thread())
            called.set()
            threading.Event().wait()

    def interrupt(*_):
        called.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr("ray.train.torch.TorchTrainer", Trainer)
    monkeypatch.setattr("ray.cluster_resources", dict)
    monkeypatch.setattr(devices, "connected", lambda *_, **__: nullcontext())
    monkeypatch.setattr(devices, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        on_devices(1, "")(SETTINGS, tmp_path, None, False)
    assert [thread.daemon for thread in threads] == [True]


SETTINGS = small_settings(
    corpus="planted", limit=600, method="pct", epochs=6, evaluate_limit=16, checkpoint_minutes=1e-9
)


def train_uninterrupted(rank, port, folder):
    with joined(rank, 2, port):
        train(SETTINGS, None, folder, progress=False)


@pytest.fixture
def training(request, tmp_path):
    """A training by two processes that has finished an epoch, and the folder of the run."""
    settings = SETTINGS.replace(epochs=getattr(request, "param", SETTINGS.epochs))
    given = {k: v for k, v in settings.to_dict().items() if v not in (None, "", [], {})}
    options = [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in given.items()]
    folder = tmp_path / "together"
    command = [sys.executable, "-m", "pct.cli", "train", "--devices=2", f"--run-dir={folder}", "--quiet", *options]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        while not read_history(folder):
            assert job.poll() is None, job.stdout.read()
            time.sleep(0.02)
        yield job, folder
    finally:
        job.kill()


@pytest.mark.faults
@pytest.mark.parametrize("training", [100], indirect=True)  # epochs: it is interrupted long before their end
def test_an_interrupt_of_the_terminal_ends_all_processes(training):
    job, folder = training
    processes = psutil.Process(job.pid).children(recursive=True)
    os.killpg(job.pid, signal.SIGINT)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 130, output
    assert "run the same command again" in output
    assert not psutil.wait_procs(processes, timeout=30)[1]
    assert not (folder / "ray").exists()


@pytest.mark.faults
def test_a_training_of_which_a_process_is_killed_continues_to_the_same_weights(training, tmp_path):
    job, folder = training
    workers = [p for p in psutil.Process(job.pid).children(recursive=True) if "RayTrainWorker" in p.name()]
    assert len(workers) == 2
    os.kill(workers[1].pid, signal.SIGKILL)
    output, _ = job.communicate(timeout=600)
    assert job.returncode == 0, output
    assert len(load_run(folder).history) == 6
    start(train_uninterrupted, (free_port(), tmp_path / "uninterrupted"), 2)
    assert same_weights(folder / "model", tmp_path / "uninterrupted" / "model")
