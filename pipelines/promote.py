"""Makes a version of a registered model the champion, or lets the rule choose again: pct promote NAME [VERSION]."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from pct.commands.parser import CommandParser
from pipelines.champion import choose_again, lost_champion, margin_of, promote, read_versions, why
from pipelines.connection import connect, requests_to, tracking_uri
from pipelines.job import OK, add_force, run_job


def main(argv: Sequence[str] | None = None) -> int:
    """Moves the alias and says why the champion is one; returns the exit code."""
    parser = CommandParser(
        prog="pct promote",
        description="Makes a version the champion, whatever the rule says. From then on only newer versions that were "
        "measured alike can replace it, by the rule. Without a version the rule chooses among all versions.",
        epilog="example: pct promote pct-mr-lstm 3",
    )
    parser.add_argument("name", help="a registered model; pct models lists them")
    parser.add_argument("version", nargs="?", type=int, help="which one (default: the rule chooses)")
    add_force(parser, "even a version that is no better than the share of the largest class")
    options = parser.parse_args(argv)
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    client = connect(uri := tracking_uri())
    with requests_to(uri):
        print(_move(client, options))
    return OK


def _move(client: Any, options: argparse.Namespace) -> str:
    versions = read_versions(client, options.name)
    if not versions:
        raise ValueError(f"no model is registered as {options.name!r}; pct models lists what is there")
    lost = f"{reason}. " if (reason := lost_champion(client, options.name)) else ""
    if options.version is not None:
        promote(client, options.name, options.version, options.force)
        champion = options.version
    else:
        champion = choose_again(client, options.name)
    if champion is None:
        return f"{lost}{options.name} has no version that is fit to be the champion; pct models says why"
    reason = why(client, options.name, champion, margin_of(versions))
    return f"{lost}models:/{options.name}/{champion} is @champion: {reason}"


if __name__ == "__main__":
    sys.exit(main())
