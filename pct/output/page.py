"""A page of many explanations in one file, with filters and sorting; it is readable in print and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape

from pct.explaining.verdict import VERDICTS
from pct.output.html import asset
from pct.text.plurals import plural


def page_html(
    title: str, legend: str, verdicts: Mapping[str, int], labels: Iterable[str], articles: Iterable[str], shown: int
) -> Iterator[str]:
    """The page, piece by piece.

    Args:
        title: of the page.
        legend: the legend of the shades, in HTML.
        verdicts: the number of texts of each verdict, including those that are not shown.
        labels: the classes, for the filter.
        articles: from `article_html`, in the order of the page.
        shown: the number of articles.
    """
    total = sum(verdicts.values())
    share = ", ".join(f"{verdicts.get(v, 0)} {v}" for v in VERDICTS)
    rest = f" The {shown} most pathological are shown." if shown < total else ""
    yield (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{asset('explanation.css')}{asset('page.css')}</style>"
        f'<body class="pct"><h1>{escape(title)}</h1><p>{plural(total, "text")}: {share}.{rest}</p>{legend}'
        f"<form hidden>{_select('verdict', VERDICTS)}{_select('label', sorted(labels))}"
        f"{_select('right', ('right', 'wrong'))}"
        '<label>text <input name="find" type="search"></label>'
        '<label>sort <select name="sort"><option value="pathology">most pathological first'
        '<option value="row">as in the file<option value="confidence">least confident first</select></label>'
        '<output></output></form><div id="list">'
    )
    yield from articles
    yield f"</div><script>{asset('page.js')}</script></body></html>\n"


def article_html(article: str, rank: int, row: int, verdict: str, label: str, confidence: float, right: str) -> str:
    """An explanation's `article` with the attributes for the page's filters. right: `right`, `wrong`, or empty."""
    data = {"rank": rank, "row": row, "verdict": verdict, "label": label, "confidence": confidence, "right": right}
    attributes = "".join(f' data-{name}="{escape(str(value))}"' for name, value in data.items())
    return article.replace("<article>", f"<article{attributes}>", 1)


def _select(name: str, values: Iterable[str]) -> str:
    options = "".join(f'<option value="{escape(v)}">{escape(v)}' for v in values)
    return f'<label>{name} <select name="{name}"><option value="">all{options}</select></label>'
