"""Rows of Excel workbooks (.xlsx), by openpyxl. The first row of the first sheet has the column names."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from pct.corpora.rows import ReadOptions, Table
from pct.corpora.source import Rows, Source
from pct.corpora.values import BadRow

_ESCAPED = re.compile(r"_x(000[0-9A-Fa-f]|001[0-9A-Fa-f])_")  # control characters in XML


def read_xlsx(source: Source, options: ReadOptions) -> Table:
    """Reads the first sheet lazily. Empty rows are skipped, but they count in the row numbers."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ImportError(".xlsx files need openpyxl: pip install 'pct-explain[data]'") from None
    try:
        book = load_workbook(io.BytesIO(source.whole()), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        lines = ([_value(cell) for cell in row] for row in sheet.iter_rows())
        header = next((line for line in lines if any(value is not None for value in line)), [])
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, IndexError) as problem:
        raise source.error(f"it cannot be read as a workbook ({problem}); save it again as .xlsx or .csv") from None
    columns = ["" if name is None else str(name).strip() for name in header]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise ValueError(f"{source.name} has no rows")
    return Table(source.name, columns, _rows(lines, columns))


def _rows(lines: Iterator[list[Any]], columns: list[str]) -> Rows:
    for number, line in enumerate(lines, 1):
        if all(value is None for value in line):
            continue
        beyond = sum(value is not None for value in line[len(columns) :])
        if beyond:
            cells = "cells are" if beyond > 1 else "cell is"
            yield number, BadRow("another number of fields", f"{beyond} {cells} beyond the last named column")
        else:
            yield number, dict(zip(columns, [*line, *[None] * len(columns)], strict=False))


def _value(cell: Any) -> Any:
    """A cell's value; None for an error like #N/A."""
    value = None if cell.data_type == "e" else cell.value
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), value) if isinstance(value, str) else value
