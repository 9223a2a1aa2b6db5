"""The settings as command line options, made from the dataclass: a new setting is an option without more code."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import fields

from pct.settings import Settings


def add_settings(parser: argparse.ArgumentParser, leave_out: Collection[str] = ()) -> None:
    """An option for every field of `Settings` but those left out; `--batch-size` and `--batch_size` are one."""
    group = parser.add_argument_group("settings")
    for f in fields(Settings):
        if f.name in leave_out:
            continue
        switch = {"nargs": "?", "const": "true"} if f.type == "bool" else {}
        default = "" if f.default in (None, "") else f" (default: {str(f.default).lower() if switch else f.default})"
        group.add_argument(
            *dict.fromkeys([f"--{f.name.replace('_', '-')}", f"--{f.name}"]),
            dest=f.name,
            metavar=f.name.rsplit("_", 1)[-1].upper(),
            help=(f.metadata.get("help", "") + default).replace("%", "%%"),
            **switch,  # type: ignore[arg-type]
        )


def given_settings(options: argparse.Namespace) -> dict[str, str]:
    """The settings that were given, as they were typed; an empty value counts as not given."""
    return {f.name: v for f in fields(Settings) if (v := getattr(options, f.name, None)) not in (None, "")}


def read_settings(options: argparse.Namespace) -> Settings:
    """`given_settings` as settings. Raises ValueError as `Settings.from_dict`."""
    return Settings.from_dict(given_settings(options))
