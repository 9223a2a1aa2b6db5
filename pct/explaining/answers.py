"""A list whose slices are of its own type: the base of what `pct.predict` and `pct.explain` give."""

from __future__ import annotations

from typing import Any, Self, SupportsIndex, TypeVar, overload

T = TypeVar("T")


class Answers(list[T]):
    """A list with an item for each text; a slice has the type of the list."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: Any) -> Any:
        """One item, or some as a list of the same type."""
        chosen = super().__getitem__(index)
        return type(self)(chosen) if isinstance(index, slice) else chosen
