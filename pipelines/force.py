"""The option --force, and its former name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class _Former(argparse.Action):
    """Sets `force`, and says which name the option has now."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        print(f"{option_string} is now --force; the former name goes away with the next release", file=sys.stderr)
        namespace.force = True


def add_force(parser: argparse.ArgumentParser, help: str) -> None:
    """Adds --force, and --anyway as its former name.

    Args:
        parser: a command's.
        help: what it does there.
    """
    parser.add_argument("--force", action="store_true", help=help)
    parser.add_argument("--anyway", action=_Former, nargs=0, help=argparse.SUPPRESS, default=argparse.SUPPRESS)
