"""From the labels of rows to indices of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pct.corpora.splits import Labels
from pct.corpora.values import NUMBER, BadRow, canonical


def label_array(indices: Sequence[Sequence[int]], classes: int, multi_label: bool) -> Labels:
    """The labels of a split, from the class indices of each row."""
    if not multi_label:
        return np.array([index for (index,) in indices], np.int64)
    labels = np.zeros((len(indices), classes), bool)
    for own, row in zip(labels, indices, strict=True):
        own[list(row)] = True
    return labels


class ClassIndex:
    """Maps labels to class indices. Names are canonical: equal numbers are one name.

    labels: `names`, or `indices`: each label is an index into the list of classes.
    """

    def __init__(self, classes: Sequence[str], labels: str = "names") -> None:
        self.classes, self.labels = list(classes), labels
        self.by_name = {canonical(name): i for i, name in enumerate(classes)}
        self.numbered = any(NUMBER.fullmatch(name) for name in self.by_name)

    def resolve(self, label: str | int | None) -> tuple[int, bool]:
        """The class index of a label, and whether the label was an index. Raises BadRow for an unknown label."""
        by_index = self.labels == "indices" or (isinstance(label, int) and not self.numbered)
        if by_index:
            text = str(label)
            if text.isdecimal() and int(text) < len(self.classes):
                return int(text), True
            raise BadRow(
                "an unknown label", f"label {label!r} is outside the model's classes 0..{len(self.classes) - 1}"
            )
        class_index = self.by_name.get(str(label))
        if class_index is None:
            hint = "; --labels indices reads it as an index into that list" if str(label).isdecimal() else ""
            raise BadRow("an unknown label", f"label {label!r} is not one of {', '.join(self.classes)}{hint}")
        return class_index, False
