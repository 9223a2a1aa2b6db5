"""What breaks in a sweep, broken for real: workers, drivers, the tracking server, trials, the disk.

A cluster here is a head and two workers, each a raylet of its own.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.test_main import stop
from tests.tuning.conftest import TINY, tiny_plan
from tests.waiting import until
from tuning import sweep
from tuning.ledger import FAILED, FINISHED, RUNNING, Ledger
from tuning.resources import Resources

pytestmark = pytest.mark.faults

# epochs enough that a trial is still at work when it is killed
LONG = ["--limit=300", "--epochs=8", "--evaluate_limit=64", "--quiet", "--set=batch_size=16", "--device=cpu"]
ROOT = Path(__file__).parents[2]


DRIVERS: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _no_driver_is_left() -> Iterator[None]:
    yield
    for driver in DRIVERS:
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    DRIVERS.clear()


def start(*options: str, **environment: str) -> subprocess.Popen[bytes]:
    """A driver, in a process group of its own."""
    log = Path("driver.log").open("ab")  # noqa: SIM115  the driver holds it
    made = subprocess.Popen(
        [sys.executable, "-m", "tuning.sweep", *options], stdout=log, stderr=log, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    DRIVERS.append(made)
    return made


def wait(process: subprocess.Popen[bytes], holds: Callable[[Ledger], bool], folder: str = "sweep") -> Ledger:
    """The ledger once something holds of it; the driver must be alive until then."""

    def known() -> Ledger | None:
        with contextlib.suppress(ValueError, OSError):
            ledger = peek(Path(folder))
            if ledger is not None and holds(ledger):
                return ledger
        assert process.poll() is None, Path("driver.log").read_text()
        return None

    return until(known, Path("driver.log"))


def peek(folder: Path) -> Ledger | None:
    """A copy of a ledger that another process writes: reading would cut a half-written line off."""
    if not (folder / "trials.jsonl").is_file():
        return None
    copy = Path("peek")
    copy.mkdir(exist_ok=True)
    raw = (folder / "trials.jsonl").read_bytes()
    (copy / "trials.jsonl").write_bytes(raw[: raw.rfind(b"\n") + 1])
    return Ledger(copy)


def in_mid_trial(ledger: Ledger) -> bool:
    """Two trials are at work, each past an epoch whose checkpoint is stored."""
    busy = [t for t in ledger if t.state == RUNNING and t.checkpoint and 1 <= t.epoch <= 4]
    return len(busy) >= 2


def assert_each_trial_once(client: Any, ledger: Ledger, epochs: int) -> None:
    """MLflow has each trial as one run, with each epoch once."""
    found = [r for r in client.search_runs(["0"]) if "mlflow.parentRunId" in r.data.tags]
    assert sorted(int(r.data.tags["pct.trial"]) for r in found) == [t.number for t in ledger]
    for run in found:
        assert run.info.status == "FINISHED"
        steps = [m.step for m in client.get_metric_history(run.info.run_id, "validation/acc")]
        assert steps == list(range(1, epochs + 1)), run.info.run_name


def head(num_cpus: int) -> Any:
    from ray.cluster_utils import Cluster

    return Cluster(initialize_head=True, head_node_args={"num_cpus": num_cpus, "include_dashboard": False})


def started(start_node: Callable[[], Any]) -> Any:
    """A node gives itself 30 seconds to start, which a busy machine may not keep: it is started again."""
    for _ in range(2):
        try:
            return start_node()
        except Exception as problem:  # Ray raises a bare one
            if "timed out" not in str(problem):
                raise
    return start_node()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without CPUs and two workers with one each."""
    made = started(lambda: head(num_cpus=0))
    made.workers = [started(lambda: made.add_node(num_cpus=1)) for _ in range(2)]
    yield made
    made.shutdown()


def test_a_worker_that_dies_in_mid_sweep_costs_no_trial_and_no_epoch(cluster, client):
    driver = start(*LONG, "--trials", "3", "--folder", "sweep", RAY_ADDRESS=cluster.address)
    wait(driver, in_mid_trial)
    cluster.remove_node(cluster.workers[0], allow_graceful=False)
    assert driver.wait(900) == 0, Path("driver.log").read_text()
    ledger = Ledger(Path("sweep"))
    assert [t.state for t in ledger] == [FINISHED] * 4
    struck = [t for t in ledger if t.retries]
    assert struck
    assert all(t.resumed >= 1 for t in struck)  # from its checkpoint, not from the start
    assert "its worker died, it starts again from epoch" in Path("driver.log").read_text()
    assert_each_trial_once(client, ledger, 8)


