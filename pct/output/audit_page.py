"""An audit as an HTML page, a notebook fragment and a section of a model card, without scripts or other files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from pct.auditing.plan import CONTROL
from pct.corpora.splits import notes_in_words
from pct.explaining.explanation import Explanation
from pct.output.audit_svg import compared, curves_svg, intervals_svg
from pct.output.audit_table import SHOWN, in_words, measured_names, refused_by_reason
from pct.output.html import asset, explanation_html, legend_html
from pct.output.numbers import MISSING, bounds, number, spell
from pct.saliency import definition_of

if TYPE_CHECKING:
    from pct.auditing.result import Audit, AuditRow
    from pct.metrics.bootstrap import Interval

READING = (
    "The words of each text are removed in the order of a saliency. The confidence in the class that was predicted on "
    "the whole text falls if the saliency ranks the words high that the model uses.",
    "The margin is how much more it falls than without the same number of random words; chance has a margin of 0. Win "
    "is the share of the random orders that the saliency beats; chance has a win of 50 %.",
    "comp - suff is the fall without the most salient words less the fall without the least salient ones; below 0 the "
    "least salient words matter more.",
    "Intervals are 95 % over the texts. The judgement uses wider ones, since it tests many saliencies at once, and "
    "compares two saliencies on the same texts, so two saliencies may differ although their intervals overlap.",
    "These numbers measure faithfulness to this model, not truth. They favour occlusion, which removes words and "
    "compares the output, as the metrics do.",
)
HELP = {
    "passes": "passes of the model per text",
    "ms": "milliseconds per text to compute the saliency",
    "comp-suff": "fall of the confidence without the most salient words, less that without the least salient",
    "comp": "fall of the confidence without the most salient words",
    "suff": "fall of the confidence without the least salient words",
    "comp_random": "fall of the confidence without as many random words",
    "margin": "comp - comp_random",
    "win": "share of the random orders whose comp is smaller; chance: 0.5",
    "comp_aopc": "mean fall after 1, 5, 10, 20 and 50 % of the words, most salient first",
    "suff_aopc": "mean fall after 1, 5, 10, 20 and 50 % of the words, least salient first",
    "ir": "most salient words removed until the prediction changes",
    "ur": "least salient words removed until the prediction changes",
    "ur-ir": "ur - ir; larger is better",
    "tau_loo": "Kendall's tau with the fall without each single word",
    "naopc-gap": "normalised comp less normalised suff",
    "stable_seed": "share of the top words that stay under another seed",
    "stable_word": "share of the top words that stay when a word is replaced by a similar one",
}
COUNTS = ("ir", "ur", "ur-ir")  # of words
LEGEND = (
    "<small>diamond: the saliency to show; filled: surely beats a random order; hollow: does not; square: the control; "
    "<i>tie</i>: as good as the best. Lines: 95 % intervals.</small>"
)


def audit_page(audit: Audit) -> str:
    """The audit as one HTML page."""
    title = escape(f"Audit of {audit.model}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_style()}body {{ margin: 1.5rem auto; max-width: 64rem; }}</style></head>"
        f'<body><main class="pct audit"><h1>{title}</h1>{_parts(audit)}</main></body></html>\n'
    )


def audit_html(audit: Audit) -> str:
    """The audit as an HTML fragment with its own style, for a notebook."""
    return f'<style>{_style()}</style><div class="pct audit">{_parts(audit)}</div>'


def _style() -> str:
    return asset("explanation.css") + asset("audit.css")


def _parts(audit: Audit) -> str:
    parts = (_judgement, _facts, _intervals, _reading, _curves, _tables, _examples, _refused)
    return "".join(part(audit) for part in parts)


def _judgement(audit: Audit) -> str:
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in audit.judgement.verdict)
    advice = "".join(f"<p><b>What to do.</b> {escape(sentence)}</p>" for sentence in audit.judgement.advice)
    kind = "" if audit.best and audit.judgement.learned is not False else " no"
    return (
        f'<section class="judgement{kind}" aria-label="judgement"><p class="best">{escape(audit.headline)}</p>'
        f"{sentences}{advice}</section>"
    )


def _facts(audit: Audit) -> str:
    facts, cut, accuracy = audit.facts, audit.facts.get("cut_texts", 0), audit.facts.get("accuracy")
    pairs = [
        ("model", audit.model),
        ("data", str(audit.about.get("source") or "given in memory")),
        ("texts", f"{audit.texts:,}; {cut:,} {'was' if cut == 1 else 'were'} cut to the model's length"),
        ("long texts", str(facts.get("windows", ""))),
        ("accuracy", f"{spell(accuracy)}; the largest class has {number(facts['largest_class'])}" if accuracy else ""),
        *((name, number(x)) for name, x in (facts.get("errors") or {}).items()),
        *((f"mean {name}", spell(facts[name]) if facts.get(name) else "") for name in ("confidence", "number")),
        ("explained at present by", str(facts.get("shown") or "")),
        ("measured", _measured(audit)),
        *(("note", note) for note in notes_in_words(audit.about.get("data") or {})),
    ]
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs if value)
    return f"<dl>{shown}</dl>"


def _measured(audit: Audit) -> str:
    """One line on how the audit was measured: budget, removals, share of the words, seed."""
    removals = " or ".join(dict.fromkeys(in_words(row.removal) for row in audit.rows))
    parts = [f"budget {audit.about['budget']}"] if "budget" in audit.about else []
    parts.append(removals)
    if shares := audit.about.get("shares"):
        parts.append(" and ".join(dict.fromkeys(f"{100 * share:g} %" for share in shares)) + " of the words per side")
    if "seed" in audit.about:
        parts.append(f"seed {audit.about['seed']}")
    return ", ".join(parts)


def _intervals(audit: Audit) -> str:
    plots = "".join(
        f"<h3>{escape(in_words(removal))}{' (this decided)' if removal == audit.judgement.removal else ''}</h3>"
        f'<div class="scroll">{intervals_svg(audit, removal)}</div>'
        for removal in audit.removals
    )
    return f"<h2>Margin and win of each saliency</h2>{LEGEND}{plots}{_definitions(audit)}"


def _worded(audit: Audit, text: str) -> str:
    """A sentence on the confidence, for the quantity that the audit explains."""
    whole = "confidence in the class that was predicted on the whole text"
    return text if audit.quantity == "confidence" else text.replace(whole, "number").replace("confidence", "number")


def _reading(audit: Audit) -> str:
    return f"<h2>How to read this page</h2><ol>{''.join(f'<li>{escape(_worded(audit, x))}</li>' for x in READING)}</ol>"


def _curves(audit: Audit) -> str:
    removal, names = compared(audit)
    if not names:
        return ""
    roles = ("best", "worst") if audit.best else ("largest margin", "smallest margin")
    panels = "".join(curves_svg(audit, name, removal, role) for name, role in zip(names, roles, strict=False))
    return (
        f"<h2>Mean {audit.quantity} with {escape(in_words(removal))}</h2>"
        "<small>red: the saliency; grey: a random order on the same texts; solid: most salient words first; dashed: "
        "least salient first. In a healthy model the solid line lies far below the grey ones and the dashed line does "
        f'not.</small><div class="panels">{panels}</div>'
    )


def _tables(audit: Audit) -> str:
    parts = ["<h2>All metrics</h2><small>means over the texts with 95 % intervals; - where not measured</small>"]
    for removal in audit.removals:
        rows = audit.ranked(removal)
        measured = measured_names(rows)
        main, others = [n for n in SHOWN if n in measured], [n for n in measured if n not in SHOWN]
        parts.append(f"<h3>{escape(in_words(removal))}</h3>{_table(audit, rows, main, costs=True)}")
        if others:
            parts.append(_table(audit, rows, others))
    return "".join(parts)


def _table(audit: Audit, rows: Sequence[AuditRow], names: Sequence[str], costs: bool = False) -> str:
    heads = [*(("passes", "ms") if costs else ()), *names]
    titles = [escape(_worded(audit, HELP.get(name, name))) for name in heads]
    head = "".join(
        f'<th scope="col" title="{title}">{escape(name)}</th>' for title, name in zip(titles, heads, strict=True)
    )
    lines = []
    for row in rows:
        kind = {audit.best: "best", CONTROL: "control"}.get(row.saliency, "")
        cells = [f"<td>{number(x, 1)}</td>" for x in (row.passes, row.milliseconds)] if costs else []
        cells += [_cell(row.metrics.get(name), 2 if name in COUNTS else 3) for name in names]
        lines.append(f'<tr class="{kind}"><th scope="row">{escape(row.saliency)}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table><thead><tr><th scope="col">saliency</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(x: Interval | None, digits: int) -> str:
    if x is None or math.isnan(x.value):
        return f'<td class="missing">{MISSING}</td>'
    return f"<td>{number(x.value, digits)}<small>{bounds(x, digits)}</small></td>"


def _examples(audit: Audit) -> str:
    if not audit.examples:
        return ""
    explained = [Explanation.from_dict(one) for one in audit.examples]
    articles = "".join(
        explanation_html(one, None if values.get("gold") is None else str(values["gold"]))
        for one, values in zip(explained, audit.examples, strict=True)
    )
    name = explained[0].saliency_name or audit.best or CONTROL
    return (
        f"<h2>The most pathological texts under {escape(name)}</h2><p>The texts with the smallest comp - suff; they "
        f"may still be healthy.</p>{legend_html(explained)}{articles}"
    )


def _refused(audit: Audit) -> str:
    if not audit.refused:
        return ""
    items = "".join(
        f"<li><b>{escape(', '.join(names))}</b>: {escape(reason)}</li>" for reason, names in refused_by_reason(audit)
    )
    return f"<h2>What was left out</h2><ul>{items}</ul>"


def _definitions(audit: Audit) -> str:
    """The definition of each saliency that was measured."""
    definitions = {name: definition_of(name) for name in dict.fromkeys(row.saliency for row in audit.rows)}
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in definitions.items() if text)
    return f"<details><summary>Definitions of the saliencies</summary><dl>{items}</dl></details>" if items else ""


def audit_markdown(audit: Audit) -> str:
    """A section for a model card: the judgement, the saliencies under each removal, and how they were measured."""
    removals = audit.removals
    heads = ["saliency", "passes", "ms"]
    heads += [f"{name} ({removal})" for removal in removals for name in ("comp - suff", "margin", "win")]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for row in audit.ranked(removals[0]):
        name = f"**{row.saliency}**" if row.saliency == audit.best else row.saliency
        values = [name, number(row.passes, 1), number(row.milliseconds, 1)]
        for removal in removals:
            metrics = audit.row(row.saliency, removal).metrics
            values += [spell(metrics.get(metric)) for metric in ("comp-suff", "margin", "win")]
        lines.append(f"| {' | '.join(_plain(value) for value in values)} |")
    data = audit.about.get("source") or "data given in memory"
    accuracy = audit.facts.get("accuracy")
    correct = "" if accuracy is None else f", accuracy {spell(accuracy)}"
    how = (
        f"Measured by `pct audit` on {audit.texts:,} texts ({data}){correct}: {_measured(audit)}; means with 95 % "
        "intervals over the texts; random is the control."
    )
    verdict = [_plain(sentence) for sentence in (*audit.judgement.verdict, *audit.judgement.advice)]
    return "\n".join(["## Which explanation to trust", "", " ".join(verdict), "", *lines, "", _plain(how), ""])


def _plain(text: str) -> str:
    """Text escaped for a Markdown table."""
    return escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
