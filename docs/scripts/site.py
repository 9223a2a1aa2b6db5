"""Pages that are made from the code while the site is built, so that they cannot be out of date.

`reference/python.md` has the names of `pct.__all__`, `reference/command-line.md` is the parsers' own help,
`reference/settings.md` the fields of `pct.Settings`.
"""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import fields
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import pct
from pct import cli
from pct.settings import Settings

COLUMNS = "100"  # argparse breaks its lines at the terminal's width


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages, before the navigation is made."""
    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files


def python() -> str:
    """Every public name: what is called first, then what that gives."""
    classes = [name for name in pct.__all__ if inspect.isclass(getattr(pct, name))]
    calls = [name for name in pct.__all__ if name not in classes]
    parts = ("## Functions", *map(_entry, calls), "## Classes", *map(_entry, classes))
    return "\n\n".join([PYTHON, *parts, ""])


def _entry(name: str) -> str:
    return f"::: pct.{name}"


def command_line() -> str:
    """Every command with its help."""
    summary = [f"| [`pct {name}`](#pct-{name}) | {what} |" for name, (_, what) in cli.COMMANDS.items()]
    head = ["# Command line", "", "| command | what it does |", "| --- | --- |", *summary]
    each = [f"## pct {name}\n\n```text\n{help_of(name)}\n```" for name in cli.COMMANDS]
    return "\n".join([*head, "", EXIT_CODES, "", *each])


def help_of(command: str) -> str:
    """What `pct COMMAND --help` prints."""
    before, said = os.environ.get("COLUMNS"), io.StringIO()
    os.environ["COLUMNS"] = COLUMNS
    try:
        with redirect_stdout(said):
            cli.main([command, "--help"])
    except SystemExit as done:
        if done.code:
            raise
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return said.getvalue().rstrip()


def settings() -> str:
    """Every setting with its default."""
    rows = [f"| `{f.name}` | {_shown(f.default)} | {_cell(f.metadata.get('help', ''))} |" for f in fields(Settings)]
    return "\n".join([SETTINGS, "", "| setting | default | |", "| --- | --- | --- |", *rows, ""])


def _shown(default: Any) -> str:
    return "" if default in (None, "") else f"`{default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


PYTHON = (
    "# Python\n\nThese names are what the project promises; they are `pct.<name>`, loaded when they are first used. "
    "Those that metrics and explanations need ask for no torch."
)
EXIT_CODES = (
    "Exit codes: 0 done, 1 an error, told in one line, 2 a wrong command line, 3 done but not sent to MLflow, "
    "130 stopped."
)
SETTINGS = (
    "# Settings\n\nEach is a field of `pct.Settings`, an option of the commands that train (`--batch_size 32`), a "
    "parameter of `mlflow run` (`-P batch_size=32`), and saved with the model. Where a default is empty, the help says "
    "what is taken."
)
PAGES: dict[str, Callable[[], str]] = {
    "reference/python.md": python,
    "reference/command-line.md": command_line,
    "reference/settings.md": settings,
}
