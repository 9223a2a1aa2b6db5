"""The names of the classes of a table without given ones, from its labels; and the faults that labels show."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from pct.corpora.values import NUMBER, canonical, class_names

if TYPE_CHECKING:
    from pct.corpora.rows import ReadOptions

SEPARATORS = "|;,"  # that a cell of several labels may have
MOST_NUMBERS = 20  # numbers with decimals that are classes; more are measurements
SHOWN = 10  # names in a message


def names_of_classes(
    table: str, given: Sequence[str] | None, labels: Collection[tuple[Any, ...]], options: ReadOptions
) -> list[str]:
    """The names of the classes.

    Args:
        table: its name, for errors.
        given: the names that the table itself has, if any.
        labels: the distinct labels of a row.
        options: how they were read.

    Raises:
        ValueError: fewer than two, or labels that another option would read better.
    """
    if options.one_column_each:
        return [canonical(name) for name in options.label_columns]
    names = list(given) if given else class_names(chain.from_iterable(labels))
    if problem := _problem(names, labels, options):
        raise ValueError(f"{table}: column {options.label!r} {problem}")
    return names


def some_of(names: Sequence[str]) -> str:
    """The names for a message, of many the first ones and the number of the others."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _problem(names: Sequence[str], labels: Collection[tuple[Any, ...]], options: ReadOptions) -> str:
    if options.multi_label and all(len(own) == 1 for own in labels):
        if set(names) <= {"0", "1"}:
            return (
                "has 0 or 1 in every row, which multi_label would read as the names of two labels: leave multi_label "
                "out, or name the column of each label"
            )
        for name in names:
            separator = re.search(f"[{SEPARATORS}]", name)
            if separator and {part.strip() for part in name.split(separator[0])} <= set(names):
                return f"has {name!r}, whose parts are labels too: set label_separator to {separator[0]!r}"
    decimals = [name for name in names if NUMBER.fullmatch(name) and "." in name]
    if len(decimals) > MOST_NUMBERS and all(NUMBER.fullmatch(name) for name in names):
        return f"holds numbers ({some_of(decimals)}): set head to value, which trains on numbers"
    if len(names) < 2:
        return f"has 1 {'label' if options.multi_label else 'class'}, a classifier needs at least two"
    return ""
