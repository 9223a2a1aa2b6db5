"""Explanations and reports as HTML: shaded words, both curves, the verdict. It needs no script and no other file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.output.numbers import number
from pct.output.shades import shade_levels
from pct.text.plurals import plural

if TYPE_CHECKING:
    from jinja2 import Environment

    from pct.explaining.explanation import Curve, Explanation, Side
    from pct.metrics.change import Change
    from pct.metrics.report import Report

ASSETS = Path(__file__).parent / "assets"
UNSIGNED = '<mark class="f3">shaded</mark> the more salient, the darker'
SIGNED = {
    "confidence": '<mark class="f3">for</mark> the class, <mark class="a3">against</mark> it',
    "number": '<mark class="f3">raises</mark> the number, <mark class="a3">lowers</mark> it',
}
UNKNOWN = '<mark class="unknown">unknown</mark> to the model'
CURVES = 'curves: the {} as the <b class="most">most</b> and the <b class="least">least</b> salient words are removed{}'

WIDTH, HEIGHT, LEFT, BOTTOM = 300, 118, 24, 16  # of the plot of the curves


def explanation_html(explanation: Explanation, gold: str | None = None) -> str:
    """One explanation as an `article`: prediction, verdict, the original text with shaded words, curves.

    Args:
        explanation: the explanation.
        gold: the name of the true class, where it is known.
    """
    e, verdict = explanation, explanation.verdict
    outcome = "" if gold is None else f" <small>{'right' if gold == e.outcome else f'it is {escape(gold)}'}</small>"
    by = f"<li>{escape(f'words ranked by {e.saliency_name}: {e.saliency_reason}')}</li>" if e.saliency_name else ""
    notes = "".join(f" <small>{escape(note, quote=False)}</small>" for note in e.notes)
    reasons = "".join(f"<li>{escape(r)}</li>" for r in verdict.reasons)
    return (
        f'<article><header><span class="verdict {verdict.kind}">{verdict.kind}</span>'
        f"<b>{escape(e.label_name)}</b> {e.confidence:.3f}{_not_assigned(e)}{outcome}{notes}</header>"
        f"{words_html(e)}{curves_svg(e.important, e.unimportant, e.scale, e.quantity)}"
        f"<ul>{reasons}{by}</ul></article>"
    )


def _not_assigned(e: Explanation) -> str:
    """A note where the label explained is one of several and not assigned."""
    return "" if e.threshold is None or e.confidence >= e.threshold else " <small>not assigned</small>"


def words_html(explanation: Explanation) -> str:
    """The original text as a paragraph, of a pair a paragraph each under its name; each word that the model saw is
    shaded by its saliency, unknown ones are underlined."""
    levels = shade_levels(explanation.saliency, explanation.signed)
    named = explanation.text_pair is not None
    return "".join(
        f'<p class="words" dir="auto">{f"<small>{side.key}</small> " if named else ""}'
        f"{_shaded(explanation, side, levels[side.words])}</p>"
        for side in explanation.sides
    )


def _shaded(e: Explanation, side: Side, levels: Sequence[int]) -> str:
    text, end = side.text, 0
    out: list[str] = []
    of_words = (values[side.words] for values in (e.spans, e.saliency, e.known))
    for (start, stop), value, known, level in zip(*of_words, levels, strict=False):
        shade = f"{'f' if level > 0 else 'a'}{abs(level)}" if level else ""
        names = " ".join(x for x in (shade, "" if known else "unknown") if x)
        title = f"{value + 0.0:.3g}" + ("" if known else ", unknown to the model")
        out.append(_unseen(text[end:start]) if e.truncated and not out else escape(text[end:start]))
        out.append(f'<mark class="{names}" title="{title}">{escape(text[start:stop])}</mark>')
        end = stop
    return "".join(out) + (_unseen(text[end:]) if e.truncated and out else escape(text[end:]))


def _unseen(text: str) -> str:
    """The part of the text before the first word that the model saw, or after the last."""
    return f'<span class="beyond">{escape(text)}</span>' if text else ""


def legend_html(explanations: Sequence[Explanation]) -> str:
    """The legend of the shades and marks that occur."""
    quantity = explanations[0].quantity if explanations else "confidence"
    return marks_html(any(e.signed for e in explanations), any(not all(e.known) for e in explanations), quantity)


def marks_html(signed: bool, unknown: bool = True, quantity: str = "confidence") -> str:
    """The legend of shades and marks. signed: of the saliency; unknown: whether unknown words may occur; quantity: what
    the curves show, see `Explanation.quantity`."""
    crosses = "; a cross where the prediction changes" if quantity == "confidence" else ""
    marks = [
        SIGNED[quantity] if signed else UNSIGNED,
        *([UNKNOWN] if unknown else []),
        CURVES.format(quantity, crosses),
    ]
    return f"<small>{' · '.join(marks)}</small>"


def curves_svg(
    important: Curve, unimportant: Curve, scale: tuple[float, float] = (0.0, 1.0), quantity: str = "confidence"
) -> str:
    """Both curves: confidence against words removed. scale: the ends of the axis; quantity: what they show."""
    low, high = scale
    steps = max(len(important.confidences), len(unimportant.confidences)) - 1
    inner = (WIDTH - LEFT - 6) / max(steps, 1)

    def point(step: int, confidence: float) -> str:
        return f"{LEFT + step * inner:.1f},{(HEIGHT - BOTTOM) * (high - confidence) / (high - low) + 4:.1f}"

    parts = [
        f'<path d="M{LEFT} {point(0, at).split(",")[1]}H{WIDTH - 6}" stroke="#e6e9ec"/>'
        f'<text x="0" y="{float(point(0, at).split(",")[1]) + 3:.0f}">{at:.3g}</text>'
        for at in (low, (low + high) / 2, high)
    ]
    for curve, name in ((important, "most"), (unimportant, "least")):
        points = [point(t, c) for t, c in enumerate(curve.confidences)]
        parts.append(f'<polyline class="{name}" points="{" ".join(points)}"/>')
        if curve.flips_at and curve.flips_at < len(points):
            at = points[curve.flips_at].replace(",", " ")
            parts.append(f'<path class="{name}" transform="translate({at})" d="M-4-4 4 4M-4 4 4-4"/>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT + 2}">0</text><text x="{WIDTH - 16}" y="{HEIGHT + 2}">{steps}</text>')
    label = f"{quantity} after 0 to {steps} words are removed"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 4}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def explanations_html(explanations: Sequence[Explanation]) -> str:
    """Some explanations as a fragment with its own style, for a notebook."""
    return _fragment(legend_html(explanations), *map(explanation_html, explanations))


def report_html(report: Report) -> str:
    """A report's metrics with standard errors and gaps, as a fragment with its own style."""
    rows = [(name, number(x, 4), number(report.errors.get(name, math.nan), 4)) for name, x in report.metrics.items()]
    rows += [(name, number(x, 4), "") for name, x in report.gaps.items()]
    pairs = f", {plural(len(report.columns['n']), 'explained label')}" if report.of_pairs else ""
    texts = f"<small>{plural(report.texts, 'text')}{pairs}</small>"
    items = "".join(f"<li>{escape(f'{name}: {text}')}</li>" for name, text in report.dominant_texts.items())
    return _fragment(texts, _table(("metric", "mean", "± s.e."), rows), f"<ul>{items}</ul>" if items else "")


