"""Rows of CSV and TSV files, and of .txt files, which hold tab-separated rows or one text a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import IO

from pct.corpora.rows import ReadOptions, Table
from pct.corpora.source import Rows, Source, undecoded
from pct.corpora.values import BadRow

SEPARATORS = {"csv": ",;\t|", "tsv": "\t", "txt": "\t"}
MAX_FIELD_LENGTH = 2**31 - 1  # characters; Python's default of 131072 is too small for long documents


def read_csv(source: Source, options: ReadOptions) -> Table:
    """Reads a file with a header line, row by row."""
    with source.translated_errors():
        lines = source.text()
        return _with_header(source, lines, lines.readline(), options)


def read_text(source: Source, options: ReadOptions) -> Table:
    """Reads a .txt file.

    It is tab-separated, as Excel saves it, if its first line has a tab or is the name of the text column. Otherwise
    each line is a text without a label.
    """
    with source.translated_errors():
        lines = source.text()
        head = lines.readline()
        if "\t" in head or head.strip() == options.text:
            return _with_header(source, lines, head, options)
        return Table(source.name, [options.text], _plain_lines(source, lines, head, options.text), unit="line")


def _with_header(source: Source, lines: IO[str], head: str, options: ReadOptions) -> Table:
    if not head.strip():
        raise ValueError(f"{source.name} has no rows")
    if fault := undecoded(head):
        raise source.error(f"the header line: {fault}")
    separator = options.separator.replace("\\t", "\t")
    if head.startswith("sep=") and len(head.strip("\r\n")) == 5:  # a line that only Excel uses
        separator, head = separator or head[4], lines.readline()
    separator = separator or _separator(head, SEPARATORS[source.kind], options)
    # a quoted column name may contain line breaks
    while head.count('"') % 2 and (more := lines.readline()):
        head += more
    if "\0" in head:
        raise source.error("the header line has NUL characters: if the file is UTF-16, set encoding to utf-16-le")
    columns = [name.strip() for name in next(csv.reader(io.StringIO(head), delimiter=separator), [])]
    return Table(source.name, columns, _csv_rows(source, lines, separator, columns))


class _RecordedLines(Iterator[str]):
    """The lines of a file. It records the lines of the current row, and lines can be pushed back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.remaining = lines
        self.lines: list[str] = []

    def __next__(self) -> str:
        line = next(self.remaining)
        self.lines.append(line)
        return line


def _csv_rows(source: Source, lines: IO[str], separator: str, columns: list[str]) -> Rows:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_LENGTH))  # global in the process; never lowered
    recorded, number = _RecordedLines(lines), 0
    with source.translated_errors(), lines:
        rows = csv.reader(recorded, delimiter=separator, strict=True)
        while True:
            recorded.lines = []
            try:
                fields = next(rows, None)
            except csv.Error as problem:
                number += 1
                yield number, _unparsable(problem, recorded)
                continue
            if fields is None:
                return
            if not fields:
                continue
            number += 1
            fault = next(filter(None, map(undecoded, recorded.lines)), None)
            if fault is None and len(fields) != len(columns):
                reason = f"{len(fields)} fields, the header has {len(columns)}"
                fault = BadRow("another number of fields", f"{reason}; put texts that contain {separator!r} in quotes")
            yield number, fault or dict(zip(columns, fields, strict=True))


def _unparsable(problem: csv.Error, recorded: _RecordedLines) -> BadRow:
    """The fault of a row that is not valid CSV.

    An unclosed quote consumes all further lines. They are pushed back, and read as rows of their own.
    """
    first, *others = recorded.lines
    if "unexpected end" in str(problem):
        recorded.remaining = chain(others, recorded.remaining)
        reason = "a quote is not closed"
    else:
        reason = f"{problem}; write a quote inside a text twice"
    lines = f", it has {len(recorded.lines)} lines" if others and "unexpected end" not in str(problem) else ""
    return BadRow("broken quotes", f"cannot be read: {reason} (the row begins with {first.strip()[:40]!r}{lines})")


def _separator(head: str, candidates: str, options: ReadOptions) -> str:
    """The separator with which the header has most of the wanted columns; on a tie, most columns."""

    def matches(separator: str) -> tuple[int, int]:
        names = [name.strip() for name in next(csv.reader([head], delimiter=separator), [])]
        return sum(name in names for name in (options.text, *options.label_columns)), len(names)

    return max(candidates, key=matches)


def _plain_lines(source: Source, lines: IO[str], head: str, column: str) -> Rows:
    with source.translated_errors(), lines:
        for number, line in enumerate(chain([head], lines), 1):
            if line.strip():
                yield number, undecoded(line) or {column: line.rstrip("\r\n")}
