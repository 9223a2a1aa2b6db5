"""The sweep in MLflow: a thread sends the ledger's events to the tracking server, and never delays a trial.

Every trial is a run nested in the sweep's. One call creates it and one closes it. The calls between send what is new,
every ten seconds at most; the first has the settings. A server that does not answer is asked again later. Nothing is
sent twice: a sweep that is resumed reads from the server what was sent. Every value has the ledger's time.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from pct.layout import Record
from pipelines.connection import request_timeout, search_pages
from pipelines.metric_names import VALIDATION_FINAL, as_metrics, epoch_metrics, in_group
from pipelines.mlflow_runs import PARENT, MlflowRun, source_tags
from tuning.ledger import FAILED, RUNNING, Follower, Ledger, Trial
from tuning.plan import Plan

SWEEP, NUMBER, STATE, EPOCH = "pct.sweep", "pct.trial", "pct.state", "epoch"
SECONDS_A_TRIAL = 10.0  # between two calls for a running trial


class MlflowMirror(Follower):
    """Copies a ledger to MLflow. `calls` counts the requests by kind."""

    seconds_down = 5.0

    def __init__(self, mlflow_run: MlflowRun, plan: Plan, ledger: Ledger, say: Callable[[str], None] = print) -> None:
        super().__init__("mlflow", say)
        self.mlflow_run, self.plan, self.ledger = mlflow_run, plan, ledger
        self.runs: dict[int, str] = {}
        self.sent: dict[int, int] = {}  # number -> the last epoch that the server has
        self.closed: set[int] = set()
        self._asked: dict[int, float] = {}  # number -> when, by the monotonic clock, of the last call for it
        self.calls = {"create": 0, "log": 0, "close": 0}

    def start(self, resumed: bool = False) -> None:
        """Starts the thread. resumed: the server may have trials of the sweep. Raises what MLflow raises."""
        source_tags()  # asks git, once
        if resumed:
            with request_timeout():
                self._read_back()
        super().start()

    def stop_short(self) -> None:
        """Stops before the sweep ends: its running trials end as killed, until the sweep is resumed."""
        if self._thread.ident is None or not self.stop():  # it was never started, or the server does not answer
            return
        with contextlib.suppress(Exception), request_timeout():  # the sweep reports its own error
            for trial in self.ledger:
                if trial.state == RUNNING and trial.number in self.runs:
                    self.mlflow_run.client.set_terminated(self.runs[trial.number], "KILLED")

    def run_of(self, number: int) -> MlflowRun:
        """The MLflow run of a trial."""
        return MlflowRun(self.mlflow_run.client, self.mlflow_run.uri, self.runs[number], self.mlflow_run.experiment_id)

    def act(self) -> None:
        """Sends what is new."""
        with request_timeout():
            if self.down:
                self._read_back()  # the last request may have been carried out, and its answer lost
            self.sync(all_of_it=self._stop.is_set())
        if self.down:
            self.say("MLflow answers again")

    def message(self, problem: Exception) -> str:
        """What is reported where the server does not answer."""
        return f"MLflow does not answer ({type(problem).__name__}); the trials go on, and are sent later"

    def sync(self, all_of_it: bool = True) -> None:
        """Sends what the server does not have: of running trials only those that are due, unless all is wanted."""
        for trial in self.ledger:
            if trial.number in self.closed:
                continue
            if trial.number not in self.runs:
                self._create(trial)
            records = list(trial.records)  # the driver may add one meanwhile
            ended = trial.state != RUNNING
            new = [r for r in records if int(r["epoch"]) > self.sent.get(trial.number, 0)]
            if ended or (new and (all_of_it or self._due(trial, new))):
                self._log(trial, new, ended)
                self.sent[trial.number] = int(records[-1]["epoch"]) if records else 0
            if ended:
                self._close(trial)

    def _due(self, trial: Trial, new: list[Record]) -> bool:
        """Whether a running trial is due. Its last epoch is sent with its end, which follows soon."""
        if int(new[-1]["epoch"]) >= self.plan.base.epochs:
            return False
        return time.monotonic() - self._asked.get(trial.number, float("-inf")) >= SECONDS_A_TRIAL

    def _create(self, trial: Trial) -> None:
        tags = {PARENT: self.mlflow_run.run_id, SWEEP: self.ledger.id, NUMBER: str(trial.number), STATE: RUNNING}
        self.calls["create"] += 1
        run = self.mlflow_run.client.create_run(
            self.mlflow_run.experiment_id,
            start_time=int(trial.started * 1000),
            tags=tags | source_tags(),
            run_name=trial.name,
        )
        self.runs[trial.number] = run.info.run_id
        self._asked[trial.number] = time.monotonic()

    def _log(self, trial: Trial, new: list[Record], ended: bool) -> None:
        """One call with the new epochs; the first also has the settings, the last the final values."""
        from mlflow.entities import Param, RunTag

        metrics = [m for r in new for m in as_metrics(_values(r), int(r["epoch"]), r["time"])]
        params = []
        if trial.number not in self.sent:
            params = [Param(k, str(v)) for k, v in self.plan.settings(trial.config).to_dict().items()]
        tags = [RunTag(STATE, trial.state), RunTag("pct.retries", str(trial.retries))] if ended else []
        if ended:
            metrics += as_metrics(in_group(VALIDATION_FINAL, trial.values), 0, trial.ended)
            if trial.error:
                tags.append(RunTag("pct.error", trial.error))
        self.calls["log"] += 1
        self.mlflow_run.client.log_batch(self.runs[trial.number], metrics=metrics, params=params, tags=tags)
        self._asked[trial.number] = time.monotonic()

    def _close(self, trial: Trial) -> None:
        self.calls["close"] += 1
        status = "FAILED" if trial.state == FAILED else "FINISHED"  # a tag marks those that were stopped early
        self.mlflow_run.client.set_terminated(self.runs[trial.number], status, int(trial.ended * 1000))
        self.closed.add(trial.number)

    def _read_back(self) -> None:
        """Reads which trials the server has, and up to which epoch.

        Runs of another parent (`mlflow run` makes a new one each time) are moved to this one. Of two runs of one trial
        (a request was carried out, and its answer lost) the one without data is deleted.
        """
        twins: dict[int, list[Any]] = defaultdict(list)
        client = self.mlflow_run.client
        of_the_sweep = search_pages(
            client.search_runs, [self.mlflow_run.experiment_id], f"tags.`{SWEEP}` = '{self.ledger.id}'",
            max_results=1000, order_by=["attributes.start_time ASC"],
        )  # fmt: skip
        for run in of_the_sweep:
            if (number := run.data.tags.get(NUMBER, "")).isdecimal():
                twins[int(number)].append(run)
        for number, runs in twins.items():
            own = self.runs.get(number)
            kept = max(runs, key=lambda r: (r.info.run_id == own, bool(r.data.params)))
            for twin in runs:
                if twin is not kept:
                    client.delete_run(twin.info.run_id)
            self.runs[number] = kept.info.run_id
            if kept.data.params:
                self.sent[number] = int(kept.data.metrics.get(EPOCH, 0))
            if kept.data.tags.get(PARENT) != self.mlflow_run.run_id:
                client.set_tag(kept.info.run_id, PARENT, self.mlflow_run.run_id)
            trial = self.ledger.trials.get(number)
            if trial and trial.state != RUNNING and kept.info.status in ("FINISHED", "FAILED"):
                self.closed.add(number)
            elif kept.info.status != "RUNNING":
                client.update_run(kept.info.run_id, "RUNNING")


def _values(record: Record) -> dict[str, float]:
    """The metrics of an epoch's record, and the epoch, up to which the server then has the trial."""
    return epoch_metrics({k: v for k, v in record.items() if k != "time"}) | {EPOCH: record["epoch"]}
