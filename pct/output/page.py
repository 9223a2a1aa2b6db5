"""A page of many explanations in one file, with filters and sorting; it is readable in print and without JavaScript."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from pct.explaining.verdict import VERDICTS
from pct.output.bulk import JsonLines
from pct.output.html import ASSETS, asset, fill
from pct.output.records import Record
from pct.text.plurals import plural

MOST_ARTICLES = 5000  # some browsers cannot open a larger page


class Html(JsonLines):
    """One page with filters and sorting, the most pathological texts first. Rows: see `article_row`.

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
        texts, last = 0, -1

        def sorted_positions() -> Iterator[tuple[float, int, int]]:
            nonlocal texts, last
            for number, part in enumerate(parts):
                for offset, row in _rows(part):
                    verdicts[row["verdict"]] += 1
                    labels.add(row["label"])
                    texts, last = texts + (row["row"] != last), row["row"]  # the explanations of a text are together
                    yield row["sort_key"], number, offset

        chosen = heapq.nsmallest(self.most, sorted_positions())
        with output.open("w", encoding="utf-8") as page:
            page.write(self._head(texts, verdicts, labels, len(chosen)))
            page.writelines(_article(parts[number], at, rank) for rank, (_, number, at) in enumerate(chosen))
            page.write(f"</div><script>{asset('page.js')}</script></body></html>\n")

    def _head(self, texts: int, verdicts: Mapping[str, int], labels: Iterable[str], shown: int) -> str:
        """The page above the articles. verdicts: the number of explanations of each, including those that are not
        shown."""
        total = sum(verdicts.values())
        counted = plural(texts, "text")
        counted += "" if total == texts else f", {plural(total, 'explanation')}"
        share = ", ".join(f"{verdicts.get(v, 0)} {v}" for v in VERDICTS)
        rest = f" The {shown} most pathological are shown." if shown < total else ""
        return fill(
            ASSETS / "explanations.html", style=asset("explanation.css") + asset("page.css"), title=self.title,
            summary=f"{counted}: {share}.{rest}", legend=self.legend, verdicts=VERDICTS,
            labels=sorted(labels),
        )  # fmt: skip


def article_row(
    article: str, row: int, verdict: str, label: str, confidence: float, right: bool | None, gap: float
) -> Record:
    """An explanation as a row of `Html`. right: None where the true class is unknown. gap: comp - suff, or NaN."""
    sort_key = {"pathological": 0.0, "undecided": 10.0, "healthy": 20.0}[verdict] + (gap if gap == gap else 0.0)
    outcome = {True: "right", False: "wrong", None: ""}[right]
    return {"article": article, "row": row, "verdict": verdict, "label": label, "confidence": confidence,
            "right": outcome, "sort_key": sort_key}  # fmt: skip


def _rows(part: Path) -> Iterator[tuple[int, Record]]:
    """The rows of a JSON Lines part, each with its byte offset."""
    offset = 0
    with part.open("rb") as lines:
        for line in lines:
            yield offset, json.loads(line)
            offset += len(line)


def _article(part: Path, offset: int, rank: int) -> str:
    """The article of the row at a byte offset, with the attributes for the page's filters."""
    with part.open("rb") as lines:
        lines.seek(offset)
        row: Record = json.loads(lines.readline())
    names = ("row", "verdict", "label", "confidence", "right")
    values = {"rank": rank, **{name: row[name] for name in names}}
    attributes = "".join(f' data-{name}="{escape(str(value))}"' for name, value in values.items())
    return str(row["article"]).replace("<article>", f"<article{attributes}>", 1)
