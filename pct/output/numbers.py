"""Numbers as text, for terminals, pages and model cards."""

from __future__ import annotations

import math
from collections.abc import Sequence

MISSING = "-"  # printed where nothing was measured


def number(value: float, digits: int = 3, signed: bool = False) -> str:
    """A number with `digits` decimals, without a minus where it rounds to zero; `MISSING` for NaN.

    Args:
        value: the number.
        digits: the number of decimals.
        signed: whether to print a plus sign.
    """
    if math.isnan(value):
        return MISSING
    rounded = round(float(value), digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{rounded:{'+' if signed else ''}.{digits}f}"


def for_json(value: float) -> float | None:
    """A number for JSON: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


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
