"""The progress of a sweep: a live table on a terminal, one line for each trial in a log."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import TextIO

from tuning.ledger import BASELINE, FAILED, FINISHED, RUNNING, STOPPED, Ledger, Trial
from tuning.objective import trial_objectives
from tuning.plan import Plan
from tuning.space import SHORT

SECONDS_BETWEEN = 0.5


class Progress:
    """A listener of the search. live: redraw a table in place; else print a line where a trial ends or starts again."""

    def __init__(self, plan: Plan, ledger: Ledger, live: bool | None = None, out: TextIO | None = None) -> None:
        self.plan, self.ledger, self.out = plan, ledger, out or sys.stderr
        self.live = self.out.isatty() if live is None else live
        self.printed = {t.number: (t.state, t.retries) for t in ledger}
        self._lines, self._last, self._lock = 0, 0.0, threading.Lock()

    def __call__(self, number: int) -> None:
        """Shows what is new of a trial."""
        with self._lock:
            trial = self.ledger.trials[number]
            if self.live:
                now = time.monotonic()
                if now - self._last >= SECONDS_BETWEEN or trial.state != RUNNING:
                    self._last = now
                    self._redraw()
                return
            state, retries = self.printed.get(number, (RUNNING, 0))
            if trial.retries > retries:
                print(f"{trial.name}: its worker died, it starts again from epoch {trial.epoch}", file=self.out)
            if trial.state != RUNNING and state == RUNNING:
                print(line(self.plan, self.ledger, trial), file=self.out, flush=True)
            self.printed[number] = (trial.state, trial.retries)

    def say(self, text: str) -> None:
        """Prints a message."""
        with self._lock:
            self._clear()
            print(text, file=self.out, flush=True)
            if self.live:
                self._redraw()

    def finish(self) -> None:
        """Leaves the last state of the table on the terminal."""
        with self._lock:
            if self.live:
                self._redraw()
                self._lines = 0

    def _clear(self) -> None:
        if self._lines:
            self.out.write(f"\x1b[{self._lines}A\x1b[J")
            self._lines = 0

    def _redraw(self) -> None:
        width, height = shutil.get_terminal_size((100, 30))
        lines = [text[: width - 1] for text in table(self.plan, self.ledger, height - 3)]
        self._clear()
        self.out.write("\n".join(lines) + "\n")
        self.out.flush()
        self._lines = len(lines)


def table(plan: Plan, ledger: Ledger, rows: int = 1000) -> list[str]:
    """The lines of the table: the running trials, then the best of those that ended."""
    trials = list(ledger)
    counts = {state: sum(t.state == state for t in trials) for state in (RUNNING, FINISHED, STOPPED, FAILED)}
    done = sum(t.state != RUNNING for t in ledger.searched())
    head = f"{done} of {plan.trials} trials; " + ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    names = list(plan.ranges)
    columns = [SHORT.get(n, n) for n in names]
    lines = [head, f"{'trial':<10}" + "".join(f"{c:>9}" for c in columns) + "   epoch     acc     gap  state"]
    running = [t for t in trials if t.state == RUNNING]
    ended = sorted((t for t in trials if t.state != RUNNING), key=_rank, reverse=True)
    shown = (running + ended)[: max(rows - 3, 1)]
    for trial in shown:
        accuracy, gap = trial_objectives(trial)
        cells = "".join(f"{_cell(trial.config.get(n, getattr(plan.base, n))):>9}" for n in names)
        epoch = f"{trial.epoch}/{plan.base.epochs}"
        again = f" ({trial.retries} restarts)" if trial.retries else ""
        note = f": {trial.error}" if trial.state == FAILED else again
        lines.append(f"{trial.name:<10}{cells}{epoch:>8}{_number(accuracy)}{_number(gap)}  {trial.state}{note}")
    if len(shown) < len(trials):
        lines.append(f"... and {len(trials) - len(shown)} more")
    return lines


def line(plan: Plan, ledger: Ledger, trial: Trial) -> str:
    """The end of a trial, for a log."""
    accuracy, gap = trial_objectives(trial)
    own = ", ".join(f"{SHORT.get(k, k)} {_cell(v)}" for k, v in trial.config.items())
    done = sum(t.state != RUNNING for t in ledger.searched())
    where = "" if trial.number == BASELINE else f" ({done} of {plan.trials})"
    what = f"failed: {trial.error}" if trial.state == FAILED else f"acc{_number(accuracy)} gap{_number(gap)}"
    state = f", stopped after epoch {trial.epoch}" if trial.state == STOPPED else ""
    return f"{trial.name}{where}: {what}{state}; {own}"


def _rank(trial: Trial) -> tuple[bool, float]:
    _, gap = trial_objectives(trial)
    return trial.state == FINISHED, gap if gap == gap else -9.0


def _number(value: float) -> str:
    return f"{value:8.4f}" if value == value else f"{'-':>8}"


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
