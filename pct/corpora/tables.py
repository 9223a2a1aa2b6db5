"""Rows in memory: a `datasets.Dataset`, a DataFrame, columns, a pair (texts, labels), a list of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.corpora.class_index import ClassIndex
from pct.corpora.columnar import rows_of_batches
from pct.corpora.files import STDIN, open_table, table_of_objects
from pct.corpora.rows import MARKS, PAIR, ReadOptions, Table
from pct.corpora.source import Rows
from pct.corpora.values import NUMBER, BadRow
from pct.text.words import is_pair


def table_of(data: Any, options: ReadOptions) -> Table:
    """A table of a file or of data in memory.

    Raises ValueError for any other type of data, and as `pct.corpora.files.open_table`.
    """
    if isinstance(data, Path) or (isinstance(data, str) and (data == STDIN or Path(data).suffix)):
        return open_table(data, options)
    name = f"the given {type(data).__name__}"
    if isinstance(data, tuple) and len(data) == 2:
        texts, labels = (_column(x, what) for x, what in zip(data, ("texts", "labels"), strict=True))
        if len(texts) != len(labels):
            raise ValueError(f"{len(texts)} texts need {len(texts)} labels, got {len(labels)}")
        if getattr(data[1], "ndim", 1) == 2:  # a column of 0 and 1 for each label
            labels = [np.asarray(row, float).tolist() for row in labels]
            if not options.multi_label:
                labels = [np.flatnonzero(row).tolist() for row in labels]
        columns = {options.text: texts, options.label: labels}
        return Table(name, list(columns), _rows_of_columns(columns), in_memory=True)
    if isinstance(getattr(data, "column_names", None), dict):
        raise ValueError(f"{name} has the splits {', '.join(data.column_names)}: give one of them")
    if _is_dataset(data):
        return _table_of_dataset(data, name, options)
    if hasattr(data, "to_batches") and hasattr(data, "column_names"):  # a pyarrow.Table
        batches = data.select([c for c in data.column_names if c in options.wanted]).to_batches()
        return Table(name, list(data.column_names), rows_of_batches(iter(batches)), in_memory=True)
    if _is_frame(data):
        names = [c for c in data.columns if c in options.wanted]
        if len(set(names)) < len(names):  # the reader raises an error
            return Table(name, list(data.columns), iter(()), in_memory=True)
        return Table(name, list(data.columns), _rows_of_columns({c: data[c].tolist() for c in names}), in_memory=True)
    if isinstance(data, Mapping):
        columns = {k: _column(data[k], f"column {k!r}") for k in data if k in options.wanted}
        sizes = {k: len(values) for k, values in columns.items()}
        if len(set(sizes.values())) > 1:
            lengths = ", ".join(f"{k} {n}" for k, n in sizes.items())
            raise ValueError(f"{name} has columns of different lengths ({lengths}); give each text one value")
        return Table(name, list(data), _rows_of_columns(columns), in_memory=True)
    if isinstance(data, Sequence) and not isinstance(data, str) and data and isinstance(data[0], Mapping):
        columns_of_all = dict.fromkeys(k for row in data if isinstance(row, Mapping) for k in row)
        return Table(name, list(columns_of_all), _rows_of_mappings(data), in_memory=True)
    if isinstance(data, Iterator):
        return table_of_objects(name, _rows_of_mappings(data), options, "row", in_memory=True)
    items = f" of {type(data[0]).__name__}" if isinstance(data, list) and data else ""
    raise ValueError(
        f"data must be a file, a datasets.Dataset, a DataFrame, columns {options.text} and {options.label}, a pair "
        f"(texts, labels), or rows as mappings, in a list or an iterator; got {type(data).__name__}{items}"
    )


def check_pairs(texts: Sequence[Any], index: ClassIndex, options: ReadOptions) -> None:
    """Raises ValueError for rows (text, label): pairs of texts of which every second one is a label.

    index: of the model's classes.
    """

    def is_label(text: str) -> bool:
        if options.numbers:
            return bool(NUMBER.fullmatch(text.strip()))
        separator = options.label_separator
        return all(index.has(name) for name in (text.split(separator) if separator else [text]))

    second = [text[1] for text in texts if is_pair(text)]
    if second and all(map(is_label, second)):
        column, pair = options.text, options.text_pair or PAIR
        raise ValueError(
            f"a tuple of two strings is a pair of texts, and every second one is a label, as {second[0]!r}: give "
            f"(texts, labels) as two lists, or a list of dicts with {column!r} and {options.label!r}; if they are "
            f"texts, give dicts with {column!r} and {pair!r}"
        )


def texts_of(data: Any, column: str = "text", label: str = "label", pair: str = "") -> Iterable[Any]:
    """The texts of a table or of a list of rows, those with a second text as pairs; a list of texts is returned
    unchanged.

    pair: the column of the second texts; if empty, `text_pair` where there is one. Raises ValueError for a table that
    has several columns, none of them of these names, and for a mapping without a text or with an unknown key.
    """
    options = ReadOptions(column, label, text_pair=pair)
    if _is_frame(data):
        names = [str(c) for c in data.columns]
    elif _is_dataset(data):
        if data.column_names is None:  # a stream without a schema
            rows = enumerate(data.with_format(None), 1)
            return [_text_of(row, f"row {number}", options, any_keys=True) for number, row in rows]
        names = list(data.column_names)
    elif isinstance(data, Mapping):
        names = list(data)
    elif isinstance(data, list) and any(isinstance(row, Mapping) for row in data):
        return [_text_of(row, f"text {index}", options) for index, row in enumerate(data)]
    else:
        return data
    if column not in names and len(names) != 1:
        raise ValueError(f"a table of texts needs the column {column!r}, it has {', '.join(names)}; give data[COLUMN]")
    second = options.pair_column(names)
    if second and second not in names:
        raise ValueError(
            f"the table of texts has no column {second!r}, it has {', '.join(names)}; set text_pair_column"
        )

    def values(name: str) -> list[Any]:
        return _column(data[data.columns[names.index(name)]] if _is_frame(data) else data[name], f"column {name!r}")

    texts = values(column if column in names else names[0])
    return list(zip(texts, values(second), strict=True)) if second else texts


def _text_of(row: Any, what: str, options: ReadOptions, any_keys: bool = False) -> Any:
    """The text or the pair of texts of a mapping; any other row unchanged. any_keys: whether other keys are ignored."""
    if not isinstance(row, Mapping):
        return row
    pair, column = options.pair_column(list(row)), options.text
    unknown = [key for key in row if key not in (column, pair, options.label, *MARKS)]
    if unknown and not any_keys:
        raise ValueError(
            f"{what} has the unknown key {unknown[0]!r}: give a text as a string, or as a mapping with only "
            f"{column!r}, and {pair or 'text_pair'!r} for a pair"
        )
    if column not in row and any_keys and len(row) == 1:
        return next(iter(row.values()))
    for key in filter(None, (column, pair)):
        if key not in row:
            has = f", it has {', '.join(map(str, row))}" if any_keys else ""
            raise ValueError(f"{what} has no {key!r}{has}: give a text as a string, or as {{{key!r}: TEXT}}")
    return (row[column], row[pair]) if pair else row[column]


def _column(values: Any, what: str) -> list[Any]:
    """A list with one value for each text. A string is not a list."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise ValueError(f"{what} must be a list with one value for each text, got {values!r:.80}")
    return list(values)