def test_a_driver_killed_at_once_goes_on_as_if_it_had_not_been(client):
    """On one worker the whole sweep is the same, trial by trial and bit by bit, as one that was left alone."""
    options = [*LONG, "--trials", "3", "--workers", "1", "--no-baseline"]
    driver = start(*options, "--folder", "sweep")
    wait(driver, lambda known: known.trials.get(2) is not None and 2 <= known.trials[2].epoch <= 6)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    left = peek(Path("sweep"))
    assert left is not None
    assert left.trials[2].state == RUNNING
    assert start("--resume", "sweep", "--quiet").wait(900) == 0, Path("driver.log").read_text()
    resumed = Ledger(Path("sweep"))
    assert resumed.trials[2].resumed >= left.trials[2].epoch - 1 > 0
    assert_each_trial_once(client, resumed, 8)

    assert sweep.main([*options, "--folder", "alone"]) == 0
    alone = Ledger(Path("alone"))
    assert [(t.number, t.config, t.values) for t in resumed] == [(t.number, t.config, t.values) for t in alone]


def test_trials_go_on_without_the_tracking_server_and_are_sent_later(mlflow_server, client, monkeypatch):
    address, start_server = mlflow_server
    server = start_server()
    options = [*LONG, "--trials", "2", "--workers", "1", "--folder", "sweep"]
    driver = start(*options, MLFLOW_TRACKING_URI=address)
    wait(driver, lambda known: any(t.epoch >= 2 for t in known))
    stop(server)
    assert driver.wait(900) == 3, Path("driver.log").read_text()
    output = Path("driver.log").read_text()
    assert "MLflow does not answer" in output
    assert "send it later with: pct sweep --resume sweep" in output
    assert "Traceback" not in output
    ledger = Ledger(Path("sweep"))
    assert [t.state for t in ledger] == [FINISHED] * 3

    start_server()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert sweep.main(["--resume", "sweep", "--quiet"]) == 0
    assert Ledger(Path("sweep")).sessions == 1  # no trial was run again
    assert_each_trial_once(client, ledger, 8)
    assert len(client.search_model_versions("name = 'pct-planted-textcnn'")) == 1


@pytest.fixture
def cluster_with_devices() -> Iterator[Any]:
    """A head that has no device, as that of a cloud cluster, and two workers with one each; a custom resource stands
    for the GPU that this machine has not."""
    made = started(lambda: head(num_cpus=1))
    for _ in range(2):
        started(lambda: made.add_node(num_cpus=1, resources={"device": 1}))
    yield made
    made.shutdown()


def test_a_driver_on_a_head_without_the_device_chooses_draws_and_registers(cluster_with_devices, client):
    options = [*TINY, "--trials", "2"]
    driver = start(
        *options, "--custom-per-trial", "device=1", "--folder", "sweep", RAY_ADDRESS=cluster_with_devices.address
    )
    assert driver.wait(400) == 0, Path("driver.log").read_text()
    assert [t.state for t in Ledger(Path("sweep"))] == [FINISHED] * 3
    assert (Path("sweep") / "figures" / "pareto.png").is_file()
    assert len(client.search_model_versions("name = 'pct-planted-textcnn'")) == 1
    assert "Traceback" not in Path("driver.log").read_text()


def test_a_head_with_a_token_is_told_the_remedy_and_joined_with_it(
    tmp_path, short_folder, closed_port, client, monkeypatch
):
    """`ray start` asks for a token wherever one lies in the home folder, as the first local Ray leaves it there."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):  # a Ray in this process sets the first
        monkeypatch.delenv(name, raising=False)
    home = {"HOME": str(tmp_path / "home"), "RAY_USAGE_STATS_ENABLED": "0"}
    (tmp_path / "home").mkdir()
    ray = str(Path(sys.executable).parent / "ray")
    environment = {**os.environ, **home}
    subprocess.run([ray, "get-auth-token", "--generate"], env=environment, check=True, capture_output=True)
    command = [ray, "start", "--head", "--block", f"--port={closed_port}", "--num-cpus=2", "--include-dashboard=false"]
    head = subprocess.Popen(
        [*command, f"--temp-dir={short_folder}"], env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    DRIVERS.append(head)
    address = f"127.0.0.1:{closed_port}"
    options = [*TINY, "--trials", "1", "--no-baseline", "--folder", "sweep"]
    until(lambda: listens(closed_port))
    assert start(*options, RAY_ADDRESS=address, **home).wait(200) == 1
    assert "set RAY_AUTH_MODE=token, and the token of this machine is sent" in Path("driver.log").read_text()
    assert start(*options, RAY_ADDRESS=address, RAY_AUTH_MODE="token", **home).wait(300) == 0, Path(
        "driver.log"
    ).read_text()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def short_folder() -> Iterator[str]:
    """Ray's sockets lie there, and their paths may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


