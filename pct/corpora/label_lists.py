"""The labels of a text that may have several: a list, names in a cell, or a column of 0 and 1 for each label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pct.corpora.values import SEVERAL, BadRow, as_list, is_missing

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
