"""What the commands of jobs share: options, the exit code, errors in one line, a signal as an interrupt."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from pct.commands.errors import ERROR, EXPECTED_ERRORS, INTERRUPTED, OK, one_line_message
from pct.commands.stopping import terminate_as_interrupt

__all__ = [
    "ERROR", "INTERRUPTED", "NOT_UPLOADED", "OK", "NotUploadedError", "add_force", "add_job_options", "first_line",
    "run_job", "terminate_as_interrupt",
]  # fmt: skip

NOT_UPLOADED = 3  # the results are printed or on disk, and not in MLflow


class NotUploadedError(Exception):
    """Results that could not be logged to MLflow. Its message names the server and the reason."""


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Adds --experiment and --quiet."""
    parser.add_argument("--experiment", default="", help="the MLflow experiment (default: pct)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def add_force(parser: argparse.ArgumentParser, help: str) -> None:
    """Adds --force, with --anyway as its former name. help: what it does in this command."""
    parser.add_argument("--force", "--anyway", action=_Force, nargs=0, default=False, help=help)


class _Force(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        if option == "--anyway":
            print("--anyway is now --force; the former name goes away with the next release", file=sys.stderr)
        namespace.force = True


def first_line(problem: BaseException, most: int = 200) -> str:
    """The first line of an error's message, at most so many characters; its type where there is no message."""
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:most]


def run_job(job: Callable[[], int], stopped: str = "interrupted") -> int:
    """Runs a job, and returns its exit code: its own, 1 for an error, reported in one line, 3 for results that could
    not be logged, 130 where it was stopped.

    stopped: the message then.
    """
    try:
        with terminate_as_interrupt():
            return job()
    except NotUploadedError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return NOT_UPLOADED
    except EXPECTED_ERRORS as problem:
        print(f"error: {one_line_message(problem)}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return INTERRUPTED
