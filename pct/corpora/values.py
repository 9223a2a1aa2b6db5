"""Checks and conversions of single values: texts, labels, marks and missing values."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pct.text.words import is_pair, replace_surrogates

NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?")
# missing values that were converted to text
_MISSING = frozenset({"", "nan", "NaN", "<NA>", "NaT"})
# a list as Python and pandas print it; text in brackets without quotes is a class name
_PYTHON_LIST = re.compile(r"[\[({]\s*(['\"]).*\1\s*+,?\s*+[\])}]", re.DOTALL)
_QUOTED = re.compile(r"(['\"])((?:(?!\1).)*)\1", re.DOTALL)


class BadRow(ValueError):
    """An unusable row. kind: its fault in a few words; bad rows are counted by kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def plain_label(value: Any, column: str, keep_index: bool = False) -> str | int:
    """The canonical class name of a label. With `keep_index`, an integer is returned unchanged.

    A date is written as in ISO 8601, a number without zeros at its end: the float 1.0 is 1. A list with one choice is
    that choice, also as JSON in a text (`["good"]`) and in Label Studio's format (`{"choices": ["good"]}`).

    Raises BadRow for a missing label, and for several.
    """
    one = _only_choice(value)
    if one is SEVERAL:
        hint = "; set multi_label if a text may have several"
        raise BadRow("no single label", f"column {column!r} must have one label per text, got {value!r:.80}{hint}")
    one = _python_value(one)
    if is_missing(one):
        raise BadRow("no label", f"column {column!r} has no label, got {value!r}")
    if isinstance(one, (bool, str)):
        return canonical(str(one))
    if isinstance(one, int):
        return one if keep_index else str(one)
    if isinstance(one, float) and math.isfinite(one):
        if not one.is_integer():
            return canonical(repr(one))
        return int(one) if keep_index else str(int(one))
    if isinstance(one, (datetime.date, datetime.time)):
        return _iso_date(one)
    if isinstance(one, (datetime.timedelta, uuid.UUID)):
        return str(one)
    raise BadRow("no single label", f"column {column!r} must have one label per text, got {value!r:.80}")


def plain_number(value: Any, column: str) -> float:
    """A label that is a number, also as text. Raises BadRow for anything else, and for infinity."""
    value = _python_value(value)
    if is_missing(value):
        raise BadRow("no label", f"column {column!r} has no number, got {value!r}")
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.inf
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        raise BadRow("no number", f"column {column!r} must be a finite number, got {value!r:.80}")
    return number


def plain_text(value: Any, column: str, in_memory: bool) -> Any:
    """A text; in memory also a list of words, or a pair of texts. Raises BadRow for anything else."""
    if isinstance(value, str) and value.strip():
        return replace_surrogates(value)
    if in_memory and isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if in_memory and isinstance(value, (list, tuple)) and any(isinstance(w, str) and w.strip() for w in value):
        return value
    hint = ""
    if isinstance(value, Mapping) and value:
        hint = f"; to read one of its fields, set text_column to {column}.{next(iter(value))}"
    raise BadRow("no text", f"column {column!r} must be a text with words, got {value!r:.80}{hint}")


def class_name(value: Any, classes: Sequence[str]) -> Any:
    """The class name of an integer label, by the table's class names; None for -1, which marks unlabelled rows."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return classes[int(value)] if 0 <= value < len(classes) else None
    if isinstance(value, (list, tuple)):
        return [class_name(one, classes) for one in value]
    return value


def are_marks(value: Any) -> bool:
    """Whether a value is a list of numbers, one or more."""
    return isinstance(value, list) and bool(value) and all(isinstance(x, (int, float, np.number)) for x in value)


def plain_marks(marks: Any, column: str, text: Any) -> list[Any]:
    """Marks with one value per whitespace word: 0 or 1, or a share in [0, 1]. Raises BadRow for anything else."""
    texts = text if is_pair(text) else [text]
    words = sum(len(one.split() if isinstance(one, str) else one) for one in texts)
    share = column.endswith("_share")
    if not isinstance(marks, list) or len(marks) != words or not all(_is_mark(x, share) for x in marks):
        kind = "numbers from 0 to 1" if share else "0 and 1"
        raise BadRow(
            f"a bad {column}",
            f"column {column!r} must be a list of {kind}, one for each of {words} words, got {marks!r:.80}",
        )
    return marks


def _is_mark(x: Any, share: bool) -> bool:
    return isinstance(x, (int, float)) and 0 <= x <= 1 if share else x in (0, 1)


def canonical(name: str) -> str:
    """The canonical form of a class name: NFC, stripped, 1.0 as 1, true as True.

    A column of whole numbers with a gap is written as 1.0. Other numbers keep their digits: 1.1 and 1.10 may be
    versions.
    """
    name = unicodedata.normalize("NFC", replace_surrogates(name.strip()))
    if NUMBER.fullmatch(name):
        name = name.removeprefix("+")
        whole, _, fraction = name.partition(".")
        return name if fraction.strip("0") else "0" if whole == "-0" else whole
    return name.capitalize() if name.lower() in ("true", "false") else name


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, pandas' NA or NaT, the text of one of these, or blank."""
    if isinstance(value, str):
        return value.strip() in _MISSING
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return isinstance(value, float) and value != value


def sorted_labels(labels: Iterable[str | int | None]) -> list[str]:
    """The sorted distinct labels. If all are numbers, they are sorted by value, equal ones by name."""
    seen = {str(label) for label in labels}
    if all(NUMBER.fullmatch(x) for x in seen):
        return sorted(seen, key=lambda name: (decimal.Decimal(name), name))  # exact, unlike a float
    return sorted(seen)


SEVERAL = object()  # more than one choice


def as_list(value: Any) -> Any:
    """A written list, the choices of Label Studio or an array as a list; any other value unchanged."""
    if isinstance(value, str):
        value = written_list(value.strip())
    if isinstance(value, Mapping) and set(value) == {"choices"}:
        value = value["choices"]
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    return value


def _only_choice(value: Any) -> Any:
    """The choice of a list of one, None for an empty list, `SEVERAL` for a longer one; any other value unchanged."""
    value = as_list(value)
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else SEVERAL if value else None
    return SEVERAL if isinstance(value, (Mapping, list, tuple, set, frozenset)) else value


def written_list(text: str) -> Any:
    """The list or object that a text holds in JSON's or Python's notation; any other text unchanged."""
    if not (text[:1] in "[{(" and text[-1:] in "]})"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if not _PYTHON_LIST.fullmatch(text):
        return text
    is_list = re.fullmatch(r".[\s,]*.", _QUOTED.sub("", text))  # numpy prints no commas
    return [name for _, name in _QUOTED.findall(text)] if is_list else SEVERAL


def _python_value(value: Any) -> Any:
    """Converts numpy scalars to Python's types, and decimal numbers to an integer, or to text with all their digits."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return value.astype(f"{'M' if isinstance(value, np.datetime64) else 'm'}8[us]").item()
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else f"{value:f}".rstrip("0")
    return value


def _iso_date(value: datetime.date | datetime.time) -> str:
    """A date or time in ISO 8601; midnight without a time zone is omitted."""
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time() and value.tzinfo is None
        return value.date().isoformat() if midnight else value.isoformat(" ")
    return value.isoformat()
