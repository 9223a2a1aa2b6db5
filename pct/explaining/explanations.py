"""A list of explanations that converts to a data frame and to HTML."""

from __future__ import annotations

from typing import Any

from pct.explaining.answers import Answers
from pct.explaining.explanation import Explanation


class Explanations(Answers[Explanation]):
    """What `pct.explain` gives: a list of explanations, in the order of the texts."""

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each text.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.records import explanation_row, pandas

        return pandas().DataFrame([explanation_row(one) for one in self])

    def to_html(self) -> str:
        """An HTML fragment with its own style: each text with its words shaded, its verdict and both curves."""
        from pct.output.html import explanations_html

        return explanations_html(self)

    _repr_html_ = to_html
