"""Ray on this machine: a start that was too slow, and a Ray that is there already."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from tuning.cluster import ClusterError, connected
from tuning.plan import Resources

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


def test_a_ray_that_was_too_slow_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    called = starts(monkeypatch, [TOO_SLOW, TOO_SLOW])
    with connected(Resources()):
        assert called == ["init", "shutdown", "init", "shutdown", "init"]


def test_a_ray_that_is_always_too_slow_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    called = starts(monkeypatch, [TOO_SLOW] * 9)
    with pytest.raises(ClusterError, match=r"timed out.*Try again when it is less busy"), connected(Resources()):
        pass
    assert called.count("init") == 3


def test_another_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called = starts(monkeypatch, ["no such address"])
    with pytest.raises(ClusterError, match="no such address"), connected(Resources()):
        pass
    assert called.count("init") == 1


def test_a_ray_that_the_process_has_joined_is_used_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    called = starts(monkeypatch, [])
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    with connected(Resources()):
        pass
    assert called == []
