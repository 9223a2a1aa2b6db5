"""An audit as an HTML page, a notebook fragment and a section of a model card, without scripts or other files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pct.auditing.plan import CONTROL
from pct.corpora.splits import notes_in_words
from pct.explaining.explanation import Explanation
from pct.output.audit_svg import compared, curves_svg, intervals_svg
from pct.output.audit_table import SHOWN, in_words, measured_names, refused_by_reason
from pct.output.html import ASSETS, asset, explanation_html, fill, legend_html, plain_markdown
from pct.output.numbers import MISSING, bounds, number, spell
from pct.saliency import definition_of

if TYPE_CHECKING:
    from pct.auditing.result import Audit, AuditRow

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


def audit_page(audit: Audit) -> str:
    """The audit as one HTML page."""
    return _filled(audit, whole=True)


def audit_html(audit: Audit) -> str:
    """The audit as an HTML fragment with its own style, for a notebook."""
    return _filled(audit, whole=False)


def _filled(audit: Audit, whole: bool) -> str:
    removal, names = compared(audit)
    roles = ("best", "worst") if audit.best else ("largest margin", "smallest margin")
    examples = [Explanation.from_dict(one) for one in audit.examples]
    gold = [None if one.get("gold") is None else str(one["gold"]) for one in audit.examples]
    definitions = {name: definition_of(name) for name in dict.fromkeys(row.saliency for row in audit.rows)}
    return fill(
        ASSETS / "audit.html", whole=whole, audit=audit, control=CONTROL,
        style=asset("explanation.css") + asset("audit.css"),
        facts=_facts(audit), definitions=[(name, text) for name, text in definitions.items() if text],
        intervals=intervals_svg, compared_by=removal,
        curves=[curves_svg(audit, name, removal, role) for name, role in zip(names, roles, strict=False)],
        tables=[_table(audit, removal) for removal in audit.removals],
        examples=list(map(explanation_html, examples, gold)), legend=legend_html(examples),
        explained_by=(examples and examples[0].saliency_name) or audit.best or CONTROL,
        refused=refused_by_reason(audit), reading=READING, help=HELP, counts=COUNTS, missing=MISSING,
        worded=partial(_worded, audit), in_words=in_words, number=number, bounds=bounds,
    )  # fmt: skip


def _table(audit: Audit, removal: str) -> tuple[str, list[AuditRow], tuple[str, ...], tuple[str, ...]]:
    """A removal with its rows, and the names of the main metrics and of the others that were measured."""
    rows = audit.ranked(removal)
    measured = measured_names(rows)
    main = tuple(name for name in SHOWN if name in measured)
    return removal, rows, main, tuple(name for name in measured if name not in SHOWN)


def _facts(audit: Audit) -> list[tuple[str, str]]:
    facts, cut, accuracy = audit.facts, audit.facts.get("cut_texts", 0), audit.facts.get("accuracy")
    return [
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


def _worded(audit: Audit, text: str) -> str:
    """A sentence on the confidence, for the quantity that the audit explains."""
    whole = "confidence in the class that was predicted on the whole text"
    return text if audit.quantity == "confidence" else text.replace(whole, "number").replace("confidence", "number")


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
        lines.append(f"| {' | '.join(plain_markdown(value) for value in values)} |")
    data = audit.about.get("source") or "data given in memory"
    accuracy = audit.facts.get("accuracy")
    correct = "" if accuracy is None else f", accuracy {spell(accuracy)}"
    how = (
        f"Measured by `pct audit` on {audit.texts:,} texts ({data}){correct}: {_measured(audit)}; means with 95 % "
        "intervals over the texts; random is the control."
    )
    verdict = [plain_markdown(sentence) for sentence in (*audit.judgement.verdict, *audit.judgement.advice)]
    return "\n".join(["## Which explanation to trust", "", " ".join(verdict), "", *lines, "", plain_markdown(how), ""])
