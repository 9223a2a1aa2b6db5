"""One reader for rows of every origin: it checks texts, labels and marks, and skips or reports bad rows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pct.corpora.class_index import ClassIndex
from pct.corpora.labels import is_one, label_array, names_of_classes, split_labels
from pct.corpora.splits import TEXT_COLUMNS, UNLABELLED, Labels, Split
from pct.corpora.text_file import ROWS_PER_CHUNK, TextStore
from pct.corpora.values import (
    BadRow,
    are_marks,
    canonical,
    class_name,
    plain_label,
    plain_marks,
    plain_number,
    plain_text,
)
from pct.settings import LABELS, ON_BAD_ROW, Settings
from pct.text.plurals import plural
from pct.text.words import is_pair

logger = logging.getLogger("pct.corpora")
PAIR = TEXT_COLUMNS[1]  # as transformers calls it
MARKS = ("rationale", "shortcut", "rationale_share")


@dataclass(frozen=True)
class ReadOptions:
    """How rows are read.

    Attributes:
        text: the column of the texts; review.text is the field text of a nested column review.
        label: the column of the labels; with `multi_label` also several of 0 and 1, one for each label: toxic,insult.
        separator: of a CSV file; detected if empty.
        on_bad_row: error or skip.
        labels: names or indices of the classes.
        encoding: of text files; if empty, that of the byte order mark, or UTF-8.
        multi_label: whether a text has any number of labels.
        label_separator: between the labels in a cell; empty for none.
        numbers: whether the label is a number.
        text_pair: the column of the second texts of pairs; if empty, `text_pair` where there is one.
        labels_required: whether a missing or unknown label is a fault of the row.

    Raises:
        ValueError: `on_bad_row` or `labels` is none of these.
    """

    text: str = "text"
    label: str = "label"
    separator: str = ""
    on_bad_row: str = "error"
    labels: str = "names"
    encoding: str = ""
    multi_label: bool = False
    label_separator: str = ""
    numbers: bool = False
    text_pair: str = ""
    labels_required: bool = True

    def __post_init__(self) -> None:
        for name, allowed in (("on_bad_row", ON_BAD_ROW), ("labels", LABELS)):
            if (value := getattr(self, name)) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")

    @classmethod
    def of(cls, settings: Settings) -> ReadOptions:
        """The options of a run's settings."""
        s = settings
        return cls(
            s.text_column, s.label_column, s.separator, s.on_bad_row, s.labels, s.encoding, s.multi_label,
            s.label_separator, s.has_number, s.text_pair_column,
        )  # fmt: skip

    @property
    def label_columns(self) -> list[str]:
        """The column of the labels, or of several labels the column of each."""
        names = [name.strip() for name in self.label.split(",")] if self.multi_label else [self.label]
        return [name for name in names if name] or [self.label]

    @property
    def one_column_each(self) -> bool:
        """Whether each label has a column of 0 and 1."""
        return len(self.label_columns) > 1

    @property
    def wanted(self) -> set[str]:
        """The names of the columns to read. For a nested column: its full name and that of its outermost part."""
        names = {self.text, self.text_pair or PAIR, *self.label_columns, *MARKS}
        return names | {name.partition(".")[0] for name in names}

    def pair_column(self, columns: Sequence[str]) -> str:
        """The column of the second texts, of a table with these columns; empty for a table of single texts."""
        usual = PAIR if PAIR in columns and PAIR not in (self.text, *self.label_columns) else ""
        return self.text_pair or usual


@dataclass(frozen=True)
class Table:
    """Rows that are not yet checked.

    Attributes:
        name: its name in error messages.
        columns: their names.
        rows: for each row its number, from 1, and its values by column, or its fault.
        classes: the names that integer labels stand for, if the table has them.
        in_memory: whether the labels have Python types; an integer is then an index, unless a class name is a number.
        unit: row or line.
    """

    name: str
    columns: Sequence[str]
    rows: Iterator[tuple[int, dict[str, Any] | BadRow]]
    classes: Sequence[str] | None = None
    in_memory: bool = False
    unit: str = "row"


class Row(NamedTuple):
    """A valid row. text: a string, or a pair of texts as a tuple of two. label: the canonical class name, an index
    (in-memory tables only), of several labels a tuple of these, a number, or None if not read."""

    number: int
    text: Any
    label: str | float | tuple[str | int, ...] | None
    marks: dict[str, list[Any]]


class Chunk(NamedTuple):
    """Consecutive valid rows. labels: as those of a split, or None. numbers: the row numbers, from 1. known: (rows,)
    whether the label of a row is known, or None if all are."""

    texts: list[Any]
    labels: Labels | None
    numbers: list[int]
    known: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.texts)


