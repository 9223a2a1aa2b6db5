"""The columns of a large evaluation in files: each is read where it is used, and they are never all in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pct.corpora import text_file
from pct.layout import temporary_file
from pct.output.records import pyarrow
from pct.text.file_array import FileArray

Column = npt.NDArray[Any]  # (rows,)


class CodedStrings:
    """A column of strings, of which many are equal: their numbers are in a file, and each string once in memory.

    Args:
        strings: in the order of their numbers.
        codes: (rows,) the number of each row's string.
    """

    def __init__(self, strings: Iterable[str], codes: FileArray) -> None:
        self.strings, self.codes = np.array(list(strings), object), codes

    def __getitem__(self, index: Any) -> Column:
        strings: Column = self.strings[self.codes[index]]
        return strings

    def __len__(self) -> int:
        return len(self.codes)


class ColumnFiles(Mapping[str, Column]):
    """Columns in files, in the order of the split.

    Args:
        columns: by name, in the order in which they were measured.
    """

    def __init__(self, columns: Mapping[str, FileArray | CodedStrings | ParquetColumn]) -> None:
        self.columns = columns

    def __getitem__(self, name: str) -> Column:
        return self.columns[name][:]

    def __contains__(self, name: object) -> bool:  # that of Mapping would read the column
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


def stored(columns: Mapping[str, Column], name: str) -> Any:
    """A column as it is stored: an array, or a `FileArray`, of which only the values that are read are in memory."""
    return columns.columns[name] if isinstance(columns, ColumnFiles) else columns[name]


def column_parts(columns: Mapping[str, Column]) -> Iterator[dict[str, Column]]:
    """Columns in parts of consecutive rows: those in memory whole, those in files `LARGE` rows at a time."""
    if not isinstance(columns, ColumnFiles):
        yield dict(columns)
        return
    for start in range(0, len(next(iter(columns.columns.values()))), text_file.LARGE):
        part = slice(start, start + text_file.LARGE)
        yield {name: column[part] for name, column in columns.columns.items()}


class BlockColumns:
    """Collects the columns of blocks of texts: in memory, of more than `LARGE` texts in files in the cache folder.

    Args:
        texts: their number.
    """

    def __init__(self, texts: int) -> None:
        self.texts, self.in_files = texts, texts > text_file.LARGE
        self.parts: list[dict[str, Column]] = []
        self.files: dict[str, tuple[BinaryIO, np.dtype[Any]]] = {}
        self.codes: dict[str, dict[str, int]] = {}  # of each column of strings, the number of each string

    def add(self, part: dict[str, Column]) -> None:
        """Adds a block. A column has the type of its first block."""
        if not self.in_files:
            self.parts.append(part)
            return
        for name, values in part.items():
            if values.dtype == object:
                codes = self.codes.setdefault(name, {})
                values = np.array([codes.setdefault(string, len(codes)) for string in values], np.int32)
            if name not in self.files:
                self.files[name] = temporary_file(), values.dtype
            file, kind = self.files[name]
            file.write(values.astype(kind, casting="same_kind").tobytes())

    def joined(self, place: str) -> Any:
        """The columns in the order of the split: a dict, or `ColumnFiles`. place: the column of a text's position."""
        if not self.in_files:
            return join_blocks(place, self.parts)
        ordered = {name: temporary_file() for name in self.files}
        for start in range(0, self.texts, text_file.LARGE):  # no array of all rows is in memory
            rows = _rows_of_texts(_values(self.files[place]), start, start + text_file.LARGE)
            for name, file in ordered.items():
                file.write(_values(self.files[name])[rows].tobytes())
        columns: dict[str, FileArray | CodedStrings] = {}
        for name, file in ordered.items():
            values = _values((file, self.files[name][1]))
            columns[name] = CodedStrings(self.codes[name], values) if name in self.codes else values
        return ColumnFiles(columns)


def _values(written: tuple[BinaryIO, np.dtype[Any]]) -> FileArray:
    """The values that were written to a file. written: the file and their type."""
    written[0].flush()
    return FileArray(*written)


def _rows_of_texts(places: FileArray, start: int, stop: int) -> Column:
    """The rows of the texts start..stop-1 in the texts' order. places: (rows,) the position of each row's text."""
    parts = []
    for first in range(0, len(places), text_file.LARGE):
        part = places[first : first + text_file.LARGE]
        parts.append(first + np.flatnonzero((part >= start) & (part < stop)))
    rows = np.concatenate(parts)
    order = np.argsort(places[rows], kind="stable")
    return rows[order]


def join_blocks(place: str, parts: list[dict[str, Column]]) -> dict[str, Column]:
    """The columns of blocks of texts as columns of the split, in its order. place: the column of a text's position."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined[place], kind="stable")
    return {name: column[order] for name, column in joined.items()}


class ParquetColumn:
    """A column of a Parquet file, which is read where it is used.

    Args:
        path: the file.
        name: of the column.
        rows: their number.
    """

    def __init__(self, path: Path, name: str, rows: int) -> None:
        self.path, self.name, self.rows = path, name, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: Any) -> Column:
        values: Column = pyarrow("Parquet").parquet.read_table(self.path, columns=[self.name])[self.name].to_numpy()
        return values[index]


def saved_columns(path: Path) -> Any:
    """The columns of a Parquet file: a dict, of more than `LARGE` rows `ColumnFiles`."""
    file = pyarrow("the values of each text").parquet.ParquetFile(path)
    rows = file.metadata.num_rows
    columns = ColumnFiles({name: ParquetColumn(path, name, rows) for name in file.schema_arrow.names})
    return columns if rows > text_file.LARGE else dict(columns)
