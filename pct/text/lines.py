"""Splitting a text into lines at line feeds and carriage returns only; texts for a terminal."""

from __future__ import annotations

import re

_END = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def split_lines(text: str) -> list[str]:
    r"""The lines of a text without their line ends; none for an empty text.

    A line ends at \n, \r\n or \r. `str.splitlines` also splits at U+2028, U+0085, \x0b, \x0c and \x1c to \x1e, which
    occur inside texts.

    Args:
        text: any number of lines. The last one may lack a line end.
    """
    lines = _END.split(text)
    return lines if lines[-1] else lines[:-1]


def printable(text: str) -> str:
    r"""A text without commands to a terminal: control characters, with which escape sequences begin, are spelled as
    \x1b."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