class RowReader:
    """Checks rows, and counts those that it skips.

    skipped: the number of skipped rows by fault. indexed: the number of labels that were read as indices. unknown: the
    number of rows whose label was left out, since none is required. dropped_marks: by column, the number of rows whose
    marks were left out, since the first row has none.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.skipped: Counter[str] = Counter()
        self.dropped_marks: Counter[str] = Counter()
        self.indexed = self.unknown = 0

    def rows(
        self, table: Table, labelled: bool = True, index: ClassIndex | None = None, marked: bool = True
    ) -> Iterator[Row]:
        """The valid rows of a table. index: of the model's classes, if they are known. marked: whether marks are read.

        Raises ValueError for a missing column, and for a bad row unless it is skipped.
        """
        self.check_columns(table, labelled)
        mark_names: list[str] | None = None if marked else []
        for number, values in table.rows:
            try:
                if isinstance(values, BadRow):
                    raise values
                if mark_names is None:  # a column of that name with other values, as in a CSV file, is ignored
                    mark_names = [k for k in MARKS if are_marks(values.get(k))]
                if marked:
                    self.dropped_marks.update(k for k in MARKS if k not in mark_names and are_marks(values.get(k)))
                yield self._row(table, number, values, labelled, mark_names, index)
            except BadRow as problem:
                self.skip(table, number, problem)

    def skip(self, table: Table, number: int, problem: BadRow) -> None:
        """Counts a bad row. Raises ValueError if `on_bad_row` is error."""
        if self.options.on_bad_row != "skip":
            raise ValueError(
                f"{table.name}, {table.unit} {number}: {problem}; correct it, or set on_bad_row to skip"
            ) from None
        self.skipped[problem.kind] += 1

    def chunks(self, table: Table, classes: Sequence[str] | None = None, size: int = ROWS_PER_CHUNK) -> Iterator[Chunk]:
        """The valid rows in chunks, so that memory does not grow with their number.

        classes: of the model; labels are None without them, and if the table has no label column. Raises ValueError if
        no row is valid.
        """
        labelled = classes is not None and has_labels(table, self.options)
        index = self._index(classes or (), labelled)
        rows, count = self.rows(table, labelled, index, marked=False), 0
        while batch := list(islice(rows, size)):
            labels = known = None
            if labelled:
                usable, labels = self._labelled(table, batch, index)
                if self.options.labels_required:
                    batch = usable
                elif len(usable) < len(batch):
                    known = np.isin([row.number for row in batch], [row.number for row in usable])
                    some, labels = labels, np.zeros((len(batch), *labels.shape[1:]), labels.dtype)
                    labels[known] = some
                    self.unknown += len(batch) - len(usable)
            count += len(batch)
            if batch:
                yield Chunk([row.text for row in batch], labels, [row.number for row in batch], known)
        self._check_some(table, count)

    def read(
        self, table: Table, classes: Sequence[str] | None = None, labelled: bool = True
    ) -> tuple[Split, list[str]]:
        """All valid rows as a split, and the names of the classes.

        Args:
            table: read in chunks, so that of a large one only labels and marks are in memory.
            classes: if None, those of the table, or its distinct labels.
            labelled: whether it has labels; if not, they are `UNLABELLED`.

        Raises:
            ValueError: no row is valid, or a table without given classes has fewer than two.
        """
        index = None if classes is None else self._index(classes, labelled)
        rows, texts = self.rows(table, labelled, index), TextStore()
        marks: dict[str, list[Any]] = {}
        parts: list[Labels] = []
        codes: dict[tuple[Any, ...], int] = {}  # of the distinct labels of a row, in the order of the rows
        while batch := list(islice(rows, ROWS_PER_CHUNK)):
            if not labelled:
                parts.append(np.full(len(batch), UNLABELLED, np.int64))
            elif index is None:
                parts.append(np.array([codes.setdefault(labels_of(row), len(codes)) for row in batch], np.int64))
            else:
                batch, labels = self._labelled(table, batch, index)
                parts.append(labels)
            texts.extend([row.text for row in batch])
            for name in batch[0].marks if batch else ():
                marks.setdefault(name, []).extend(row.marks[name] for row in batch)
        split = Split(texts.finish(), np.concatenate(parts) if parts else np.empty(0, np.int64), **marks)
        self._check_some(table, len(split))
        if classes is not None:
            return split, list(classes)
        names = names_of_classes(table.name, table.classes, codes, self.options)
        by_name = ClassIndex(names).by_name
        distinct = [[by_name[str(name)] for name in own] for own in codes]
        labels = label_array(distinct, len(names), self.options.multi_label)[split.labels]
        return replace(split, labels=labels), names

    def notify(self, name: str) -> dict[str, Any]:
        """Logs and returns the numbers of skipped rows and of labels that were read as indices."""
        if self.skipped:
            faults = ", ".join(f"{count} with {kind}" for kind, count in self.skipped.items())
            logger.warning("%s: %s skipped (%s)", name, plural(self.skipped.total(), "row"), faults)
        if self.indexed:
            logger.info("%s: %s read as class indices", name, plural(self.indexed, "label"))
        for column, count in self.dropped_marks.items():
            where = f"{plural(count, 'row')} but not in the first"
            logger.warning("%s: column %r has marks in %s, and is not read: give each row marks", name, column, where)
        if self.unknown:
            rows = plural(self.unknown, "row has", "rows have")
            logger.warning("%s: %s no label of the model: the result has none for them", name, rows)
        return {"rows_skipped": dict(self.skipped), "labels_as_indices": self.indexed}

    def _index(self, classes: Sequence[str], labelled: bool = True) -> ClassIndex:
        index, columns = ClassIndex(classes, self.options.labels), self.options.label_columns
        if labelled and self.options.one_column_each and set(map(canonical, columns)) != set(index.by_name):
            raise ValueError(
                f"label_column has the labels {', '.join(columns)}, the model {', '.join(classes)}; give the column of "
                "each label of the model"
            )
        return index

    def _labelled(self, table: Table, rows: list[Row], index: ClassIndex) -> tuple[list[Row], Labels]:
        """The rows with a label of the model, and the labels as those of a split."""
        rows = [row for row in rows if row.label is not None]
        if self.options.numbers:
            return rows, np.array([row.label for row in rows], np.float64)
        usable, labels = [], []
        for row in rows:
            try:
                resolved = [index.resolve(name) for name in labels_of(row)]
            except BadRow as problem:
                if self.options.labels_required:
                    self.skip(table, row.number, problem)
                continue
            self.indexed += sum(by_index for _, by_index in resolved)
            usable.append(row)
            labels.append([class_index for class_index, _ in resolved])
        return usable, label_array(labels, len(index.classes), self.options.multi_label)

    def _check_some(self, table: Table, count: int) -> None:
        if not count:
            raise ValueError(f"{table.name} has no rows" + (" that can be used" if self.skipped else ""))

    def check_columns(self, table: Table, labelled: bool) -> None:
        """Raises ValueError for a column that is missing, named twice, or both text and label."""
        text, labels = self.options.text, self.options.label_columns if labelled else []
        if repeated := [name for name, times in Counter(map(canonical, labels)).items() if times > 1]:
            raise ValueError(f"label_column names {repeated[0]!r} more than once; name each column once")
        if text in labels:
            raise ValueError(f"text_column and label_column are both {text!r}: a text is not its own label")
        pairs = [(pair, "text_pair_column")] if (pair := self.options.pair_column(table.columns)) else []
        for column, setting in ((text, "text_column"), *pairs, *((label, "label_column") for label in labels)):
            if not has_column(table, column):
                has = ", ".join(map(str, table.columns)) or "none"
                raise ValueError(f"{table.name} has no column {column!r}, it has {has}; set {setting}")
            if list(table.columns).count(column) > 1:
                raise ValueError(f"{table.name} has the column {column!r} more than once; name each column once")

    def _row(
        self, table: Table, number: int, values: dict[str, Any], labelled: bool, mark_names: list[str],
        index: ClassIndex | None,
    ) -> Row:  # fmt: skip
        text = plain_text(value_at(values, self.options.text), self.options.text, table.in_memory)
        if pair := self.options.pair_column(table.columns):
            text = (text, plain_text(value_at(values, pair), pair, False))
            if not is_pair(text):
                raise BadRow("no text", f"column {self.options.text!r} has a list of words, and a pair is two strings")
        label: Any = None
        if labelled:
            read = self._number if self.options.numbers else self._labels if self.options.multi_label else self._label
            try:
                label = read(table, values, index)
            except BadRow:
                if self.options.labels_required:
                    raise
        return Row(number, text, label, {k: plain_marks(values.get(k), k, text) for k in mark_names})

    def _number(self, table: Table, values: dict[str, Any], index: ClassIndex | None) -> float:
        return plain_number(value_at(values, self.options.label), self.options.label)

    def _label(self, table: Table, values: dict[str, Any], index: ClassIndex | None) -> str | int:
        column = self.options.label
        value = value_at(values, column)
        if table.classes is not None:
            value = class_name(value, table.classes)
        return plain_label(value, column, keep_index=table.in_memory)

    def _labels(self, table: Table, values: dict[str, Any], index: ClassIndex | None) -> tuple[str | int, ...]:
        columns = self.options.label_columns
        if self.options.one_column_each:
            return tuple(canonical(name) for name in columns if is_one(value_at(values, name), name))
        (column,) = columns
        value = value_at(values, column)
        if table.classes is not None:
            value = class_name(value, table.classes)
        names = split_labels(value, column, self.options.label_separator, index)
        return tuple(plain_label(name, column, keep_index=table.in_memory) for name in names)


def labels_of(row: Row) -> tuple[Any, ...]:
    """The labels of a row; one, unless a text may have several."""
    return row.label if isinstance(row.label, tuple) else (row.label,)


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column, or None. A name with a dot that is no column's own name is a path into a nested column."""
    name, _, rest = column.partition(".")
    if column in values or not rest:
        return values.get(column)
    inner = values.get(name)
    return value_at(inner, rest) if isinstance(inner, Mapping) else None


def has_labels(table: Table, options: ReadOptions) -> bool:
    """Whether a table has the column or columns of the labels."""
    return all(has_column(table, name) for name in options.label_columns)


def has_column(table: Table, column: str) -> bool:
    """Whether a table has a column. For a nested column, only its outermost part is checked."""
    return column in table.columns or ("." in column and column.partition(".")[0] in table.columns)
