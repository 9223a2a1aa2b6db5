"""One value of a row: what a text, a label, a missing value and several labels in one cell are."""

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

from pct.text.words import replace_surrogates

NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?")
# how a missing number is written where it became text
_MISSING = frozenset({"", "nan", "NaN", "<NA>", "NaT"})
# a list as Python and pandas write it; one without quotes is left to be a name
_PYTHON_LIST = re.compile(r"[\[({]\s*(['\"]).*\1\s*,?\s*[\])}]", re.DOTALL)
_PYTHON_LIST_OF_ONE = re.compile(r"[\[({]\s*(['\"])((?:(?!\1).)*)\1\s*,?\s*[\])}]", re.DOTALL)


class BadRow(ValueError):
    """A row that cannot be used. kind: its fault in a word or two, by which such rows are counted."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def plain_label(value: Any, column: str, keep_index: bool = False) -> str | int:
    """A label as its class' canonical name; an integer as it is where that may be an index.

    A date is named as ISO 8601 writes it, a decimal number as the equal float. A list of choices counts as the one
    choice that it has, also where it is written in a text as JSON (`["good"]`) or as Label Studio's
    `{"choices": ["good"]}`.

    Raises BadRow for a missing one, and for what is no single value.
    """
    one = _only_choice(value)
    if one is _SEVERAL:
        raise BadRow("no single label", f"column {column!r} must hold one label a text, got {value!r:.80}")
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
    raise BadRow("no single label", f"column {column!r} must hold one label a text, got {value!r:.80}")


def plain_text(value: Any, column: str, in_memory: bool) -> Any:
    """A text; of what a program gives, a list of words too. Raises BadRow for anything else."""
    if isinstance(value, str) and value.strip():
        return replace_surrogates(value)
    if in_memory and isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if in_memory and isinstance(value, (list, tuple)) and any(isinstance(w, str) and w.strip() for w in value):
        return value
    hint = ""
    if isinstance(value, Mapping) and value:
        hint = f"; for one of its fields set text_column to {column}.{next(iter(value))}"
    raise BadRow("no text", f"column {column!r} must be a text with words, got {value!r:.80}{hint}")


def class_name(value: Any, classes: Sequence[str]) -> Any:
    """What an integer label of a table that names its classes stands for; -1 is how the hub marks unlabelled rows."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return classes[int(value)] if 0 <= value < len(classes) else None
    if isinstance(value, (list, tuple)):
        return [class_name(one, classes) for one in value]
    return value


def plain_marks(marks: Any, column: str, text: Any) -> list[Any]:
    """0 or 1 a word of the text; of a share a number from 0 to 1. Raises BadRow for anything else."""
    words = len(text.split() if isinstance(text, str) else text)
    share = column.endswith("_share")
    if not isinstance(marks, list) or len(marks) != words or not all(_is_mark(x, share) for x in marks):
        kind = "numbers from 0 to 1" if share else "0 and 1"
        raise BadRow(
            f"a bad {column}", f"column {column!r} must be a list of {kind}, one a word ({words}), got {marks!r:.80}"
        )
    return marks


def _is_mark(x: Any, share: bool) -> bool:
    return isinstance(x, (int, float)) and 0 <= x <= 1 if share else x in (0, 1)


def canonical(name: str) -> str:
    """A class' name, written so that equal ones are equal: composed, no spaces around it, 1.0 as 1, true as True."""
    name = unicodedata.normalize("NFC", replace_surrogates(name.strip()))
    if NUMBER.fullmatch(name):
        number = float(name)
        return str(int(name.partition(".")[0])) if number.is_integer() else repr(number)
    return name.capitalize() if name.lower() in ("true", "false") else name


def is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT, and text that says so or nothing."""
    if isinstance(value, str):
        return value.strip() in _MISSING
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    return isinstance(value, float) and value != value


def class_names(labels: Iterable[str | int | None]) -> list[str]:
    """The classes of some labels, sorted: numbers as numbers, so that 10 comes behind 9."""
    seen = {str(label) for label in labels}
    if all(NUMBER.fullmatch(x) for x in seen):
        return sorted(seen, key=float)
    return sorted(seen)


_SEVERAL = object()  # no single choice


def _only_choice(value: Any) -> Any:
    """The choice of a list of one, None of an empty list, `_SEVERAL` of a longer one; any other value as it is."""
    if isinstance(value, str):
        value = _written_list(value.strip())
    if isinstance(value, Mapping) and set(value) == {"choices"}:
        value = value["choices"]
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else _SEVERAL if value else None
    return _SEVERAL if isinstance(value, (Mapping, list, tuple, set, frozenset)) else value


def _written_list(text: str) -> Any:
    """The list or object that a text writes as JSON or as Python does; any other text as it is."""
    if not (text[:1] in "[{(" and text[-1:] in "]})"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if one := _PYTHON_LIST_OF_ONE.fullmatch(text):
        return [one[2]]
    return _SEVERAL if _PYTHON_LIST.fullmatch(text) else text


def _python_value(value: Any) -> Any:
    """numpy's scalars as Python's, and decimal numbers as the float or integer that they equal."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return value.astype(f"{'M' if isinstance(value, np.datetime64) else 'm'}8[us]").item()
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _iso_date(value: datetime.date | datetime.time) -> str:
    """As CSV files have it: a time of day only where there is one."""
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time() and value.tzinfo is None
        return value.date().isoformat() if midnight else value.isoformat(" ")
    return value.isoformat()
