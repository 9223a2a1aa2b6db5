"""Output files of any length: written in parts, each atomically, and joined at the end.

A job that is killed continues after its last complete part when it is started again, so that no text is lost or
duplicated. Memory does not grow with the number of texts.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from pct.corpora.values import NUMBER
from pct.output.records import Record
from pct.output.workers import Workers
from pct.writing import atomic_write, folder_lock, write_text

LABEL_SEPARATOR = "|"  # between the labels of a text in .csv
FORMULA = tuple("=+-@\t\r＝＋－＠")  # first characters of cells that spreadsheets run as formulas
JOB = "job.json"


class Format(Protocol):
    """A file format: writes rows as a part, and joins parts to a file."""

    def write(self, rows: Sequence[Record], part: Path) -> None:
        """Writes some rows."""
        ...

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Joins the parts, in their order, to one file."""
        ...


class JsonLines:
    """One JSON object per row."""

    def write(self, rows: Sequence[Record], part: Path) -> None:
        """See `Format.write`."""
        with part.open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """See `Format.join`."""
        with output.open("wb") as whole:
            for part in parts:
                with part.open("rb") as chunk:
                    shutil.copyfileobj(chunk, whole)


class Parquet:
    """One row group per part, all with the same schema.

    Args:
        schema: of pyarrow.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    def write(self, rows: Sequence[Record], part: Path) -> None:
        """See `Format.write`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(list(rows), schema=self.schema), part)

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """See `Format.join`."""
        import pyarrow.parquet as pq

        with pq.ParquetWriter(output, self.schema) as whole:
            for part in parts:
                whole.write_table(pq.read_table(part, schema=self.schema))


class Csv:
    """One line per row, below a header.

    Args:
        columns: the names of the columns.
        escaped: whether to escape cells that a spreadsheet would run as a formula; see `no_formula`.
    """

    def __init__(self, columns: Sequence[str], escaped: bool = True) -> None:
        self.columns, self.escaped = columns, escaped

    def write(self, rows: Sequence[Record], part: Path) -> None:
        """See `Format.write`."""
        with part.open("w", encoding="utf-8", newline="") as lines:
            csv.writer(lines).writerows([self._cell(row[name]) for name in self.columns] for row in rows)

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """See `Format.join`."""
        with output.open("w", encoding="utf-8", newline="") as whole:
            csv.writer(whole).writerow([self._cell(name) for name in self.columns])
            for part in parts:
                with part.open(encoding="utf-8", newline="") as lines:
                    shutil.copyfileobj(lines, whole)

    def _cell(self, value: Any) -> Any:
        cell = LABEL_SEPARATOR.join(value) if isinstance(value, list) else value
        return no_formula(cell) if self.escaped else cell


def no_formula(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula. A text that begins with =, +, -, @, a tab or a carriage return,
    after any spaces, gets an apostrophe in front, as OWASP recommends against CSV injection. Numbers are unchanged,
    also those in a text, such as the name of the class -1."""
    if not isinstance(value, str) or NUMBER.fullmatch(value.strip()):
        return value
    return f"'{value}" if value.lstrip(" \n")[:1] in FORMULA else value


def run_job(
    chunks: Iterable[Any],
    work: Callable[[Any, Any], Sequence[Record]],
    output: str | Path,
    format_: Format,
    about: dict[str, Any],
    workers: Workers,
    after: Callable[[int, bool], None] = lambda rows, done_before: None,
) -> int:
    """Processes the chunks of a file, one part each, and joins the parts.

    Args:
        chunks: of the input; the boundaries must be the same in every run. Each has a length.
        work: the model and a chunk -> its rows.
        output: the file. It is written when all parts are done; until then the parts are in a folder beside it.
        format_: of the file.
        about: what the result depends on, as JSON values, so that parts of another job are not used.
        workers: the model, and where the work is done. With several processes, `work` and `format_` are pickled.
        after: called after each chunk with its length, and whether an earlier run had already processed it.

    Returns:
        The number of texts.

    Raises:
        ValueError: the parts beside the output belong to another job, or another process writes them.
        RuntimeError: a worker process has died.
    """
    target = Path(output)
    waiting = iter(chunks)
    first = list(islice(waiting, 1))  # read before a folder is created: unusable data leaves nothing behind
    with folder_lock(parts_folder(target)):
        folder = _open_job(target, about)
        parts: list[Path] = []
        texts = 0

        def missing() -> Iterator[tuple[Any, Format, Any, Path]]:
            nonlocal texts
            for number, chunk in enumerate(chain(first, waiting)):
                parts.append(folder / f"{number:06}.part")
                texts += len(chunk)
                if parts[-1].is_file():
                    after(len(chunk), True)
                else:
                    yield work, format_, chunk, parts[-1]

        for rows in workers.map(_write_part, missing()):
            after(rows, False)
        whole = folder / "whole"
        format_.join(parts, whole)
        os.replace(whole, target)
        shutil.rmtree(folder)
        return texts


def _write_part(
    predictor: Any, work: Callable[[Any, Any], Sequence[Record]], format_: Format, chunk: Any, part: Path
) -> int:
    """Returns the length of the chunk."""
    with atomic_write(part) as unfinished:
        format_.write(work(predictor, chunk), unfinished)
    return len(chunk)


def parts_folder(output: str | Path) -> Path:
    """The folder of the parts of an unfinished file."""
    target = Path(output)
    return target.with_name(f".{target.name}.parts")


def _open_job(target: Path, about: dict[str, Any]) -> Path:
    folder = parts_folder(target)
    job_file = folder / JOB
    if job_file.is_file():
        before = json.loads(job_file.read_text(encoding="utf-8"))
        if any(folder.glob("*.part")):
            check_same_job(before, about, folder)
    write_text(job_file, json.dumps(about))
    return folder


def check_same_job(before: dict[str, Any], about: dict[str, Any], folder: str | Path) -> None:
    """Raises ValueError if a folder holds the parts of a job that differs from this one.

    Args:
        before: what the result of the job in the folder depends on.
        about: the same of this job.
        folder: named in the error.
    """
    changed = sorted(k for k in {*before, *about} if before.get(k) != about.get(k))
    if changed:
        raise ValueError(
            f"{folder} holds the parts of another job (it differs in {', '.join(changed)}); finish that one, remove "
            "the folder, or give another output"
        )
