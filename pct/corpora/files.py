"""Files of rows: CSV, TSV, JSON lines, JSON, Parquet and Arrow, gzipped too, and standard input."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from pct.corpora.rows import BadRow, ReadOptions, Table

STDIN = "-"
SEPARATORS = {"csv": ",;\t|", "tsv": "\t"}
ROWS_LOOKED_AT = 100  # for the columns of rows that are objects
Rows = Iterator[tuple[int, dict[str, Any] | BadRow]]


def open_table(path: str | Path, options: ReadOptions) -> Table:
    """A file's rows, read as they are asked for; "-" is standard input, CSV or JSON lines.

    Raises FileNotFoundError, ImportError without pyarrow where it is needed, and ValueError for a file that cannot be
    read, when it is opened or as its rows are read.
    """
    if str(path) == STDIN:
        stream: Any = sys.stdin.buffer
        head = stream.peek(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        kind = {b"{": "jsonl", b"[": "json"}.get(head, "csv")
        return _READERS[kind](_Source("standard input", kind, stream), options)
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"data file {file} does not exist")
    name = file.name.lower()
    kind = name.removesuffix(".gz").rpartition(".")[2]
    kind = {"ndjson": "jsonl", "feather": "arrow", "ipc": "arrow", "pq": "parquet"}.get(kind, kind)
    if kind not in _READERS:
        raise ValueError(
            f"data file {file} must end in .csv, .tsv, .jsonl, .json, .parquet or .arrow (or any with .gz), got .{kind}"
        )
    # closed by those who read it to its end
    opened: Any = gzip.open(file) if name.endswith(".gz") else file.open("rb")  # noqa: SIM115
    return _READERS[kind](_Source(str(file), kind, opened), options)


class _Source:
    """An open file: what errors call it, its kind, its bytes."""

    def __init__(self, name: str, kind: str, stream: IO[bytes]) -> None:
        self.name, self.kind, self.stream = name, kind, stream

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What reading raises becomes a ValueError that names the file."""
        try:
            yield
        except (UnicodeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as problem:
            raise ValueError(
                f"data file {self.name} cannot be read ({problem}); write it anew as UTF-8 .{self.kind}"
            ) from None

    def text(self) -> IO[str]:
        """The bytes as text: UTF-8, or UTF-16 where a byte order mark says so."""
        start = self.stream.peek(4) if hasattr(self.stream, "peek") else b""
        encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return io.TextIOWrapper(self.stream, encoding, newline="")

    def whole(self) -> bytes:
        """All bytes."""
        with self.telling():
            return self.stream.read()

    def wrong(self, message: str) -> ValueError:
        """An error that names the file."""
        return ValueError(f"data file {self.name}: {message}")


def _csv(source: _Source, options: ReadOptions) -> Table:
    with source.telling():
        lines = source.text()
        head = lines.readline()
        if not head.strip():
            raise ValueError(f"{source.name} has no rows")
        separator = options.separator.replace("\\t", "\t") or _separator(head, SEPARATORS[source.kind], options)
        # the rest of a header that has line breaks in quotes
        while head.count('"') % 2 and (more := lines.readline()):
            head += more
        columns = [name.strip() for name in next(csv.reader(io.StringIO(head), delimiter=separator), [])]
    if "\0" in head:
        raise source.wrong("its first line has NUL characters: if it is UTF-16, write it anew as UTF-8")
    return Table(source.name, columns, _csv_rows(source, lines, separator, columns))


def _csv_rows(source: _Source, lines: IO[str], separator: str, columns: list[str]) -> Rows:
    number = 0
    with source.telling(), lines:
        for fields in csv.reader(lines, delimiter=separator, strict=True):
            if not fields:
                continue
            number += 1
            if len(fields) != len(columns):
                said = (
                    f"{len(fields)} fields, the header has {len(columns)}; a text with {separator!r} in it needs quotes"
                )
                yield number, BadRow("another number of fields", said)
            else:
                yield number, dict(zip(columns, fields, strict=True))


def _separator(head: str, candidates: str, options: ReadOptions) -> str:
    """The one by which the header has the columns that are asked for; else the one by which it has most."""

    def quality(separator: str) -> tuple[int, int]:
        names = [name.strip() for name in next(csv.reader([head], delimiter=separator), [])]
        return (options.text in names) + (options.label in names), len(names)

    return max(candidates, key=quality)


def _json_lines(source: _Source, options: ReadOptions) -> Table:
    return _of_objects(source, _parsed_lines(source), options, "line")


def _parsed_lines(source: _Source) -> Rows:
    with source.telling(), source.text() as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, _object(json.loads(line))
                except json.JSONDecodeError as problem:
                    yield number, BadRow("no JSON", f"not JSON ({problem.msg})")


def _object(row: Any) -> dict[str, Any] | BadRow:
    return row if isinstance(row, dict) else BadRow("no object", f"a row must be an object, got {type(row).__name__}")


def _of_objects(source: _Source, rows: Rows, options: ReadOptions, unit: str) -> Table:
    """Rows that name their columns themselves; one that lacks a column that others have is at fault alone."""
    head = list(islice(rows, ROWS_LOOKED_AT))
    if not head:
        raise ValueError(f"{source.name} has no rows")
    columns = list(dict.fromkeys(k for _, row in head if isinstance(row, dict) for k in row))
    return Table(source.name, columns or [options.text, options.label], chain(head, rows), unit=unit)


def _json(source: _Source, options: ReadOptions) -> Table:
    """An array of objects; or JSON lines, which many call .json too."""
    content = source.whole()
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        lines = _Source(source.name, "jsonl", io.BufferedReader(io.BytesIO(content)))
        return _json_lines(lines, options)
    try:
        found = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise source.wrong(f"not JSON ({problem})") from None
    if not isinstance(found, list):
        raise source.wrong(f"it must hold a list of objects, got {type(found).__name__}")
    return _of_objects(source, ((n, _object(row)) for n, row in enumerate(found, 1)), options, "row")


def _parquet(source: _Source, options: ReadOptions) -> Table:
    pa = _pyarrow()
    import pyarrow.parquet as pq

    with _arrow_errors(source, pa):
        file = pq.ParquetFile(source.stream if source.stream.seekable() else io.BytesIO(source.whole()))
        schema = file.schema_arrow
        batches = file.iter_batches(columns=_read_of(schema, options))
    return _arrow_table(source, schema, batches, options, pa)


def _arrow(source: _Source, options: ReadOptions) -> Table:
    pa = _pyarrow()
    import pyarrow.ipc as ipc

    with _arrow_errors(source, pa):
        content = pa.py_buffer(source.whole()) if source.name.endswith(".gz") else pa.memory_map(source.name)
        try:
            file = ipc.open_file(content)
            schema, batches = file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
        except pa.ArrowInvalid:  # the other form of the same format, in which datasets keeps its files
            if hasattr(content, "seek"):
                content.seek(0)
            stream = ipc.open_stream(content)
            schema, batches = stream.schema, iter(stream)
    return _arrow_table(source, schema, (b.select(_read_of(schema, options)) for b in batches), options, pa)


def _arrow_table(source: _Source, schema: Any, batches: Iterator[Any], options: ReadOptions, pa: Any) -> Table:
    def rows() -> Rows:
        number = 0
        with _arrow_errors(source, pa):
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    yield number, row

    return Table(source.name, list(schema.names), rows(), _hub_classes(schema, options.label))


def _read_of(schema: Any, options: ReadOptions) -> list[str]:
    wanted = {options.text, options.label, "rationale", "shortcut"}
    return [name for name in schema.names if name in wanted]


def _hub_classes(schema: Any, label: str) -> list[str] | None:
    """The class names that the datasets library writes beside a column."""
    about = (schema.metadata or {}).get(b"huggingface")
    feature = json.loads(about)["info"]["features"].get(label, {}) if about else {}
    return feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise ImportError("Parquet and Arrow files are read with pyarrow: pip install 'pct-explain[data]'") from None
    return pa


@contextmanager
def _arrow_errors(source: _Source, pa: Any) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as problem:
        first = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise ValueError(f"data file {source.name} cannot be read ({first}); write it anew as .{source.kind}") from None


_READERS: dict[str, Callable[[_Source, ReadOptions], Table]] = {
    "csv": _csv, "tsv": _csv, "jsonl": _json_lines, "json": _json, "parquet": _parquet, "arrow": _arrow,
}  # fmt: skip
