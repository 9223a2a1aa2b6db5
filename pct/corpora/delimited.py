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
LONGEST_FIELD = 2**31 - 1  # characters; Python's own limit of 131072 is less than a long document has


def read_csv(source: Source, options: ReadOptions) -> Table:
    """A file with a line of column names, read row by row."""
    with source.telling():
        lines = source.text()
        return _with_header(source, lines, lines.readline(), options)


def read_text(source: Source, options: ReadOptions) -> Table:
    """A .txt file: tab-separated, as Excel saves it, where its first line has a tab or is the name of the text column;
    else a text a line, without labels."""
    with source.telling():
        lines = source.text()
        head = lines.readline()
        if "\t" in head or head.strip() == options.text:
            return _with_header(source, lines, head, options)
        return Table(source.name, [options.text], _plain_lines(source, lines, head, options.text), unit="line")


def _with_header(source: Source, lines: IO[str], head: str, options: ReadOptions) -> Table:
    if not head.strip():
        raise ValueError(f"{source.name} has no rows")
    if fault := undecoded(head):
        raise source.wrong(f"its first line, of the column names: {fault}")
    separator = options.separator.replace("\\t", "\t")
    if head.startswith("sep=") and len(head.strip("\r\n")) == 5:  # a line for Excel alone
        separator, head = separator or head[4], lines.readline()
    separator = separator or _separator(head, SEPARATORS[source.kind], options)
    # the rest of a header that has line breaks in quotes
    while head.count('"') % 2 and (more := lines.readline()):
        head += more
    if "\0" in head:
        raise source.wrong("its first line has NUL characters: if it is UTF-16, set encoding to utf-16-le")
    columns = [name.strip() for name in next(csv.reader(io.StringIO(head), delimiter=separator), [])]
    return Table(source.name, columns, _csv_rows(source, lines, separator, columns))


class _Record(Iterator[str]):
    """The lines of a file, which remembers those of the row that is being read, and can give them again."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.waiting = lines
        self.lines: list[str] = []

    def __next__(self) -> str:
        line = next(self.waiting)
        self.lines.append(line)
        return line

    def give_again(self, lines: list[str]) -> None:
        self.waiting = chain(lines, self.waiting)


def _csv_rows(source: Source, lines: IO[str], separator: str, columns: list[str]) -> Rows:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))  # the process's own; it is never lowered
    record, number = _Record(lines), 0
    with source.telling(), lines:
        rows = csv.reader(record, delimiter=separator, strict=True)
        while True:
            record.lines = []
            try:
                fields = next(rows, None)
            except csv.Error as problem:
                number += 1
                yield number, _broken(problem, record)
                continue
            if fields is None:
                return
            if not fields:
                continue
            number += 1
            fault = next(filter(None, map(undecoded, record.lines)), None)
            if fault is None and len(fields) != len(columns):
                said = f"{len(fields)} fields, the header has {len(columns)}"
                fault = BadRow("another number of fields", f"{said}; a text with {separator!r} in it needs quotes")
            yield number, fault or dict(zip(columns, fields, strict=True))


def _broken(problem: csv.Error, record: _Record) -> BadRow:
    """The fault of a row that is no CSV. A quote that nothing closes takes all other lines with it: they are read
    anew."""
    first, *others = record.lines
    if "unexpected end" in str(problem):
        record.give_again(others)
        said = "a quote is opened that nothing closes"
    else:
        said = f"{problem}; a quote inside a text is written twice"
    reach = f", which has {len(record.lines)} lines" if others and "closes" not in said else ""
    return BadRow("broken quotes", f"cannot be read: {said} (it begins {first.strip()[:40]!r}{reach})")


def _separator(head: str, candidates: str, options: ReadOptions) -> str:
    """The one by which the header has the columns that are asked for; else the one by which it has most."""

    def quality(separator: str) -> tuple[int, int]:
        names = [name.strip() for name in next(csv.reader([head], delimiter=separator), [])]
        return (options.text in names) + (options.label in names), len(names)

    return max(candidates, key=quality)


def _plain_lines(source: Source, lines: IO[str], head: str, column: str) -> Rows:
    with source.telling(), lines:
        for number, line in enumerate(chain([head], lines), 1):
            if line.strip():
                yield number, undecoded(line) or {column: line.rstrip("\r\n")}
