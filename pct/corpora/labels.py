"""The labels of rows: those of a text, their indices, the names of the classes, and the faults that labels show."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.class_index import ClassIndex
from pct.corpora.splits import Labels
from pct.corpora.values import NUMBER, SEVERAL, BadRow, as_list, canonical, is_missing, sorted_labels

if TYPE_CHECKING:
    from pct.corpora.rows import ReadOptions

SEPARATORS = "|;,"  # that a cell of several labels may have
MOST_NUMBERS = 20  # numbers with decimals that are classes; more are measurements
SHOWN = 10  # names in a message
_TRUE, _FALSE = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})


def split_labels(value: Any, column: str, separator: str, index: ClassIndex | None = None) -> list[Any]:
    """The labels of a text.

    Args:
        value: a list, which may be empty, also as JSON in a text and in Label Studio's format; the names of labels
            between separators; or one label. A list may also have 0 or 1 for each label, see `_marked_labels`.
        column: its name, for errors.
        separator: if given, an empty or missing cell has no labels.
        index: of the model's classes; None if they are not known yet.

    Raises:
        BadRow: a missing label without a separator, or a value of another kind.
    """
    if separator:
        if is_missing(value):
            return []
        if isinstance(value, str):
            return [name.strip() for name in value.split(separator) if name.strip()]
    written, value = value, as_list(value)
    if isinstance(value, (list, tuple)):
        numbers = [x.item() if isinstance(x, np.generic) else x for x in value]
        if numbers and all(isinstance(x, (int, float)) and x in (0, 1) for x in numbers):
            return _marked_labels(numbers, column, index)
        return list(value)
    if value is SEVERAL or isinstance(value, (Mapping, set, frozenset)):
        raise BadRow("no list of labels", f"column {column!r} must be a list of labels, got {written!r:.80}")
    if is_missing(value):
        raise BadRow(
            "no label",
            f"column {column!r} has no labels, got {value!r}; a text without labels has [], or an empty cell with "
            "label_separator",
        )
    return [value]


def _marked_labels(numbers: list[int | float], column: str, index: ClassIndex | None) -> list[Any]:
    """The labels of a list of 0 and 1.

    Floats and booleans have one value for each label. So have more than two integers: as indices they would repeat one.
    One or two integers are indices.

    Raises BadRow for two integers that may be either, and for another number of values than the model has labels.
    """
    size = len(numbers)
    labels = size if index is None else len(index.classes)
    if size <= 2 and all(type(x) is int for x in numbers):
        if len(set(numbers)) == size and not (index and index.integers_are_indices and size == labels):
            return list(numbers)
        raise BadRow(
            "unclear labels",
            f"column {column!r} has {numbers}, which may be indices of labels, or 0 or 1 for each label: give the "
            "names of the labels, or 0.0 and 1.0",
        )
    if size != labels:
        raise BadRow(
            "another number of labels",
            f"column {column!r} has {size} values of 0 and 1 for the {labels} labels of the model: give one for each",
        )
    names = index.classes if index and index.labels == "names" else range(size)
    return [name for name, x in zip(names, numbers, strict=True) if x]


def is_one(value: Any, column: str) -> bool:
    """Whether the cell of a label's own column is 1. Raises BadRow for anything but 0 and 1, true and false."""
    written = str(value).strip().lower()
    if written in _TRUE or written in _FALSE:
        return written in _TRUE
    raise BadRow("no 0 or 1", f"column {column!r} must have 0 or 1 for each text, got {value!r:.80}")


def label_array(indices: Sequence[Sequence[int]], classes: int, multi_label: bool) -> Labels:
    """The labels of a split, from the class indices of each row."""
    if not multi_label:
        return np.array([index for (index,) in indices], np.int64)
    labels = np.zeros((len(indices), classes), bool)
    for own, row in zip(labels, indices, strict=True):
        own[list(row)] = True
    return labels


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
    names = list(given) if given else sorted_labels(chain.from_iterable(labels))
    if problem := _problem(names, labels, options):
        raise ValueError(f"{table}: column {options.label!r} {problem}")
    return names


def differing_in_case(names: Sequence[str]) -> list[list[str]]:
    """The groups of names that are equal without case."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(canonical(name).casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


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
    if options.multi_label and set(names) == {"0", "1"} and all(len(own) == 2 for own in labels):
        return "has the labels 0 and 1 in every row: if they are 0 or 1 for each of two labels, give 0.0 and 1.0"
    decimals = [name for name in names if NUMBER.fullmatch(name) and "." in name]
    if len(decimals) > MOST_NUMBERS and all(NUMBER.fullmatch(name) for name in names):
        return f"holds numbers ({some_of(decimals)}): set head to value, which trains on numbers"
    if len(names) < 2:
        return f"has 1 {'label' if options.multi_label else 'class'}, a classifier needs at least two"
    return ""
