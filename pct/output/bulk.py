"""Results for files of any length: written in parts that appear whole or not at all, joined at the end.

A job that is killed goes on from its last whole part when it is started again, so that no text is lost or doubled, and
memory does not grow with the number of texts.
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
from pct.output.tables import Row
from pct.writing import atomic_write, write_text

MOST_ARTICLES = 5000  # a page of more is read by nobody, nor opened by every browser
JOB = "job.json"


class Format(Protocol):
    """How rows become a part, and parts a file."""

    def write(self, rows: Sequence[Row], part: Path) -> None:
        """Writes some rows."""
        ...

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """Makes one file of the parts, in their order."""
        ...


class JsonLines:
    """A JSON object a row."""

    def write(self, rows: Sequence[Row], part: Path) -> None:
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
    """A row group a part; a column has one type in all of them.

    Args:
        schema: of pyarrow.
    """

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    def write(self, rows: Sequence[Row], part: Path) -> None:
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
        legend: HTML, what the shades mean.
        most: beyond so many texts the most pathological are shown, and the page says so.
    """

    def __init__(self, title: str, legend: str, most: int = MOST_ARTICLES) -> None:
        self.title, self.legend, self.most = title, legend, most

    def join(self, parts: Sequence[Path], output: Path) -> None:
        """See `Format.join`."""
        verdicts, labels = Counter[str](), set[str]()

        def places() -> Iterator[tuple[float, int, int]]:
            for number, part in enumerate(parts):
                for offset, row in _rows(part):
                    verdicts[row["verdict"]] += 1
                    labels.add(row["label"])
                    yield row["sort_key"], number, offset

        chosen = heapq.nsmallest(self.most, places())
        with output.open("w", encoding="utf-8") as page:
            articles = (article_html(rank=i, **_row_at(parts[n], at)) for i, (_, n, at) in enumerate(chosen))
            page.writelines(page_html(self.title, self.legend, verdicts, labels, articles, len(chosen)))


def article_row(
    article: str, row: int, verdict: str, label: str, confidence: float, right: bool | None, gap: float
) -> Row:
    """What `Html` keeps of an explanation. right: None where the true class is not known. gap: comp - suff, or NaN."""
    sort_key = {"pathological": 0.0, "undecided": 10.0, "healthy": 20.0}[verdict] + (gap if gap == gap else 0.0)
    said = {True: "right", False: "wrong", None: ""}[right]
    return {"article": article, "row": row, "verdict": verdict, "label": label, "confidence": confidence,
            "right": said, "sort_key": sort_key}  # fmt: skip


def run_job(
    chunks: Iterable[Any],
    work: Callable[[Any], Sequence[Row]],
    output: str | Path,
    format_: Format,
    about: dict[str, Any],
    after: Callable[[int, bool], None] = lambda rows, done_before: None,
) -> int:
    """Works through the chunks of a file, a part each, and joins the parts.

    Args:
        chunks: of the input, always cut in the same way; each has a length.
        work: a chunk -> its rows.
        output: the file; it appears when all is done, and the parts lie beside it until then.
        format_: of the file.
        about: what the result depends on, as JSON values: parts of another job are not taken for this one's.
        after: called after each chunk with its length, and whether an earlier run had done it.

    Returns:
        How many texts the chunks had.

    Raises:
        ValueError: the parts beside the output are another job's.
    """
    target = Path(output)
    waiting = iter(chunks)
    first = list(islice(waiting, 1))  # read before anything is made: data that cannot be used leaves nothing behind
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
    """Where the parts of an unfinished file lie."""
    target = Path(output)
    return target.with_name(f".{target.name}.parts")


def _open_job(target: Path, about: dict[str, Any]) -> Path:
    folder = parts_folder(target)
    known = folder / JOB
    if known.is_file():
        before = json.loads(known.read_text(encoding="utf-8"))
        changed = sorted(k for k in {*before, *about} if before.get(k) != about.get(k))
        if changed and any(folder.glob("*.part")):
            raise ValueError(
                f"{folder} holds the parts of an unfinished job with another {', '.join(changed)}; finish that one, "
                "remove the folder, or give another output"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(known, json.dumps(about))
    return folder


def _rows(part: Path) -> Iterator[tuple[int, Row]]:
    """The rows of a part of lines, each with the byte at which it begins."""
    offset = 0
    with part.open("rb") as lines:
        for line in lines:
            yield offset, json.loads(line)
            offset += len(line)


def _row_at(part: Path, offset: int) -> Row:
    with part.open("rb") as lines:
        lines.seek(offset)
        row: Row = json.loads(lines.readline())
    del row["sort_key"]
    return row
