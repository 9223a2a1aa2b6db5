"""The ledger in MLflow: each trial one nested run, each epoch once, in few calls, through a server that goes away."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipelines import mlflow_runs
from tests.tuning.conftest import ended, record, tiny_plan
from tests.waiting import until
from tuning.ledger import FAILED, STOPPED, Ledger
from tuning.mlflow_mirror import SECONDS_A_TRIAL, MlflowMirror


@pytest.fixture
def new_mirror(ledger: Ledger) -> Callable[[], MlflowMirror]:
    """Mirrors of the same sweep: each is a driver's."""

    def make() -> MlflowMirror:
        mlflow_run = mlflow_runs.open_run(ledger.path.parent)
        plan = tiny_plan()
        longer = replace(plan, base=plan.base.replace(epochs=9))
        return MlflowMirror(mlflow_run, longer, Ledger(ledger.path.parent), say=lambda _: None)

    return make


def children(client: Any, mirror: MlflowMirror) -> dict[str, Any]:
    """The nested runs by their names; two of one name fail."""
    found = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{mirror.mlflow_run.run_id}'")
    assert len({r.info.run_name for r in found}) == len(found)
    return {r.info.run_name: r for r in found}


def steps(client: Any, run: Any, name: str = "validation/acc") -> list[int]:
    return [m.step for m in client.get_metric_history(run.info.run_id, name)]


def fill(ledger: Ledger) -> None:
    ended(ledger, 1, 0.8, 0.1)
    ledger.start(2, {"alpha": 0.5, "batch_size": 16})
    ledger.epoch(2, record(1))
    ledger.end(2, STOPPED)
    ledger.start(3, {"alpha": 0.7, "batch_size": 16})
    ledger.end(3, FAILED, error="ValueError: no (on node)")


def test_each_trial_is_a_nested_run_with_its_settings_metrics_and_end(ledger, new_mirror, client):
    fill(ledger)
    mirror = new_mirror()
    mirror.start()
    assert mirror.stop()
    runs = children(client, mirror)
    assert set(runs) == {"trial-001", "trial-002", "trial-003"}
    assert {n: r.info.status for n, r in runs.items()} == {
        "trial-001": "FINISHED", "trial-002": "FINISHED", "trial-003": "FAILED",
    }  # fmt: skip
    assert {n: r.data.tags["pct.state"] for n, r in runs.items()} == {
        "trial-001": "finished", "trial-002": "stopped", "trial-003": "failed",
    }  # fmt: skip
    assert runs["trial-003"].data.tags["pct.error"] == "ValueError: no (on node)"
    assert runs["trial-001"].data.params["alpha"] == "0.1"
    assert runs["trial-001"].data.params["measure_important"] == "0.1"
    assert runs["trial-001"].data.metrics["validation_final/comp_minus_suff"] == 0.1
    assert not [name for name in runs["trial-001"].data.metrics if name.startswith("test")]
    assert runs["trial-002"].info.end_time == int(ledger.trials[2].ended * 1000)


def test_a_driver_that_goes_on_sends_nothing_twice(ledger, new_mirror, client):
    ledger.start(1, {"alpha": 0.1, "batch_size": 32})
    ledger.epoch(1, record(1))
    first = new_mirror()
    first.start()
    assert first.stop()
    ledger.epoch(1, record(2))
    fill_rest = Ledger(ledger.path.parent)
    fill_rest.end(1, "finished", {"acc": 0.7, "comp_minus_suff": 0.1})
    second = new_mirror()
    second.start(resumed=True)
    assert second.stop()
    runs = children(client, second)
    assert steps(client, runs["trial-001"]) == [1, 2]
    assert runs["trial-001"].info.status == "FINISHED"
    third = new_mirror()
    third.start(resumed=True)
    assert third.stop()
    assert sum(third.calls.values()) == 0
    assert steps(client, children(client, third)["trial-001"]) == [1, 2]


def test_a_run_that_was_made_and_its_answer_lost_is_not_counted_twice(ledger, new_mirror, client, monkeypatch):
    mirror = new_mirror()
    fill(mirror.ledger)
    create = type(mirror.mlflow_run.client).create_run
    lost = []

    def lose_the_first_answer(*given, **named):
        run = create(*given, **named)
        if not lost:
            lost.append(run)
            raise TimeoutError
        return run

    monkeypatch.setattr(type(mirror.mlflow_run.client), "create_run", lose_the_first_answer)
    assert not mirror.follow()
    assert mirror.follow()
    assert set(children(client, mirror)) == {"trial-001", "trial-002", "trial-003"}


def test_trials_come_under_the_run_that_the_sweep_goes_on_in(ledger, new_mirror, client, monkeypatch):
    """`mlflow run` makes a run of its own each time, and names it by MLFLOW_RUN_ID."""
    first = new_mirror()
    fill(first.ledger)
    first.start()
    assert first.stop()
    monkeypatch.setenv("MLFLOW_RUN_ID", client.create_run("0").info.run_id)
    second = new_mirror()
    assert second.mlflow_run.run_id != first.mlflow_run.run_id
    second.start(resumed=True)
    assert second.stop()
    assert set(children(client, second)) == {"trial-001", "trial-002", "trial-003"}
    assert not children(client, first)


