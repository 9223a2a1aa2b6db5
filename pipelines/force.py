"""The option --force, and its former name."""

from __future__ import annotations

import argparse
import sys
from typing import Any


class _Force(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        if option == "--anyway":
            print("--anyway is now --force; the former name goes away with the next release", file=sys.stderr)
        namespace.force = True


def add_force(parser: argparse.ArgumentParser, help: str) -> None:
    """Adds --force, with --anyway as its former name. help: what it does in this command."""
    parser.add_argument("--force", "--anyway", action=_Force, nargs=0, default=False, help=help)
