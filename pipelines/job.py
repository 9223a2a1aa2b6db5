"""Runs a job to its exit code: an error ends it with one line, a signal as an interrupt does."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pct.commands.errors import ERROR, EXPECTED_ERRORS, INTERRUPTED, OK, one_line_message

__all__ = ["ERROR", "INTERRUPTED", "NOT_UPLOADED", "OK", "run_job", "terminate_as_interrupt"]

NOT_UPLOADED = 3  # the results are on disk, and not in MLflow


def run_job(job: Callable[[], int], stopped: str = "stopped") -> int:
    """Runs a job, and returns its exit code: its own, 1 for an error, reported in one line, 130 where it was stopped.

    stopped: the message then.
    """
    try:
        with terminate_as_interrupt():
            return job()
    except EXPECTED_ERRORS as problem:
        print(f"error: {one_line_message(problem)}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return INTERRUPTED


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Turns a terminate signal, and the hang-up of a terminal, into an interrupt, so that the MLflow run is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers}
    for n in numbers:
        if before[n] is not signal.SIG_IGN:  # nohup
            signal.signal(n, stop)
    try:
        yield
    finally:
        for n in numbers:
            signal.signal(n, before[n])
