"""Lines of a text: only line feeds and carriage returns end them."""

from __future__ import annotations

import re

_END = re.compile(r"\r\n|\n|\r")


def split_lines(text: str) -> list[str]:
    r"""The lines of a text without their ends.

    A line ends at \n, \r\n or \r alone. `str.splitlines` also ends one at U+2028, U+0085, \x0b, \x0c, \x1c to \x1e,
    which stand inside texts.

    Args:
        text: any number of lines, the last one with or without an end.

    Returns:
        A string a line; an empty text has none.
    """
    lines = _END.split(text)
    return lines if lines[-1] else lines[:-1]
