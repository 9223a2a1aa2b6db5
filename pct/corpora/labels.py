"""The labels of rows: those of a text, their indices, the names of the classes, and the faults that labels show."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.corpora.splits import Labels, label_hint
from pct.corpora.values import NUMBER, SEVERAL, BadRow, as_list, canonical, class_names, is_missing

if TYPE_CHECKING:
    from pct.corpora.rows import ReadOptions

SEPARATORS = "|;,"  # that a cell of several labels may have
MOST_NUMBERS = 20  # numbers with decimals that are classes; more are measurements
SHOWN = 10  # names in a message
_TRUE, _FALSE = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})


def split_labels(value: Any, column: str, separator: str) -> list[Any]:
    """The labels of a text.

    Args:
        value: a list, which may be empty, also as JSON in a text and in Label Studio's format; the names of labels
            between separators; or one label. A list of the floats 0.0 and 1.0 has one for each label of the model.
        column: its name, for errors.
        separator: if given, an empty or missing cell has no labels.

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
        if value and all(isinstance(x, float) and x in (0.0, 1.0) for x in value):
            return [index for index, x in enumerate(value) if x]
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


class ClassIndex:
    """Maps labels to class indices. Names are canonical: equal numbers are one name. They are compared without case.

    labels: `names`, or `indices`: each label is an index into the list of classes.
    """

    def __init__(self, classes: Sequence[str], labels: str = "names") -> None:
        self.classes, self.labels = list(classes), labels
        self.by_name = {canonical(name): i for i, name in enumerate(classes)}
        folded = {name.casefold(): i for name, i in self.by_name.items()}
        # without case, unless that makes two classes one
        self.by_folded = folded if len(folded) == len(self.by_name) else {}
        self.numbered = any(NUMBER.fullmatch(name) for name in self.by_name)

    def resolve(self, label: str | int | None) -> tuple[int, bool]:
        """The class index of a label, and whether the label was an index. Raises BadRow for an unknown label."""
        by_index = self.labels == "indices" or (isinstance(label, int) and not self.numbered)
        if by_index:
            text = str(label)
            if text.isdecimal() and int(text) < len(self.classes):
                return int(text), True
            raise BadRow(
                "an unknown label", f"label {label!r} is outside the model's classes 0..{len(self.classes) - 1}"
            )
        class_index = self.by_name.get(str(label), self.by_folded.get(str(label).casefold()))
        if class_index is None:
            hint = label_hint(str(label), self.classes)
            raise BadRow("an unknown label", f"label {label!r} is not one of {', '.join(self.classes)}{hint}")
        return class_index, False


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
