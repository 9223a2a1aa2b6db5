"""The sweep's own record: a JSON line for each event. It is the state of the sweep; MLflow and the table follow it.

A line is written before anything acts on it, so a sweep whose driver was killed is read back in its last state.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pct.layout import Record
from pct.text.lines import split_lines

LEDGER = "trials.jsonl"
BASELINE = 0  # the number of the first normal baseline; trials count from 1
RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"
SEARCH, NORMAL = "search", "normal"  # the arms: what is searched, and the normal training that it is compared with


@dataclass
class Trial:
    """One trial as the ledger records it.

    arm: SEARCH, or NORMAL for a baseline. values: its final metrics. checkpoint: the last one, relative to
    the storage. retries: how often its worker died. resumed: the epoch from which it was resumed last.
    """

    number: int
    config: dict[str, Any]
    started: float
    arm: str = SEARCH
    state: str = RUNNING
    records: list[Record] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    checkpoint: str = ""
    error: str = ""
    retries: int = 0
    resumed: int = 0
    ended: float = 0.0

    @property
    def epoch(self) -> int:
        """The last epoch that was reported."""
        return int(self.records[-1]["epoch"]) if self.records else 0

    @property
    def name(self) -> str:
        """trial-007; `baseline` is the first normal training, baseline-008 a trial of a swept baseline."""
        if self.number == BASELINE:
            return "baseline"
        return f"{'trial' if self.arm == SEARCH else 'baseline'}-{self.number:03d}"


class Follower:
    """A thread that follows the ledger: it acts soon after there is news, and never delays a trial.

    Attributes:
        down: whether the last action failed. The first failure is reported.
        seconds: from one action to the next.
        seconds_down: the same after a failure.
    """

    seconds = seconds_down = 1.0

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self.say, self.down = say, False
        self._stop, self._news = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def news(self, number: int) -> None:
        """A listener of the search: the ledger has more of this trial."""
        self._news.set()

    def stop(self) -> bool:
        """Ends the thread, and acts a last time. Returns whether that succeeded."""
        self._stop.set()
        self._news.set()
        self._thread.join()
        return self.follow()

    def follow(self) -> bool:
        """Acts on what is new; returns whether it succeeded."""
        try:
            self.act()
        except Exception as problem:  # a server, its driver or a storage raises many types, and none may stop a trial
            if not self.down:
                self.say(self.message(problem))
            self.down = True
            return False
        self.down = False
        return True

    def act(self) -> None:
        """Acts on what is new."""
        raise NotImplementedError

    def message(self, problem: Exception) -> str:
        """What is reported where an action fails."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.wait(self._pause)
            self._news.clear()
            self.follow()
            self._stop.wait(self._pause)

    @property
    def _pause(self) -> float:
        return self.seconds_down if self.down else self.seconds


class Ledger:
    """All trials of a sweep. Raises OSError with the remedy where a line cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER
        self.trials: dict[int, Trial] = {}
        self.sessions = 0
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        self.id = ""  # identifies MLflow's runs of this sweep, whatever their parent is
        for event in self._read():
            self._apply(event)
        if not self.id:
            self._add({"event": "sweep", "id": uuid.uuid4().hex})

    def __iter__(self) -> Iterator[Trial]:
        with self._lock:
            return iter([self.trials[n] for n in sorted(self.trials)])

    def searched(self) -> list[Trial]:
        """The trials without the baselines."""
        return [t for t in self if t.arm == SEARCH]

    def baselines(self) -> list[Trial]:
        """The normal trainings: the first one, and those of a swept baseline."""
        return [t for t in self if t.arm == NORMAL]

    @property
    def baseline(self) -> Trial | None:
        """The first normal baseline; None before it is started."""
        return self.trials.get(BASELINE)

    def open_session(self) -> int:
        """Records that a driver begins; returns its number, from 1: each has its own folder of checkpoints."""
        self._add({"event": "session"})
        return self.sessions

    def start(self, number: int, config: dict[str, Any], arm: str = SEARCH) -> Trial:
        """Records that a trial is started."""
        self._add({"event": "start", "number": number, "config": config, "arm": arm})
        return self.trials[number]

    def epoch(self, number: int, record: Record, resumed: int = 0) -> None:
        """Records an epoch of a trial. One that is recorded already (a restart repeated it) is ignored.

        resumed: the epoch of the checkpoint from which the trial was resumed last.
        """
        if int(record["epoch"]) > self.trials[number].epoch:
            self._add({"event": "epoch", "number": number, "record": record, "resumed": resumed})

    def checkpoint(self, number: int, path: str) -> None:
        """Records that a checkpoint is complete in the storage; an empty path: it was removed."""
        self._add({"event": "checkpoint", "number": number, "path": path})

    def retry(self, number: int, why: str) -> None:
        """Records that the worker of a trial died, and that the trial starts again."""
        self._add({"event": "retry", "number": number, "error": why})

    def end(self, number: int, state: str, values: dict[str, float] | None = None, error: str = "") -> None:
        """Records the end of a trial; an end that is recorded already stays."""
        if self.trials[number].state == RUNNING:
            self._add({"event": "end", "number": number, "state": state, "values": values or {}, "error": error})

    def _add(self, event: dict[str, Any]) -> None:
        event = {"time": round(time.time(), 3), **event}
        with self._lock:
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(event) + "\n")
            except OSError as problem:
                raise OSError(
                    f"the sweep's record {self.path} could not be written ({problem}); free disk space and continue "
                    f"with pct sweep --resume {self.path.parent}"
                ) from problem
            self._apply(event)

    def _apply(self, event: dict[str, Any]) -> None:
        kind, number = event["event"], event.get("number", BASELINE)
        if kind == "sweep":
            self.id = event["id"]
        elif kind == "session":
            self.sessions += 1
        elif kind == "start":
            arm = event.get("arm", NORMAL if number == BASELINE else SEARCH)  # not recorded until 0.1.0
            self.trials[number] = Trial(number, event["config"], event["time"], arm)
        else:
            trial = self.trials[number]
            if kind == "epoch":
                trial.records.append({**event["record"], "time": event["time"]})
                trial.resumed = event["resumed"]
            elif kind == "checkpoint":
                trial.checkpoint = event["path"]
            elif kind == "retry":
                trial.retries, trial.error = trial.retries + 1, event["error"]
            elif kind == "end":
                trial.state, trial.values = event["state"], event["values"]
                trial.error, trial.ended = event["error"], event["time"]

    def _read(self) -> list[dict[str, Any]]:
        """The events; an incomplete last line (the driver was killed) is removed. Raises ValueError for any other
        damaged line."""
        if not self.path.is_file():
            return []
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        events = []
        for number, line in enumerate(split_lines(whole.decode("utf-8")), 1):
            try:
                events.append(json.loads(line))
            except ValueError as problem:
                raise ValueError(
                    f"{self.path}, line {number}, is damaged ({problem}); restore the file or start another sweep"
                ) from problem
        return events
