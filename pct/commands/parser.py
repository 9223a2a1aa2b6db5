"""The parser of a command line: options in full, and one line for a wrong one."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import Any, NoReturn

NUMBERS: dict[Any, str] = {int: "N", float: "X"}


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` without abbreviations of options. A wrong command line ends with exit code 2 and one line,
    which names the nearest option where one was mistyped."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **given})

    def format_help(self) -> str:
        """The help, which shows numbers as N and X where an option has no name of its own for them."""
        for action in self._actions:
            if action.metavar is None and action.type in NUMBERS:
                action.metavar = NUMBERS[action.type]
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Prints the message with the nearest option and the way to the help, and exits with 2."""
        _, unknown, mistyped = message.partition("unrecognized arguments: ")
        if unknown:
            option = mistyped.split()[0].partition("=")[0]
            nearest = get_close_matches(option, self._option_string_actions, 1)
            message = f"no option {option}" if option.startswith("-") else f"unexpected argument {option}"
            message += f"; did you mean {nearest[0]}?" if nearest else ""
        self.exit(2, f"error: {message} ({self.prog} --help lists the options)\n")