def run_stand_in(folder: Path, trainable: Callable[[dict[str, Any]], None], trials: int) -> Ledger:
    """A sweep of a stand-in for training, on this machine's own Ray."""
    from ray import cloudpickle

    from tuning.cluster import connected
    from tuning.search import search

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers need not find the tests
    plan, resources = tiny_plan(trials=trials, baseline=False), Resources(workers=2, retries=1)
    ledger = Ledger(folder)
    with connected(resources):
        search(plan, resources, folder, ledger, trainable)
    return ledger


def test_a_trial_that_raises_is_failed_with_its_error_and_the_others_go_on(client):
    """A learning rate at which the loss is not finite any more."""
    options = ["--limit", "64", "--epochs", "2", "--evaluate_limit", "16", "--quiet", "--trials", "5", "--workers", "1"]
    assert sweep.main([*options, "--folder", "sweep", "--set", "lr=choice(0.0005, 1e30)"]) == 0
    ledger = Ledger(Path("sweep"))
    states = {(t.config["lr"], t.state) for t in ledger.searched()}
    assert states == {(0.0005, FINISHED), (1e30, FAILED)}
    failed = [t for t in ledger if t.state == FAILED]
    assert all(t.error.startswith("FloatingPointError: ") and "lower lr (1e+30)" in t.error for t in failed)
    assert all(t.retries == 0 for t in failed)  # it would go wrong again
    by_name = {r.info.run_name: r for r in client.search_runs(["0"]) if "mlflow.parentRunId" in r.data.tags}
    for t in failed:
        assert by_name[t.name].info.status == "FAILED"
        assert by_name[t.name].data.tags["pct.error"] == t.error
    assert json.loads(Path("sweep/results.json").read_text())["failed"] == {t.name: t.error for t in failed}


def out_of_memory(config: dict[str, Any]) -> None:
    """Stands in for training: trial 2 asks for more memory than there is, trial 3 is killed as the kernel does it."""
    from ray import tune

    from tuning.trial import error_line

    try:
        if config["number"] == 2:
            bytearray(2**60)
        if config["number"] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        tune.report({"number": config["number"], "values": {"acc": 0.7, "comp_minus_suff": 0.1}})
    except MemoryError as problem:
        tune.report({"number": config["number"], "error": error_line(problem)})


def test_a_trial_that_runs_out_of_memory_is_failed_and_the_others_go_on(tmp_path):
    ledger = run_stand_in(tmp_path / "sweep", out_of_memory, 5)
    assert {t.number: t.state for t in ledger} == {1: FINISHED, 2: FAILED, 3: FAILED, 4: FINISHED, 5: FINISHED}
    assert ledger.trials[2].error.startswith("MemoryError")
    assert "died" in ledger.trials[3].error
    assert ledger.trials[3].retries == 1  # a worker that dies is tried again, but not for ever


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB: a few checkpoints of a small training."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_at_a_checkpoint_stops_the_sweep_with_a_clear_error_and_it_goes_on_when_there_is_space(
    small_disk, client, capsys
):
    (small_disk / "ballast").write_bytes(b"x" * (61 * 2**20))
    options = ["--limit", "64", "--epochs", "2", "--evaluate_limit", "16", "--quiet", "--trials", "1", "--workers", "1"]
    assert sweep.main([*options, "--no-baseline", "--folder", "sweep", "--storage", str(small_disk)]) == 1
    err = capsys.readouterr().err
    assert "no space left for a checkpoint" in err
    assert "continue with: pct sweep --resume sweep" in err
    assert "Traceback" not in err
    assert Ledger(Path("sweep")).trials[1].state == RUNNING  # not lost, not failed
    (small_disk / "ballast").unlink()
    assert sweep.main(["--resume", "sweep", "--quiet"]) == 0
    assert [t.state for t in Ledger(Path("sweep"))] == [FINISHED]
