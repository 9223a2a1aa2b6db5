"""The expected errors of commands, and their messages in one line."""

from __future__ import annotations

import errno
import re
from dataclasses import fields

from pct.settings import Settings
from pct.text.lines import printable


class JobError(Exception):
    """An input of a job is unusable or unavailable; the message has the reason and the remedy."""


# errors of wrong inputs; any other error is a bug and is shown with its traceback
EXPECTED_ERRORS = (JobError, ValueError, TypeError, OSError, ImportError, FloatingPointError, RecursionError)
OK, ERROR, INTERRUPTED, CLOSED = 0, 1, 130, 141
UNMET = 3  # the exit status where a requirement is not met, or a model has not improved
RESUMABLE = "interrupted; run the same command again to resume from the last checkpoint"
_REMEDIES = {
    errno.ENOENT: "there is no such file or folder; give another path, or create it",
    errno.EEXIST: "the file exists already; give another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; give another path",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.EACCES: "permission to read or write is missing; give another path, or change the permissions",
    errno.EROFS: "the file system is read-only; give another path",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.ENOSPC: "the disk is full; free disk space, or give another path",
}
_REMEDIES[errno.EPERM] = _REMEDIES[errno.EACCES]


def one_line_message(problem: Exception) -> str:
    """An error's message in one line. For errors of the operating system it has the remedy."""
    if isinstance(problem, RecursionError):
        return "the input is nested too deeply"
    if isinstance(problem, OSError) and problem.strerror:
        reason = _REMEDIES.get(problem.errno or 0, problem.strerror)
        return reason if problem.filename is None else f"{problem.filename}: {reason}"
    return printable(" ".join(str(problem).split())) or type(problem).__name__


def with_option_names(message: str) -> str:
    """A message in which the names of settings are replaced by command-line options: text_column by --text-column, and
    labels=indices by --labels indices."""
    single = "|".join(f.name for f in fields(Settings) if "_" not in f.name)
    message = re.sub(rf"(?<![\w.{{'(,-])({single})=(\w+)", r"--\1 \2", message)
    names = "|".join(f.name for f in fields(Settings) if "_" in f.name)
    return re.sub(rf"(?<![\w.{{'-])({names})(?![\w='.(-])", lambda match: f"--{match[0].replace('_', '-')}", message)
