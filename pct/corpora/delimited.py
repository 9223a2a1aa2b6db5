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

ROWS_IN_A_TEXT = 3  # from so many lines that look like rows of the file, a quote before them is not closed
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
        self.pushed: list[str] = []  # the next one last
        self.lines: list[str] = []

    def __next__(self) -> str:
        line = self.pushed.pop() if self.pushed else next(self.remaining)
        self.lines.append(line)
        return line

    def keep_first(self) -> None:
        """Pushes back all lines of the current row but the first."""
        self.pushed.extend(reversed(self.lines[1:]))


def _csv_rows(source: Source, lines: IO[str], separator: str, columns: list[str]) -> Rows:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_LENGTH))  # global in the process; never lowered
    recorded, number = _RecordedLines(lines), 0
    with source.translated_errors(), lines:
        rows = csv.reader(recorded, delimiter=separator, strict=True)
        while True:
            recorded.lines = []
            problem = ""
            try:
                fields = next(rows, None)
            except csv.Error as error:
                fields, problem = [], str(error)
            if fields is None:
                return
            if not fields and not problem:
                continue
            number += 1
            if fault := _fault_of_quotes(problem, recorded, separator, len(columns)):
                yield number, fault
                continue
            fault = next(filter(None, map(undecoded, recorded.lines)), None)
            if fault is None and len(fields) != len(columns):
                reason = f"{len(fields)} fields, the header has {len(columns)}"
                fault = BadRow("another number of fields", f"{reason}; put texts that contain {separator!r} in quotes")
            yield number, fault or dict(zip(columns, fields, strict=True))


def _fault_of_quotes(problem: str, recorded: _RecordedLines, separator: str, columns: int) -> BadRow | None:
    """The fault of a row that is not valid CSV, or whose text has other rows in it; None for any other row.

    An unclosed quote takes in further lines, up to the next quote or to the end of the file. They are pushed back, and
    read as rows of their own.

    Args:
        problem: why csv could not read it; empty if it could.
        recorded: its lines.
        separator: between fields.
        columns: their number.
    """
    first, *others = recorded.lines
    within = others[:-1]
    if problem:
        unclosed = "unexpected end" in problem or _are_rows(within, separator, columns)
    else:
        unclosed = columns > 1 and len(within) >= ROWS_IN_A_TEXT and _are_rows(within, separator, columns)
        if not unclosed:
            return None
    start = f"the row begins with {first.strip()[:40]!r}"
    if unclosed:
        recorded.keep_first()
        return BadRow("broken quotes", f"cannot be read: a quote is not closed ({start})")
    lines = f", it has {len(recorded.lines)} lines" if others else ""
    return BadRow("broken quotes", f"cannot be read: {problem}; write a quote inside a text twice ({start}{lines})")


def _are_rows(lines: list[str], separator: str, columns: int) -> bool:
    """Whether nine in ten lines have a value for each column. A separator in prose has a space or nothing after it."""
    fields = [next(csv.reader([line], delimiter=separator), []) for line in lines]
    rows = sum(len(own) == columns and all(x and not x[0].isspace() for x in own) for own in fields)
    return bool(lines) and rows >= 0.9 * len(lines)


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
