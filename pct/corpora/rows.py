"""One reader for all rows: what a text, a label, a missing value and a broken row are, whatever the rows come from."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from pct.corpora.splits import UNLABELLED
from pct.corpora.values import NUMBER, BadRow, canonical, class_name, plain_label, plain_marks, plain_text
from pct.settings import Settings
from pct.text.tokens import Ints

logger = logging.getLogger("pct.corpora")
ROWS_PER_CHUNK = 1000
MARKS = ("rationale", "shortcut", "rationale_share")


@dataclass(frozen=True)
class ReadOptions:
    """How rows are read.

    text, label: the columns; review.text is the field text of a nested column review. separator: of a CSV file, found
    where empty. on_bad_row: what happens to a row that cannot be used (error, skip). labels: whether labels are the
    classes' names or their indices. encoding: of text files; UTF-8, or what a byte order mark says, where empty.
    """

    text: str = "text"
    label: str = "label"
    separator: str = ""
    on_bad_row: str = "error"
    labels: str = "names"
    encoding: str = ""

    @classmethod
    def of(cls, settings: Settings) -> ReadOptions:
        """Those of a run."""
        s = settings
        return cls(s.text_column, s.label_column, s.separator, s.on_bad_row, s.labels, s.encoding)

    @property
    def wanted(self) -> set[str]:
        """The names of the columns to read: of a nested one its own name and that of its outermost part."""
        names = {self.text, self.label, *MARKS}
        return names | {name.partition(".")[0] for name in (self.text, self.label)}


@dataclass(frozen=True)
class Table:
    """Rows that are not yet judged.

    name: what errors call them. columns: their names. rows: each a number from 1 and its values by column, or what is
    wrong with it. classes: the names that integer labels stand for, where the table knows them. in_memory: the labels
    have the types that a program gave them: an integer is then an index where no class is called by a number. unit:
    what the rows are counted in.
    """

    name: str
    columns: Sequence[str]
    rows: Iterator[tuple[int, dict[str, Any] | BadRow]]
    classes: Sequence[str] | None = None
    in_memory: bool = False
    unit: str = "row"


class Row(NamedTuple):
    """A row that can be used. label: its class' canonical name, an index of an in-memory table, None without one."""

    number: int
    text: str
    label: str | int | None
    marks: dict[str, list[Any]]


class Chunk(NamedTuple):
    """Some rows. labels: (texts,) class indices, None where they are not known. numbers: of the rows, from 1."""

    texts: list[str]
    labels: Ints | None
    numbers: list[int]

    def __len__(self) -> int:
        return len(self.texts)


