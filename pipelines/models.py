"""Lists the registered models: versions, metrics, and which is the champion and why: pct models [NAME]."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from pct.commands.parser import CommandParser
from pipelines.champion import champion_of, delete_version, margin_of, no_champion, read_versions, why
from pipelines.connection import connect, requests_to, search_pages, tracking_uri
from pipelines.job import OK, run_job

COLUMNS = {  # of the table -> the tag of a version
    "method": "method",
    "seed": "seed",
    "acc": "validation_acc",
    "comp-suff": "validation_comp_minus_suff",
    "test acc": "test_acc",
    "test comp-suff": "test_comp_minus_suff",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table or JSON; returns the exit code."""
    parser = CommandParser(
        prog="pct models",
        description="Lists the registered models: their versions with metrics, which is champion and why.",
        epilog="example: pct models pct-mr-lstm",
    )
    parser.add_argument("name", nargs="?", default="", help="a registered model (default: all of this project's)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--delete", type=int, metavar="VERSION", help="delete a version; the rule then chooses again")
    options = parser.parse_args(argv)
    if options.delete is not None and not options.name:
        parser.error("--delete needs the registered model's name")
    return run_job(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    client = connect(uri := tracking_uri())
    with requests_to(uri):
        names = _names(client, options.name)
        if options.delete is not None:
            delete_version(client, options.name, options.delete)
        models = [describe(client, name) for name in names]
    if not models and not options.json:
        print("no model is registered yet; pct run trains one")
    print(json.dumps(models, indent=2) if options.json else "\n\n".join(map(table, models)))
    return OK


def describe(client: Any, name: str) -> dict[str, Any]:
    """A registered model: its versions, newest first, each with its metrics and why it is champion or not."""
    versions = read_versions(client, name)
    margin = margin_of(versions)
    rows = [
        {
            "version": int(v.version),
            **{column: _number(v.tags.get(tag, "")) for column, tag in COLUMNS.items()},
            "run_id": v.run_id,
            "why": why(client, name, int(v.version), margin),
        }
        for v in versions
    ]
    champion = champion_of(client, name)
    about = {} if champion or not rows else {"no_champion": no_champion(client, name)}
    return {"name": name, "champion": champion, **about, "versions": rows}


def table(model: dict[str, Any]) -> str:
    """A model's versions as lines of text, the champion marked, with the reasons below."""
    rows = model["versions"]
    head = model["name"] + (f"  ({model['no_champion']})" if "no_champion" in model else "")
    widths = {column: max(len(column), 8) + 2 for column in COLUMNS}
    lines = [head, "  version" + "".join(f"{column:>{width}}" for column, width in widths.items())]
    for row in rows:
        mark = "*" if row["version"] == model["champion"] else " "
        cells = (f"{_shown(row[column]):>{width}}" for column, width in widths.items())
        lines.append(f"{mark} {row['version']:>7}" + "".join(cells))
    return "\n".join(lines + [f"  {row['version']}: {row['why']}" for row in rows])


def _names(client: Any, name: str) -> list[str]:
    names = {model.name for model in search_pages(client.search_registered_models, max_results=1000)}
    if name and name not in names:
        raise ValueError(f"no model is registered as {name!r}; pct models lists what is there")
    if name:
        return [name]
    return sorted(n for n in names if any("champion_rule" in v.tags for v in read_versions(client, n)))


def _number(text: str) -> Any:
    try:
        return float(text) if "." in text or text == "nan" else int(text)
    except ValueError:
        return text


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
