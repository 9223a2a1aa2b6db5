"""Numbers with their nouns."""

from __future__ import annotations


def plural(count: int, singular: str, several: str = "") -> str:
    """A number with its noun, in the singular for 1: `plural(2, "row was", "rows were")`.

    Args:
        count: the number.
        singular: the noun, or noun and verb.
        several: the plural; the singular with an s if empty.
    """
    return f"{count} {singular if count == 1 else several or singular + 's'}"
