"""The index of a class by its name: one rule for the labels of rows, and for the classes of a corpus and a model."""

from __future__ import annotations

from collections.abc import Sequence

from pct.corpora.values import NUMBER, BadRow, canonical
from pct.tasks import default_names

NAME_CLASSES = "name them in its config.json (id2label and label2id)"  # a remedy, in errors


class ClassIndex:
    """Maps labels to class indices. Names are canonical (1.0 is 1), and compared without case.

    labels: `names`, or `indices`: each label is an index into the list of classes. integers_are_indices: whether an
    integer among names is an index: if no class has a number as its name.
    """

    def __init__(self, classes: Sequence[str], labels: str = "names") -> None:
        self.classes, self.labels = list(classes), labels
        self.by_name = {canonical(name): i for i, name in enumerate(classes)}
        folded = {name.casefold(): i for name, i in self.by_name.items()}
        # without case, unless that makes two classes one
        self.by_folded = folded if len(folded) == len(self.by_name) else {}
        numbered = any(NUMBER.fullmatch(name) for name in self.by_name)
        self.integers_are_indices = labels == "names" and not numbered

    def find(self, name: str) -> int | None:
        """The class index of a name; None for an unknown one."""
        name = canonical(name)
        return self.by_name.get(name, self.by_folded.get(name.casefold()))

    def has(self, label: str) -> bool:
        """Whether a text is the name of a class, or an index where labels are indices."""
        return self.find(label) is not None or (self.labels == "indices" and label.isdecimal())

    def resolve(self, label: str | int | None) -> tuple[int, bool]:
        """The class index of a label, and whether the label was an index. Raises BadRow for an unknown label."""
        by_index = self.labels == "indices" or (isinstance(label, int) and self.integers_are_indices)
        if by_index:
            text = str(label)
            if text.isdecimal() and int(text) < len(self.classes):
                return int(text), True
            raise BadRow(
                "an unknown label", f"label {label!r} is outside the model's classes 0..{len(self.classes) - 1}"
            )
        class_index = self.find(str(label))
        if class_index is None:
            hint = label_hint(str(label), self.classes)
            raise BadRow("an unknown label", f"label {label!r} is not one of {', '.join(self.classes)}{hint}")
        return class_index, False


def label_hint(label: str, classes: Sequence[str]) -> str:
    """The end of an error about a label that is no class: how to name the classes, or to read it as an index."""
    if label.isdecimal():
        return "; labels=indices reads it as an index into that list"
    return f"; the model does not name its classes: {NAME_CLASSES}" if default_names(classes) else ""
