"""What the site takes from the code while it is built, so that it cannot be out of date.

A page says `<!-- from the code: NAME -->` where one of PARTS is to stand. What is left of such a line, or of an include
of the snippets extension, fails the build.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import fields
from html import unescape
from pathlib import Path
from typing import Any

import pct
from pct import cli
from pct.settings import Settings
from serving.limits import PREFIX, Limits
from serving.openapi import openapi

COLUMNS = "100"  # argparse breaks its lines at the terminal's width
SETTINGS = re.compile(r"^(settings:\n)(?: .*\n|\n(?= ))+", re.M)
MARK = re.compile(r"<!-- from the code: (\w+) -->")
TAG = re.compile(r"<[^>]+>")
LEFT = re.compile(r"-{2,}\s*8\s*<|from the code:|{%.*?%}")  # what no finished page has: includes that were not made
ROOT = Path(__file__).parents[2]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs with each page."""
    return MARK.sub(lambda found: PARTS[found[1]](), markdown)


def on_page_content(html: str, page: Any = None, **_: Any) -> str:
    """Called by MkDocs with each page as it will be. Raises ValueError for one that shows an include in place of it."""
    # highlighted code has a tag around each sign
    if left := LEFT.search(html) or LEFT.search(unescape(TAG.sub("", html))):
        name = page.file.src_uri if page is not None else "a page"
        raise ValueError(f"{name} shows {left[0]!r}, an include that was not made: correct its line")
    return html


def quickstart() -> str:
    """The script of the first page, as it stands in examples/."""
    return f"```python\n{(ROOT / 'examples' / 'quickstart.py').read_text(encoding='utf-8').rstrip()}\n```"


def python() -> str:
    """Every public name: what is called first, then what that gives."""
    classes = [name for name in pct.__all__ if inspect.isclass(getattr(pct, name))]
    calls = [name for name in pct.__all__ if name not in classes]
    entries = (["## Functions", *calls], ["## Classes", *classes])
    return "\n\n".join(part for head, *names in entries for part in (head, *(f"::: pct.{name}" for name in names)))


def commands() -> str:
    """Every command with its help."""
    summary = table(["command", ""], ([f"[`pct {name}`](#pct-{name})", what] for name, (_, what) in COMMANDS))
    return "\n\n".join([summary, *(f"## pct {name}\n\n```text\n{help_of(name)}\n```" for name, _ in COMMANDS)])


def help_of(command: str) -> str:
    """What `pct COMMAND --help` prints, the settings left out: they have a page."""
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
    return SETTINGS.sub("\\1  every setting is an option, --batch-size 32 say\n", said.getvalue()).rstrip()


def http() -> str:
    """The paths, from the document that the service itself gives out."""
    document = openapi(pct.__version__)
    return "\n\n".join(
        _operation(document["components"]["schemas"], f"{verb.upper()} {path}", what)
        for path, verbs in document["paths"].items()
        for verb, what in verbs.items()
    )


def _operation(schemas: dict[str, Any], title: str, what: dict[str, Any]) -> str:
    parts = [f"## {title}", f"{what['summary']}."]
    if "requestBody" in what:
        content = what["requestBody"]["content"]["application/json"]
        asked = schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"]
        rows = ([f"`{name}`", _default(f), f.get("description", "")] for name, f in asked.items())
        parts += [table(["field", "default", ""], rows), "Example:", _json(content["example"])]
    answers = dict(what["responses"])
    parts += ["Answer:", _json(answers.pop("200")["content"]["application/json"]["example"])]
    return "\n\n".join([*parts, table(["status", "when"], ([s, a["description"]] for s, a in answers.items()))])


def _default(field: dict[str, Any]) -> str:
    return f"`{json.dumps(field['default'])}`" if "default" in field else "required"


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def limits() -> str:
    """Every limit of the service with its default."""
    return table(
        ["variable", "default", "what it bounds"],
        ([f"`{PREFIX}{f.name.upper()}`", f"`{f.default}`", f.metadata["help"]] for f in fields(Limits)),
    )


def settings() -> str:
    """Every setting with its default and its help."""
    rows = ([f"`{f.name}`", _shown(f.default), f.metadata.get("help", "")] for f in fields(Settings))
    return table(["setting", "default", ""], rows)


def _shown(default: Any) -> str:
    return "" if default in (None, "") else f"`{default}`"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = ([cell.replace("|", "\\|").replace("<", "&lt;") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*head], ["---"] * len(head), *lines))


COMMANDS = list(cli.COMMANDS.items())
PARTS: dict[str, Callable[[], str]] = {
    "python": python, "commands": commands, "http": http, "limits": limits, "settings": settings,
    "quickstart": quickstart,
}  # fmt: skip
