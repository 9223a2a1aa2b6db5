"""Output files of any length: written in parts, each atomically, and joined at the end.

A job that is killed continues after its last complete part when it is started again, so that no text is lost or
duplicated. Memory does not grow with the number of texts.
"""

from __future__ import annotations

import heapq
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from pct.output.page import article_html, page_html
from pct.output.tables import Record
from pct.writing import atomic_write, write_text

MOST_ARTICLES = 5000  # some browsers cannot open a larger page
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


class Html(JsonLines):
    """One page, the most pathological texts first. Rows: see `article_row`.

    Args:
        title: of the page.
        legend: the legend of the shades, in HTML.
        most: of more texts only this number of the most pathological is shown, with a note on the page.
    """

    def __init__(self, title: str, legend: str, most: int = MOST_ARTICLES) -> None:
        self.title, self.legend, self.most = title, legend, most

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """See `Format.join`."""
        verdicts, labels = Counter[str](), set[str]()

        def sorted_positions() -> Iterator[tuple[float, int, int]]:
            for number, part in enumerate(parts):
                for offset, row in _rows(part):
                    verdicts[row["verdict"]] += 1
                    labels.add(row["label"])
                    yield row["sort_key"], number, offset

        chosen = heapq.nsmallest(self.most, sorted_positions())
        with output.open("w", encoding="utf-8") as page:
            articles = (article_html(rank=i, **_row_at(parts[n], at)) for i, (_, n, at) in enumerate(chosen))
            page.writelines(page_html(self.title, self.legend, verdicts, labels, articles, len(chosen)))


def article_row(
    article: str, row: int, verdict: str, label: str, confidence: float, right: bool | None, gap: float
) -> Record:
    """An explanation as a row of `Html`. right: None where the true class is unknown. gap: comp - suff, or NaN."""
    sort_key = {"pathological": 0.0, "undecided": 10.0, "healthy": 20.0}[verdict] + (gap if gap == gap else 0.0)
    outcome = {True: "right", False: "wrong", None: ""}[right]
    return {"article": article, "row": row, "verdict": verdict, "label": label, "confidence": confidence,
            "right": outcome, "sort_key": sort_key}  # fmt: skip


def run_job(
    chunks: Iterable[Any],
    work: Callable[[Any], Sequence[Record]],
    output: str | Path,
    format_: Format,
    about: dict[str, Any],
    after: Callable[[int, bool], None] = lambda rows, done_before: None,
) -> int:
    """Processes the chunks of a file, one part each, and joins the parts.

    Args:
        chunks: of the input; the boundaries must be the same in every run. Each has a length.
        work: a chunk -> its rows.
        output: the file. It is written when all parts are done; until then the parts are in a folder beside it.
        format_: of the file.
        about: what the result depends on, as JSON values, so that parts of another job are not used.
        after: called after each chunk with its length, and whether an earlier run had already processed it.

    Returns:
        The number of texts.

    Raises:
        ValueError: the parts beside the output belong to another job.
    """
    target = Path(output)
    waiting = iter(chunks)
    first = list(islice(waiting, 1))  # read before a folder is created: unusable data leaves nothing behind
    folder = _open_job(target, about)
    parts, texts = [], 0
    for number, chunk in enumerate(chain(first, waiting)):
        part = folder / f"{number:06}.part"
        done_before = part.is_file()
        if not done_before:
            with atomic_write(part) as unfinished:
                format_.write(work(chunk), unfinished)
        parts.append(part)
        texts += len(chunk)
        after(len(chunk), done_before)
    whole = folder / "whole"
    format_.join(parts, whole)
    os.replace(whole, target)
    shutil.rmtree(folder)
    return texts


def parts_folder(output: str | Path) -> Path:
    """The folder of the parts of an unfinished file."""
    target = Path(output)
    return target.with_name(f".{target.name}.parts")


def _open_job(target: Path, about: dict[str, Any]) -> Path:
    folder = parts_folder(target)
    job_file = folder / JOB
    if job_file.is_file():
        before = json.loads(job_file.read_text(encoding="utf-8"))
        changed = sorted(k for k in {*before, *about} if before.get(k) != about.get(k))
        if changed and any(folder.glob("*.part")):
            raise ValueError(
                f"{folder} holds the parts of an unfinished job with another {', '.join(changed)}; finish that one, "
                "remove the folder, or give another output"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(job_file, json.dumps(about))
    return folder


def _rows(part: Path) -> Iterator[tuple[int, Record]]:
    """The rows of a JSON Lines part, each with its byte offset."""
    offset = 0
    with part.open("rb") as lines:
        for line in lines:
            yield offset, json.loads(line)
            offset += len(line)


def _row_at(part: Path, offset: int) -> Record:
    with part.open("rb") as lines:
        lines.seek(offset)
        row: Record = json.loads(lines.readline())
    del row["sort_key"]
    return row
