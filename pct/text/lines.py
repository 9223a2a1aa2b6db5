"""Splitting a text into lines at line feeds and carriage returns only."""

from __future__ import annotations

import re

_END = re.compile(r"\r\n|\n|\r")


def split_lines(text: str) -> list[str]:
    r"""The lines of a text without their line ends; none for an empty text.

    A line ends at \n, \r\n or \r. `str.splitlines` also splits at U+2028, U+0085, \x0b, \x0c and \x1c to \x1e, which
    occur inside texts.

    Args:
        text: any number of lines. The last one may lack a line end.
    """
    lines = _END.split(text)
    return lines if lines[-1] else lines[:-1]