class RowReader:
    """Judges rows, and counts those that it leaves out.

    skipped: how many rows were left out for which fault. indexed: how many labels were taken for indices.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.skipped: Counter[str] = Counter()
        self.indexed = 0

    def rows(self, table: Table, labelled: bool = True) -> Iterator[Row]:
        """The rows of a table that can be used.

        Raises ValueError for a missing column, and, unless such rows are to be skipped, for one that cannot be used.
        """
        self._check_columns(table, labelled)
        known: list[str] | None = None
        for number, values in table.rows:
            try:
                if isinstance(values, BadRow):
                    raise values
                if known is None:  # a column of that name that holds something else, in a CSV say, is not marks
                    known = [k for k in MARKS if isinstance(values.get(k), list)]
                yield self._row(table, number, values, labelled, known)
            except BadRow as problem:
                self.leave_out(table, number, problem)

    def leave_out(self, table: Table, number: int, problem: BadRow) -> None:
        """Counts a row that cannot be used; raises ValueError where rows are not to be skipped."""
        if self.options.on_bad_row != "skip":
            raise ValueError(
                f"{table.name}, {table.unit} {number}: {problem}; correct it, or set on_bad_row to skip"
            ) from None
        self.skipped[problem.kind] += 1

    def chunks(self, table: Table, classes: Sequence[str] | None = None, size: int = ROWS_PER_CHUNK) -> Iterator[Chunk]:
        """The rows that can be used, some at a time, so that memory does not grow with their number.

        classes: of the model; labels are None without them, or where the table has no label column. Raises ValueError
        where no row can be used.
        """
        labelled = classes is not None and has_column(table, self.options.label)
        index = ClassIndex(classes or (), self.options.labels)
        rows, found = self.rows(table, labelled), 0
        while some := list(islice(rows, size)):
            if labelled:
                some, labels = self._indexed(table, some, index)
            else:
                labels = None
            found += len(some)
            if some:
                yield Chunk([r.text for r in some], labels, [r.number for r in some])
        self._check_some(table, found)

    def read(self, table: Table, classes: Sequence[str], labelled: bool = True) -> tuple[list[Row], Ints]:
        """All rows that can be used, and their labels as class indices, `UNLABELLED` where they are not `labelled`.

        Raises ValueError where there is no row.
        """
        rows = list(self.rows(table, labelled))
        if labelled:
            rows, labels = self._indexed(table, rows, ClassIndex(classes, self.options.labels))
        else:
            labels = np.full(len(rows), UNLABELLED, np.int64)
        self._check_some(table, len(rows))
        return rows, labels

    def notify(self, name: str) -> dict[str, Any]:
        """What was left out or taken for an index, said in the log and returned for the run's report."""
        if self.skipped:
            faults = ", ".join(f"{count} with {kind}" for kind, count in self.skipped.items())
            logger.warning("%s: %d rows skipped (%s)", name, self.skipped.total(), faults)
        if self.indexed:
            logger.info("%s: %d labels taken as indices of the classes", name, self.indexed)
        return {"rows_skipped": dict(self.skipped), "labels_as_indices": self.indexed}

    def _indexed(self, table: Table, rows: list[Row], index: ClassIndex) -> tuple[list[Row], Ints]:
        kept, labels = [], []
        for row in rows:
            try:
                place, by_index = index.place(row.label)
            except BadRow as problem:
                self.leave_out(table, row.number, problem)
                continue
            self.indexed += by_index
            kept.append(row)
            labels.append(place)
        return kept, np.array(labels, np.int64)

    def _check_some(self, table: Table, found: int) -> None:
        if not found:
            raise ValueError(f"{table.name} has no rows" + (" that can be used" if self.skipped else ""))

    def _check_columns(self, table: Table, labelled: bool) -> None:
        text, label = self.options.text, self.options.label
        if labelled and text == label:
            raise ValueError(f"text_column and label_column are both {text!r}: a text is not its own label")
        for column, setting in ((text, "text_column"), (label, "label_column"))[: 2 if labelled else 1]:
            if not has_column(table, column):
                has = ", ".join(map(str, table.columns)) or "none"
                raise ValueError(f"{table.name} has no column {column!r}, it has {has}; set {setting}")
            if list(table.columns).count(column) > 1:
                raise ValueError(f"{table.name} has the column {column!r} more than once; name each column once")

    def _row(self, table: Table, number: int, values: dict[str, Any], labelled: bool, known: list[str]) -> Row:
        text = plain_text(value_at(values, self.options.text), self.options.text, table.in_memory)
        label = None
        if labelled:
            value = value_at(values, self.options.label)
            if table.classes is not None:
                value = class_name(value, table.classes)
            label = plain_label(value, self.options.label, keep_index=table.in_memory)
        return Row(number, text, label, {k: plain_marks(values.get(k), k, text) for k in known})


class ClassIndex:
    """Labels -> indices of the classes, by name; numbers that are equal are one name.

    labels: `names`, or `indices`, where a label is a place in the list of classes.
    """

    def __init__(self, classes: Sequence[str], labels: str = "names") -> None:
        self.classes, self.labels = list(classes), labels
        self.by_name = {canonical(name): i for i, name in enumerate(classes)}
        self.numbered = any(NUMBER.fullmatch(name) for name in self.by_name)

    def place(self, label: str | int | None) -> tuple[int, bool]:
        """The index of a label's class, and whether the label was taken for an index. Raises BadRow for neither."""
        by_index = self.labels == "indices" or (isinstance(label, int) and not self.numbered)
        if by_index:
            text = str(label)
            if text.isdecimal() and int(text) < len(self.classes):
                return int(text), True
            raise BadRow(
                "an unknown label", f"label {label!r} is outside the model's classes 0..{len(self.classes) - 1}"
            )
        found = self.by_name.get(str(label))
        if found is None:
            hint = "; --labels indices takes it for a place in that list" if str(label).isdecimal() else ""
            raise BadRow("an unknown label", f"label {label!r} is not one of {', '.join(self.classes)}{hint}")
        return found, False


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column, None where the row has none; a dot leads into a nested column where no column's own name
    has it."""
    name, _, rest = column.partition(".")
    if column in values or not rest:
        return values.get(column)
    inner = values.get(name)
    return value_at(inner, rest) if isinstance(inner, Mapping) else None


def has_column(table: Table, column: str) -> bool:
    """Whether a table has a column; of a nested one, its outermost part."""
    return column in table.columns or ("." in column and column.partition(".")[0] in table.columns)
