"""Ray on this machine: a start that was too slow, a Ray that is there already, and one that cannot be joined."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from tuning.cluster import ClusterError, connected, note_shared_cores, slots
from tuning.resources import Resources

TOO_SLOW = "The current node timed out during startup. This could happen because some of the raylets died."


def starts(monkeypatch: pytest.MonkeyPatch, problems: list[str]) -> list[str]:
    """`ray.init` and `ray.shutdown` replaced by stand-ins that note that they were called; the first starts fail."""
    called = []

    def init(**_: Any) -> None:
        called.append("init")
        if problems:
            raise Exception(problems.pop(0))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: called.append("shutdown"))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2}}])
    return called


def test_a_ray_that_was_too_slow_is_started_again(monkeypatch):
    called = starts(monkeypatch, [TOO_SLOW, TOO_SLOW])
    with connected(Resources()):
        assert called == ["init", "shutdown", "init", "shutdown", "init"]


def test_a_ray_that_is_always_too_slow_is_told_with_the_remedy(monkeypatch):
    called = starts(monkeypatch, [TOO_SLOW] * 9)
    with pytest.raises(ClusterError, match=r"timed out.*Try again when .* less busy"), connected(Resources()):
        pass
    assert called.count("init") == 3


def test_another_problem_is_told_at_once(monkeypatch):
    called = starts(monkeypatch, ["no such address"])
    with pytest.raises(ClusterError, match="no such address"), connected(Resources()):
        pass
    assert called.count("init") == 1


def test_a_ray_that_the_process_has_joined_is_used_and_stays(monkeypatch):
    called = starts(monkeypatch, [])
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    with connected(Resources()):
        pass
    assert called == []


def test_processes_that_share_the_cores_of_this_machine_are_noted(monkeypatch, capsys):
    monkeypatch.setattr("tuning.cluster.available_cores", lambda: 4)
    note_shared_cores(Resources(), 4)
    note_shared_cores(Resources(address="10.0.0.1:6379"), 5)
    assert capsys.readouterr().err == ""
    note_shared_cores(Resources(), 5)
    assert capsys.readouterr().err == "note: 5 CPUs are used, and this machine has 4: processes wait for each other\n"


@pytest.fixture
def locked_head(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An address that answers, at which Ray turns the driver down as a head with a token does."""

    def turned_down(**given: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at ..")

    monkeypatch.setattr(ray, "init", turned_down)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def refusal_of(address: str) -> str:
    with pytest.raises(ClusterError) as caught, connected(Resources(address=address)):
        pass
    return str(caught.value)


def test_a_head_that_asks_for_a_token_is_told_the_remedy(locked_head, monkeypatch, tmp_path):
    assert "does not let this process in" in refusal_of(locked_head)
    assert "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the head's token" in refusal_of(locked_head)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0123")
    assert "set RAY_AUTH_MODE=token, and the token of this machine is sent" in refusal_of(locked_head)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "the token of this process is not the cluster's" in refusal_of(locked_head)


def test_trials_at_a_time_are_counted_by_every_resource_that_they_take(monkeypatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 1.0, "tpu": 3.0})
    assert slots(Resources(cpus=2)) == 4
    assert slots(Resources(cpus=2, gpus=0.5)) == 2
    assert slots(Resources(custom={"tpu": 1.0})) == 3
    assert slots(Resources(custom={"npu": 1.0})) == 1
