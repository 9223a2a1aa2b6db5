"""The errors that end a command with one line, and that line."""

from __future__ import annotations

import errno
import re
from dataclasses import fields

from pct.settings import Settings


class JobError(Exception):
    """What a job needs cannot be used or had; the message says why and what to do."""


# what a wrong input can raise; anything else is a fault of the program, and is shown whole
TOLD = (JobError, ValueError, TypeError, OSError, ImportError, FloatingPointError, RecursionError)
OK, ERROR, INTERRUPTED, CLOSED = 0, 1, 130, 141
_REMEDIES = {
    errno.ENOENT: "there is no such file or folder; give another, or make it",
    errno.EEXIST: "a file of that name is in the way; give another place",
    errno.ENOTDIR: "a file is in the way, where a folder is needed; give another place",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.EACCES: "it may not be read or written; give another place, or change its permissions",
    errno.EROFS: "nothing can be written there; give another place",
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.ENOSPC: "the disk is full; make room, or give another place",
}
_REMEDIES[errno.EPERM] = _REMEDIES[errno.EACCES]


def in_one_line(problem: Exception) -> str:
    """What is the matter; of the system's own errors, which name a file and a number, also what to do."""
    if isinstance(problem, RecursionError):
        return "what was given is nested too deeply to be read"
    if isinstance(problem, OSError) and problem.filename is not None and problem.strerror:
        return f"{problem.filename}: {_REMEDIES.get(problem.errno or 0, problem.strerror)}"
    return " ".join(str(problem).split()) or type(problem).__name__


def with_options(message: str) -> str:
    """A message in which settings are named as options of the command line are: text_column as --text-column."""
    names = "|".join(f.name for f in fields(Settings) if "_" in f.name)
    return re.sub(rf"(?<![\w.{{'-])({names})(?![\w='.(-])", lambda match: f"--{match[0].replace('_', '-')}", message)
