"""The tables of docs/results/audits.md from finished audits: python docs/scripts/audit_table.py NAME=audit.json ..

Prints Markdown: for each removal a table model x saliency of the margin over random orders, then win, comp - suff and
the accuracy of each model.
"""

from __future__ import annotations

import sys

from pct.auditing.plan import CONTROL
from pct.auditing.result import Audit
from pct.output.numbers import number, spell

METRICS = {
    "margin": "Margin over random orders, words removed by {removal}",
    "win": "Win: the share of random orders that the saliency's order beats, words removed by {removal} (chance: .5)",
    "comp-suff": "comp − suff, words removed by {removal}",
}


def main(arguments: list[str]) -> None:
    """Prints the tables of the audits that are named."""
    audits = {name: Audit.load(path) for name, path in (one.split("=", 1) for one in arguments)}
    print("## Models\n\n| model | texts | accuracy | largest class | shown | as good |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, audit in audits.items():
        shown = f"`{audit.best}`" if audit.best else "none"
        accuracy, largest = short(spell(audit.facts["accuracy"])), short(number(audit.facts["largest_class"]))
        ties = ", ".join(f"`{x}`" for x in audit.judgement.ties) or "–"
        print(f"| {name} | {audit.texts} | {accuracy} | {largest} | {shown} | {ties} |")
    removals = list(dict.fromkeys(row.removal for audit in audits.values() for row in audit.rows))
    for metric, title in METRICS.items():
        for removal in removals if metric != "comp-suff" else removals[:1]:
            print(f"\n## {title.format(removal=f'`{removal}`')}\n")
            print_table(audits, removal, metric)


def print_table(audits: dict[str, Audit], removal: str, metric: str) -> None:
    """A row a model, a column a saliency; the saliency to show in bold."""
    names = list(dict.fromkeys(row.saliency for audit in audits.values() for row in audit.rows))
    names.sort(key=lambda name: name == CONTROL)
    print(f"| model | {' | '.join(f'`{name}`' for name in names)} |\n| --- |{' --- |' * len(names)}")
    for model, audit in audits.items():
        cells = []
        for name in names:
            rows = [row for row in audit.rows if (row.saliency, row.removal) == (name, removal)]
            cell = short(spell(rows[0].metrics[metric])) if rows and metric in rows[0].metrics else "–"
            cells.append(f"**{cell}**" if name == audit.best else cell)
        print(f"| {model} | {' | '.join(cells)} |")


def short(text: str) -> str:
    """Numbers without the zero before the point."""
    return text.replace("0.", ".")


if __name__ == "__main__":
    main(sys.argv[1:])
