"""Rows of Parquet and Arrow files, by pyarrow."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pct.corpora.rows import ReadOptions, Table
from pct.corpora.source import Rows, Source
from pct.corpora.values import BadRow


def read_parquet(source: Source, options: ReadOptions) -> Table:
    """Reads the wanted columns of a Parquet file."""
    pa = _pyarrow()
    import pyarrow.parquet as pq

    with _arrow_errors(source, pa):
        file = pq.ParquetFile(source.stream if source.stream.seekable() else io.BytesIO(source.whole()))
        schema = file.schema_arrow
        batches = file.iter_batches(columns=_wanted_columns(schema, options))
    return _arrow_table(source, schema, batches, options, pa)


def read_arrow(source: Source, options: ReadOptions) -> Table:
    """Reads an Arrow file, in the file format or the stream format."""
    pa = _pyarrow()
    import pyarrow.ipc as ipc

    with _arrow_errors(source, pa):
        content = pa.py_buffer(source.whole()) if source.name.endswith(".gz") else pa.memory_map(source.name)
        try:
            file = ipc.open_file(content)
            schema, batches = file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
        except pa.ArrowInvalid:  # the stream format, which the datasets library writes
            if hasattr(content, "seek"):
                content.seek(0)
            stream = ipc.open_stream(content)
            schema, batches = stream.schema, iter(stream)
    return _arrow_table(source, schema, (b.select(_wanted_columns(schema, options)) for b in batches), options, pa)


def rows_of_batches(batches: Iterator[Any]) -> Rows:
    """The rows of record batches, numbered from 1. A row with a value that Python cannot represent is a bad row."""
    number = 0
    for batch in batches:
        try:
            rows = batch.to_pylist()
        except (ValueError, OverflowError, ArithmeticError):  # a date beyond year 9999, bytes that are not UTF-8, ..
            rows = [_row(batch, index) for index in range(batch.num_rows)]
        for row in rows:
            number += 1
            yield number, row


def _row(batch: Any, index: int) -> dict[str, Any] | BadRow:
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values[name] = column[index].as_py()
        except (ValueError, OverflowError, ArithmeticError) as problem:
            return BadRow("a value that cannot be read", f"column {name!r} ({column.type}) cannot be read: {problem}")
    return values


def _arrow_table(source: Source, schema: Any, batches: Iterator[Any], options: ReadOptions, pa: Any) -> Table:
    def rows() -> Rows:
        with _arrow_errors(source, pa):
            yield from rows_of_batches(batches)

    return Table(source.name, list(schema.names), rows(), _hub_classes(schema, options.label))


def _wanted_columns(schema: Any, options: ReadOptions) -> list[str]:
    return [name for name in schema.names if name in options.wanted]


def _hub_classes(schema: Any, label: str) -> list[str] | None:
    """The class names that the datasets library stores in the schema's metadata, also of a list of labels."""
    metadata = (schema.metadata or {}).get(b"huggingface")
    info = json.loads(metadata).get("info", {}) if metadata else {}
    feature = info.get("features", {}).get(label, {})
    if isinstance(feature, dict) and feature.get("_type") in ("List", "Sequence"):
        feature = feature.get("feature", {})
    return feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise ImportError("Parquet and Arrow files need pyarrow: pip install 'pct-explain[data]'") from None
    return pa


@contextmanager
def _arrow_errors(source: Source, pa: Any) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as problem:
        first = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise ValueError(f"data file {source.name} cannot be read ({first}); save it again as .{source.kind}") from None
