"""Requirements on an audit, for pipelines, such as `margin>0.02`. This module does not import torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from pct.metrics.bootstrap import Interval
from pct.output.numbers import spell

PATTERN = re.compile(r"\s*([\w-]+)\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Requirement:
    """A bound on a metric. The less favourable end of the metric's interval has to meet it.

    Attributes:
        metric: its name.
        sign: >, >=, < or <=.
        bound: the number.
    """

    metric: str
    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses "margin>0.02".

        Raises:
            ValueError: the text does not have this form.
        """
        match = PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(
                f"a requirement is a metric, one of > >= < <=, and a number, such as margin>0.02; got {text!r}"
            )
        return cls(match[1], match[2], float(match[3]))

    def check(self, names: Collection[str]) -> None:
        """Raises ValueError where the metric is not measured."""
        if self.metric not in names:
            raise ValueError(f"{self.metric} is not measured; there are {', '.join(names)}")

    def failure(self, intervals: Mapping[str, Interval]) -> str:
        """Why the requirement is not met, in one line; empty where it is met.

        Args:
            intervals: of the metrics, by name.

        Raises:
            ValueError: the metric was not measured.
        """
        self.check(intervals)
        x = intervals[self.metric]
        end, side = (x.low, "lower") if self.sign.startswith(">") else (x.high, "upper")
        met = {">": end > self.bound, ">=": end >= self.bound, "<": end < self.bound, "<=": end <= self.bound}
        if met[self.sign]:
            return ""
        return f"{self.metric}{self.sign}{self.bound:g} is not met: {spell(x, 4)}, whose {side} end counts"