def test_a_driver_killed_before_it_heard_of_the_server_s_answer_sends_it_again_without_harm(ledger, new_mirror, client):
    fill(ledger)
    first = new_mirror()
    first.start()
    assert first.stop()
    again = new_mirror()
    again.runs, again.sent = dict(first.runs), dict.fromkeys(first.runs, 0)
    again.sync()
    run = children(client, again)["trial-001"]
    assert steps(client, run) == [1]
    assert steps(client, run, "validation_final/acc") == [0]


def test_a_server_that_goes_away_holds_nothing_up_and_gets_everything_later(ledger, new_mirror, client, monkeypatch):
    for seconds in ("MlflowMirror.seconds", "MlflowMirror.seconds_down", "SECONDS_A_TRIAL"):
        monkeypatch.setattr(f"tuning.mlflow_mirror.{seconds}", 0.02)
    messages: list[str] = []
    mirror = new_mirror()
    mirror.ledger, mirror.say = ledger, messages.append
    log = type(mirror.mlflow_run.client).log_batch
    down = True

    def log_or_fail(*given, **named):
        if down:
            raise ConnectionError("connection refused")
        return log(*given, **named)

    monkeypatch.setattr(type(mirror.mlflow_run.client), "log_batch", log_or_fail)
    mirror.start()
    ledger.start(1, {"alpha": 0.1, "batch_size": 32})
    for epoch in (1, 2, 3):
        ledger.epoch(1, record(epoch))
        mirror.news(1)
    until(lambda: mirror.down, every=0.01)
    down = False
    until(lambda: not mirror.down, every=0.01)
    assert mirror.stop()
    assert steps(client, children(client, mirror)["trial-001"]) == [1, 2, 3]
    assert messages == [
        "MLflow does not answer (ConnectionError); the trials go on, and are sent later",
        "MLflow answers again",
    ]


def test_a_server_that_stays_away_is_told_at_the_end(ledger, new_mirror, monkeypatch):
    mirror = new_mirror()
    fill(ledger)
    mirror.ledger = ledger

    def fail(*_, **__):
        raise ConnectionError

    monkeypatch.setattr(type(mirror.mlflow_run.client), "create_run", fail)
    mirror.start()
    assert not mirror.stop()


def test_the_epochs_that_gathered_go_in_one_call(ledger, new_mirror):
    mirror = new_mirror()
    mirror.ledger = ledger
    ledger.start(1, {"alpha": 0.1, "batch_size": 32})
    for epoch in range(1, 9):
        ledger.epoch(1, record(epoch))
    ledger.end(1, "finished", {"acc": 0.7, "comp_minus_suff": 0.1})
    mirror.sync()
    mirror.sync()
    assert mirror.calls == {"create": 1, "log": 1, "close": 1}


def test_a_trial_that_runs_is_sent_when_its_turn_has_come(ledger, new_mirror, client):
    """Epochs of a second do not cost a call each; nothing waits once the driver stops."""
    mirror = new_mirror()
    mirror.ledger = ledger
    ledger.start(1, {"alpha": 0.1, "batch_size": 32})
    for epoch in range(1, 4):
        ledger.epoch(1, record(epoch))
        mirror.sync(all_of_it=False)
    assert mirror.calls == {"create": 1, "log": 0, "close": 0}
    mirror._asked[1] -= SECONDS_A_TRIAL
    mirror.sync(all_of_it=False)
    assert mirror.calls == {"create": 1, "log": 1, "close": 0}
    mirror._asked[1] -= SECONDS_A_TRIAL
    ledger.epoch(1, record(9))
    mirror.sync(all_of_it=False)
    assert mirror.calls["log"] == 1  # the last epoch: its end is near
    mirror.start()
    assert mirror.stop()
    run = children(client, mirror)["trial-001"]
    assert steps(client, run) == [1, 2, 3, 9]
    assert run.data.params["alpha"] == "0.1"
    assert mirror.calls == {"create": 1, "log": 2, "close": 0}


def test_trials_that_were_at_work_when_the_sweep_was_stopped_end_as_killed_until_it_goes_on(ledger, new_mirror, client):
    mirror = new_mirror()
    mirror.ledger = ledger
    ledger.start(1, {"alpha": 0.1, "batch_size": 32})
    ended(ledger, 2, 0.8, 0.1)
    mirror.start()
    mirror.stop_short()
    assert {name: r.info.status for name, r in children(client, mirror).items()} == {
        "trial-001": "KILLED",
        "trial-002": "FINISHED",
    }
    again = new_mirror()
    again.mlflow_run = mirror.mlflow_run
    again.start(resumed=True)
    assert children(client, mirror)["trial-001"].info.status == "RUNNING"
    assert again.stop()


def test_a_mirror_that_never_began_has_nothing_to_stop(new_mirror, client):
    mirror = new_mirror()
    mirror.stop_short()
    assert mirror.calls == {"create": 0, "log": 0, "close": 0}