def _is_dataset(data: Any) -> bool:
    return hasattr(data, "column_names") and hasattr(data, "features")


def _is_frame(data: Any) -> bool:
    return hasattr(data, "iloc") and hasattr(data, "columns")


def _table_of_dataset(data: Any, name: str, options: ReadOptions) -> Table:
    if data.column_names is None or data.features is None:  # a stream without a schema
        return table_of_objects(name, _rows_of_mappings(data.with_format(None)), options, "row", in_memory=True)
    feature = data.features.get(options.label)
    names = getattr(feature, "names", None) or getattr(getattr(feature, "feature", None), "names", None)

    def rows() -> Rows:
        wanted = [c for c in data.column_names if c in options.wanted]
        if not wanted:
            return
        number = 0
        for batch in data.select_columns(wanted).with_format(None).iter(batch_size=1000):
            for values in zip(*batch.values(), strict=True):
                number += 1
                yield number, dict(zip(batch, values, strict=True))

    return Table(name, list(data.column_names), rows(), names, in_memory=True)


def _rows_of_columns(columns: Mapping[str, Sequence[Any]]) -> Rows:
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        yield number, dict(zip(columns, values, strict=True))


def _rows_of_mappings(rows: Iterable[Any]) -> Rows:
    for number, row in enumerate(rows, 1):
        if isinstance(row, Mapping):
            yield number, dict(row)
        else:
            yield number, BadRow("no object", f"a row must be a mapping, got {type(row).__name__}")
