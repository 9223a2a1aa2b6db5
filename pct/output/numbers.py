"""Numbers as text: the same in a terminal, on a page and in a model card."""

from __future__ import annotations

import math
from collections.abc import Sequence

MISSING = "-"  # stands where nothing was measured


def number(value: float, digits: int = 3) -> str:
    """A number with so many decimals; a negative one that rounds to zero has no sign; `MISSING` for NaN."""
    if math.isnan(value):
        return MISSING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def bounds(interval: Sequence[float], digits: int = 3) -> str:
    """The ends of (value, low, high), as [0.105, 0.143]."""
    return f"[{number(interval[1], digits)}, {number(interval[2], digits)}]"


def spell(interval: Sequence[float] | None, digits: int = 3) -> str:
    """(value, low, high) as 0.124 [0.105, 0.143]; `MISSING` where there is none."""
    if interval is None or math.isnan(interval[0]):
        return MISSING
    return f"{number(interval[0], digits)} {bounds(interval, digits)}"


def percent(interval: Sequence[float]) -> str:
    """(value, low, high) of a share as 87 % [84 %, 90 %]."""
    value, low, high = (MISSING if math.isnan(x) else f"{100 * x:.0f} %" for x in interval)
    return f"{value} [{low}, {high}]"
