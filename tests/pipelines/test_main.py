"""The main job from its command line: what it says, what it leaves, how it ends when something fails."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pct.metrics.names import CORE_METRICS
from pct.training import runs
from pipelines import upload
from pipelines.main import main
from pipelines.track import main as track
from tests.pipelines.conftest import TINY, TINY_OPTIONS, in_use
from tests.waiting import free_port, until


def test_it_prints_the_eight_metrics_the_model_and_how_to_look(uri, client, capsys):
    assert main(TINY_OPTIONS) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    folder = runs.default_folder(TINY)
    metrics = runs.load_run(folder).test.metrics
    for name in CORE_METRICS:
        assert [name, f"{metrics[name]:.4f}"] in [line[:2] for line in lines]
    assert "models:/pct-planted-textcnn/1 is @champion: there was no version to compare it with" in out
    assert f"mlflow ui --backend-store-uri {uri} --host 127.0.0.1" in out
    assert client.search_runs(["0"])[0].info.status == "FINISHED"
    assert main(TINY_OPTIONS) == 0
    assert "holds this finished run: it is not trained again" in capsys.readouterr().out
    assert len(client.search_runs(["0"])) == 1


def test_a_server_that_is_down_fails_before_the_corpus_is_read(closed_port, monkeypatch, capsys):
    def read(*_):
        pytest.fail("the corpus was read")

    monkeypatch.setattr(runs, "with_corpus", read)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port}")
    assert main(TINY_OPTIONS) == 1
    err = capsys.readouterr().err
    assert "cannot be used: connection refused. Start it" in err
    assert "Traceback" not in err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--alpha", "-1"], "alpha must be >= 0 and finite, got -1"),
        (["--champion-margin", "2"], "champion_margin must be in [0, 1]"),
        (["--corpus", "files", "--train_file", "none.csv", "--test_file", "none.csv"], "none.csv does not exist"),
        (["--model", "./no-such-encoder", "--limit", "20"], "no-such-encoder"),
    ],
)
def test_a_wrong_setting_is_an_error_without_traceback(argv, message, capsys):
    assert main([*argv, "--quiet"]) == 1
    assert message in capsys.readouterr().err


def test_a_run_that_fails_is_failed_in_mlflow(client, monkeypatch):
    def fail(*_, **__):
        raise FloatingPointError("the loss is nan in epoch 1")

    monkeypatch.setattr("pct.training.trainer.train", fail)
    assert main(TINY_OPTIONS) == 1
    assert [r.info.status for r in client.search_runs(["0"])] == ["FAILED"]


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds."""
    monkeypatch.setattr(upload, "draw_figures", lambda run: [])


@pytest.mark.usefixtures("_no_figures")
def test_a_terminated_run_is_killed_in_mlflow_and_goes_on(client, monkeypatch, capsys):
    log = upload.EpochLogger.__call__

    def terminate(self, record):
        log(self, record)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as m:
        m.setattr(upload.EpochLogger, "__call__", terminate)
        assert main(TINY_OPTIONS) == 130
    assert "run the same command again to resume" in capsys.readouterr().err
    assert [r.info.status for r in client.search_runs(["0"])] == ["KILLED"]
    assert main(TINY_OPTIONS) == 0
    assert "holds 1 of 2 epochs" in capsys.readouterr().out
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")] == [1, 2]


def test_a_second_command_in_a_folder_in_use_leaves_the_first_ones_run_alone(client, capsys):
    with in_use(runs.default_folder(TINY)):
        assert main(TINY_OPTIONS) == 1
        assert "in use by another process" in capsys.readouterr().err
        assert not client.search_runs(["0"])


Server = tuple[str, Callable[[], subprocess.Popen[bytes]]]


@pytest.fixture
def mlflow_server(tmp_path: Path, uri: str) -> Iterator[Server]:
    """The address of a real tracking server on loopback, and what starts it (again)."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1",
            "--port", str(port), "--workers", "1", "--artifacts-destination", str(tmp_path / "served"),
        ]  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # its job workers are many and slow to start
        log = (tmp_path / "server.log").open("ab")
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        started.append(process)

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "server.log").read_text()
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                return True
            return False

        until(answers, tmp_path / "server.log")
        return process

    yield address, start
    for process in started:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kills a server and its workers, which are a process group of their own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.faults
@pytest.mark.usefixtures("_no_figures")
def test_a_server_that_dies_in_mid_run_loses_nothing(mlflow_server, client, monkeypatch, capsys):
    address, start = mlflow_server
    process = start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    log = upload.EpochLogger.__call__

    def log_then_kill(self, record):
        log(self, record)
        stop(process)

    with monkeypatch.context() as m:
        m.setattr(upload.EpochLogger, "__call__", log_then_kill)
        assert main(TINY_OPTIONS) == 3
    told = capsys.readouterr()
    folder = runs.default_folder(TINY)
    assert "the tracking server does not answer; training goes on" in told.err
    assert f"pct track {folder}" in told.err
    assert "Traceback" not in told.err
    assert "comp" in told.out
    assert runs.is_finished(folder)
    (run,) = client.search_runs(["0"])  # the server's own database
    assert [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")] == [1]

    start()
    assert track([str(folder)]) == 0
    assert "models:/pct-planted-textcnn/1 is @champion" in capsys.readouterr().out
    assert [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")] == [1, 2]
    (run,) = client.search_runs(["0"])
    assert run.info.status == "FINISHED"
    assert "test/comp" in run.data.metrics
