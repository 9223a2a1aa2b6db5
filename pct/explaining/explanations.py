"""Many explanations as a list that becomes a data frame and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex, overload

if TYPE_CHECKING:
    from pct.explaining.explanation import Explanation


class Explanations(list["Explanation"]):
    """What `pct.explain` gives: a list of explanations, in the order of the texts."""

    @overload
    def __getitem__(self, place: SupportsIndex) -> Explanation: ...
    @overload
    def __getitem__(self, place: slice) -> Explanations: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Explanation | Explanations:
        """One, or some as `Explanations`."""
        return Explanations(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def to_pandas(self) -> Any:
        """A DataFrame with a row a text.

        Raises:
            ImportError: pandas is not installed.
        """
        from pct.output.tables import explanations_frame

        return explanations_frame(self)

    def to_html(self) -> str:
        """An HTML fragment with its own style: each text with its words shaded, its verdict and both curves."""
        from pct.output.html import explanations_html

        return explanations_html(self)

    _repr_html_ = to_html