def change_html(change: Change) -> str:
    """The change of each metric with its interval, and the verdict, as a fragment with its own style."""
    table = _table(("metric", "before", "after", "change", "95 % interval"), change.cells())
    return _fragment(table, f"<p>{escape(change.predictions)}. <b>{escape(change.verdict)}</b></p>")


def _fragment(*parts: str) -> str:
    return f'<style>{asset("explanation.css")}</style><div class="pct">{"".join(parts)}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{body}</table>"


@cache
def asset(name: str) -> str:
    """The text of a style sheet or a script in the assets folder."""
    return (ASSETS / name).read_text(encoding="utf-8")


def fill(template: Path, **values: Any) -> str:
    """A template of Jinja with some values, which are escaped in HTML and SVG."""
    return str(_templates(template.parent).get_template(template.name).render(values))


def plain_markdown(text: str) -> str:
    """Text for a line of Markdown or a cell of its tables, without HTML and without links."""
    line = escape(" ".join(text.split()), quote=False)
    return line.replace("|", "\\|").replace("](", "]\\(")


@cache
def _templates(folder: Path) -> Environment:
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    escaped = select_autoescape(("html", "svg"))
    environment = Environment(loader=FileSystemLoader(folder), autoescape=escaped, keep_trailing_newline=True)
    environment.filters["plain_markdown"] = plain_markdown
    return environment
