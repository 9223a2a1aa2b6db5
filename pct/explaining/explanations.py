"""A list of explanations that converts to a data frame and to HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex, overload

if TYPE_CHECKING:
    from pct.explaining.explanation import Explanation


class Explanations(list["Explanation"]):
    """What `pct.explain` gives: a list of explanations, in the order of the texts."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> Explanations: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Explanation | Explanations:
        """One, or some as `Explanations`."""
        return Explanations(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)

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
