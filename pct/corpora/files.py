"""Files of rows: CSV, TSV, text, JSON lines, JSON, Parquet, Arrow and Excel, also gzipped, and standard input."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pct.corpora.columnar import read_arrow, read_parquet
from pct.corpora.delimited import read_csv, read_text
from pct.corpora.rows import ReadOptions, Table
from pct.corpora.source import Rows, Source, undecoded
from pct.corpora.values import BadRow
from pct.corpora.workbook import read_xlsx

STDIN = "-"
ROWS_FOR_COLUMNS = 100  # rows that determine the columns, if rows are objects
ALIASES = {"ndjson": "jsonl", "feather": "arrow", "ipc": "arrow", "pq": "parquet", "xlsm": "xlsx", "tab": "tsv"}


def open_table(path: str | Path, options: ReadOptions) -> Table:
    """Opens a file of rows. The rows are read lazily. "-" is standard input: CSV, JSON or JSON lines.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ImportError: the format needs pyarrow or openpyxl, which is not installed.
        ValueError: the file cannot be read. It is raised on opening, or while rows are read.
    """
    if str(path) == STDIN:
        stream: Any = sys.stdin.buffer
        head = stream.peek(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        kind = {b"{": "jsonl", b"[": "json"}.get(head, "csv")
        return _READERS[kind](Source("standard input", kind, stream, options.encoding), options)
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; name a file in it (--ray local reads a folder of Parquet files)")
    if not file.is_file():
        pattern = " (a pattern of Parquet files is read by --ray local)" if "*" in file.name else ""
        raise FileNotFoundError(f"data file {file} does not exist{pattern}")
    name = file.name.lower()
    kind = name.removesuffix(".gz").rpartition(".")[2]
    kind = ALIASES.get(kind, kind)
    if kind == "xls":
        raise ValueError(f"data file {file} has the old Excel format: save it as .xlsx or .csv")
    if kind not in _READERS:
        raise ValueError(
            f"data file {file} must end in .csv, .tsv, .txt, .xlsx, .jsonl, .json, .parquet or .arrow (or any with "
            f".gz), got .{kind}"
        )
    # the reader closes it at its end
    opened: Any = gzip.open(file) if name.endswith(".gz") else file.open("rb")  # noqa: SIM115
    return _READERS[kind](Source(str(file), kind, opened, options.encoding), options)


def table_of_objects(name: str, rows: Rows, options: ReadOptions, unit: str, in_memory: bool = False) -> Table:
    """A table of rows that are objects. Its columns are the keys of the first `ROWS_FOR_COLUMNS` rows.

    Raises ValueError if there are no rows.
    """
    head = list(islice(rows, ROWS_FOR_COLUMNS))
    if not head:
        raise ValueError(f"{name} has no rows")
    columns = list(dict.fromkeys(k for _, row in head if isinstance(row, dict) for k in row))
    rest = chain(head, rows)
    return Table(name, columns or [options.text, options.label], rest, in_memory=in_memory, unit=unit)


def _json_lines(source: Source, options: ReadOptions) -> Table:
    return table_of_objects(source.name, _parsed_lines(source), options, "line")


def _parsed_lines(source: Source) -> Rows:
    with source.translated_errors(), source.text() as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, undecoded(line) or _parsed(line)


def _parsed(line: str) -> dict[str, Any] | BadRow:
    try:
        return _object(json.loads(line))
    except RecursionError:
        return BadRow("no JSON", "not JSON (nested too deeply)")
    except ValueError as problem:  # also for numbers with too many digits
        return BadRow("no JSON", f"not JSON ({getattr(problem, 'msg', problem)})")


def _object(row: Any) -> dict[str, Any] | BadRow:
    return row if isinstance(row, dict) else BadRow("no object", f"a row must be an object, got {type(row).__name__}")


def _json(source: Source, options: ReadOptions) -> Table:
    """Reads an array of objects, or JSON lines, which often have the suffix .json too."""
    content = source.whole()
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        lines = Source(source.name, "jsonl", io.BufferedReader(io.BytesIO(content)), options.encoding)
        return _json_lines(lines, options)
    try:
        document = json.loads(content.decode(source.encoding) if source.encoding else content)
    except UnicodeError as problem:
        raise source.decoding_error(problem) from None
    except ValueError as problem:
        raise source.error(f"not JSON ({problem})") from None
    if not isinstance(document, list):
        raise source.error(f"it must be a list of objects, got {type(document).__name__}")
    rows = ((n, _object(row)) for n, row in enumerate(document, 1))
    return table_of_objects(source.name, rows, options, "row")


_READERS: dict[str, Callable[[Source, ReadOptions], Table]] = {
    "csv": read_csv, "tsv": read_csv, "txt": read_text, "jsonl": _json_lines, "json": _json, "parquet": read_parquet,
    "arrow": read_arrow, "xlsx": read_xlsx,
}  # fmt: skip
